"""What the web page shows: the vault without values, the faults and the latest requests, as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import attrs

from local_keeper.control import FAULTABLE, FAULTS
from local_keeper.faults import ArmedFault
from local_keeper.sample_certificate import CERTIFICATE
from local_keeper.vault import Json, Record, Vault

if TYPE_CHECKING:
    from local_keeper.app import ServerState

SECTIONS = ("fields", "custom")
RECORDS, FIELDS, REQUESTS, NAME = 200, 200, 100, 200
"""The records, fields of a record, requests and characters of a name that the page shows at most."""
_ARGUMENTS = {"throttled": ("HTTP status", 403), "status": ("HTTP status", 503), "slow": ("Seconds", 5)}
"""The number that a fault takes, with the one that the page offers first."""


def choices() -> Json:
    """Return the faults and operations that a person can choose from."""
    faults = [
        {
            "name": name,
            "description": (fault.__doc__ or "").split(". ")[0].rstrip("."),
            "argument": _ARGUMENTS.get(name, ("", 0))[0],
            "default": _ARGUMENTS.get(name, ("", 0))[1],
        }
        for name, fault in FAULTS.items()
    ]
    return {"faults": faults, "operations": list(FAULTABLE)}


def view(state: ServerState) -> Json:
    """Return everything that the page shows before a person asks for values."""
    vault, faults = state.vault, state.faults
    with vault.lock:
        records = list(vault.records.values())
        shown = [_record(vault, record) for record in records[:RECORDS]]
    return {
        "choices": choices(),
        "application": _cut(vault.title),
        "records": shown,
        "moreRecords": max(0, len(records) - RECORDS),
        "faults": [_fault(armed) for armed in faults.armed()],
        "outage": math.ceil(faults.outage_left / 5) * 5,
        "requests": [attrs.asdict(entry) for entry in state.log.latest(REQUESTS)],
        "counts": dict(sorted(state.requests.items())[:REQUESTS]),
    }


def values(vault: Vault, uid: str) -> Json:
    """Return the values of a record's fields, by section and position. Raises KeyError."""
    with vault.lock:
        record = vault.find(uid)
        return {
            section: {str(index): field.get("value") for index, field in _fields(record, section)}
            for section in SECTIONS
        }


def is_text(value: Any) -> bool:
    """Return whether a field has at most one value, and that is text: then people need not write JSON."""
    return isinstance(value, list) and len(value) <= 1 and all(isinstance(item, str) for item in value)


def _record(vault: Vault, record: Record) -> Json:
    return {
        "uid": record.uid,
        "title": _cut(record.data.get("title", "")),
        "type": _cut(record.data.get("type", "")),
        "revision": record.revision,
        "folders": [_path(vault, location) for location in record.locations],
        "fields": [
            {
                "section": section,
                "index": index,
                "name": _cut(field.get("label") or field.get("type", "")),
                "type": _cut(field.get("type", "")),
                "text": is_text(field.get("value")),
                "empty": not field.get("value"),
            }
            for section in SECTIONS
            for index, field in _fields(record, section)
        ],
        "renewable": any(file.name == CERTIFICATE for file in record.files),
        "files": [{"name": _cut(file.name), "size": len(file.content)} for file in record.files[:FIELDS]],
    }


def _fields(record: Record, section: str) -> list[tuple[int, Json]]:
    """Return the fields with their positions. A client may have written anything, so what is not a field is left out."""
    fields = record.data.get(section)
    listed = fields[:FIELDS] if isinstance(fields, list) else []
    return [(index, field) for index, field in enumerate(listed) if isinstance(field, dict)]


def _path(vault: Vault, folder: str) -> str:
    names: list[str] = []
    while folder:
        names.insert(0, _cut(vault.folders[folder].name))
        folder = vault.folders[folder].parent
    return " / ".join(names)


def _fault(armed: ArmedFault) -> Json:
    return {
        "number": armed.number,
        "description": armed.fault.description,
        "operation": armed.operation,
        "times": armed.times,
        "after": armed.after,
    }


def _cut(text: object) -> str:
    text = str(text)
    return text if len(text) <= NAME else text[: NAME - 1] + "…"
