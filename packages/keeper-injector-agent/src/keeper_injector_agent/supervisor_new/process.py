"""The supervisor: the process that stays. It forks a worker for every refresh, and never sees a secret."""

# Theory of operation
#
# An idle Python that has imported Keeper's SDK holds 45 MB in every pod; this process holds less than 10. It runs as a file
# in a bare interpreter (`python -I -S supervisor.py`) and imports only a few C modules of the standard library. (This theory
# is a comment because docstrings stay in memory.) Everything that handles a secret, or that could leak, hang or crash, is
# in the worker, a separate process. The worker is a fork without exec: exec would make it dumpable again, and until it had
# hardened itself, other processes of its user could read the KSM configuration through /proc. It imports what it needs after
# the fork, so that this process stays small.
#
# state       event                                   next state   what it does
# ----------  --------------------------------------  -----------  ---------------------------------------------------
# STARTING    ready                                   WAITING      opens the metrics port, creates the file "ready"
# WAITING     the wait is over, or SIGHUP             REFRESHING   forks a worker
# WAITING     SIGTERM or SIGINT                       STOPPED      exits with code 0
# REFRESHING  the worker has ended                    WAITING      its exit code and its hint decide the next wait
# REFRESHING  no worker can be forked                 WAITING      as after a failure
# REFRESHING  deadline passed, or SIGTERM or SIGINT   ENDING       sends the worker SIGTERM, and SIGKILL after _KILL_GRACE
# ENDING      the worker has ended                    WAITING      or STOPPED after SIGTERM or SIGINT
#
# Waits      The first wait depends on the last success (first_wait), all others on the result of the worker (next_wait). A
#            worker writes its hint, the seconds for which Keeper wants no request, to a pipe; no wait is shorter.
# Signals    Handlers only set a flag. Python also writes every signal to the wake-up pipe, which ends select(), so that no
#            signal is missed between a check of the flags and the next wait. SIGHUP during a refresh causes another one
#            after it. SIGCHLD: a child has ended. We may be PID 1, so orphans are reaped as well.
# Deadlines  A worker ends itself at its own deadline and reports what is missing. The supervisor's deadline is 30 s later,
#            for a worker that hangs.
# Exit       Always 0, and only after SIGTERM or SIGINT. No result of a worker ends the supervisor: the files stay in place,
#            and the next refresh may succeed.

from __future__ import annotations

# The C modules below `os` and `signal`: the Python modules around them would add 1.1 MB in every pod.
import _signal as signal  # type: ignore[import-not-found]
import posix
import select
import sys
import time

READY_NAME = "ready"
REFRESHED_NAME = "refreshed"
METRICS_NAME = "metrics.prom"
# As in keeper_injector_common.plan.paths, which may not be imported here; a test compares them.

_SHORTEST_WAIT = 5.0
_LONGEST_WAIT = 600.0
_JITTER = 0.1
_KILL_GRACE = 0.5
_SCRAPE_TIMEOUT = 1.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def main(arguments: list[str]) -> int:
    """Supervise: ``STATE_DIRECTORY INTERVAL DEADLINE METRICS_PORT PATH MODULE ARGUMENTS…`` (seconds; port 0 for no metrics).

    A worker imports MODULE from PATH (directories, separated by colons) and calls its ``main`` with ARGUMENTS.
    """
    _make_undumpable()
    directory, interval, deadline, port, *command = arguments
    supervisor = _Supervisor(directory, float(interval), float(deadline), command)
    if int(port):
        supervisor.open_metrics(int(port))
    return supervisor.run()


def _make_undumpable() -> None:
    """Keep processes of the same user from reading the KSM configuration through this one's /proc/PID/root."""
    # With a shared process namespace, which signals need, the application is such a process (proc(5), ptrace(2)).
    import _ctypes  # the Python module around it would add half a megabyte

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None: this program itself
    _ctypes.call_cdeclfunction(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0))


class _Supervisor:
    """Runs one worker at a time, at intervals with jitter."""

    def __init__(self, directory: str, interval: float, deadline: float, command: list[str]) -> None:
        self._directory = directory
        self._interval = interval
        self._deadline = deadline
        self._command = command
        self._failures = 0
        self._worker = 0
        self._stopping = False
        self._refresh_now = False
        self._ports: list[_MetricsPort] = []
        self._wake_in, self._wake_out = posix.pipe()
        for end in (self._wake_in, self._wake_out):
            posix.set_blocking(end, False)

    def open_metrics(self, port: int) -> None:
        """Open the metrics port. If it is in use, log an error and carry on without metrics."""
        try:
            self._ports.append(_MetricsPort(port, f"{self._directory}/{METRICS_NAME}"))
        except OSError as error:
            _log_event("error", "metrics.unavailable", port=port, errno=error.errno)

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT; return the exit code."""
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        for number in _SIGNALS:
            signal.signal(number, self._handle_signal)
        wait = first_wait(self._age(), self._interval, _random_fraction())
        _log_event("info", "sidecar.started", wait_seconds=round(wait, 1), interval_seconds=self._interval)
        self._touch(READY_NAME)
        while not self._stopping:
            self._sleep(wait)
            if self._stopping:
                break
            self._refresh_now = False
            code, hint = self._refresh()
            self._failures = 0 if code in (posix.EX_OK, posix.EX_DATAERR) else self._failures + 1
            wait = next_wait(self._interval, self._failures, hint, _random_fraction())
        _log_event("info", "sidecar.stopped")
        return posix.EX_OK

    def _handle_signal(self, number: int, _frame: object) -> None:
        """Remember a signal for the main loop, which the wake-up pipe interrupts."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping = True
        elif number == signal.SIGHUP:
            self._refresh_now = True

    def _sleep(self, seconds: float) -> None:
        """Reap children and serve metrics for *seconds*, or until a signal asks for something."""
        until = time.monotonic() + seconds
        while not (self._stopping or self._refresh_now):
            remaining = until - time.monotonic()
            if remaining <= 0:
                return
            self._wait_for_event(remaining)
            self._reap()

    def _wait_for_event(self, seconds: float) -> None:
        """Wait for a signal or a connection to the metrics port, for at most *seconds*, and serve the connection."""
        ports = {port.fileno(): port for port in self._ports}
        ready = select.select([self._wake_in, *ports], [], [], seconds)[0]
        for number in set(ready) & set(ports):
            ports[number].serve()
        try:
            posix.read(self._wake_in, 512)
        except BlockingIOError:
            return  # no signal came

    def _refresh(self) -> tuple[int, float]:
        """Run one worker until it ends or its deadline passes; return its exit code and its hint in seconds."""
        try:
            hints = self._fork()
        except (
            OSError
        ) as error:  # no processes, memory or descriptors left; files stay, and the next refresh may succeed
            _log_event("error", "worker.spawn_failed", errno=error.errno)
            return posix.EX_TEMPFAIL, 0.0
        try:
            code = self._wait_for_worker(time.monotonic() + self._deadline)
            return code, _read_hint(hints)
        finally:
            posix.close(hints)

    def _fork(self) -> int:
        """Fork a worker, and return the end of a pipe to which it will write its hint; raises OSError."""
        hints, out = posix.pipe()
        try:
            self._worker = posix.fork()
        except OSError:
            posix.close(hints)
            posix.close(out)
            raise
        if not self._worker:
            self._become_worker(hints, out)
        posix.close(out)
        return hints

    def _become_worker(self, hints: int, out: int) -> None:
        """Do the work of a worker in this process, the fork, and exit with its code."""
        code = 1  # as of a Python program that ends with an exception
        try:
            signal.set_wakeup_fd(-1)
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            for end in (hints, self._wake_in, self._wake_out, *(port.fileno() for port in self._ports)):
                posix.close(end)
            code = _work(*self._command, "--hint-fd", str(out))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:  # noqa: BLE001 - the supervisor's own code must never run in the worker
            sys.excepthook(*sys.exc_info())
        finally:
            posix._exit(code)  # noqa: SLF001 - a public function, in spite of its name

    def _wait_for_worker(self, until: float) -> int:
        """Wait for the worker and return its exit code. End it at *until*, or when the supervisor has to stop."""
        terminated = 0.0
        while True:
            code = self._reap()
            if code is not None:
                return code
            now = time.monotonic()
            if terminated and now > terminated + _KILL_GRACE:
                posix.kill(self._worker, signal.SIGKILL)
            elif not terminated and (self._stopping or now > until):
                if not self._stopping:
                    _log_event("error", "worker.deadline_exceeded", deadline_seconds=self._deadline)
                posix.kill(self._worker, signal.SIGTERM)
                terminated = now
            self._wait_for_event(_KILL_GRACE if terminated else max(0.0, until - now) + 0.01)

    def _reap(self) -> int | None:
        """Reap every child that has ended; return the exit code of the worker if it is among them, otherwise None."""
        ended = None
        while True:
            try:
                process, status = posix.waitpid(-1, posix.WNOHANG)
            except ChildProcessError:
                return ended
            if process == 0:
                return ended
            if process == self._worker:
                ended = posix.waitstatus_to_exitcode(status)
                self._worker = 0
                if ended < 0:
                    _log_event("error", "worker.killed", signal=-ended)

    def _age(self) -> float | None:
        """Return the seconds since the last success, or None before the first success."""
        try:
            return max(0.0, time.time() - posix.stat(f"{self._directory}/{REFRESHED_NAME}").st_mtime)
        except OSError:
            return None

    def _touch(self, name: str) -> None:
        """Create an empty file in the state directory."""
        try:
            posix.close(posix.open(f"{self._directory}/{name}", posix.O_CREAT | posix.O_WRONLY, 0o600))
        except OSError as error:
            _log_event("warning", "state.write_failed", errno=error.errno)


class _MetricsPort:
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
                _log_event("warning", "metrics.request_failed", errno=error.errno)

    def _respond(self, request: bytes) -> tuple[str, bytes]:
        """Return status line and body for the first bytes of a request."""
        if request.split(b" ")[:2] != [b"GET", b"/metrics"]:
            return "404 Not Found", b"GET /metrics\n"
        try:
            with open(self._path, "rb") as stream:  # noqa: PTH123 - pathlib is not imported
                return "200 OK", stream.read()
        except OSError:
            return "503 Service Unavailable", b"no refresh has finished yet\n"


def first_wait(age: float | None, interval: float, random: float) -> float:
    """Return the seconds before the first refresh: 0 without a success, otherwise a random part of the rest of the interval."""
    # The init container has just fetched. A thousand pods that started together spread out here.
    if age is None:
        return 0.0
    return max(0.0, interval - age) * random


def next_wait(interval: float, failures: int, hint: float, random: float) -> float:
    """Return the seconds before the next refresh: the interval ±10 %, or after *failures* a growing wait of at least *hint*."""
    if failures:
        longest = max(_LONGEST_WAIT, interval)
        growing = min(longest, _SHORTEST_WAIT * float(1 << min(failures, 20)))
        return max(growing * (0.5 + random / 2), hint * (1 + random / 4))
    return interval * (1 - _JITTER + 2 * _JITTER * random)


def _work(path: str, module: str, *arguments: str) -> int:
    """Do the work of a worker: import *module* from *path*, run it, and return its exit code."""
    import gc

    gc.disable()  # the process lives for a second; collecting garbage would take a tenth of that
    sys.path[:] = path.split(":")
    code: int = __import__(module, fromlist=["main"]).main(list(arguments))
    return code


def _read_hint(pipe: int) -> float:
    """Return the seconds that a worker wrote as its hint, or 0 if it wrote nothing."""
    posix.set_blocking(pipe, False)  # a process that the worker left behind may still hold the other end
    try:
        return min(3600.0, max(0.0, float(posix.read(pipe, 64) or b"0")))
    except (ValueError, BlockingIOError):
        return 0.0


def _random_fraction() -> float:
    """Return a random number from 0 to 1."""
    # The module random would add half a megabyte.
    return int.from_bytes(posix.urandom(4), "big") / 0xFFFFFFFF


def _log_event(level: str, event: str, **data: float | None) -> None:
    """Write a log line in the format of the workers. All values are numbers, so that nothing needs escaping."""
    now = time.time()
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    more = "".join(f', "{key}": {"null" if value is None else value}' for key, value in data.items())
    line = f'{{"time": "{clock}.{int(now % 1 * 1000):03}Z", "level": "{level}", "event": "{event}"{more}}}\n'
    posix.write(2, line.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
