"""Asks the relay whether there is something new: one small file, over a connection that stays open."""

# Only whether the head names another index is of interest here. The signature is for the worker to verify: the worst that a forged
# head can cause is a refresh that finds nothing, and after a refresh that fails, nothing is asked before the next one. A worker may
# reach another replica of the relay, which does not have the index yet: then another worker starts, after growing pauses.
#
# This process has no TLS. For a relay with TLS the worker leaves no file, and refreshes come at their interval.

from __future__ import annotations

# The C module below `socket`, which would add half a megabyte.
import _socket
import posix
import time

from keeper_injector_agent.supervisor.waits import poll_wait, random_fraction

RELAY_NAME = "relay"
_TIMEOUT = 2.0
_LARGEST = 8192
_SHORTEST_PAUSE, _LONGEST_PAUSE = 10.0, 600.0
# Seconds before another worker is started for the same index.
_STALE = 120.0
# Seconds without a newer head after which another connection is opened: it may lead to another replica of the relay.


class RelayHead:
    """The head of the snapshot that the last worker used, and the way to it."""

    def __init__(self, directory: str) -> None:
        self._path = f"{directory}/{RELAY_NAME}"
        self._connection: _socket.socket | None = None
        self._asked_for = ""
        self._pause = 0.0
        self._not_before = 0.0
        self._newest = 0
        self._newest_at = 0.0
        self.due = time.monotonic() + poll_wait(random_fraction(), first=True)

    def descriptors(self) -> list[int]:
        """Return the descriptors that a worker must not inherit."""
        return [self._connection.fileno()] if self._connection else []

    def is_used(self) -> bool:
        """Return whether the last worker used a relay that this process can ask."""
        return self._last_used() is not None

    def has_changed(self) -> bool:
        """Ask, and return whether the head names an index that the last worker did not use, and not an older one."""
        self.due = time.monotonic() + poll_wait(random_fraction())
        used = self._last_used()
        if used is None:
            self.close()
            return False
        host, port, path, index, fetched = used
        try:
            head = self._get(host, int(port), path)
        except OSError:
            self.close()
            return False
        found, since = _value(head, b'"index":"', b'"'), _value(head, b'"fetched":', b",}")
        if not found or not since.isdigit():
            self.close()
            return False
        self._watch_age(int(since))
        if found == index or int(since) < int(fetched):
            return False
        now = time.monotonic()
        if found == self._asked_for and now < self._not_before:
            return False
        self._pause = min(_LONGEST_PAUSE, self._pause * 2) if found == self._asked_for else _SHORTEST_PAUSE
        self._asked_for, self._not_before = found, now + self._pause
        return True

    def _last_used(self) -> list[str] | None:
        """Return address, port, path, index and time of the head that the last worker used; None without a relay."""
        try:
            descriptor = posix.open(self._path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            return None
        try:
            values = posix.read(descriptor, _LARGEST).decode("ascii", "replace").split()
        except OSError:
            return None
        finally:
            posix.close(descriptor)
        return values if len(values) == 5 and values[1].isdigit() and values[4].isdigit() else None

    def _watch_age(self, fetched: int) -> None:
        now = time.monotonic()
        if fetched > self._newest:
            self._newest, self._newest_at = fetched, now
        elif now - self._newest_at > _STALE:
            self._newest_at = now
            self.close()

    def _get(self, host: str, port: int, path: str) -> bytes:
        """Return the body of the head; raises OSError. A connection that the server has closed is replaced."""
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: keeper-injector-agent\r\n\r\n".encode()
        if self._connection:
            try:
                return self._exchange(request)
            except OSError:
                self.close()
        self._connect(host, port)
        return self._exchange(request)

    def _connect(self, host: str, port: int) -> None:
        # The worker leaves an address, not a name: resolving names would load libraries of the system, 2 MB in every pod.
        family = _socket.AF_INET6 if ":" in host else _socket.AF_INET
        self._connection = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        self._connection.settimeout(_TIMEOUT)
        self._connection.connect((host, port))

    def _exchange(self, request: bytes) -> bytes:
        connection = self._connection
        if connection is None:
            raise OSError
        connection.sendall(request)
        answer = b""
        while True:
            block = connection.recv(_LARGEST)
            answer += block
            head, end, body = answer.partition(b"\r\n\r\n")
            length = _value(head.lower() + b"\r\n", b"content-length:", b"\r")
            if not block or len(answer) > _LARGEST or (end and not length.isdigit()):
                raise OSError
            if end and len(body) >= int(length):
                return body if head.startswith(b"HTTP/1.1 200 ") else b""

    def close(self) -> None:
        """Close the connection; the next question opens another one."""
        if self._connection:
            self._connection.close()
            self._connection = None


def _value(text: bytes, name: bytes, ends: bytes) -> str:
    """Return what follows *name* in *text*, without spaces, up to one of the bytes in *ends*; empty if it is not there."""
    _, found, rest = text.replace(b" ", b"").partition(name)
    length = min((rest.find(end) for end in ends if end in rest), default=0) if found else 0
    return rest[:length].decode("ascii", "replace")
