"""HTTPS requests through a proxy, with the library requests. It is imported only if a proxy is set: that takes 0.1 s."""

from __future__ import annotations

import base64
import os
import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keeper_injector_agent.credentials.proxy import ProxyUrl, parse_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

_VARIABLES = frozenset({"https_proxy", "all_proxy"})


class ProxyFailedError(OSError):
    """The proxy could not be reached, or refused to connect to the host."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status
        """The HTTP status of its answer; 0 without an answer."""


def proxy_for(url: str) -> ProxyUrl | None:
    """Return the proxy of the environment for *url*, or None without a proxy, or if *url* is an exception in NO_PROXY.

    Raises PermanentVaultError if the proxy's URL is invalid, or that of a proxy of an unknown kind.
    """
    if not any(name.lower() in _VARIABLES and value for name, value in os.environ.items()):
        return None
    from requests.utils import get_environ_proxies

    found: dict[str, str] = get_environ_proxies(url, no_proxy=None)
    for name in ("https", "all"):
        if found.get(name):
            return parse_proxy(found[name], f"{name.upper()}_PROXY")
    return None


def new_session(context: ssl.SSLContext) -> requests.Session:
    """Return a session that verifies certificates with *context*, also through proxies."""
    import requests
    from requests.adapters import HTTPAdapter
    from requests.utils import get_auth_from_url

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more, ssl_context=context)

        def proxy_manager_for(self, *args: Any, **more: Any) -> Any:
            return super().proxy_manager_for(*args, **more, ssl_context=context)

        def cert_verify(self, *_: Any) -> None:
            """Do not load more CAs than those of the context."""

        def proxy_headers(self, proxy: str) -> dict[str, str]:
            """Return the headers for the proxy. In UTF-8 (RFC 7617), while requests fails for a password that is not Latin-1."""
            user, password = get_auth_from_url(proxy)
            if not user:
                return {}
            return {"Proxy-Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}

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
    proxy: ProxyUrl,
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
            proxies={"https": proxy.text},
            timeout=timeout,
            stream=True,
            allow_redirects=False,
        ) as response:
            yield response, response.iter_content(64 * 1024)
    except requests.exceptions.SSLError as error:
        raise ssl.SSLError from error
    except requests.exceptions.ProxyError as error:
        raise ProxyFailedError(_status_of_proxy(error)) from error
    except requests.exceptions.Timeout as error:
        raise TimeoutError from error
    except requests.exceptions.RequestException as error:
        raise ConnectionError from error


def _status_of_proxy(error: BaseException) -> int:
    """Return the HTTP status of the proxy's answer to CONNECT; 0 without an answer. Only http.client's text has it."""
    found = re.search(r"Tunnel connection failed: (\d{3})\b", str(error))
    return int(found[1]) if found else 0
