"""The process that goes: one refresh, then an exit code that says what happened. Secrets exist only in here."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from keeper_injector_agent import state, telemetry
from keeper_injector_agent.credentials import load_configuration
from keeper_injector_agent.delivery import notify, refresh, templating
from keeper_injector_agent.errors import PermanentVaultError, ThrottledError, TransientVaultError
from keeper_injector_agent.hardening import harden
from keeper_injector_agent.retry import retried
from keeper_injector_common.errors import ContractError, KeeperInjectorError
from keeper_injector_common.logs import configure_logging
from keeper_injector_common.plan.paths import below_root
from keeper_injector_common.plan.reader import loads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_agent.keeper.transport import Transport
    from keeper_injector_agent.state import State
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.plan.model import Plan
    from keeper_injector_common.records import Attachment, Library, Record

log = logging.getLogger("keeper_injector_agent")

REFRESHED = "refreshed"
"""Name of the file in the state volume whose time of modification is that of the last success."""
CREDENTIAL_ATTEMPTS, CREDENTIAL_SECONDS = 5, 60.0
"""A cloud's metadata server may start after the pod; who waits longer for it waits for a mistake."""
TERMINATION_LOG = "/dev/termination-log"


def main(arguments: list[str] | None = None) -> int:
    """Run one refresh and return its exit code (sysexits)."""
    gc.disable()  # it lives for a second: what it would collect costs a tenth of that
    options = _options(arguments)
    configure_logging(options.log_level)
    harden()
    code = run(options.plan, root=options.root, deadline=options.deadline, initial=options.initial)
    if options.hint_fd is not None:
        _hint(options)
    return code


def _hint(options: argparse.Namespace) -> None:
    """Tell the supervisor for how many seconds Keeper wants quiet."""
    try:
        plan = loads(read_plan(options.plan))
    except ContractError:
        return  # said already
    quiet = state.load(below_root(options.root, plan.state)).throttled_for()
    os.write(options.hint_fd, f"{quiet:.1f}".encode())


def run(plan_path: Path, *, root: Path, deadline: float, initial: bool) -> int:
    """Refresh once within *deadline* seconds; *initial* is the init container's, which may keep a pod from starting."""
    started = time.monotonic()
    try:
        plan = loads(read_plan(plan_path))
    except ContractError as error:
        return failed(root, error, os.EX_CONFIG)
    memory_path = below_root(root, plan.state)
    memory = state.load(memory_path)
    code = _refresh(plan, memory, root, started, deadline, initial=initial)
    memory.last_attempt = time.time()
    try:
        if memory.last_success >= memory.last_attempt - (time.monotonic() - started):
            (memory_path / REFRESHED).touch()
        state.save(memory_path, memory)
        telemetry.save(memory_path, memory)
    except OSError as error:
        log.warning("state.write_failed", extra={"path": str(memory_path), "cause": error.strerror})
    return code


def _refresh(plan: Plan, memory: State, root: Path, started: float, deadline: float, *, initial: bool) -> int:
    try:
        outcome = _attempt(plan, memory, root, started + deadline, patient=initial)
    except KeeperInjectorError as error:
        return _explained(plan, memory, root, error, initial=initial)
    except Exception as error:  # noqa: BLE001 - a defect of ours or of a library: said without its text, which may be a value
        *_, last = traceback.extract_tb(error.__traceback__)
        cause = f"internal error: {type(error).__name__} in {Path(last.filename).name}, line {last.lineno}; please report it"
        return _explained(plan, memory, root, KeeperInjectorError(cause), initial=initial)
    data = {
        "files": outcome.files,
        "bytes": outcome.size,
        "changed": list(outcome.changed),
        "milliseconds": round((time.monotonic() - started) * 1000),
    }
    memory.files, memory.size = outcome.files, outcome.size
    memory.count("changes", len(outcome.changed))
    if outcome.changed and not initial:
        notify.notify(plan.notify, memory)
    for problem in outcome.problems:
        log.warning("secret.failed", extra={"problem": problem})
    if outcome.problems:
        code = os.EX_IOERR if outcome.unwritten else os.EX_DATAERR
        memory.count("refreshes_partial")
        memory.last_error = outcome.problems[0]
        if initial and plan.fail_on_error:
            return failed(root, KeeperInjectorError("\n".join(outcome.problems)), code)
        log.warning("secrets.partially_refreshed", extra={**data, "problems": len(outcome.problems)})
        return os.EX_OK if initial else code
    memory.last_success, memory.last_error, memory.failures = time.time(), "", 0
    memory.count("refreshes_ok")
    log.info("secrets.refreshed" if outcome.changed else "secrets.unchanged", extra=data)
    return os.EX_OK


def _attempt(plan: Plan, memory: State, root: Path, deadline: float, *, patient: bool) -> refresh.Outcome:
    quiet = memory.throttled_for()
    if quiet > 0:
        raise ThrottledError(f"Keeper: throttled earlier; no request for {quiet:.0f} s", until=memory.throttled_until)
    load = partial(load_configuration, plan.credentials, root)
    patience = min(CREDENTIAL_SECONDS, deadline - time.monotonic())
    configuration = dict(retried(load, deadline=patience, attempts=CREDENTIAL_ATTEMPTS))
    if memory.server_key_id:
        configuration["serverPublicKeyId"] = memory.server_key_id
    # Here and not above, so that a broken plan or configuration is reported before 0.2 s of imports.
    from keeper_injector_agent.keeper.sdk import KeeperVault
    from keeper_injector_agent.keeper.transport import Transport

    ca_file = below_root(root, plan.ca_file) if plan.ca_file else None
    transport = Transport(ca_file=ca_file, deadline=deadline)
    vault = KeeperVault(configuration, transport)
    attempts = 12 if patient else 3
    try:
        library: Library = retried(
            lambda: refresh.fetch(plan, vault), deadline=deadline - time.monotonic(), attempts=attempts
        )

        def download(record: Record, attachment: Attachment) -> bytes:
            again = partial(vault.download, record, attachment)
            return retried(again, deadline=deadline - time.monotonic(), attempts=3)

        def sync(secret: KubernetesSecret, data: Mapping[str, bytes]) -> str:
            from keeper_injector_agent.delivery import kubernetes_secret

            again = partial(kubernetes_secret.sync, secret, data, kubernetes_secret.ApiServer.of_pod(root))
            return retried(again, deadline=deadline - time.monotonic(), attempts=attempts)

        edges = refresh.Edges(download, templating.render, sync)
        return refresh.deliver(plan, library, edges, memory, root=root, initial=patient)
    finally:
        memory.server_key_id = vault.server_key_id
        _count_requests(memory, transport)


def _count_requests(memory: State, transport: Transport) -> None:
    for result, count in transport.counts.items():
        memory.count(f"requests_{result}", count)


def _explained(plan: Plan, memory: State, root: Path, error: KeeperInjectorError, *, initial: bool) -> int:
    """Decide what a failure of the whole refresh means, and say it once."""
    memory.failures += 1
    memory.last_error = str(error)
    code = exit_code(error)
    if isinstance(error, ThrottledError):
        memory.throttle(error.until)
    memory.count("refreshes_failed")
    if not initial:
        age = round(time.time() - memory.last_success) if memory.last_success else None
        log.error("refresh.failed", extra={"cause": str(error), "exit_code": code, "seconds_since_success": age})
        return code
    if refresh.is_complete(plan, root, memory):
        log.warning("init.kept_files", extra={"cause": str(error), "reason": "all files are there from before"})
        return os.EX_OK
    if not plan.fail_on_error:
        log.warning("init.started_without_secrets", extra={"cause": str(error)})
        return os.EX_OK
    return failed(root, error, code)


def exit_code(error: KeeperInjectorError) -> int:
    """Return the exit code for *error*, as sysexits has them."""
    match error:
        case ContractError():
            return os.EX_CONFIG
        case TransientVaultError():
            return os.EX_TEMPFAIL
        case PermanentVaultError():
            return os.EX_NOPERM
        case _:
            return os.EX_IOERR


def failed(root: Path, error: KeeperInjectorError, code: int) -> int:
    """Say for people why this container ends: in the log, and where ``kubectl describe pod`` shows it; returns *code*."""
    log.error("agent.failed", extra={"cause": str(error), "exit_code": code})
    path = below_root(root, TERMINATION_LOG)
    try:
        if path.exists():
            path.write_text(f"{error}\n"[:4096], encoding="utf-8")
    except OSError as problem:
        log.warning("termination_log.write_failed", extra={"cause": problem.strerror})
    return code


def read_plan(path: Path) -> str:
    """Return the plan's text; raises PlanError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        from keeper_injector_common.errors import PlanError

        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise PlanError(f"{path}: {reason}; the webhook mounts the plan there") from None


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="keeper-injector-agent worker", description=__doc__)
    parser.add_argument("--plan", type=Path, required=True)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--deadline", type=float, default=120.0)
    parser.add_argument("--log-level", default="info")
    parser.add_argument("--initial", action="store_true")
    parser.add_argument("--hint-fd", type=int)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
