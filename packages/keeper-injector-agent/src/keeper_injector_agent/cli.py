"""The command line: ``keeper-injector-agent init | sidecar | once | ready | status | bind``."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from pathlib import Path

import keeper_injector_agent
from keeper_injector_common.plan.paths import PLAN_PATH, STATE_PATH, below_root

INIT_DEADLINE = 240.0
"""Seconds. The kubelet waits for ever, people and deployments do not: progressDeadlineSeconds is 600 by default."""
REFRESH_DEADLINE = 120.0
OVERTIME = 30.0
"""Seconds from the deadline by which a refresh ends itself, delivers what it has and says what it lacks, to its end by force."""

EXAMPLES = """\
examples:
  keeper-injector-agent once --plan plan.json --root ./out     write the files of a plan below ./out, once
  keeper-injector-agent sidecar --plan plan.json --root ./out  keep them fresh until Ctrl-C
  keeper-injector-agent bind --output ksm-config.json < token  make a KSM configuration of a one-time token
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = _parser().parse_args(arguments)
    command: str = options.command
    match command:
        case "ready":
            return _ready(options)
        case "status":
            return _status(options)
        case "sidecar":
            return _sidecar(options)
        case "bind":
            return _bind(options)
        case _:
            return _refresh(options, command)


def _refresh(options: argparse.Namespace, command: str) -> int:
    """Refresh once in this process."""
    gc.disable()  # it lives for a second: what it would collect costs a tenth of that
    from keeper_injector_agent import worker
    from keeper_injector_agent.hardening import harden
    from keeper_injector_common.logs import configure_logging

    configure_logging(options.log_level)
    harden()
    plan = _at(options, options.plan)
    return worker.run(plan, root=options.root, deadline=options.deadline, initial=command == "init")


class _Version(argparse.Action):
    """Looks the version up only when somebody asks: that costs 20 ms, which every pod would pay."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{parser.prog} {keeper_injector_agent.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keeper-injector-agent",
        description="Fetch secrets from Keeper Secrets Manager into files, and keep them fresh.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text, deadline in (
        ("init", "fetch once before the application starts; fail with a sentence when that cannot be", INIT_DEADLINE),
        ("sidecar", "keep the files fresh until told to stop", REFRESH_DEADLINE),
        ("once", "refresh once, as the sidecar would, and exit with what happened", REFRESH_DEADLINE),
        ("status", "say how fresh the files are and what Keeper answered; exit 1 before the first success", 0.0),
        ("ready", "exit 0 when the sidecar is running (the startup probe)", REFRESH_DEADLINE),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--plan", type=Path, default=Path(PLAN_PATH), help=f"the plan (default: {PLAN_PATH})")
        command.add_argument("--root", type=Path, default=Path("/"), help="directory to take for / (default: /)")
        command.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
        command.add_argument("--deadline", type=float, default=deadline, help="seconds for one refresh (%(default)s)")
        if name == "status":
            command.add_argument("-o", "--output", default="text", choices=["text", "json"])
    text = "spend a one-time token, once, and keep the KSM configuration that it gives"
    binding = commands.add_parser("bind", help=text, description=f"{text}. After a failure run it again: it goes on.")
    binding.add_argument("--token-file", type=Path, help="file with the token, as Keeper shows it (default: stdin)")
    binding.add_argument("--output", type=Path, required=True, help="the configuration; must not exist yet")
    binding.add_argument("--hostname", help="Keeper's host, for tokens that do not begin with a region or a host")
    binding.add_argument("--ca-file", type=Path, help="a further CA to trust (PEM)")
    binding.add_argument("--deadline", type=float, default=60.0, help="seconds for everything (%(default)s)")
    binding.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    return parser


def _at(options: argparse.Namespace, path: Path) -> Path:
    root: Path = options.root
    return below_root(root, str(path)) if path == Path(PLAN_PATH) else path


def _ready(options: argparse.Namespace) -> int:
    state = _state(options)
    return os.EX_OK if (state / "ready").exists() else 1


def _status(options: argparse.Namespace) -> int:
    from keeper_injector_agent import state, telemetry

    memory = state.load(_state(options))
    print(telemetry.as_json(memory) if options.output == "json" else telemetry.as_text(memory))
    return os.EX_OK if memory.last_success else 1


def _compiled(source: str) -> str:
    """Return the compiled form of a module, where there is one: to compile it anew leaves 0.3 MB behind in every pod."""
    import importlib.util

    compiled = importlib.util.cache_from_source(source)
    return compiled if Path(compiled).exists() else source


def _bind(options: argparse.Namespace) -> int:
    from keeper_injector_agent import worker
    from keeper_injector_agent.hardening import harden
    from keeper_injector_agent.keeper import binding
    from keeper_injector_common.errors import KeeperInjectorError
    from keeper_injector_common.logs import configure_logging

    configure_logging(options.log_level)
    harden()
    try:
        token = (options.token_file.read_text(encoding="utf-8") if options.token_file else sys.stdin.read()).strip()
        binding.bind(token, options.output, options.hostname, options.ca_file, deadline=options.deadline)
    except (KeeperInjectorError, OSError, UnicodeDecodeError) as error:
        print(f"keeper-injector-agent: {error}", file=sys.stderr)
        return worker.exit_code(error) if isinstance(error, KeeperInjectorError) else os.EX_NOINPUT
    print(
        f"bound: {options.output}\nnext: kubectl create secret generic keeper-credentials --from-file=config={options.output}"
    )
    return os.EX_OK


def _state(options: argparse.Namespace) -> Path:
    root: Path = options.root
    return below_root(root, STATE_PATH)


def _sidecar(options: argparse.Namespace) -> int:
    """Become the supervisor: this process is replaced, so that nothing imported here stays in memory."""
    from keeper_injector_agent import supervisor, worker
    from keeper_injector_common.errors import ContractError
    from keeper_injector_common.logs import configure_logging
    from keeper_injector_common.plan.reader import loads

    path = _at(options, options.plan)
    configure_logging(options.log_level)
    try:
        plan = loads(worker.read_plan(path))
    except ContractError as error:
        return worker.failed(options.root, error, os.EX_CONFIG)
    refresh = [sys.executable, "-I", "-m", worker.__name__, "--plan", str(path), "--root", str(options.root)]
    state = below_root(options.root, plan.state)
    sys.stderr.flush()
    os.execv(  # noqa: S606 - our own interpreter and file
        sys.executable,
        [
            *(sys.executable, "-I", "-S", _compiled(str(supervisor.__file__))),
            *(str(state), str(plan.refresh_interval), str(options.deadline + OVERTIME), str(plan.metrics_port or 0)),
            *(*refresh, "--log-level", options.log_level, "--deadline", str(options.deadline)),
        ],
    )
    return os.EX_OSERR  # not reached: execv returns only by an exception


if __name__ == "__main__":
    sys.exit(main())
