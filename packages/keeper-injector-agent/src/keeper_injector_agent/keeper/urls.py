"""The URLs that the agent sends requests to: only HTTPS, and only as plain as Keeper's own URLs are."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

_PORT = 443
_UNUSUAL = re.compile(r"[^\x21-\x7e]|[\\<>\"^`{|}]")
"""Characters that no URL may contain (RFC 3986, appendix A). Programs disagree about what they mean."""


class HttpsUrl(NamedTuple):
    """The parts of an HTTPS URL."""

    host: str
    port: int
    path: str
    """Path and query. Anyone who knows those of a file's URL can download the file."""

    def __repr__(self) -> str:
        return f"HttpsUrl({self.place})"

    @property
    def place(self) -> str:
        """Host and port for messages, which must not contain more of the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORT else f"{host}:{self.port}"

    @property
    def text(self) -> str:
        """The URL in its usual form."""
        return f"https://{self.place}{self.path}"


def parse_https_url(text: object) -> HttpsUrl | None:
    """Return the parts of an HTTPS URL, or None if *text* is not one, or contains a user, a fragment or an unusual character.

    >>> parse_https_url("HTTPS://example.com/x?token=secret").place
    'example.com'
    >>> parse_https_url("http://example.com/") is None
    True
    """
    if not isinstance(text, str) or _UNUSUAL.search(text):
        return None
    try:
        parts = urlsplit(text)
        port = _PORT if parts.port is None else parts.port
    except ValueError:
        return None
    if parts.scheme != "https" or not parts.hostname or not port or "@" in parts.netloc or parts.fragment:
        return None
    return HttpsUrl(parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
