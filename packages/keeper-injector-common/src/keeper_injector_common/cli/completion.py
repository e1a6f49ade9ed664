"""``keeper-injector completion``: prints a completion script for a shell, generated from the argument parser.

The scripts are generated here because shtab does not support fish, and argcomplete starts Python on every press of Tab.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from keeper_injector_common.cli import console
from keeper_injector_common.cli.program import build_parser

DESCRIPTION = """\
Print a script that completes commands, options and their values. All other
arguments complete to file names.
"""
EXAMPLES = """\
examples:
  keeper-injector completion bash > ~/.local/share/bash-completion/completions/keeper-injector
  keeper-injector completion zsh > ~/.zfunc/_keeper-injector
  keeper-injector completion fish > ~/.config/fish/completions/keeper-injector.fish
"""
_PROGRAM = "keeper-injector"
_Words = dict[str, tuple[str, ...]]
"""For each command, the words that may follow it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to its parser."""
    parser.add_argument("shell", choices=sorted(_SHELLS), help="shell that reads the script")


def run(options: argparse.Namespace) -> int:
    """Print the completion script; return the exit code."""
    sys.stdout.write(_SHELLS[options.shell](dict(_words_by_command(build_parser()))))
    return console.EXIT_OK


def _words_by_command(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, ...]]]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no public access to its actions
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - the same
            for name, command in action.choices.items():
                yield name, tuple(_words_of(command))


def _words_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - the same
        yield from (option for option in action.option_strings if option.startswith("--"))
        yield from map(str, action.choices or ())


def _bash(commands: _Words) -> str:
    cases = "".join(f"    {name}) words='{' '.join(words)}' ;;\n" for name, words in commands.items())
    return f"""\
_keeper_injector() {{
  local words current=${{COMP_WORDS[COMP_CWORD]}}
  case ${{COMP_CWORD:-1}}:${{COMP_WORDS[1]}} in
    1:*) words='{" ".join(commands)}' ;;
    *) case ${{COMP_WORDS[1]}} in
{cases}    esac ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"; [ "$COMP_CWORD" -gt 1 ] && compgen -f -- "$current")
}}
complete -o filenames -F _keeper_injector {_PROGRAM}
"""


def _zsh(commands: _Words) -> str:
    cases = "".join(f"    {name}) compadd -- {' '.join(words)}; _files ;;\n" for name, words in commands.items())
    return f"""\
#compdef {_PROGRAM}
case $CURRENT in
  2) compadd -- {" ".join(commands)} ;;
  *) case $words[2] in
{cases}  esac ;;
esac
"""


def _fish(commands: _Words) -> str:
    lines = [f"complete -c {_PROGRAM} -n __fish_use_subcommand -f -a '{' '.join(commands)}'"]
    for name, words in commands.items():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [f"complete -c {_PROGRAM} {seen} -l {word[2:]}" for word in words if word.startswith("--")]
        values = [word for word in words if not word.startswith("-")]
        if values:
            lines.append(f"complete -c {_PROGRAM} {seen} -a '{' '.join(values)}'")
    return "\n".join(lines) + "\n"


_SHELLS: dict[str, Callable[[_Words], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
