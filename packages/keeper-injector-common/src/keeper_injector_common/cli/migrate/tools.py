"""The tools that ``migrate`` knows. A new tool is a module with a ``TOOL``, and a line here."""

from __future__ import annotations

from keeper_injector_common.cli.migrate import external_secrets, old_names, vault_k8s
from keeper_injector_common.cli.migrate.wanted import Tool

TOOLS: tuple[Tool, ...] = (
    old_names.TOOL,
    vault_k8s.TOOL,
    external_secrets.TOOL,
)
"""All tools, in the order of their annotations in the output."""
DEFAULT_TOOLS = tuple(tool for tool in TOOLS if tool.by_default)
