"""The supervisor: the process that stays. It forks a worker for every refresh, and never sees a secret."""

# Theory of operation
#
# An idle Python that has imported Keeper's SDK holds 45 MB in every pod; this process holds less than 10. It runs in a bare
# interpreter (`python -I -S`, see __main__.py) and imports only this package and a few C modules of the standard
# library. (This theory is a comment because docstrings stay in memory.) Everything that handles a secret, or that could leak,
# hang or crash, is in the worker, a separate process. The worker is a fork without exec: exec would make it dumpable again, and
# until it had hardened itself, other processes of its user could read the KSM configuration through /proc. It imports what it
# needs after the fork, so that this process stays small.
#
# state       event                                   next state   what it does
# ----------  --------------------------------------  -----------  ---------------------------------------------------
# STARTING    ready                                   WAITING      opens the metrics port, creates the file "ready"
# WAITING     the wait is over, SIGHUP or a request   REFRESHING   forks a worker
# WAITING     the relay has something new             REFRESHING   forks a worker
# WAITING     SIGTERM or SIGINT                       STOPPED      exits with code 0
# WAITING     all containers are to restart           STOPPED      exits with the code for that
# REFRESHING  the worker has ended                    WAITING      its exit code and throttle wait decide the next wait
# REFRESHING  no worker can be forked                 WAITING      as after a failure
# REFRESHING  deadline passed, or SIGTERM or SIGINT   ENDING       sends the worker SIGTERM, and SIGKILL after _KILL_GRACE
# ENDING      the worker has ended                    WAITING      or STOPPED after SIGTERM or SIGINT
#
# Waits      The first wait depends on the last success (first_wait), all others on the result of the worker (next_wait). A
#            worker writes two waits to a pipe: the seconds for which Keeper wants no request, below which no wait is, and those
#            after which the application is to be notified (notify-spread), which may be shorter.
# Requests   The command `refresh` requests a refresh; one that comes during a refresh is answered by it (refresh_requests.py).
# Signals    Handlers only set a flag. Python also writes every signal to the wake-up pipe, which ends select(), so that no
#            signal is missed between a check of the flags and the next wait. SIGHUP during a refresh causes another one
#            after it. SIGCHLD: a child has ended. We may be PID 1, so orphans are reaped as well.
# Deadlines  A worker ends itself at its own deadline and reports what is missing. The supervisor's deadline is 30 s later,
#            for a worker that hangs.
# Kills      If a worker is killed, another one reports that in the state and as refresh.failed (--killed CAUSE). With the
#            default of Kubernetes since 1.28, the kernel kills all processes of a container that is out of memory, this one
#            too: the file "refreshing", which exists during a refresh, tells the next supervisor.
# Exit       0 after SIGTERM or SIGINT. No result of a worker ends the supervisor: the files stay in place, and the next refresh
#            may succeed. With on-change: restart-all, a worker that has delivered a change schedules an exit with another code,
#            for which the kubelet restarts all containers (due_restart.py).

from __future__ import annotations

# The C modules below `os` and `signal`: the Python modules around them would add 1.1 MB in every pod.
import _signal as signal  # type: ignore[import-not-found]
import posix
import select
import time

from keeper_injector_agent.supervisor.due_restart import RESTART_ALL_CODE, DueRestart
from keeper_injector_agent.supervisor.log_lines import log_event
from keeper_injector_agent.supervisor.memory_events import count_memory_kills
from keeper_injector_agent.supervisor.metrics_port import MetricsPort
from keeper_injector_agent.supervisor.refresh_requests import RefreshRequests
from keeper_injector_agent.supervisor.relay_head import RelayHead
from keeper_injector_agent.supervisor.waits import first_wait, next_wait, random_fraction
from keeper_injector_agent.supervisor.worker_process import SIGNALS, fork_worker, read_waits

READY_NAME = "ready"
REFRESHED_NAME = "refreshed"
METRICS_NAME = "metrics.prom"
# As in keeper_injector_common.plan.paths, which may not be imported here; a test compares them.

_REFRESHING_NAME = "refreshing"
_KILL_GRACE = 0.5
_REPORT_SECONDS = 20.0
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
    supervisor.open_requests()
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
        self._memory_kills = 0
        self._late = False
        self._stopping = False
        self._refresh_now = False
        self._listeners: list[MetricsPort | RefreshRequests] = []
        self._requests: RefreshRequests | None = None
        self._relay = RelayHead(directory)
        self._restart = DueRestart(directory)
        self._wake_in, self._wake_out = posix.pipe()
        for end in (self._wake_in, self._wake_out):
            posix.set_blocking(end, False)

    def open_metrics(self, port: int) -> None:
        """Open the metrics port. If it is in use, log an error and carry on without metrics."""
        try:
            self._listeners.append(MetricsPort(port, f"{self._directory}/{METRICS_NAME}"))
        except OSError as error:
            log_event("error", "metrics.unavailable", port=port, errno=error.errno)

    def open_requests(self) -> None:
        """Accept requests for a refresh. If the state directory is not writable, log a warning and carry on without."""
        try:
            self._requests = RefreshRequests(self._directory)
            self._listeners.append(self._requests)
        except OSError as error:
            log_event("warning", "state.write_failed", errno=error.errno)

    def run(self) -> int:
        """Supervise until SIGTERM or SIGINT, or until all containers are to restart; return the exit code."""
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, self._handle_signal)
        wait = first_wait(self._age(), self._interval, random_fraction())
        log_event("info", "sidecar.started", wait_seconds=round(wait, 1), interval_seconds=self._interval)
        self._touch(READY_NAME)
        if self._remove(_REFRESHING_NAME):
            self._report_killed("container")
        while not self._stopping:
            self._sleep(wait)
            if self._stopping:
                break
            if self._restart.wait() == 0 and self._restart.take():
                self._remove(READY_NAME)  # the state stays, and the next supervisor is not running yet
                return RESTART_ALL_CODE
            self._refresh_now = False
            self._report(None)
            code, (throttle_wait, due) = self._refresh()
            self._report(code)
            self._failures = 0 if code in (posix.EX_OK, posix.EX_DATAERR) else self._failures + 1
            wait = next_wait(self._interval, self._failures, throttle_wait, random_fraction())
            if due and not self._failures:
                wait = min(wait, due)
        log_event("info", "sidecar.stopped")
        return posix.EX_OK

    def _handle_signal(self, number: int, _frame: object) -> None:
        """Remember a signal for the main loop, which the wake-up pipe interrupts."""
        if number in (signal.SIGTERM, signal.SIGINT):
            self._stopping = True
        elif number == signal.SIGHUP:
            self._refresh_now = True

    def _sleep(self, seconds: float) -> None:
        """Reap children and serve metrics for *seconds*, or until a signal, a request or the relay asks for a refresh."""
        restart = self._restart.wait()
        until = time.monotonic() + (seconds if restart is None else min(seconds, restart))
        asks_relay = self._relay.is_used() and not self._failures
        while not (self._stopping or self._refresh_now or (self._requests and self._requests.pending)):
            now = time.monotonic()
            if now >= until or (asks_relay and now >= self._relay.due and self._relay.has_changed()):
                return
            self._wait_for_event(min(until, self._relay.due) - now if asks_relay else until - now)
            self._reap()

    def _wait_for_event(self, seconds: float) -> None:
        """Wait for a signal, a connection to the metrics port or a request, for at most *seconds*, and serve the latter two."""
        listeners = {listener.fileno(): listener for listener in self._listeners}
        ready = select.select([self._wake_in, *listeners], [], [], max(0.0, seconds))[0]
        for number in set(ready) & set(listeners):
            listeners[number].serve()
        try:
            posix.read(self._wake_in, 512)
        except BlockingIOError:
            return  # no signal came

    def _report(self, code: int | None) -> None:
        """Report that a refresh begins, or that it has ended with *code*, to the commands that wait for it."""
        if not self._requests:
            return
        try:
            if code is None:
                self._requests.begin()
            else:
                self._requests.end(code)
        except OSError as error:
            log_event("warning", "state.write_failed", errno=error.errno)

    def _refresh(self) -> tuple[int, tuple[float, float]]:
        """Refresh, and return the exit code and the worker's waits (:func:`read_waits`). If the worker is killed, report that."""
        self._memory_kills = count_memory_kills()
        self._late = False
        self._touch(_REFRESHING_NAME)
        code, waits = self._run_worker(self._command, self._deadline)
        self._remove(_REFRESHING_NAME)
        if code < 0 and not self._stopping:
            out_of_memory = count_memory_kills() > self._memory_kills
            self._report_killed("memory" if out_of_memory else "deadline" if self._late else f"signal {-code}")
        return code, waits

    def _report_killed(self, cause: str) -> None:
        """Let another worker report that a refresh was killed."""
        self._run_worker([*self._command, "--killed", cause], min(_REPORT_SECONDS, self._deadline))

    def _run_worker(self, command: list[str], deadline: float) -> tuple[int, tuple[float, float]]:
        """Run one worker until it ends or its deadline passes; return its exit code and its waits."""
        listening = [listener.fileno() for listener in self._listeners]
        try:
            self._worker, throttle = fork_worker(
                command, [self._wake_in, self._wake_out, *listening, *self._relay.descriptors()]
            )
        except OSError as error:  # no processes, memory or descriptors; files stay, and the next refresh may succeed
            log_event("error", "worker.spawn_failed", errno=error.errno)
            return posix.EX_TEMPFAIL, (0.0, 0.0)
        try:
            code = self._wait_for_worker(time.monotonic() + deadline, deadline)
            return code, read_waits(throttle)
        finally:
            posix.close(throttle)

    def _wait_for_worker(self, until: float, deadline: float) -> int:
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
                    self._late = True
                    log_event("error", "worker.deadline_exceeded", deadline_seconds=deadline)
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
                    killed_for_memory = count_memory_kills() > self._memory_kills
                    log_event("error", "worker.killed", signal=-ended, out_of_memory=int(killed_for_memory))

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
            log_event("warning", "state.write_failed", errno=error.errno)

    def _remove(self, name: str) -> bool:
        """Remove a file from the state directory; return whether it existed."""
        try:
            posix.unlink(f"{self._directory}/{name}")
        except OSError:
            return False
        return True
