"""The parser of the command line, with its help texts and what it says about mistakes.

:mod:`keeper_injector_agent.options` says when it is used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import keeper_injector_agent
from keeper_injector_agent.options import LOG_LEVELS, OPTIONS, OUTPUTS, seconds
from keeper_injector_agent.relay.arguments import add_commands
from keeper_injector_common.suggestions import advice_on_key, nearest_words

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
  kubectl exec POD -c keeper-injector-sidecar -- keeper-injector-agent status          for people
  kubectl exec POD -c keeper-injector-sidecar -- keeper-injector-agent status -o json  for programs
""",
    "init": """\
examples:
  keeper-injector-agent init --plan plan.json --root ./out --no-restart  on a virtual machine: retry for a minute
""",
    "sidecar": """\
examples:
  keeper-injector-agent sidecar --plan plan.json --root ./out --log-level debug  until Ctrl-C; SIGHUP refreshes at once
""",
    "once": """\
examples:
  keeper-injector-agent once --plan plan.json --root ./out --deadline 30  for cron and CI jobs
""",
    "ready": """\
examples:
  keeper-injector-agent ready --root ./out --wait 10  wait up to 10 s for a sidecar that was started with the same --root
""",
    "bind": """\
examples:
  keeper-injector-agent bind --output ksm-config.json < token
  keeper-injector-agent bind --token-file token --output ksm-config.json --hostname keepersecurity.eu
""",
}


class _Parser(argparse.ArgumentParser):
    """A parser that knows what was probably meant, and ends each error with where the help is."""

    def __init__(self, **more: Any) -> None:
        # An abbreviation would get another meaning with the next option that begins with it.
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **more)
        self.commands: Mapping[str, argparse.ArgumentParser] = {}

    def error(self, message: str) -> NoReturn:
        """Print *message*, and exit with code 2."""
        self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {message}; see {self.prog} --help\n")


class _Version(argparse.Action):
    """Prints the version. It is looked up only here, because that takes 20 ms."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        sys.stdout.write(f"{parser.prog} {keeper_injector_agent.__version__}\n")
        parser.exit()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command and its options. Exits with code 2 and a message if the line has a mistake."""
    parser = build_parser()
    first, *words = arguments or [""]
    if first and not first.startswith("-") and first not in parser.commands:
        parser.error(f"unknown command {first!r}; {advice_on_key(first, parser.commands)}")
    command = parser.commands.get(first, parser)
    # argparse would first report options that are missing, because one is misspelt.
    until = words.index("--") if "--" in words else len(words)
    given = [word.partition("=")[0] for word in words[:until] if word.startswith("--")]
    known = [name for name in command._option_string_actions if name.startswith("--")]  # noqa: SLF001 - no public way
    if unknown := [name for name in given if name not in known]:
        command.error("; ".join(f"unknown option {name}; {_advice_on_option(name, known)}" for name in unknown))
    options, left = parser.parse_known_args(arguments)
    if left:
        command.error(f"unexpected: {' '.join(left)}; remove it, or write an option before it")
    return options


def _advice_on_option(name: str, known: Sequence[str]) -> str:
    begun = [option for option in known if option.startswith(name)]
    close = begun or nearest_words(name, known)
    return f"did you mean {close[0]}?" if len(close) == 1 else f"write one of {', '.join(sorted(begun or known))}"


def _typed(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return *convert* with errors that argparse shows."""

    def converted(text: str) -> Any:
        try:
            return convert(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return converted


def build_parser() -> _Parser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="keeper-injector-agent",
        description="Fetch secrets from Keeper Secrets Manager into files, and keep them up to date.",
        epilog=_EXAMPLES,
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
        )
        for option in OPTIONS:
            if name in option.defaults:
                kind: dict[str, Any] = {"type": _typed(option.convert or str), "choices": option.choices}
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
    binding = commands.add_parser("bind", help=text, description=description, epilog=_EXAMPLES_OF_COMMANDS["bind"])
    binding.add_argument("--token-file", type=Path, help="file with the token as Keeper shows it (default: stdin)")
    binding.add_argument("--output", type=Path, required=True, help="configuration file to create; must not exist")
    binding.add_argument("--hostname", help="host of Keeper, if the token does not begin with a region or a host")
    binding.add_argument("--ca-file", type=Path, help="additional CA to trust (PEM)")
    binding.add_argument(
        "--deadline", type=_typed(seconds), default=60.0, help="seconds in total (default: %(default)s)"
    )
    binding.add_argument("--log-level", default="warning", choices=LOG_LEVELS, help="default: %(default)s")
    add_commands(commands.add_parser)
    parser.commands = commands.choices
    return parser
