"""Formats of secret files: one module each, pure functions from fields to bytes, registered by name."""

from keeper_injector_common.errors import FormatError
from keeper_injector_common.formats import env, json, raw
from keeper_injector_common.formats.content import Content, Format

FORMATS = {format.name: format for format in (json.FORMAT, env.FORMAT, raw.FORMAT)}

__all__ = ["FORMATS", "Content", "Format", "render"]


def render(name: str, content: Content) -> bytes:
    """Write *content* in the format called *name*; raises FormatError that says where and what to do, never a value."""
    known = FORMATS.get(name)
    if known is None:
        raise FormatError(f"format {name!r} is not available in this version; use {', '.join(FORMATS)}")
    try:
        return known.render(content)
    except UnicodeEncodeError:
        raise FormatError(f"record {content.title!r}: a value has a lone surrogate, which is no text; set it anew") from None
