"""What every format implements: it takes a :class:`RecordContent` and returns the bytes of a file."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import FormatError, explain
from keeper_injector_common.parsers import InvalidValue

if TYPE_CHECKING:
    from keeper_injector_common.records.record import JsonValue


@attrs.frozen
class RecordContent:
    """The title, values and attachments of a record that one file contains."""

    title: str
    """Used in messages; pkcs12 also writes it into the file."""
    fields: Mapping[str, JsonValue] = attrs.field(repr=False)
    """Values by field name, in the order of the record: a single value as it is, several values as a list."""
    files: Mapping[str, bytes] = attrs.field(factory=dict, repr=False)
    """Attachments by name; empty unless the format reads attachments."""
    exact_names: bool = False
    """Whether the user wrote the names of :attr:`fields`, so that no format changes them. They passed :attr:`Format.check_name`."""
    chosen_by_record: bool = False
    """Whether :attr:`fields` are all that the record has, so that anyone who edits it decides their names. If not, the pod lists them."""


Quote = Callable[["JsonValue"], str]
"""Pure: returns one value as a format writes it after a name, with quotes or escapes.

Raises :class:`~keeper_injector_common.parsers.InvalidValue`, without the value, if the format cannot represent it.
"""


@attrs.frozen
class Format:
    """One way to write the fields of a record as bytes."""

    name: str
    """What users write after ``format:``."""
    write: Callable[[RecordContent], bytes]
    """Pure; raises FormatError for values that the format cannot represent."""
    description: str
    repeatable: bool = True
    """Whether equal content always gives equal bytes. If not, compare :func:`digest_input` to detect changes."""
    reads_attachments: bool = False
    """Whether :attr:`RecordContent.files` must contain the record's attachments."""
    quote: Quote | None = None
    """How the format writes one value after a name; None if its files have no names."""
    check_name: Callable[[str], object] = str
    """Raises :class:`~keeper_injector_common.parsers.InvalidValue` if the format cannot write this name as it is."""
    fold_name: Callable[[str], str] = str
    """Returns the same text for names that are the same to readers of the format."""


def digest_input(content: RecordContent) -> bytes:
    """Return bytes that are equal exactly if everything in *content* is equal, to be hashed."""
    files = {name: base64.b64encode(data).decode() for name, data in content.files.items()}
    return json.dumps([content.title, list(content.fields.items()), files]).encode()


def quoted(where: str, quote: Quote, value: JsonValue) -> str:
    """Return *value* as *quote* writes it. Raises FormatError, at *where*, if the format cannot represent it."""
    try:
        return quote(value)
    except InvalidValue as error:
        raise FormatError(f"{where}: {explain(error.found, error.right)}") from None


def check_writable(content: RecordContent) -> None:
    """Raise FormatError for values that no format can write: a lone surrogate, NaN or infinity.

    Keeper stores JSON, and Python's JSON parser accepts all three.
    """
    for name, value in content.fields.items():
        where = f"record {content.title!r}, field {name!r}"
        try:
            json.dumps([name, value], ensure_ascii=False, allow_nan=False).encode()
        except UnicodeEncodeError:
            raise FormatError(
                f"{where}: contains a lone surrogate, which is not valid text; enter the value again in Keeper"
            ) from None
        except ValueError:
            raise FormatError(
                f"{where}: contains NaN or infinity, which is not valid JSON; enter the value again in Keeper"
            ) from None
