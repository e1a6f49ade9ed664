"""``keeper-injector completion``: what a shell reads to complete the commands, made from the parser itself.

Own code: shtab knows no fish, argcomplete starts Python at every press of the key.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator

from keeper_injector_common.cli import console

HELP = "print completion for a shell"
DESCRIPTION = "Print what a shell reads to complete commands, options and their values; everything else is a file."
EXAMPLES = """\
examples:
  keeper-injector completion bash > ~/.local/share/bash-completion/completions/keeper-injector
  keeper-injector completion zsh > ~/.zfunc/_keeper-injector
  keeper-injector completion fish > ~/.config/fish/completions/keeper-injector.fish
"""
PROGRAM = "keeper-injector"
Words = dict[str, tuple[str, ...]]


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("shell", choices=sorted(SHELLS), help="which shell")


def run(options: argparse.Namespace) -> int:
    """Print the completion."""
    from keeper_injector_common.cli import parser

    sys.stdout.write(SHELLS[options.shell](dict(_commands(parser()))))
    return console.FINE


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Iterate over the commands with the words that may follow."""
    for action in parser._actions:  # noqa: SLF001 - argparse shows its actions nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            for name, command in action.choices.items():
                yield name, tuple(_words(command))


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001
        yield from (option for option in action.option_strings if option.startswith("--"))
        yield from map(str, action.choices or ())


def _bash(commands: Words) -> str:
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
complete -o filenames -F _keeper_injector {PROGRAM}
"""


def _zsh(commands: Words) -> str:
    cases = "".join(f"    {name}) compadd -- {' '.join(words)}; _files ;;\n" for name, words in commands.items())
    return f"""\
#compdef {PROGRAM}
if (( CURRENT == 2 )); then
  compadd -- {" ".join(commands)}
else
  case $words[2] in
{cases}  esac
fi
"""


def _fish(commands: Words) -> str:
    lines = [f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a '{' '.join(commands)}'"]
    for name, words in commands.items():
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        lines += [f"complete -c {PROGRAM} {seen} -l {word[2:]}" for word in words if word.startswith("--")]
        values = [word for word in words if not word.startswith("-")]
        if values:
            lines.append(f"complete -c {PROGRAM} {seen} -a '{' '.join(values)}'")
    return "\n".join(lines) + "\n"


SHELLS: dict[str, Callable[[Words], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
