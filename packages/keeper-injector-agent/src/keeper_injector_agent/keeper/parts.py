"""Divides a large answer of Keeper into small ones, so that the SDK does not hold all records in four forms at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_LARGE = 1024 * 1024
_RECORDS = 200
"""Records in one part."""


def divide(answer: bytes, *, large: int = _LARGE, most: int = _RECORDS) -> Iterator[bytes]:
    """Yield parts of *answer* with at most that many records each, which have together what it has, in the same order.

    An answer below *large* bytes, or one that is not as the SDK expects, is the only part. The first part has everything but
    records and folders. A folder with many records is in several parts.
    """
    if len(answer) < large:
        yield answer
        return
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
    yield json.dumps(content).encode()
    while records:
        yield json.dumps({"records": records[:most]}).encode()
        del records[:most]
    while folders:
        folder = folders.pop(0)
        inside = folder.get("records") if isinstance(folder, dict) else None
        while isinstance(inside, list) and len(inside) > most:
            yield json.dumps({"folders": [{**folder, "records": inside[:most]}]}).encode()
            del inside[:most]
        yield json.dumps({"folders": [folder]}).encode()


def _is_known(content: Any) -> bool:
    """Return whether the SDK can read *content*."""
    lists = ("records", "folders")
    return isinstance(content, dict) and all(isinstance(content.get(key), list | None) for key in lists)
