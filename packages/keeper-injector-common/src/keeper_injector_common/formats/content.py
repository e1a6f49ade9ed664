"""What a format gets and what a format is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from keeper_injector_common.record import JsonValue


@attrs.frozen
class Content:
    """A record's title, values and files, as one file should show them."""

    title: str
    """For messages; also a header where a format has one."""
    fields: Mapping[str, JsonValue] = attrs.field(repr=False)
    """By final name in the record's order: single values plain, several a list, structured ones an object."""
    files: Mapping[str, bytes] = attrs.field(factory=dict, repr=False)
    """Attachments by name, only for formats that need them."""


@attrs.frozen
class Format:
    """One way of writing fields as bytes."""

    name: str
    render: Callable[[Content], bytes]
    """Pure; raises FormatError."""
    description: str
