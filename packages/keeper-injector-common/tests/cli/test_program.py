"""``keeper-injector``: what all commands have in common."""

from __future__ import annotations

import pytest
from command_line import run

from keeper_injector_common.cli.commands import COMMANDS, installed
from keeper_injector_common.cli.program import build_parser


@pytest.mark.parametrize("arguments", [[], ["polish"], ["lint"], ["lint", "-o", "xml", "-"]], ids=" ".join)
def test_invalid_arguments_print_the_usage(arguments: list[str]) -> None:
    """Invalid arguments print the usage to standard error, with exit code 2."""
    found = run(*arguments)
    assert (found.code, found.output) == (2, "")
    assert found.errors.startswith("usage: keeper-injector")


@pytest.mark.parametrize("name", installed())
def test_help_has_examples(name: str) -> None:
    """The help of each command has examples that the parser accepts."""
    found = run(name, "--help")
    assert found.code == 0
    examples = [
        line.split("keeper-injector ", 1)[1]
        for line in found.output.partition("examples:")[2].splitlines()
        if "keeper-injector " in line
    ]
    assert examples
    for example in examples:
        words = example.split("   ")[0].split(" >")[0].split(" |")[0].replace(" &&", "").split()
        assert build_parser().parse_args(words).command in COMMANDS


def test_two_dashes_before_the_command() -> None:
    """``--`` before the command is accepted or reported, depending on the version of Python, without a traceback."""
    found = run("--", "schema")
    assert (found.code, found.output) in {(0, run("schema").output), (2, "")}
    assert "Traceback" not in found.errors
