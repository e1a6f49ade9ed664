"""The worker process: runs one refresh and exits with a code that tells the result. Secrets exist only in this process.

The supervisor forks a process for every refresh (:mod:`.sidecar`); the commands ``init`` and ``once`` are one.
"""

from __future__ import annotations

import hmac
import logging
import os
import random
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_injector_agent import lean_attrs, reporting  # noqa: F401 - first, because others import attrs
from keeper_injector_agent.delivery.kubernetes_secret import sync_secret
from keeper_injector_agent.delivery.refresh import Adapters, is_complete, refresh_secrets
from keeper_injector_agent.delivery.restart_all import note_start
from keeper_injector_agent.delivery.templating import template_server
from keeper_injector_agent.errors import KilledError, PlanChangedError, ThrottledError, as_reported
from keeper_injector_agent.keeper.session import open_session
from keeper_injector_agent.retry import REFRESH, call_with_retries, initial_limits
from keeper_injector_agent.state import load_state
from keeper_injector_agent.telemetry import save_result
from keeper_injector_common.errors import ContractError, KeeperInjectorError, PlanError, TemplateError
from keeper_injector_common.plan.paths import STATE_PATH, below_root
from keeper_injector_common.plan.wire import digest, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_agent.retry import RetryLimits
    from keeper_injector_agent.state import State
    from keeper_injector_agent.unchanged import Shortcut
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import RenderTemplate

log = logging.getLogger("keeper_injector_agent")

_LARGEST_PLAN = 1024 * 1024
"""Bytes. All annotations of a pod together may have 256 KiB."""
_LONGEST_SPREAD = 3.0
"""Seconds after the end of a throttle window until the next request."""
_ANNOTATION = "keeper.security/plan"


def run_refresh(
    plan_path: Path,
    *,
    root: Path,
    deadline: float,
    initial: bool,
    throttle_fd: int | None = None,
    plan_digest: str | None = None,
    restarts: bool = True,
    shortcut: Shortcut | None = None,
) -> int:
    """Refresh within *deadline* seconds and return the exit code.

    *initial* is the refresh of the init container: if it fails, the pod does not start. To *throttle_fd* it writes for how
    many seconds Keeper wants no request, and in how many seconds the application is to be notified (0: not). With
    *plan_digest*, every plan with another digest is refused. *restarts* says whether the kubelet repeats an init container
    that failed. With a *shortcut*, which has not been possible this time, the refresh leaves a receipt for the next one.
    """
    started = shortcut.started if shortcut else time.monotonic()
    try:
        text = read_plan_text(plan_path, plan_digest)
        plan = loads(text)
        if shortcut:
            shortcut.plan_text = text
    except ContractError as error:
        return report_unusable_plan(root, error, initial=initial)
    directory = below_root(root, plan.state)
    state = load_state(directory)
    state.interval = plan.refresh_interval
    admitted = digest(text)
    if state.plan != admitted:
        state.plan = ""  # what is there belongs to another plan
    limits, patient = REFRESH, False
    if initial:
        reporting.write_termination_message(root, reporting.KILLED)
        note_start(plan.restart_all, state, directory)
        complete = is_complete(plan, root, state)
        limits = initial_limits(complete=complete, failed_before=state.failures > 0, restarts=restarts)
        patient = not restarts and not complete
    state.receipt = {}
    code = _refresh(
        plan,
        state,
        root,
        started=started,
        until=started + deadline,
        limits=limits,
        initial=initial,
        patient=patient,
        shortcut=shortcut,
    )
    state.last_attempt = time.time()
    refreshed = state.last_success >= state.last_attempt - (time.monotonic() - started)
    if refreshed:
        state.plan = admitted
    save_result(directory, state, refreshed=refreshed)
    if initial and code == os.EX_OK:
        reporting.write_termination_message(root, "\n".join(f"warning: {text}" for text in state.warnings))
    if throttle_fd is not None:
        notify_wait = max(1.0, state.notify_at - time.time()) if state.notify_at else 0.0
        os.write(throttle_fd, f"{state.throttled_for():.1f} {notify_wait:.1f}".encode())
    return code


def report_killed(plan_path: Path, root: Path, cause: str) -> int:
    """Report that the worker of a refresh was killed: in the log, and in the state, which ``status`` shows; return the exit code."""
    try:
        plan = read_plan(plan_path)
    except ContractError as error:
        return error.exit_code
    directory = below_root(root, plan.state)
    state = load_state(directory)
    killed = KilledError(cause)
    state.count(f"kills_{killed.cause}")
    code = reporting.report_failure(plan, state, killed, root, initial=False)
    state.last_attempt = time.time()
    state.receipt = {}
    save_result(directory, state, refreshed=False)
    return code


def _refresh(
    plan: Plan,
    state: State,
    root: Path,
    *,
    started: float,
    until: float,
    limits: RetryLimits,
    initial: bool,
    patient: bool,
    shortcut: Shortcut | None,
) -> int:
    """Refresh once; a *patient* refresh waits for the end of Keeper's throttle window instead of failing at once."""
    client = shortcut.client if shortcut else None
    while True:
        try:
            with (
                _template_server(plan, shortcut) as render_template,
                open_session(plan, state, root, deadline=until, limits=limits, client=client) as vault,
            ):
                adapters = Adapters(vault, render_template, partial(_sync_secret, root, until, limits))
                outcome = refresh_secrets(plan, adapters, state, root=root, initial=initial)
                if shortcut:
                    state.receipt = shortcut.receipt(plan, outcome, vault.client, state)
            break
        except KeeperInjectorError as error:
            if patient and isinstance(error, ThrottledError) and _wait_until(error.until, until):
                continue
            return reporting.report_failure(plan, state, error, root, initial=initial)
        except Exception as error:  # noqa: BLE001 - a bug, ours or a library's, must be reported and must not lose the state
            return reporting.report_failure(plan, state, as_reported(error), root, initial=initial)
    milliseconds = round((time.monotonic() - started) * 1000)
    return reporting.report_outcome(plan, state, outcome, root, initial=initial, milliseconds=milliseconds)


def _wait_until(end: float, deadline: float) -> bool:
    """Wait until *end* (seconds since the epoch), and return True; return False at once if *deadline* (monotonic) is earlier."""
    # Not all pods that were throttled together ask together again.
    seconds = max(0.0, end - time.time()) + random.uniform(0.1, _LONGEST_SPREAD)  # noqa: S311 - not for cryptography
    if time.monotonic() + seconds > deadline:
        return False
    log.warning("init.throttled", extra={"wait_seconds": round(seconds, 1)})
    time.sleep(seconds)
    return True


def _template_server(plan: Plan, shortcut: Shortcut | None) -> AbstractContextManager[RenderTemplate]:
    """Return what renders templates; its process is forked before any secret is in memory."""
    if shortcut and shortcut.render_template:
        return nullcontext(shortcut.render_template)
    return template_server() if plan.has_templates() else nullcontext(_render_nothing)


def _render_nothing(*_: object) -> str:
    raise TemplateError("template, rendering: the plan has none")


def report_unusable_plan(root: Path, error: ContractError, *, initial: bool) -> int:
    """Report a plan that cannot be used, and return the exit code. A plan that has been changed is counted as well.

    Nothing in a changed plan can be trusted, so the state directory is always the one that the webhook mounts.
    """
    if isinstance(error, PlanChangedError):
        log.error("plan.changed", extra={"cause": str(error)})
        directory = below_root(root, STATE_PATH)
        if directory.is_dir():
            state = load_state(directory)
            state.failures += 1
            state.last_error, state.last_attempt = str(error), time.time()
            state.count("refreshes_refused")
            save_result(directory, state, refreshed=False)
        if not initial:
            return error.exit_code
    return reporting.report_fatal(root, str(error), error.exit_code)


def _sync_secret(
    root: Path, until: float, limits: RetryLimits, secret: KubernetesSecret, data: Mapping[str, bytes]
) -> str:
    from keeper_injector_agent.delivery.api_server import ApiServer  # here, because few pods need it

    sync = partial(sync_secret, secret, data, ApiServer.of_pod(root))
    deadline = min(limits.seconds, until - time.monotonic())
    return call_with_retries(sync, deadline=deadline, attempts=limits.attempts)


def read_plan(path: Path, expected: str | None = None) -> Plan:
    """Return the plan in the file at *path*; raises PlanError, or PlanChangedError if its digest is not the *expected* one."""
    return loads(read_plan_text(path, expected))


def read_plan_text(path: Path, expected: str | None = None) -> str:
    """Return the JSON of the plan in the file at *path*; raises as :func:`read_plan`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_PLAN + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise PlanError(f"{path}: {reason}; the webhook mounts the plan there") from None
    if len(content) > _LARGEST_PLAN:
        raise PlanError(f"{path}: larger than {_LARGEST_PLAN >> 20} MiB; it must be what the webhook wrote")
    found = digest(text)
    if expected and not text.strip():
        # The kubelet writes an empty file for an annotation that does not exist.
        raise PlanChangedError(
            f"{path}: empty, because the pod has no annotation {_ANNOTATION}; if kubectl debug --copy-to made the pod, add "
            "--keep-annotations; otherwise restore the annotation, or delete the pod"
        )
    if expected and not hmac.compare_digest(found, expected):
        raise PlanChangedError(
            f"{path}: not the plan that the webhook admitted ({found}, admitted {expected}): the annotation {_ANNOTATION} of the "
            "pod has been changed; files stay as they are; restore the annotation, or delete the pod"
        )
    return text
