"""How the command ``refresh`` asks the sidecar for a refresh, and learns how it ended: a named pipe and a file.

Both are in the private state directory and belong to the agent's user, and no other user may open them. A pipe needs no PID, which
the command would not know if the containers share a process namespace, and no right to inspect the supervisor.

A command reads the file, writes a byte to the pipe, and waits until the file reports the end of its refresh: of the one that was
running when it read the file, otherwise of the next one. The supervisor empties the pipe before it reports an end, so a byte is
either answered by the refresh that ends, or stays in the pipe and causes the next one. No request is lost.
"""

from __future__ import annotations

import posix
import time

PIPE_NAME = "refresh-requests"
PROGRESS_NAME = "refresh-progress"
KILLED = -9
"""Exit code of a refresh that a crash of the supervisor has ended."""
_PRIVATE = 0o600


class RefreshProgress:
    """The last refresh of a sidecar: its *number*, when it *began* and *ended* (seconds since the epoch), and its exit *code*.

    While it is running, *ended* is 0.
    """

    def __init__(self, number: int = 0, began: float = 0.0, ended: float = 0.0, code: int = 0) -> None:
        self.number = number
        self.began = began
        self.ended = ended
        self.code = code

    @property
    def running(self) -> bool:
        """Whether it has begun and not ended."""
        return self.began > 0 and not self.ended


def read_progress(directory: str) -> RefreshProgress:
    """Return the progress in the state *directory*; without a valid one, a refresh with number 0, which never ran."""
    try:
        with open(f"{directory}/{PROGRESS_NAME}", "rb") as stream:  # noqa: PTH123 - pathlib is not imported
            number, began, ended, code = stream.read(200).split()
        return RefreshProgress(int(number), float(began), float(ended), int(code))
    except (OSError, ValueError):
        return RefreshProgress()


class RefreshRequests:
    """The supervisor's side."""

    def __init__(self, directory: str) -> None:
        """Create the pipe in *directory*; raises OSError."""
        self.pending = False
        """Whether a request has not been answered by a refresh yet."""
        self._directory = directory
        self._progress = read_progress(directory)
        path = f"{directory}/{PIPE_NAME}"
        try:  # noqa: SIM105 - contextlib is not imported
            posix.mkfifo(path, _PRIVATE)
        except FileExistsError:
            pass  # the sidecar has run before
        # Open for writing as well: otherwise the pipe would be readable, at its end, whenever a command has closed it.
        self._pipe = posix.open(path, posix.O_RDWR | posix.O_NONBLOCK)
        if self._progress.running:
            self._report(self._progress.began, time.time(), KILLED)

    def fileno(self) -> int:
        """Return the descriptor that select waits for."""
        return self._pipe

    def serve(self) -> None:
        """Note that a refresh is requested."""
        try:
            while posix.read(self._pipe, 4096):
                self.pending = True
        except BlockingIOError:
            return

    def begin(self) -> None:
        """Report that a refresh begins; raises OSError."""
        self._progress.number += 1
        self._report(time.time(), 0.0, 0)

    def end(self, code: int) -> None:
        """Report that the refresh has ended with this exit *code*, and so has answered all requests until now; raises OSError."""
        self.serve()
        self.pending = False
        self._report(self._progress.began, time.time(), code)

    def _report(self, began: float, ended: float, code: int) -> None:
        self._progress = RefreshProgress(self._progress.number, began, ended, code)
        path = f"{self._directory}/{PROGRESS_NAME}"
        stream = posix.open(f"{path}.tmp", posix.O_CREAT | posix.O_WRONLY | posix.O_TRUNC, _PRIVATE)
        try:
            posix.write(stream, f"{self._progress.number} {began:.3f} {ended:.3f} {code}\n".encode())
        finally:
            posix.close(stream)
        posix.replace(f"{path}.tmp", path)
