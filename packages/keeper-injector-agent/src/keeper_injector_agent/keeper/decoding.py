"""Turns a decrypted record of Keeper's SDK into a record of this project, or says why that is impossible.

Any Keeper client may have written the JSON of a record, so every value at every position may be anything that JSON allows,
and more that Python's parser accepts: NaN, infinity, lone surrogates. What this project needs is checked here. A value that
only its own file or variable needs is checked where that is written (``formats.interface.check_writable``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from keeper_injector_agent.keeper.one_time_codes import OneTimeCodeError, one_time_code
from keeper_injector_common.errors import ContractError
from keeper_injector_common.json_values import kind_of
from keeper_injector_common.records import Attachment, Field, Folder, JsonValue, Record, links_to_records, named_fields

TOTP_TYPE = "oneTimeCode"
"""Type of the fields whose value is the current code."""
_MOST_NESTED = 64
"""Levels of lists and objects in a field. Keeper's own types have 2; formats and templates call themselves for each level."""


class MalformedRecordError(ContractError):
    """A record or an attachment is not as Keeper's clients write it. The message contains no value of it."""


def parse_content(content: bytes) -> object:
    """Return the JSON value in the decrypted *content* of a record; raises MalformedRecordError."""
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        raise MalformedRecordError("its content is not JSON, or has too many levels or digits") from None
    return value


def decode_record(
    uid: str,
    content: object,
    files: Iterable[Attachment],
    folders: tuple[Folder, ...] = (),
    *,
    compute: bool = True,
) -> Record:
    """Return the record *uid* with the decrypted JSON *content*; raises MalformedRecordError.

    With *compute*, the value of a one-time code is the current code. Otherwise it is its seed.
    """
    if not isinstance(content, dict):
        raise MalformedRecordError(f"its content is {kind_of(content)}, not an object")
    title = _text(content, "title")
    standard, custom = _fields(content, "fields"), _fields(content, "custom")
    _check_text(content)
    return Record(
        uid=uid,
        title=title,
        type=_text(content, "type"),
        fields=tuple(
            _with_current_code(field, title) if compute else field for field in named_fields(standard, custom)
        ),
        notes=_text(content, "notes"),
        attachments=tuple(files),
        folders=folders,
        links=links_to_records(standard, custom),
    )


def decode_attachment(uid: object, described: object) -> Attachment:
    """Return the attachment *uid* with the decrypted metadata *described*; raises MalformedRecordError."""
    if not isinstance(uid, str) or not uid:
        raise MalformedRecordError(f"the UID of a file is {kind_of(uid)}, not text")
    if not isinstance(described, dict):
        raise MalformedRecordError(f"the metadata of a file is {kind_of(described)}, not an object")
    _check_text(described)
    title = _text(described, "title")
    size, modified = described.get("size"), described.get("lastModified")
    return Attachment(
        uid=uid,
        name=_text(described, "name") or title or uid,
        title=title,
        size=size if isinstance(size, int) and size >= 0 else 0,  # only informative: the download has the true size
        revision=f"{uid}.{modified or 0}.{size or 0}",
        modified=modified if isinstance(modified, int) else 0,
    )


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedRecordError(f"its {key} is {kind_of(value)}, not text")
    return value


def _fields(content: Mapping[str, Any], key: str) -> list[Mapping[str, JsonValue]]:
    """Return the fields in the list *key* of a record. Labels and types are texts, and values are not nested too deeply."""
    items = content.get(key)
    if items is None:
        return []
    if not isinstance(items, list):
        raise MalformedRecordError(f"its {key} are {kind_of(items)}, not a list")
    for item in items:
        if not isinstance(item, dict):
            raise MalformedRecordError(f"one of its {key} is {kind_of(item)}, not an object")
        for name in ("type", "label"):
            if not isinstance(item.get(name), str | None):
                raise MalformedRecordError(f"the {name} of one of its {key} is {kind_of(item[name])}, not text")
        if _is_nested_too_deeply(item.get("value")):
            raise MalformedRecordError(f"the value of one of its {key} has more than {_MOST_NESTED} levels")
    return items


def _is_nested_too_deeply(value: object) -> bool:
    """Return whether *value* has more levels than allowed; without recursion, which is what the limit is about."""
    level = [value]
    for _ in range(_MOST_NESTED + 1):
        level = [
            part
            for item in level
            if isinstance(item, dict | list)
            for part in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True


def _check_text(content: Mapping[str, Any]) -> None:
    """Raise MalformedRecordError for a lone surrogate, which no file, log or message can contain."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise MalformedRecordError("it contains half of a surrogate pair, or too many levels") from None


def _with_current_code(field: Field, title: str) -> Field:
    """Replace the seed of a one-time code with the current code: the seed never reaches a pod."""
    if field.type != TOTP_TYPE:
        return field
    now = time.time()
    try:
        codes = tuple(one_time_code(url, now) for url in field.values if url is not None and url != "")
    except OneTimeCodeError as error:
        where = f"record {title!r}, field {field.name!r}"
        fault = f"{where}: the one-time code cannot be computed, because {error}; enter the code again in Keeper"
        return attrs.evolve(field, values=(), fault=fault)
    return attrs.evolve(field, values=codes)
