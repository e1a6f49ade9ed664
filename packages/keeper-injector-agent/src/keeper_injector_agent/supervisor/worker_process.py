"""Worker processes: a fork of the supervisor for each refresh, which imports what it needs and ends."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]
import posix
import sys

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""The signals that the supervisor handles, and a worker does not."""
_LONGEST_THROTTLE = 3600.0


def fork_worker(command: list[str], inherited: list[int]) -> tuple[int, int]:
    """Fork a worker that runs *command* (PATH MODULE ARGUMENTS…) without the *inherited* descriptors; raises OSError.

    Returns its PID, and the end of a pipe for :func:`read_waits`.
    """
    throttle, out = posix.pipe()
    try:
        worker = posix.fork()
    except OSError:
        posix.close(throttle)
        posix.close(out)
        raise
    if not worker:
        _become_worker(command, [*inherited, throttle], out)
    posix.close(out)
    return worker, throttle


def read_waits(pipe: int) -> tuple[float, float]:
    """Return what a worker that has ended reported: for how many seconds Keeper wants no request, and when the next refresh is due.

    Both are 0 if it reported nothing; the second one is 0 if only the interval matters.
    """
    posix.set_blocking(pipe, False)  # a process that the worker left behind may still hold the other end
    try:
        throttle, _, due = posix.read(pipe, 64).partition(b" ")
        return min(_LONGEST_THROTTLE, max(0.0, float(throttle or b"0"))), max(0.0, float(due or b"0"))
    except (ValueError, BlockingIOError):
        return 0.0, 0.0


def _become_worker(command: list[str], inherited: list[int], out: int) -> None:
    """Do the work of a worker in this process, the fork, and exit with its code."""
    code = 1  # as of a Python program that ends with an exception
    try:
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for end in inherited:
            posix.close(end)
        code = _work(*command, "--throttle-fd", str(out))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001 - the supervisor's own code must never run in the worker
        sys.excepthook(*sys.exc_info())
    finally:
        posix._exit(code)  # noqa: SLF001 - a public function, in spite of its name


def _work(path: str, module: str, *arguments: str) -> int:
    """Import *module* from *path*, run it, and return its exit code."""
    import gc

    gc.disable()  # the process lives for a second; collecting garbage would take a tenth of that
    sys.path[:] = path.split(":")
    code: int = __import__(module, fromlist=["main"]).main(list(arguments))
    return code
