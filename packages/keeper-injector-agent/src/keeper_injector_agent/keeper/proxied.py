"""HTTPS requests through a proxy, with the library requests. It is imported only if a proxy is set: that takes 0.1 s."""

from __future__ import annotations

import os
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

_VARIABLES = frozenset({"https_proxy", "all_proxy"})


class ProxyFailedError(OSError):
    """The proxy could not be reached, or refused to connect to the host."""


def proxies_for(url: str) -> dict[str, str]:
    """Return the proxies of the environment for *url*; none if it is an exception in NO_PROXY."""
    if not any(name.lower() in _VARIABLES and value for name, value in os.environ.items()):
        return {}
    from requests.utils import get_environ_proxies

    found: dict[str, str] = get_environ_proxies(url, no_proxy=None)
    return found if _VARIABLES & {f"{name}_proxy" for name in found} else {}


def new_session(context: ssl.SSLContext) -> requests.Session:
    """Return a session that verifies certificates with *context*, also through proxies."""
    import requests
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more, ssl_context=context)

        def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
            return super().proxy_manager_for(*args, **more, ssl_context=context)

        def cert_verify(self, *_: Any) -> None:
            """Do not load more CAs than those of the context."""

    session = requests.Session()
    session.trust_env = False  # otherwise credentials from ~/.netrc replace the signature in the Authorization header
    session.adapters.clear()
    session.mount("https://", Adapter(max_retries=0))
    return session


@contextmanager
def send(
    session: requests.Session,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    proxies: dict[str, str],
    timeout: tuple[float, float],
) -> Iterator[tuple[requests.Response, Iterator[bytes]]]:
    """Send a request, and yield the response with its body in blocks; raises SSLError, TimeoutError or another OSError."""
    import requests

    try:
        with session.request(
            method,
            url,
            headers=dict(headers),
            data=body,
            proxies=proxies,
            timeout=timeout,
            stream=True,
            allow_redirects=False,
        ) as response:
            yield response, response.iter_content(64 * 1024)
    except requests.exceptions.SSLError as error:
        raise ssl.SSLError from error
    except requests.exceptions.ProxyError as error:
        raise ProxyFailedError from error
    except requests.exceptions.Timeout as error:
        raise TimeoutError from error
    except requests.exceptions.RequestException as error:
        raise ConnectionError from error
