"""Reports how a refresh ended: the log event, the counters, the exit code, and the message that ``kubectl describe`` shows."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from keeper_injector_agent.errors import ThrottledError
from keeper_injector_common.plan.paths import below_root

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from keeper_injector_agent.delivery.refresh import Outcome
    from keeper_injector_agent.state import State
    from keeper_injector_common.errors import KeeperInjectorError
    from keeper_injector_common.plan.model import Plan

log = logging.getLogger("keeper_injector_agent")

TERMINATION_LOG = "/dev/termination-log"
KILLED = "The agent was killed while it fetched the secrets. If the reason is OOMKilled, raise keeper.security/agent-limits-memory."
"""The termination message while the init container works: a process that is killed cannot write it any more."""
_LARGEST_MESSAGE = 4096
"""The kubelet shows no more characters of a termination message (Kubernetes, "Customizing the termination message")."""


def report_outcome(plan: Plan, state: State, outcome: Outcome, root: Path, *, initial: bool, milliseconds: int) -> int:
    """Log the *outcome* of a refresh that fetched its records, count it in *state*, and return the exit code.

    The init container succeeds with problems if everything exists from an earlier run: then the pod has run with it before.
    If no item is up to date afterwards, the refresh has failed as a whole.
    """
    state.files, state.size = outcome.files, outcome.size
    state.warnings = list(outcome.warnings)
    data = {
        "files": outcome.files,
        "bytes": outcome.size,
        "changed": list(outcome.changed),
        "milliseconds": milliseconds,
    }
    for problem in outcome.problems:
        log.warning("secret.failed", extra={"problem": problem})
    if not outcome.problems:
        report_success(state, data)
        return os.EX_OK
    code = os.EX_IOERR if outcome.write_failed else os.EX_DATAERR
    state.last_error = outcome.problems[0]
    if outcome.delivered:
        state.failures = 0
        state.count("refreshes_partial")
    else:
        state.failures += 1
        state.count("refreshes_failed")
    if initial and _is_complete(plan, root, state):
        return _report_kept(state, outcome.problems)
    if initial and plan.fail_on_error:
        return report_fatal(root, "\n".join(outcome.problems), code)
    if not outcome.delivered:
        return _report_nothing(state, outcome.problems[0], code, initial=initial)
    log.warning("secrets.partially_refreshed", extra={**data, "problems": len(outcome.problems)})
    return os.EX_OK if initial else code


def report_success(state: State, data: Mapping[str, object]) -> None:
    """Count a refresh without problems in *state*, and log it with *data*."""
    state.last_success, state.last_error, state.failures = time.time(), "", 0
    state.count("refreshes_ok")
    log.info("secrets.refreshed" if data["changed"] else "secrets.unchanged", extra=data)


def report_failure(plan: Plan, state: State, error: KeeperInjectorError, root: Path, *, initial: bool) -> int:
    """Log the *error* that ended a whole refresh, count it in *state*, and return the exit code.

    The init container succeeds nevertheless if all files exist from an earlier run, or if ``fail-on-error`` is false.
    """
    state.failures += 1
    state.last_error = str(error)
    if isinstance(error, ThrottledError):
        state.throttle(error.until)
    state.count("refreshes_failed")
    if initial and _is_complete(plan, root, state):
        state.warnings = []
        return _report_kept(state, [str(error)])
    if initial and plan.fail_on_error:
        return report_fatal(root, str(error), error.exit_code)
    return _report_nothing(state, str(error), error.exit_code, initial=initial)


def _report_kept(state: State, causes: Sequence[str]) -> int:
    """Log that the pod starts with what an earlier run delivered, and return the exit code."""
    state.warnings += [f"content of an earlier run is kept: {cause}" for cause in causes]
    for cause in causes:
        log.warning("init.kept_files", extra={"cause": cause, "reason": "everything exists from an earlier run"})
    return os.EX_OK


def _is_complete(plan: Plan, root: Path, state: State) -> bool:
    from keeper_injector_agent.delivery.refresh import is_complete  # here, because of what it imports

    return is_complete(plan, root, state)


def _report_nothing(state: State, cause: str, code: int, *, initial: bool) -> int:
    """Log that nothing could be brought up to date, and return the exit code: the pod starts nevertheless."""
    if initial:
        log.warning("init.started_without_secrets", extra={"cause": cause})
        return os.EX_OK
    age = round(time.time() - state.last_success) if state.last_success else None
    log.error("refresh.failed", extra={"cause": cause, "exit_code": code, "seconds_since_success": age})
    return code


def report_fatal(root: Path, message: str, code: int) -> int:
    """Log why this container ends, write it where ``kubectl describe pod`` shows it, and return *code*."""
    log.error("agent.failed", extra={"cause": message, "exit_code": code})
    write_termination_message(root, message)
    return code


def write_termination_message(root: Path, message: str) -> None:
    """Write what ``kubectl describe pod`` shows if this container ends now; nothing if *message* is empty."""
    path = below_root(root, TERMINATION_LOG)
    try:
        if path.exists():
            path.write_text(f"{message}\n"[:_LARGEST_MESSAGE] if message else "", encoding="utf-8")
    except OSError as problem:
        log.warning("termination_log.write_failed", extra={"cause": problem.strerror})
