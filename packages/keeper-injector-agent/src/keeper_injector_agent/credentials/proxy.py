"""The URL of the forward proxy: in a file that the webhook mounts from a Secret, or in the usual environment variables.

A URL with a password must not be in a pod's spec, which many people may read. The agent therefore reads it from a file, and only the
process that refreshes, which lives for a second, has it in its environment: Keeper's transport and the libraries of clouds read it there.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from keeper_injector_agent.errors import PermanentVaultError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGEST = 4096
"""Bytes; longer URLs are not URLs of proxies."""
_NAMES = ("HTTPS_PROXY", "https_proxy")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORM = "write http://PROXY:PORT, or http://USER:PASSWORD@PROXY:PORT with special characters as %XX"


class ProxyUrl(NamedTuple):
    """The URL of a forward proxy."""

    text: str
    place: str
    """Host and port, for messages."""
    has_password: bool

    def __repr__(self) -> str:
        return f"ProxyUrl({self.place})"  # without the password


def parse_proxy(text: str, where: str) -> ProxyUrl:
    """Return the URL of a proxy; without a scheme, it is an HTTP proxy. Raises PermanentVaultError, whose message begins with *where*.

    >>> parse_proxy("lena:secret@proxy.example:3128", "HTTPS_PROXY").place
    'proxy.example:3128'
    """
    url = text.strip()
    if "://" not in url:
        url = f"http://{url}"
    scheme = url.partition("://")[0].lower()
    if scheme.startswith("socks"):
        raise PermanentVaultError(f"{where}: a SOCKS proxy is not supported; use an HTTP proxy that allows CONNECT")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname or ""
    complete = (
        scheme in _DEFAULT_PORTS and host and port != 0 and not (parts.path.strip("/") or parts.query or parts.fragment)
    )
    if not complete or re.search(r"[^\x21-\x7e]", url):
        raise PermanentVaultError(f"{where}: not the URL of a proxy; {_FORM}")
    place = f"[{host}]" if ":" in host else host
    place += f":{port or _DEFAULT_PORTS[scheme]}"
    return ProxyUrl(url, place, has_password=bool(parts.username))


@contextmanager
def proxy_environment(path: Path | None) -> Iterator[None]:
    """Set the proxy in the file at *path*, if there is one, for this process within the context; raises PermanentVaultError."""
    if path is None:
        yield
        return
    try:
        with path.open("rb") as stream:
            text = stream.read(_LARGEST + 1).decode("utf-8", errors="replace")
    except OSError as error:
        raise PermanentVaultError(f"{path}: {error.strerror}; check keeper.security/proxy-secret") from None
    if not text.strip() or len(text) > _LARGEST:
        raise PermanentVaultError(f"{path}: empty, or too long; store the URL of the proxy in the Secret: {_FORM}")
    proxy = parse_proxy(text, str(path))
    before = {name: os.environ.get(name) for name in _NAMES}
    os.environ.update(dict.fromkeys(_NAMES, proxy.text))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
