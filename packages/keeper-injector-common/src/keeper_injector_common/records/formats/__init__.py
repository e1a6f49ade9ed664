"""Formats of secret files: one module each, pure functions from fields to bytes, registered by name."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.records.formats import (
    dockerconfigjson,
    env,
    envfile,
    ini,
    json,
    pkcs12,
    properties,
    raw,
    shell,
    toml,
    variables,
    yaml,
)
from keeper_injector_common.records.formats.content import Content, Format, Render, check_text, source

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        module.FORMAT.name: module.FORMAT
        for module in (json, env, properties, yaml, ini, raw, toml, shell, dockerconfigjson, pkcs12)
    }
)
"""What ``format:`` can say."""
VARIABLE_FORMATS: Mapping[str, Format] = MappingProxyType(
    {module.FORMAT.name: module.FORMAT for module in (variables, envfile)}
)
"""How environment variables are delivered; not for files that users ask for."""

__all__ = ["FORMATS", "VARIABLE_FORMATS", "Content", "Format", "Render", "render", "source"]


def render(name: str, content: Content) -> bytes:
    """Write *content* in the format called *name*; raises FormatError that says where and what to do, never a value."""
    known = FORMATS.get(name) or VARIABLE_FORMATS.get(name)
    if known is None:
        raise FormatError(f"format {name!r}: is unknown to this version; use {', '.join(FORMATS)}")
    try:
        check_text(content)
        return known.render(content)
    except RecursionError:
        raise FormatError(f"record {content.title!r}: a value is nested too deeply; deliver it by itself") from None
