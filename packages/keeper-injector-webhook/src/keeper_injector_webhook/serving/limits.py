"""The limits of one server: how many clients it serves, how long it waits for each of them, and how much it keeps of what they send."""

from __future__ import annotations

import attrs

_SECONDS = 1.0
_KIB = 1024
_MIB = 1024 * _KIB


@attrs.frozen
class Limits:
    """What one listener spends on its clients. Together, the defaults keep the process under 128 MiB (soak_webhook)."""

    connections: int = 192
    """Connections that are open at once, with those whose TLS handshake is under way. An API server keeps at most 25 idle ones
    (client-go, transport/cache.go). Each takes 50 KiB from its ClientHello until its handshake is complete, and 21 KiB then."""
    handshake_seconds: float = 5 * _SECONDS
    request_seconds: float = 10 * _SECONDS
    """From the first byte of a request until its response is sent. API servers give up after 5 s (chart value timeoutSeconds)."""
    idle_seconds: float = 150 * _SECONDS
    """Go clients close idle connections after 90 s. A server that closes them earlier loses requests (kyverno issue 5062)."""
    patience_seconds: float = 0.25 * _SECONDS
    """A client that keeps the server waiting for longer loses its connection to other clients if a limit is reached."""
    body_bytes: int = 4 * _MIB
    """API servers refuse objects of more than 3 MiB (apiserver, MaxRequestBodyBytes)."""
    discarded_bytes: int = 16 * _MIB
    """Bytes of a refused body that are read and discarded, so that the client can read the answer."""
    bytes_in_flight: int = 4 * _MIB
    """Bytes of all requests and responses that are not complete. Beyond them, large requests wait, and those that
    lack the fewest bytes are read first."""
    small_bytes: int = 24 * _KIB
    """A request that has so many bytes so far is read beyond that limit, so that no ordinary review waits for large ones."""
    unread_bytes: int = 4 * _MIB
    """Bytes of all responses that clients have not taken yet. Beyond them, the oldest of these clients loses its connection."""
    kept_alive_bytes: int = 32 * _KIB
    """The largest request or response after which a connection is kept. The TLS buffers of a connection grow with what it carries
    and shrink only when it ends: 240 connections that had each received an answer of 0.8 MiB held 160 MiB."""
    socket_buffer: int = 16 * _KIB
    """Size of the kernel's two buffers of each connection; Linux doubles it. They count as memory of the container, and so does TLS's
    copy of what was received and is not read yet."""


PROBES = Limits(connections=32, body_bytes=16 * _KIB, bytes_in_flight=1 * _MIB)
"""The limits of the port for probes and metrics, so that clients of the TLS port cannot use up its connections."""
