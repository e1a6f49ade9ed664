"""The command line: ``keeper-injector-agent init | sidecar | once | refresh | check | ready | status | bind | split | relay``.

Each command imports what it needs when it runs: the startup probe runs ``ready`` while the sidecar starts, and ``sidecar`` must
not leave anything in memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import keeper_injector_agent
from keeper_injector_agent.options import OVERTIME, read_options
from keeper_injector_common.plan.paths import PLAN_PATH, READY_NAME, STATE_PATH, below_root

TYPE_CHECKING = False  # the probe does without typing
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

_PROBE_INTERVAL = 0.02


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    match options.command:
        case "ready":
            return _ready(options)
        case "status":
            return _status(options)
        case "refresh":
            return _request_refresh(options)
        case "sidecar":
            return _sidecar(options)
        case "check":
            return _check(options)
        case "bind":
            return _bind(options)
        case "relay" | "split":
            import gc

            from keeper_injector_agent.relay import commands

            gc.enable()  # all other commands end soon, see __main__.py
            return commands.run_relay(options) if options.command == "relay" else commands.run_split(options)
        case _:
            return _refresh(options, initial=options.command == "init")


def _parse(arguments: list[str]) -> Namespace:
    options: Any = read_options(arguments)  # with the same attributes as argparse's
    if options is None:
        from keeper_injector_agent.parser import parse  # here, because of what it imports

        options = parse(arguments)
    return options  # type: ignore[no-any-return]


def _plan_path(options: Namespace) -> Path:
    """Return the path of the plan. Only the default path is below ``--root``: a path that a person types is meant as it is."""
    path: Path = options.plan
    return below_root(options.root, PLAN_PATH) if path == Path(PLAN_PATH) else path


def _state_directory(options: Namespace) -> Path:
    """Return the state directory of the plan, or the default one if there is no readable plan.

    Only this key is read, not the whole plan: validating a plan imports modules for 50 ms, and the start of a pod waits for the probe.
    """
    import json

    try:
        state = json.loads(_plan_path(options).read_bytes())["state"]
    except (OSError, ValueError, LookupError, TypeError):
        state = STATE_PATH
    return below_root(options.root, str(state))


def _ready(options: Namespace) -> int:
    """Wait until the sidecar runs: a probe that fails at once would be an event of every healthy start."""
    import time

    path = _state_directory(options) / READY_NAME
    until = time.monotonic() + options.wait
    while not path.exists():
        if time.monotonic() >= until:
            print(
                f"the sidecar has not started after {options.wait:g} s: {path} does not exist; its log has the reason"
            )
            return 1
        time.sleep(_PROBE_INTERVAL)
    return os.EX_OK


def _request_refresh(options: Namespace) -> int:
    from keeper_injector_agent import refresh_command

    directory = _state_directory(options)
    refresh = refresh_command.request_refresh(directory, options.timeout)
    show = refresh_command.as_json if options.output == "json" else refresh_command.as_text
    print(show(refresh, directory))
    return refresh.exit_code


def _status(options: Namespace) -> int:
    from keeper_injector_agent import status
    from keeper_injector_agent.state import load_state

    state = load_state(_state_directory(options))
    print(status.as_json(state) if options.output == "json" else status.as_text(state))
    return os.EX_OK if state.last_success else 1


def _refresh(options: Namespace, *, initial: bool) -> int:
    """Refresh once in this process."""
    from keeper_injector_agent import lean_stdlib  # noqa: F401 - first, because the worker imports these modules
    from keeper_injector_agent.hardening import harden_process
    from keeper_injector_agent.worker import run_refresh
    from keeper_injector_common.logs import configure_logging

    configure_logging(options.log_level)
    harden_process()
    return run_refresh(
        _plan_path(options),
        root=options.root,
        deadline=options.deadline,
        initial=initial,
        plan_digest=options.plan_digest,
        restarts=not (initial and options.no_restart),
    )


def _sidecar(options: Namespace) -> int:
    """Become the supervisor: exec replaces this process, so that nothing that was imported here stays in memory."""
    from keeper_injector_agent import worker
    from keeper_injector_common.errors import ContractError
    from keeper_injector_common.logs import configure_logging

    path = _plan_path(options)
    configure_logging(options.log_level)
    try:
        plan = worker.read_plan(path, options.plan_digest)
    except ContractError as error:
        return worker.report_unusable_plan(options.root, error, initial=True)
    # The first entry is the directory of the script, or the current one: nothing may be imported from there.
    imports = ":".join(sys.path if sys.flags.safe_path else sys.path[1:])
    refresh = [imports, f"{keeper_injector_agent.__name__}.sidecar", "--plan", str(path), "--root", str(options.root)]
    refresh += ["--run", os.urandom(8).hex()]  # identifies the supervisor, see unchanged.py
    if options.plan_digest:
        refresh += ["--plan-digest", options.plan_digest]
    state = below_root(options.root, plan.state)
    sys.stderr.flush()
    os.execv(  # noqa: S606 - our own interpreter and file
        sys.executable,
        [
            *supervisor_command(),
            *(str(state), str(plan.refresh_interval), str(options.deadline + OVERTIME), str(plan.metrics_port or 0)),
            *(*refresh, "--log-level", options.log_level, "--deadline", str(options.deadline)),
        ],
    )
    return os.EX_OSERR  # not reached: execv either does not return or raises


def supervisor_command() -> list[str]:
    """Return the command line of the supervisor, without its arguments.

    It runs a compiled file if there is one: the compiler would keep 0.3 MB in every pod.
    """
    import importlib.util

    package = Path(keeper_injector_agent.__file__).parent
    source = str(package / "supervisor/__main__.py")
    compiled = importlib.util.cache_from_source(source)
    program = compiled if Path(compiled).exists() else source
    return [sys.executable, "-I", "-S", program, str(package.parent)]


def _check(options: Namespace) -> int:
    from keeper_injector_agent.hardening import harden_process
    from keeper_injector_agent.keeper_check import Target, check_keeper
    from keeper_injector_agent.worker import read_plan
    from keeper_injector_common.errors import ContractError

    harden_process()
    path = options.plan or below_root(options.root, PLAN_PATH)
    try:
        plan = read_plan(path, None) if options.plan or path.exists() else None
    except ContractError as error:
        print(f"keeper-injector-agent: {error}", file=sys.stderr)
        return os.EX_USAGE
    if plan is None and options.config is None:
        print(
            "keeper-injector-agent: no plan in this container; name a KSM configuration with --config", file=sys.stderr
        )
        return os.EX_USAGE
    return check_keeper(
        Target(root=options.root, config=options.config, ca_file=options.ca_file, plan=plan), options.output
    )


def _bind(options: Namespace) -> int:
    from keeper_injector_agent.hardening import harden_process
    from keeper_injector_agent.keeper.binding import bind_token
    from keeper_injector_common.errors import KeeperInjectorError
    from keeper_injector_common.logs import configure_logging

    configure_logging(options.log_level)
    harden_process()
    output = options.output
    try:
        token = (options.token_file.read_text(encoding="utf-8") if options.token_file else sys.stdin.read()).strip()
        bind_token(token, output, options.hostname, options.ca_file, deadline=options.deadline)
    except (KeeperInjectorError, OSError, UnicodeDecodeError) as error:
        print(f"keeper-injector-agent: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, KeeperInjectorError) else os.EX_NOINPUT
    print(f"bound: {output}\nnext: kubectl create secret generic keeper-credentials --from-file=config={output}")
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
