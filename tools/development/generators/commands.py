"""Generates the command reference from the argument parsers of the three programs.

The parsers are read, not their ``--help``: its layout depends on the terminal and on the version of Python.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

import keeper_injector_agent.parser
import keeper_injector_common.cli.program
import keeper_injector_webhook.cli
from generators.output import deliver

HEAD = """\
<!-- Made by `./tools/run docs --write` from the argument parsers of the programs. -->
# Commands

This page lists every command and option of the three programs. `COMMAND --help` prints the same on your terminal.

| program | runs | installed with |
|---|---|---|
| [`keeper-injector`](#keeper-injector) | on your machine and in CI; also as `kubectl keeper` | `keeper-injector-common`; `preview` with `keeper-injector-webhook`, and `check` with `keeper-injector-webhook[check]` |
| [`keeper-injector-agent`](#keeper-injector-agent) | in the injected containers, or on a virtual machine | `keeper-injector-agent` |
| [`keeper-injector-webhook`](#keeper-injector-webhook) | in the webhook's pods | `keeper-injector-webhook` |
"""


def main() -> int:
    """Write the reference, or check that it is up to date."""
    return deliver("packages/keeper-injector-common/docs/commands.md", HEAD + "".join(map(program, parsers())))


def parsers() -> tuple[argparse.ArgumentParser, ...]:
    """Return the parsers of all programs."""
    return (
        keeper_injector_common.cli.program.build_parser(),
        keeper_injector_agent.parser.build_parser(),
        keeper_injector_webhook.cli.build_parser(),
    )


def program(parser: argparse.ArgumentParser) -> str:
    """Return the section of one program, with one subsection for each of its commands."""
    parts = [f"\n## {parser.prog}\n\n{prose(parser.description)}"]
    for name, command, text in subcommands(parser):
        parts.append(f"\n### {parser.prog} {name}\n\n{prose(command.description or text)}")
        if rows := [row(action) for action in options(command)]:
            parts.append("\n".join(["\n| argument | meaning |", "|---|---|", *rows]) + "\n")
        if command.epilog and command.epilog != parser.epilog:
            parts.append(f"\n```text\n{command.epilog.strip()}\n```\n")
    return "".join(parts)


def subcommands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser, str]]:
    """Iterate over name, parser and one-line description of each command, in the order of ``--help``."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public way to read a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            texts = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                yield name, command, texts[name]


def options(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Iterate over the arguments and options of a command that its ``--help`` shows, except ``--help`` itself."""
    for action in command._actions:  # noqa: SLF001
        if action.dest != "help" and action.help != argparse.SUPPRESS:
            yield action


def row(action: argparse.Action) -> str:
    """Return the row of one argument or option."""
    value = ""
    if action.nargs != 0:
        value = str(action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper()))
    words = ", ".join(f"`{option}`" for option in action.option_strings)
    if value:
        words += f"{' ' if words else ''}`{value}`"
    meaning = (action.help or "") % {**vars(action), "choices": ", ".join(map(str, action.choices or ()))}
    required = " Required." if action.required and action.option_strings else ""
    return f"| {cell(words)} | {cell(sentence(meaning))}{required} |"


def prose(text: str | None) -> str:
    """Return a description as Markdown: indented blocks become code, and names in angle brackets stay visible."""
    blocks = []
    for block in (text or "").strip().split("\n\n"):
        if re.match(r" {2,}", block):
            blocks.append(f"```text\n{block}\n```")
        else:
            blocks.append(sentence(escaped(block)))
    return "\n\n".join(blocks) + "\n"


def sentence(text: str) -> str:
    """Return a text with a capital at its start and a full stop at its end."""
    text = text.strip()
    end = "" if text.endswith((".", ":", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def cell(text: str) -> str:
    """Return a text as the content of a cell of a table."""
    code = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(part if index % 2 else escaped(part) for index, part in enumerate(code)).replace("|", "\\|")


def escaped(text: str) -> str:
    """Return a text without characters that Markdown would interpret."""
    return re.sub(r"([<>*_\[\]])", r"\\\1", text)


if __name__ == "__main__":
    sys.exit(main())
