"""The parser of the command line, with its help texts; see :mod:`keeper_injector_agent.options` for when it is used."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import keeper_injector_agent
from keeper_injector_agent.options import LOG_LEVELS, OPTIONS, OUTPUTS
from keeper_injector_agent.relay.arguments import add_commands

_EXAMPLES = """\
examples:
  keeper-injector-agent once --plan plan.json --root ./out     write the files of a plan below ./out, once
  keeper-injector-agent sidecar --plan plan.json --root ./out  keep them up to date until Ctrl-C
  keeper-injector-agent bind --output ksm-config.json < token  turn a one-time token into a KSM configuration
"""
_COMMANDS = {
    "init": "fetch all secrets before the application starts; fail if that is impossible",
    "sidecar": "keep the files up to date until stopped",
    "once": "refresh once, as the sidecar does, and exit with the result",
    "refresh": "ask the running sidecar for a refresh, wait for its end, and show the result",
    "status": "show how fresh the files are and how Keeper responded; exit 1 before the first success",
    "ready": "wait until the sidecar is running; exit 1 if it is not (startup probe)",
}
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


class _Version(argparse.Action):
    """Prints the version. It is looked up only here, because that takes 20 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{parser.prog} {keeper_injector_agent.__version__}\n")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="keeper-injector-agent",
        description="Fetch secrets from Keeper Secrets Manager into files, and keep them up to date.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, default=argparse.SUPPRESS, help="show the version and exit"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=_DESCRIPTIONS.get(name, text),
            epilog=_EXAMPLES_OF_COMMANDS.get(name),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for option in OPTIONS:
            if name in option.defaults:
                kind: dict[str, Any] = {"type": option.convert, "choices": option.choices}
                command.add_argument(
                    *option.names,
                    default=option.defaults[name],
                    help=option.help,
                    **(kind if option.convert else {"action": "store_true"}),
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
        "-o", "--output", default="text", choices=OUTPUTS, help="output format (default: %(default)s)"
    )
    text = "turn a one-time token into a KSM configuration file"
    description = f"{text}. A token can be used once; after a failure, run the same command again to continue."
    binding = commands.add_parser("bind", help=text, description=description)
    binding.add_argument("--token-file", type=Path, help="file with the token as Keeper shows it (default: stdin)")
    binding.add_argument("--output", type=Path, required=True, help="configuration file to create; must not exist")
    binding.add_argument("--hostname", help="host of Keeper, if the token does not begin with a region or a host")
    binding.add_argument("--ca-file", type=Path, help="additional CA to trust (PEM)")
    binding.add_argument("--deadline", type=float, default=60.0, help="seconds in total (default: %(default)s)")
    binding.add_argument("--log-level", default="warning", choices=LOG_LEVELS, help="default: %(default)s")
    add_commands(commands.add_parser)
    return parser
