"""The metrics port of the sidecar."""

from __future__ import annotations

from keeper_injector_agent.supervisor.log_lines import log_event

_SCRAPE_TIMEOUT = 1.0


class MetricsPort:
    """Serves ``GET /metrics`` with the metrics that the last worker wrote, one request at a time."""

    def __init__(self, port: int, path: str) -> None:
        """Listen on *port* of all addresses; raises OSError."""
        import socket  # imported only if needed: it stays in memory

        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        self._listener = socket.create_server(("", port), family=family, backlog=8, dualstack_ipv6=both)
        self._listener.setblocking(False)
        self._path = path

    def fileno(self) -> int:
        """Return the descriptor that select waits for."""
        return self._listener.fileno()

    def serve(self) -> None:
        """Serve one connection with a one-second timeout per direction, so that slow clients cannot delay a refresh."""
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the client has disconnected
        with connection:
            connection.settimeout(_SCRAPE_TIMEOUT)
            try:
                status, body = self._respond(connection.recv(8192))
                head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + body)
            except OSError as error:
                log_event("warning", "metrics.request_failed", errno=error.errno)

    def _respond(self, request: bytes) -> tuple[str, bytes]:
        """Return status line and body for the first bytes of a request."""
        if request.split(b" ")[:2] != [b"GET", b"/metrics"]:
            return "404 Not Found", b"GET /metrics\n"
        try:
            with open(self._path, "rb") as stream:  # noqa: PTH123 - pathlib is not imported
                return "200 OK", stream.read()
        except OSError:
            return "503 Service Unavailable", b"no refresh has finished yet\n"
