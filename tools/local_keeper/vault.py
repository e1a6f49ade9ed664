"""The vault's contents: shared folders, records, files and devices, read from a short YAML format."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import attrs
import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from local_keeper import crypto, sample_certificate
from local_keeper.sealed import Sealed

Json = dict[str, Any]
FolderDamage = Literal["", "key", "no key", "name", "parent"]
"""Key or name that do not decrypt, no key, or a parent that is not shared."""


def _random_key() -> bytes:
    return os.urandom(32)


@attrs.define
class File:
    """A file attached to a record."""

    name: str
    content: bytes = attrs.field(repr=False)
    uid: str = attrs.field(factory=crypto.new_uid)
    key: bytes = attrs.field(factory=_random_key, repr=False)
    modified: int = attrs.field(factory=lambda: int(time.time() * 1000))
    metadata: bytes | None = attrs.field(default=None, repr=False)
    """Sent instead of the JSON that describes the file, if set."""
    corrupt: str = ""
    """The part that is sent so that no key opens it: ``key``, ``metadata``, or none."""
    damaged: bool = False
    """Whether the last byte of a download is wrong."""
    title: str = ""
    """The title, if it is not the name."""
    type: str = "application/octet-stream"
    """The media type."""
    sealed: Sealed = attrs.field(factory=Sealed, eq=False, repr=False)


@attrs.define
class Folder:
    """A folder; one without parent is a shared folder."""

    name: str
    parent: str = ""
    uid: str = attrs.field(factory=crypto.new_uid)
    key: bytes = attrs.field(factory=_random_key, repr=False)
    damage: FolderDamage = ""
    """What is wrong with the folder in the list of folders; its records are sent as ever."""
    sealed: Sealed = attrs.field(factory=Sealed, eq=False, repr=False)


@attrs.frozen
class Before:
    """A record's content before an update that a client has not finalized."""

    data: Json = attrs.field(repr=False)
    files: list[File]
    ciphertext: bytes = attrs.field(repr=False)


@attrs.define
class Record:
    """A record: its JSON as clients see it, and the server's data about it."""

    data: Json = attrs.field(repr=False)
    folder: str = ""
    """UID of its folder; empty if the record itself is shared with the application."""
    shortcuts: list[str] = attrs.field(factory=list)
    """UIDs of more folders that it is in; ``""`` if it is also shared with the application by itself."""
    files: list[File] = attrs.field(factory=list)
    uid: str = attrs.field(factory=crypto.new_uid)
    key: bytes = attrs.field(factory=_random_key, repr=False)
    revision: int = 1
    corrupt: bool = False
    """Sent with data that no key opens."""
    content: bytes | None = attrs.field(default=None, repr=False)
    """Sent instead of the JSON of :attr:`data`, if set: anything that a client may have written."""
    flat: bool = False
    """Sent outside of its folder, wrapped by the folder's key, as the real service may do."""
    before: Before | None = attrs.field(default=None, repr=False)
    """Restored by a rollback; None unless an update waits to be finalized."""
    sealed: Sealed = attrs.field(factory=Sealed, eq=False, repr=False)

    @property
    def plaintext(self) -> bytes:
        """What the client encrypts for the record's data."""
        return json.dumps(self.data).encode() if self.content is None else self.content

    @property
    def title(self) -> str:
        """The record's title."""
        return str(self.data["title"])

    @property
    def locations(self) -> list[str]:
        """The UIDs of all its folders, or ``""`` for the record itself; Keeper sends the record once for each."""
        return [self.folder, *self.shortcuts]


@attrs.define
class Device:
    """A client of the application."""

    client_id: str
    token: bytes = attrs.field(default=b"", repr=False)
    public_key: ec.EllipticCurvePublicKey | None = None
    confirmed: bool = False
    """Whether it has used the application's key: until then the server sends it."""
    revoked: bool = False
    name: str = ""
    """Shown to people."""
    sealed: Sealed = attrs.field(factory=Sealed, eq=False, repr=False)


class Vault:
    """One application with its folders, records and devices; safe to change while the server uses it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.title = "local-keeper"
        self.sealed = Sealed()
        self.app_key = _random_key()
        self.owner = crypto.new_key()
        self.folders: dict[str, Folder] = {}
        self.records: dict[str, Record] = {}
        self.devices: dict[str, Device] = {}
        self.warnings: list[str] = []

    @classmethod
    def from_yaml(cls, text: str) -> Vault:
        """Read a vault. Raises ValueError with the position of the problem."""
        content = yaml.safe_load(text) or {}
        vault = cls()
        vault.title = str(content.get("application", vault.title))
        for folder in content.get("folders", ()):
            vault._add_folder(folder, "")
        for record in content.get("records", ()):
            vault.add_record(record)
        for added in vault.records.values():
            if unknown := [uid for uid in added.shortcuts if uid and uid not in vault.folders]:
                raise ValueError(f"record {added.title!r}: no folder has the UID {unknown[0]!r} of its shortcut")
        return vault

    def _add_folder(self, content: Json, parent: str) -> None:
        folder = Folder(str(content["name"]), parent)
        if content.get("uid"):
            folder.uid = str(content["uid"])
        self.folders[folder.uid] = folder
        for record in content.get("records", ()):
            self.add_record(record, folder.uid)
        for inner in content.get("folders", ()):
            self._add_folder(inner, folder.uid)

    def add_record(self, content: Mapping[str, Any], folder: str = "") -> str:
        """Add a record written as in the YAML file; returns its UID."""
        record = Record(_record_json(content), folder)
        if content.get("uid"):
            record.uid = str(content["uid"])
        record.shortcuts += map(str, content.get("shortcuts", ()))
        for name, data in (content.get("files") or {}).items():
            record.files.append(File(name, data if isinstance(data, bytes) else str(data).encode()))
        if content.get("certificate"):
            record.files += [File(*item) for item in sample_certificate.files(str(content["certificate"])).items()]
        with self.lock:
            self.records[record.uid] = record
        return record.uid

    def find(self, name: str) -> Record:
        """Return the record with this UID or title; raises KeyError."""
        with self.lock:
            if name in self.records:
                return self.records[name]
            found = sorted(
                (record for record in self.records.values() if record.title == name), key=lambda item: item.uid
            )
        if not found:
            raise KeyError(f"no record {name!r}; there are {', '.join(sorted(self.titles()))}")
        return found[0]

    def find_folder(self, name: str) -> Folder:
        """Return the folder with this UID or name; raises KeyError."""
        with self.lock:
            found = [folder for folder in self.folders.values() if name in {folder.uid, folder.name}]
        if not found:
            raise KeyError(f"no folder {name!r}")
        return found[0]

    def titles(self) -> list[str]:
        """Return the titles of all records."""
        return [record.title for record in self.records.values()]

    def set_field(self, name: str, field: str, value: object) -> None:
        """Change a field found by label or type, or add it as a custom text field; the revision grows."""
        with self.lock:
            record = self.find(name)
            values = value if isinstance(value, list) else [value]
            for item in (*record.data.get("fields", ()), *record.data.get("custom", ())):
                if field in {item.get("label"), item["type"]}:
                    item["value"] = values
                    break
            else:
                record.data.setdefault("custom", []).append({"type": "text", "label": field, "value": values})
            record.revision += 1

    def change_field(self, uid: str, section: str, index: int, values: list[Any], *, revision: int) -> None:
        """Change the field at a position of ``fields`` or ``custom``. Raises KeyError, or ValueError if *revision* is old."""
        with self.lock:
            record = self.find(uid)
            if record.revision != revision:
                raise ValueError(f"record {record.title!r} has changed since it was shown; check it and try again")
            fields = record.data.get(section, []) if section in {"fields", "custom"} else []
            if not 0 <= index < len(fields):
                raise KeyError(f"record {record.title!r} has no field {section}[{index}]")
            fields[index]["value"] = values
            record.revision += 1

    def renew(self, name: str) -> None:
        """Give a record a new key and certificate, as new files; raises ValueError if it has none."""
        with self.lock:
            record = self.find(name)
            old = {file.name: file for file in record.files}
            if sample_certificate.CERTIFICATE not in old:
                raise ValueError(f"record {name!r} has no {sample_certificate.CERTIFICATE}")
            made = sample_certificate.files(sample_certificate.host_of(old[sample_certificate.CERTIFICATE].content))
            record.files = [file for file in record.files if file.name not in made]
            record.files += [File(*item) for item in made.items()]
            record.revision += 1

    def shared_root(self, folder: str) -> Folder:
        """Return the shared folder above (or at) *folder*."""
        found = self.folders[folder]
        while found.parent:
            found = self.folders[found.parent]
        return found

    def _inside(self, folder: str) -> set[str]:
        """Return the UIDs of *folder* and of all folders below it."""
        inside, level = {folder}, {folder}
        while level := {found.uid for found in self.folders.values() if found.parent in level}:
            inside |= level
        return inside

    def is_empty(self, folder: str) -> bool:
        """Return whether neither a record nor another folder is in *folder*."""
        if self._inside(folder) != {folder}:
            return False
        return not any(folder in record.locations for record in self.records.values())

    def remove_folder(self, folder: str) -> None:
        """Remove *folder* with all below it. Records that are elsewhere too stay there."""
        removed = self._inside(folder)
        for record in list(self.records.values()):
            left = [location for location in record.locations if location not in removed]
            if left:
                record.folder, *record.shortcuts = left
            else:
                del self.records[record.uid]
        for uid in removed:
            del self.folders[uid]

    def folders_outermost_first(self) -> Iterator[Folder]:
        """Iterate so that a folder's parent comes before it: JS clients rely on that."""
        level: Sequence[str] = [""]
        while level:
            found = [folder for folder in self.folders.values() if folder.parent in level]
            yield from found
            level = [folder.uid for folder in found]

    def new_token(self) -> str:
        """Create a device that is not bound yet; returns its one-time token."""
        token = os.urandom(32)
        device = Device(crypto.client_id(token), token)
        with self.lock:
            device.name = f"token-{1 + sum(bool(other.token) for other in self.devices.values())}"
            self.devices[device.client_id] = device
        return crypto.b64url(token)

    def bound_device(self, name: str = "") -> tuple[Device, ec.EllipticCurvePrivateKey]:
        """Create a device that is already bound."""
        key = crypto.new_key()
        device = Device(crypto.client_id(os.urandom(32)), public_key=key.public_key(), confirmed=True, name=name)
        with self.lock:
            self.devices[device.client_id] = device
        return device, key


def _record_json(content: Mapping[str, Any]) -> Json:
    if "title" not in content:
        raise ValueError(f"a record has no title; its keys are {', '.join(content)}")
    data: Json = {
        "title": str(content["title"]),
        "type": str(content.get("type", "login")),
        "fields": _fields(content.get("fields", {})),
        "custom": _fields(content.get("custom", {}), label=True),
    }
    if content.get("notes"):
        data["notes"] = str(content["notes"])
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        # YAML reads dates, bytes and NaN without quotes, and JSON has none of them.
        raise ValueError(f"record {data['title']!r}: a value is not JSON ({error}); quote it") from None
    return data


def _fields(content: Any, *, label: bool = False) -> list[Json]:
    """Read ``{type: value}`` (or, of custom fields, ``{label: value}``), or a list of whole fields."""
    if isinstance(content, Mapping):
        content = [
            {"type": "text", "label": name, "value": value} if label else {"type": name, "value": value}
            for name, value in content.items()
        ]
    fields = [{**item, "type": str(item.get("type", "text")), "value": _values(item.get("value"))} for item in content]
    # YAML also has numbers and booleans as names, which typed SDKs reject as a label.
    return [{**field, "label": str(field["label"])} if field.get("label") is not None else field for field in fields]


def _values(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [] if value is None else [value]
