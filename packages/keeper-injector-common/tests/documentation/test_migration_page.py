"""The page about migration: ``migrate`` turns its examples into what it says, and the tools of the page are those of the command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.migrate.rewriting import migrate_files
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.tools import TOOLS

PAGE = (Path(__file__).parents[2] / "docs/migration.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:.*\n)*?)(?=^## |\Z)", PAGE, re.MULTILINE))
EXAMPLES = {
    heading: found
    for heading, text in SECTIONS.items()
    if (found := re.findall(r"```yaml\n(.*?)```\n\nbecomes\n\n```yaml\n(.*?)```", text, re.DOTALL))
}
HEADINGS = {
    "keeper": "From Keeper's Go injector",
    "vault-k8s": "From vault-k8s",
    "1password": "From 1Password",
    "cyberark": "From CyberArk's Secrets Provider",
    "infisical": "From Infisical",
    "bank-vaults": "From bank-vaults",
    "external-secrets": "From External Secrets",
    "secrets": "From plain Kubernetes Secrets",
}


def test_every_tool_has_a_section() -> None:
    """The page has a section for each tool of the command."""
    assert [tool.name for tool in TOOLS] == list(HEADINGS)
    assert set(HEADINGS.values()) <= SECTIONS.keys()


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_is_what_migrate_prints(heading: str) -> None:
    """The second manifest of an example is the first one after ``migrate``, and lint accepts it."""
    tools = [tool for tool in TOOLS if tool.by_default or HEADINGS[tool.name] == heading]
    for old, new in EXAMPLES[heading]:
        (found,) = migrate_files([old], Run(), tools)
        assert (found.text, found.unmigrated) == (new, ())
        assert [item.text for item in lint_text("-", found.text).findings] == []


def test_the_page_has_examples() -> None:
    """The examples are found."""
    assert len(EXAMPLES) == 3
