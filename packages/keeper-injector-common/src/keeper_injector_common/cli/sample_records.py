"""Records that a person writes down to see what files of them look like: YAML text → a library of records; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.cli.console import Stop
from keeper_injector_common.records import Attachment, JsonValue, Library, Record, named_fields
from keeper_injector_common.yaml_document import load

KEYS = ("title", "uid", "type", "folder", "fields", "custom", "notes", "files")
FORMAT = """\
sample records:
  records:
    - title: database-credentials        the only key that must be there
      fields: { login: app, password: made-up, host: { hostName: db, port: "5432" } }
      custom: { Environment: production }
      notes: any text
      files: { server.pem: any text }
      folder: Production/Databases
"""


@attrs.frozen
class Sample:
    """Records and the contents of their attachments."""

    library: Library
    contents: dict[str, bytes] = attrs.field(repr=False)
    """By UID of the attachment."""

    def download(self, _record: Record, attachment: Attachment) -> bytes:
        """Return an attachment's content."""
        return self.contents[attachment.uid]


def parse(where: str, text: str) -> Sample:
    """Read sample records; raises :class:`Stop` with the first thing that is wrong."""
    try:
        content = load(text)
    except parsers.InvalidValue as error:
        raise Stop(f"{where}: {error}") from None
    entries = content.get("records") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise Stop(f"{where}: no list of records; write records: with a title in each")
    contents: dict[str, bytes] = {}
    records = tuple(
        _record(f"{where}: records[{number}]", number, entry, contents) for number, entry in enumerate(entries)
    )
    return Sample(Library(records), contents)


def _record(where: str, number: int, entry: Any, contents: dict[str, bytes]) -> Record:
    if not isinstance(entry, dict) or not isinstance(entry.get("title"), str):
        raise Stop(f"{where}: a record without a title; write title: and a text")
    unknown = sorted(str(key) for key in entry.keys() - set(KEYS))
    if unknown:
        raise Stop(f"{where}.{unknown[0]}: unknown; a record has {', '.join(KEYS)}")
    uid = str(entry.get("uid") or f"sample-record-{number:08}")
    folder = tuple(str(entry["folder"]).strip("/").split("/")) if entry.get("folder") else ()
    files = _mapping(where, entry, "files")
    attachments = []
    for name, content in files.items():
        attachment = Attachment(f"{uid}/{name}", name, name, len(str(content)))
        contents[attachment.uid] = str(content).encode()
        attachments.append(attachment)
    return Record(
        uid,
        entry["title"],
        str(entry.get("type") or "login"),
        named_fields(list(_fields(where, entry, "fields")), list(_fields(where, entry, "custom", "text"))),
        str(entry.get("notes") or ""),
        tuple(attachments),
        folder,
        tuple("/".join(folder[: depth + 1]) for depth in range(len(folder))),
    )


def _fields(where: str, entry: dict[str, Any], key: str, kind: str = "") -> Iterator[dict[str, JsonValue]]:
    """Iterate over fields as Keeper has them: a standard one is named by its type, a custom one by its label."""
    for name, value in _mapping(where, entry, key).items():
        held = value if isinstance(value, list) else [value]
        yield {"type": kind or name, "label": name if kind else "", "value": held}


def _mapping(where: str, entry: dict[str, Any], key: str) -> dict[str, Any]:
    found = entry.get(key) or {}
    if not isinstance(found, dict):
        raise Stop(f"{where}.{key}: no mapping; write names and values")
    return {str(name): value for name, value in found.items()}
