"""The URL of a relay: plain HTTP or HTTPS, a host and a port, nothing else."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from keeper_injector_common.errors import ConfigurationError
from keeper_injector_common.patterns import pattern

_PORTS = {"http": 80, "https": 443}
_HOST = pattern(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9.])?|[0-9a-f:.]+")


class RelayUrl(NamedTuple):  # not attrs: refreshes of the agent that find nothing changed do without it
    """Where a relay is."""

    tls: bool
    host: str
    port: int

    @property
    def text(self) -> str:
        """The URL in its usual form, with its port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


def parse_relay_url(text: str, where: str) -> RelayUrl:
    """Return the relay at *text*; raises ConfigurationError, with *where*.

    Plain HTTP is usual: the content is encrypted and signed.

    >>> parse_relay_url("http://keeper-injector-relay.keeper-injector.svc.cluster.local.:8080", "relay").port
    8080
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port if parts.port is not None else _PORTS.get(parts.scheme, 0)
    except ValueError:
        parts, port = urlsplit(""), 0
    host = parts.hostname or ""
    plain = parts.path in {"", "/"} and not (parts.query or parts.fragment) and "@" not in parts.netloc
    if parts.scheme not in _PORTS or not port or not _HOST.fullmatch(host) or not plain:
        raise ConfigurationError(
            f"{where}: not the URL of a relay; write http://HOST:PORT, such as "
            "http://keeper-injector-relay.keeper-injector.svc.cluster.local.:8080"
        )
    return RelayUrl(parts.scheme == "https", host, port)
