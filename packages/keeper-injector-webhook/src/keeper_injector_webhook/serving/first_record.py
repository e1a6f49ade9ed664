"""Waits for the first TLS record of a client before anything is allocated for its connection.

The state of a TLS connection takes 50 KiB until the handshake is complete. A client that connects and sends nothing, or only the
beginning of its first record, costs one file descriptor this way.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keeper_injector_webhook.serving.connection import Connection

_HEADER = 5
"""Bytes of a record's header: type, version and length (RFC 8446, section 5.1)."""
_HANDSHAKE = 22
_LARGEST = 16 * 1024
"""The most bytes of a record without encryption."""


async def wait_for_first_record(connection: Connection) -> None:
    """Wait until the record with the client's first handshake message has arrived whole, or something else.

    Returns also if the connection has ended. Nothing is read: TLS finds all of it. Raises OSError if the connection is broken.
    """
    sock = connection.sock
    try:
        while (size := _missing(connection)) > 0:
            connection.awaits = size
            # The kernel reports nothing until so many bytes have arrived. Otherwise, it would report half a record without a pause.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            await _wait_until_readable(sock)
            if connection.keeps_waiting():
                return  # It has ended, or the kernel does not wait for so many bytes. TLS waits for the rest.
    finally:
        if connection.awaits > 1:
            connection.awaits = 1
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _missing(connection: Connection) -> int:
    """Return how many bytes must have arrived before it is known how to go on; 0 if it is."""
    try:
        start = connection.sock.recv(_HEADER + _LARGEST, socket.MSG_PEEK)
    except BlockingIOError:
        return _HEADER
    if not start or start[0] != _HANDSHAKE:
        return 0
    if len(start) < _HEADER:
        return _HEADER
    size = _HEADER + int.from_bytes(start[3:_HEADER])
    return size if len(start) < size <= _HEADER + _LARGEST else 0


async def _wait_until_readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(sock, _wake, readable)
    try:
        await readable
    finally:
        loop.remove_reader(sock)


def _wake(readable: asyncio.Future[None]) -> None:
    if not readable.done():
        readable.set_result(None)
