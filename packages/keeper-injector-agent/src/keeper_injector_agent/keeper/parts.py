"""Divides a large answer of Keeper into small ones, so that the SDK does not hold all records in four forms at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_LARGE = 1024 * 1024
_RECORDS = 200
"""Records in one part, at most."""
_PART = 512 * 1024
"""Bytes of a part, if its records are of average size."""


def divide(answer: bytes, *, large: int = _LARGE, most: int = _RECORDS) -> Iterator[bytes]:
    """Yield parts of *answer* with at most *most* records each, which have together what it has, in the same order.

    A part has fewer records if they are large. An answer below *large* bytes, or one that is not as the SDK expects, is the
    only part. The first part has everything but records and folders. A folder with many records is in several parts.
    """
    if len(answer) < large:
        yield answer
        return
    size = len(answer)
    text = answer.decode(errors="surrogateescape")
    del answer  # a megabyte or more
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not _is_known(content):
        yield text.encode(errors="surrogateescape")
        return
    del text
    records, folders = content.pop("records", None) or [], content.pop("folders", None) or []
    count = len(records) + sum(len(_records_of(folder)) for folder in folders)
    most = max(1, min(most, _PART * count // size))
    yield json.dumps(content).encode()
    while records:
        yield json.dumps({"records": records[:most]}).encode()
        del records[:most]
    while folders:
        folder = folders.pop(0)
        inside = _records_of(folder)
        while len(inside) > most:
            yield json.dumps({"folders": [{**folder, "records": inside[:most]}]}).encode()
            del inside[:most]
        yield json.dumps({"folders": [folder]}).encode()


def _records_of(folder: Any) -> list[Any]:
    inside = folder.get("records") if isinstance(folder, dict) else None
    return inside if isinstance(inside, list) else []


def _is_known(content: Any) -> bool:
    """Return whether the SDK can read *content*."""
    lists = ("records", "folders")
    return isinstance(content, dict) and all(isinstance(content.get(key), list | None) for key in lists)
