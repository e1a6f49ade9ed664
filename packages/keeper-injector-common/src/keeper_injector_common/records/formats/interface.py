"""What a format gets and what a format is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import FormatError

if TYPE_CHECKING:
    from keeper_injector_common.records.record import JsonValue


@attrs.frozen
class RecordContent:
    """A record's title, values and files, as one file should show them."""

    title: str
    """For messages; also a name inside the file where a format wants one."""
    fields: Mapping[str, JsonValue] = attrs.field(repr=False)
    """By final name in the record's order: single values plain, several a list, structured ones an object."""
    files: Mapping[str, bytes] = attrs.field(factory=dict, repr=False)
    """Attachments by name, only for formats that need them."""


Writer = Callable[[RecordContent], bytes]


@attrs.frozen
class Format:
    """One way of writing fields as bytes."""

    name: str
    write: Writer
    """Pure; raises FormatError."""
    description: str
    extension: str
    """What names of such files usually end in, without the dot; empty where there is no custom."""
    repeatable: bool = True
    """Whether equal content always gives equal bytes; where not, :func:`digest_input` tells whether anything changed."""


def digest_input(content: RecordContent) -> bytes:
    """Return everything that a file of *content* is made of, for a digest of it: equal bytes, equal meaning."""
    files = {name: base64.b64encode(data).decode() for name, data in content.files.items()}
    return json.dumps([content.title, list(content.fields.items()), files]).encode()


def check_writable(content: RecordContent) -> None:
    """Raise FormatError for what no format can write: half a surrogate pair, a number that is none."""
    for name, value in content.fields.items():
        where = f"record {content.title!r}, field {name!r}"
        try:
            json.dumps([name, value], ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            raise FormatError(
                f"{where}: holds half a surrogate pair, which is no text; set it anew in Keeper"
            ) from None
        except ValueError:
            raise FormatError(f"{where}: holds a number that JSON does not know; set it anew in Keeper") from None
