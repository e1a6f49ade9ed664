"""Runs ``migrate`` in tests."""

from __future__ import annotations

from typing import Any

import attrs
import yaml

from keeper_injector_common.cli.inputs import ChartSettings
from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.migrate.rewriting import migrate_files
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.tools import DEFAULT_TOOLS, TOOLS
from keeper_injector_common.cli.webhook_rules import for_settings

PREFIX = "keeper.security/"


@attrs.frozen
class Result:
    """What ``migrate`` printed for one text."""

    text: str
    messages: list[str]
    """Without file and line."""

    @property
    def documents(self) -> list[Any]:
        """The documents of the output."""
        return list(yaml.safe_load_all(self.text))

    def pod(self, number: int = 0) -> dict[str, Any]:
        """Return the pod, or the pod template, in a document."""
        found: dict[str, Any] = self.documents[number]
        return found if found["kind"] == "Pod" else found["spec"]["template"]

    def annotations(self, number: int = 0) -> dict[str, str]:
        """Return the annotations of a pod, without ``config``, and without the prefix of Keeper Injector."""
        found = self.pod(number)["metadata"].get("annotations") or {}
        return {key.removeprefix(PREFIX): value for key, value in found.items() if key != f"{PREFIX}config"}

    def entries(self, number: int = 0) -> list[dict[str, Any]]:
        """Return the entries of ``config`` of a pod."""
        text = self.pod(number)["metadata"]["annotations"][f"{PREFIX}config"]
        found: list[dict[str, Any]] = yaml.safe_load(text)["secrets"]
        return found


def migrate(text: str, *tools: str) -> Result:
    """Return what ``migrate`` prints for *text*, from the tools called *tools* or the usual ones.

    The output is valid for ``lint``, which has the rules of the webhook too.
    """
    chosen = [tool for tool in TOOLS if tool.name in tools] if tools else DEFAULT_TOOLS
    (found,) = migrate_files([text], Run(), chosen)
    messages = [item.message for item in found.unmigrated]
    findings = lint_text("-", found.text, check=for_settings(ChartSettings(), "default")).findings
    errors = [item for item in findings if not item.is_warning and "nothing to inject" not in item.text]
    # What the image runs is not known; migrate says so too.
    is_told = any("it needs a command to get variables" in message for message in messages)
    assert all(is_told and "leaves its command to the image" in item.text for item in errors), errors
    return Result(found.text, messages)
