"""The process that stays: sleeps, spawns one worker per refresh, reaps it, and stops at once when told to.

It is run as a file by a bare interpreter (``python -I -S supervisor.py``) and imports little of the standard library on
purpose: an idle Python that has imported Keeper's SDK holds 45 MB for ever in every pod, this one holds under 10. It
never sees a secret.
"""

from __future__ import annotations

# The C modules below `os` and `signal`: what those add in Python is 1.1 MB in every pod.
import _signal as signal  # type: ignore[import-not-found]
import posix
import select
import sys
import time

EX_TEMPFAIL = posix.EX_TEMPFAIL
SHORTEST_WAIT = 5.0
LONGEST_WAIT = 600.0
"""Seconds between attempts while Keeper is down: waits grow to ten minutes."""
KILL_GRACE = 0.5
JITTER = 0.1
READY = "ready"
REFRESHED = "refreshed"
METRICS = "metrics.prom"
"""What the workers leave for Prometheus."""
SCRAPE_TIMEOUT = 1.0
PR_SET_DUMPABLE = 4
"""Of <linux/prctl.h>."""


def main(arguments: list[str]) -> int:
    """Supervise: ``STATE_DIRECTORY INTERVAL DEADLINE METRICS_PORT WORKER_COMMAND…`` (port 0: none)."""
    undumpable()
    directory, interval, deadline, port, *command = arguments
    supervisor = Supervisor(directory, float(interval), float(deadline), command)
    if int(port):
        supervisor.open(int(port))
    return supervisor.run()


def undumpable() -> None:
    """Keep processes of the same user out of this one; the KSM configuration could be read through its /proc/PID/root.

    In a pod with one process namespace for all, as signals want it, the application is such a process (proc(5), ptrace(2)).
    """
    import _ctypes  # what ctypes adds in Python is half a megabyte

    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None: what is loaded already
    _ctypes.call_cdeclfunction(prctl, (PR_SET_DUMPABLE, 0, 0, 0, 0))


class Supervisor:
    """One worker at a time, at jittered intervals."""

    def __init__(self, directory: str, interval: float, deadline: float, command: list[str]) -> None:
        self.directory = directory
        self.interval = interval
        self.deadline = deadline
        self.command = command
        self.failures = 0
        self.worker = 0
        self.stopping = False
        self.refresh_now = False
        self.ports: list[MetricsPort] = []
        self.wake_in, self.wake_out = posix.pipe()
        for end in (self.wake_in, self.wake_out):
            posix.set_blocking(end, False)

    def open(self, port: int) -> None:
        """Open the metrics port; one that is taken is said and harms nothing else."""
        try:
            self.ports.append(MetricsPort(port, f"{self.directory}/{METRICS}"))
        except OSError as error:
            say("error", "metrics.unavailable", port=port, errno=error.errno)

    def run(self) -> int:
        """Supervise until told to stop; returns the exit code."""
        signal.set_wakeup_fd(self.wake_out, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self.note)
        wait = first_wait(self.age(), self.interval, fraction())
        say("info", "sidecar.started", wait_seconds=round(wait, 1), interval_seconds=self.interval)
        self.touch(READY)
        while not self.stopping:
            self.sleep(wait)
            if self.stopping:
                break
            self.refresh_now = False
            code, hint = self.refresh()
            self.failures = 0 if code in (posix.EX_OK, posix.EX_DATAERR) else self.failures + 1
            wait = next_wait(self.interval, self.failures, hint, fraction())
        say("info", "sidecar.stopped")
        return posix.EX_OK

    def note(self, number: int, _frame: object) -> None:
        """Remember a signal; the wake-up pipe ends the sleep."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self.stopping = True
        elif number == signal.SIGHUP:
            self.refresh_now = True

    def sleep(self, seconds: float) -> None:
        """Sleep, reaping whatever ends, until time is up or a signal asks for something."""
        until = time.monotonic() + seconds
        while not (self.stopping or self.refresh_now):
            remaining = until - time.monotonic()
            if remaining <= 0:
                return
            self.wait(remaining)
            self.reap()

    def wait(self, seconds: float) -> None:
        """Wait for a signal, at most *seconds*, and answer who asks for metrics meanwhile."""
        ports = {port.fileno(): port for port in self.ports}
        ready = select.select([self.wake_in, *ports], [], [], seconds)[0]
        for number in set(ready) & set(ports):
            ports[number].answer()
        try:
            posix.read(self.wake_in, 512)
        except BlockingIOError:
            return  # no signal came

    def refresh(self) -> tuple[int, float]:
        """Run one worker to its end or its deadline; returns its exit code and for how long it wants quiet."""
        hints, out = posix.pipe()
        try:
            try:
                self.spawn(hints, out)
            except (
                OSError
            ) as error:  # no process or memory is to be had now; files stay, and the next refresh may find some
                say("error", "worker.spawn_failed", errno=error.errno)
                return EX_TEMPFAIL, 0.0
            finally:
                posix.close(out)
            code = self.attend(time.monotonic() + self.deadline)
            return code, hint_from(posix.read(hints, 64))
        finally:
            posix.close(hints)

    def spawn(self, hints: int, out: int) -> None:
        """Start a worker that tells its hint by *out*; raises OSError."""
        self.worker = posix.posix_spawn(
            self.command[0],
            [*self.command, "--hint-fd", "3"],
            posix.environ,
            file_actions=[(posix.POSIX_SPAWN_DUP2, out, 3), (posix.POSIX_SPAWN_CLOSE, hints)],
            setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE],
        )

    def attend(self, until: float) -> int:
        """Wait for the worker, and end it when it passes its deadline or when we have to stop."""
        terminated = 0.0
        while True:
            code = self.reap()
            if code is not None:
                return code
            now = time.monotonic()
            if terminated and now > terminated + KILL_GRACE:
                posix.kill(self.worker, signal.SIGKILL)
            elif not terminated and (self.stopping or now > until):
                if not self.stopping:
                    say("error", "worker.deadline_exceeded", deadline_seconds=self.deadline)
                posix.kill(self.worker, signal.SIGTERM)
                terminated = now
            self.wait(KILL_GRACE if terminated else max(0.0, until - now) + 0.01)

    def reap(self) -> int | None:
        """Collect every ended child, adopted ones too (we may be PID 1); returns the worker's exit code when it ended."""
        ended = None
        while True:
            try:
                process, status = posix.waitpid(-1, posix.WNOHANG)
            except ChildProcessError:
                return ended
            if process == 0:
                return ended
            if process == self.worker:
                ended = posix.waitstatus_to_exitcode(status)
                self.worker = 0
                if ended < 0:
                    say("error", "worker.killed", signal=-ended)

    def age(self) -> float | None:
        """Return how long ago the last success was, in seconds; None when there was none."""
        try:
            return max(0.0, time.time() - posix.stat(f"{self.directory}/{REFRESHED}").st_mtime)
        except OSError:
            return None

    def touch(self, name: str) -> None:
        """Leave an empty file for the probe."""
        try:
            posix.close(posix.open(f"{self.directory}/{name}", posix.O_CREAT | posix.O_WRONLY, 0o600))
        except OSError as error:
            say("warning", "state.write_failed", errno=error.errno)


class MetricsPort:
    """Answers ``GET /metrics`` with what the last worker wrote, one request at a time."""

    def __init__(self, port: int, path: str) -> None:
        """Listen on *port* of every address; raises OSError."""
        import socket  # here, because without a port no pod should hold it in memory

        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        self.listener = socket.create_server(("", port), family=family, backlog=8, dualstack_ipv6=both)
        self.listener.setblocking(False)
        self.path = path

    def fileno(self) -> int:
        """Return what select waits for."""
        return self.listener.fileno()

    def answer(self) -> None:
        """Serve one connection, within a second for each direction: who is slower is cut, refreshes go first."""
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return  # whoever asked has gone
        with connection:
            connection.settimeout(SCRAPE_TIMEOUT)
            try:
                status, body = self.content(connection.recv(8192))
                head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                connection.sendall(head.encode() + body)
            except OSError as error:
                say("warning", "metrics.request_failed", errno=error.errno)

    def content(self, request: bytes) -> tuple[str, bytes]:
        """Return status and body for a request's first bytes."""
        if request.split(b" ")[:2] != [b"GET", b"/metrics"]:
            return "404 Not Found", b"GET /metrics\n"
        try:
            with open(self.path, "rb") as stream:  # noqa: PTH123 - pathlib is not imported
                return "200 OK", stream.read()
        except OSError:
            return "503 Service Unavailable", b"no refresh has ended yet\n"


def first_wait(age: float | None, interval: float, random: float) -> float:
    """Return the wait before the first refresh: none without a success, else spread over what is left of the interval.

    The init container has just fetched: a thousand pods that start together come back spread out.
    """
    if age is None:
        return 0.0
    return max(0.0, interval - age) * random


def next_wait(interval: float, failures: int, hint: float, random: float) -> float:
    """Return the wait before the next refresh: the interval ±10 %, or after failures a growing one, at least the *hint*."""
    if failures:
        longest = max(LONGEST_WAIT, interval)
        growing = min(longest, SHORTEST_WAIT * float(1 << min(failures, 20)))
        return max(growing * (0.5 + random / 2), hint * (1 + random / 4))
    return interval * (1 - JITTER + 2 * JITTER * random)


def hint_from(data: bytes) -> float:
    """Read the seconds of quiet that a worker asks for; nothing when it said nothing."""
    try:
        return min(3600.0, max(0.0, float(data or b"0")))
    except ValueError:
        return 0.0


def fraction() -> float:
    """Return a random number from 0 to 1 without importing random, which costs half a megabyte."""
    return int.from_bytes(posix.urandom(4), "big") / 0xFFFFFFFF


def say(level: str, event: str, **data: float | None) -> None:
    """Write one log line like those of the workers; values are numbers only, so that no escaping is needed."""
    now = time.time()
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
    more = "".join(f', "{key}": {"null" if value is None else value}' for key, value in data.items())
    line = f'{{"time": "{clock}.{int(now % 1 * 1000):03}Z", "level": "{level}", "event": "{event}"{more}}}\n'
    posix.write(2, line.encode())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
