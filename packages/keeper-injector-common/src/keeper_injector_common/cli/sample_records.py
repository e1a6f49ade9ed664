"""Sample records that the user writes in YAML for ``keeper-injector render``; no I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.cli.console import CommandError
from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.records import Attachment, Folder, JsonValue, Library, Record, named_fields
from keeper_injector_common.references import parse_folder
from keeper_injector_common.yaml_document import load_yaml

_KEYS = ("title", "uid", "type", "folder", "fields", "custom", "notes", "files")
FORMAT = """\
sample records:
  records:
    - title: database-credentials        the only required key
      fields: { login: app, password: made-up, host: { hostName: db, port: "5432" } }
      custom: { Environment: production }
      notes: any text
      files: { server.pem: any text }
      folder: Production/Databases
"""


@attrs.frozen
class Sample:
    """Sample records and the contents of their attachments."""

    library: Library
    contents: dict[str, bytes] = attrs.field(repr=False)
    """By the UID of the attachment."""

    def download(self, _record: Record, attachment: Attachment) -> bytes:
        """Return the content of an attachment."""
        return self.contents[attachment.uid]


def parse_samples(where: str, text: str) -> Sample:
    """Return the sample records in *text*; raise :class:`CommandError` with the first problem."""
    try:
        content = load_yaml(text)
    except parsers.InvalidValue as error:
        raise CommandError(f"{where}: {error}") from None
    entries = content.get("records") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise CommandError(f"{where}: not a list of records; write records: and a title for each")
    contents: dict[str, bytes] = {}
    records = tuple(
        _record(f"{where}: records[{number}]", number, entry, contents) for number, entry in enumerate(entries)
    )
    return Sample(Library(records), contents)


def _record(where: str, number: int, entry: Any, contents: dict[str, bytes]) -> Record:
    if not isinstance(entry, dict) or not isinstance(entry.get("title"), str):
        raise CommandError(f"{where}: a record has no title; write title: and a text")
    unknown = sorted(str(key) for key in entry.keys() - set(_KEYS))
    if unknown:
        raise CommandError(f"{where}.{unknown[0]}: unknown key; the keys of a record are {', '.join(_KEYS)}")
    uid = str(entry.get("uid") or f"sample-record-{number:08}")
    names = _folder_names(f"{where}.folder", str(entry["folder"])) if entry.get("folder") else ()
    uids = tuple("/".join(names[: depth + 1]) for depth in range(len(names)))
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
        folders=(Folder(names, uids),) if names else (),
    )


def _folder_names(where: str, text: str) -> tuple[str, ...]:
    try:
        return parse_folder(text).parts
    except InvalidReferenceError as error:
        raise CommandError(f"{where}: {error}") from None


def _fields(where: str, entry: dict[str, Any], key: str, kind: str = "") -> Iterator[dict[str, JsonValue]]:
    """Iterate over fields as Keeper returns them: a standard field has a type, and a custom field has a label."""
    for name, value in _mapping(where, entry, key).items():
        held = value if isinstance(value, list) else [value]
        yield {"type": kind or name, "label": name if kind else "", "value": held}


def _mapping(where: str, entry: dict[str, Any], key: str) -> dict[str, Any]:
    found = entry.get(key) or {}
    if not isinstance(found, dict):
        raise CommandError(f"{where}.{key}: not a mapping; write names and values")
    return {str(name): value for name, value in found.items()}
