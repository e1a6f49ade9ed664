"""The command line: ``keeper-injector-agent init | sidecar | once | refresh | check | ready | status | bind | split | relay``.

Each command imports what it needs when it runs: the startup probe runs ``ready`` while the sidecar starts, and ``sidecar`` must
not leave anything in memory.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import keeper_injector_agent
from keeper_injector_agent.relay.arguments import add_commands
from keeper_injector_common.plan.paths import PLAN_PATH, READY_NAME, STATE_PATH, below_root

_INIT_DEADLINE = 240.0
"""Seconds. The kubelet waits indefinitely, deployments do not: progressDeadlineSeconds is 600 by default."""
_REFRESH_DEADLINE = 120.0
_OVERTIME = 30.0
"""Seconds after its deadline until a refresh is killed; within them it delivers what it has and reports what is missing."""
READY_SECONDS = 5.0
"""Less than the time that the startup probe has (the webhook's ``manifests.py``), with the start of this command."""
_PROBE_INTERVAL = 0.02
_LOG_LEVELS = ["debug", "info", "warning", "error"]

_EXAMPLES = """\
examples:
  keeper-injector-agent once --plan plan.json --root ./out     write the files of a plan below ./out, once
  keeper-injector-agent sidecar --plan plan.json --root ./out  keep them up to date until Ctrl-C
  keeper-injector-agent bind --output ksm-config.json < token  turn a one-time token into a KSM configuration
"""

_DESCRIPTIONS = {
    "refresh": """\
ask the running sidecar for a refresh, wait for its end, and show the result

The exit code is 0 if everything is up to date, otherwise 1. If a refresh is running already, its result is shown. While Keeper
throttles this pod, no request is sent."""
}
_EXAMPLES_OF_COMMANDS = {
    "check": """\
examples:
  keeper-injector-agent check --config ksm-config.json            before the Secret is created
  keeper-injector-agent check --config ksm-config.json --plan plan.json
  kubectl exec POD -c keeper-injector-sidecar -- keeper-injector-agent check
""",
    "refresh": """\
examples:
  kubectl exec POD -c keeper-injector-sidecar -- keeper-injector-agent refresh          a table
  kubectl exec POD -c keeper-injector-sidecar -- keeper-injector-agent refresh -o json  for programs
""",
    "status": """\
examples:
  kubectl exec POD -c keeper-injector-sidecar -- keeper-injector-agent status
""",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = build_parser().parse_args(arguments)
    command: str = options.command
    match command:
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
            from keeper_injector_agent.relay import commands

            return commands.run_relay(options) if command == "relay" else commands.run_split(options)
        case _:
            return _refresh(options, initial=command == "init")


class _Version(argparse.Action):
    """Prints the version. It is looked up only here, because that takes 20 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {keeper_injector_agent.__version__}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="keeper-injector-agent",
        description="Fetch secrets from Keeper Secrets Manager into files, and keep them up to date.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text, deadline in (
        ("init", "fetch all secrets before the application starts; fail if that is impossible", _INIT_DEADLINE),
        ("sidecar", "keep the files up to date until stopped", _REFRESH_DEADLINE),
        ("once", "refresh once, as the sidecar does, and exit with the result", _REFRESH_DEADLINE),
        (
            "refresh",
            "ask the running sidecar for a refresh, wait for its end, and show the result",
            _REFRESH_DEADLINE + 2 * _OVERTIME,
        ),
        ("status", "show how fresh the files are and how Keeper responded; exit 1 before the first success", 0.0),
        ("ready", "wait until the sidecar is running; exit 1 if it is not (startup probe)", _REFRESH_DEADLINE),
    ):
        command = commands.add_parser(
            name,
            help=text,
            description=_DESCRIPTIONS.get(name, text),
            epilog=_EXAMPLES_OF_COMMANDS.get(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument("--plan", type=Path, default=Path(PLAN_PATH), help="plan file (default: %(default)s)")
        command.add_argument("--root", type=Path, default=Path("/"), help="directory to use as / (default: /)")
        command.add_argument("--log-level", default="info", choices=_LOG_LEVELS, help="default: %(default)s")
        if name == "refresh":
            meaning = "seconds to wait for its end (default: %(default)g)"
            command.add_argument("--timeout", type=float, default=deadline, help=meaning)
        else:
            meaning = "seconds for one refresh (default: %(default)g)"
            command.add_argument("--deadline", type=float, default=deadline, help=meaning)
        if name in {"init", "sidecar", "once"}:
            command.add_argument("--plan-digest", help="refuse every plan but the one with this digest (sha256:…)")
        if name == "init":
            meaning = "nothing repeats this command after a failure (restartPolicy: Never): retry for a minute, not for seconds"
            command.add_argument("--no-restart", action="store_true", help=meaning)
        if name == "ready":
            meaning = "seconds to wait for the sidecar (default: %(default)g)"
            command.add_argument("--wait", type=float, default=READY_SECONDS, help=meaning)
        if name in {"status", "refresh"}:
            command.add_argument(
                "-o", "--output", default="text", choices=["text", "json"], help="output format (default: %(default)s)"
            )
    text = "check the way to Keeper, and what the application shares; never shows a value"
    checking = commands.add_parser(
        "check",
        help=text,
        description=f"{text}.\n\nThe exit code is 0 if no check failed, otherwise 1.",
        epilog=_EXAMPLES_OF_COMMANDS["check"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    checking.add_argument("--config", type=Path, metavar="FILE", help="KSM configuration (default: as the plan says)")
    checking.add_argument("--plan", type=Path, metavar="FILE", help="plan (default: that of the pod, if there is one)")
    checking.add_argument("--root", type=Path, default=Path("/"), help="directory to use as / (default: /)")
    checking.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="additional CA certificate (default: as the plan says)"
    )
    checking.add_argument(
        "-o", "--output", default="text", choices=["text", "json"], help="output format (default: %(default)s)"
    )
    text = "turn a one-time token into a KSM configuration file"
    description = f"{text}. A token can be used once; after a failure, run the same command again to continue."
    binding = commands.add_parser("bind", help=text, description=description)
    binding.add_argument("--token-file", type=Path, help="file with the token as Keeper shows it (default: stdin)")
    binding.add_argument("--output", type=Path, required=True, help="configuration file to create; must not exist")
    binding.add_argument("--hostname", help="host of Keeper, if the token does not begin with a region or a host")
    binding.add_argument("--ca-file", type=Path, help="additional CA to trust (PEM)")
    binding.add_argument("--deadline", type=float, default=60.0, help="seconds in total (default: %(default)s)")
    binding.add_argument("--log-level", default="warning", choices=_LOG_LEVELS, help="default: %(default)s")
    add_commands(commands.add_parser)
    return parser


def _plan_path(options: argparse.Namespace) -> Path:
    """Return the path of the plan. Only the default path is below ``--root``: a path that a person types is meant as it is."""
    path: Path = options.plan
    return below_root(options.root, PLAN_PATH) if path == Path(PLAN_PATH) else path


def _state_directory(options: argparse.Namespace) -> Path:
    """Return the state directory of the plan, or the default one if there is no readable plan.

    Only this key is read, not the whole plan: validating a plan imports modules for 50 ms, and the start of a pod waits for the probe.
    """
    import json

    try:
        state = json.loads(_plan_path(options).read_bytes())["state"]
    except (OSError, ValueError, LookupError, TypeError):
        state = STATE_PATH
    return below_root(options.root, str(state))


def _ready(options: argparse.Namespace) -> int:
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


def _request_refresh(options: argparse.Namespace) -> int:
    from keeper_injector_agent import refresh_command

    directory = _state_directory(options)
    refresh = refresh_command.request_refresh(directory, options.timeout)
    show = refresh_command.as_json if options.output == "json" else refresh_command.as_text
    print(show(refresh, directory))
    return refresh.exit_code


def _status(options: argparse.Namespace) -> int:
    from keeper_injector_agent import status
    from keeper_injector_agent.state import load_state

    state = load_state(_state_directory(options))
    print(status.as_json(state) if options.output == "json" else status.as_text(state))
    return os.EX_OK if state.last_success else 1


def _refresh(options: argparse.Namespace, *, initial: bool) -> int:
    """Refresh once in this process."""
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


def _sidecar(options: argparse.Namespace) -> int:
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
            *(str(state), str(plan.refresh_interval), str(options.deadline + _OVERTIME), str(plan.metrics_port or 0)),
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


def _check(options: argparse.Namespace) -> int:
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


def _bind(options: argparse.Namespace) -> int:
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
