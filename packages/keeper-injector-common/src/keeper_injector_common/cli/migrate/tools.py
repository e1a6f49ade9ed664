"""The tools that ``migrate`` knows. A new tool is a module with a ``TOOL``, and a line here."""

from __future__ import annotations

from keeper_injector_common.cli.migrate import (
    bank_vaults,
    cyberark,
    external_secrets,
    infisical,
    kubernetes_secrets,
    old_names,
    onepassword,
    vault_k8s,
)
from keeper_injector_common.cli.migrate.wanted import Tool

TOOLS: tuple[Tool, ...] = (
    old_names.TOOL,
    vault_k8s.TOOL,
    onepassword.TOOL,
    cyberark.TOOL,
    infisical.TOOL,
    bank_vaults.TOOL,
    external_secrets.TOOL,
    kubernetes_secrets.TOOL,
)
"""All tools, in the order of their annotations in the output."""
DEFAULT_TOOLS = tuple(tool for tool in TOOLS if tool.by_default)
