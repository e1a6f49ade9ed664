"""The keys of the ``keeper.security/config`` document, each declared once: name, other names, syntax and description.

:mod:`keeper_injector_common.annotations.config` reads the document by these declarations, and the JSON Schema and the
documentation's tables of keys follow from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.json_values import Json
from keeper_injector_common.parsers import Parse
from keeper_injector_common.plan.delivery import FORMATS, SECRET_MODES
from keeper_injector_common.records import templates
from keeper_injector_common.yaml_document import Section

T = TypeVar("T")
_TEXT = {"type": "string", "minLength": 1}


@attrs.frozen
class _TextKey(Generic[T]):
    """A key with a text or number as its value."""

    name: str
    parse: Parse[T]
    description: str
    aliases: tuple[str, ...] = ()
    schema: Json = attrs.field(factory=dict)
    """What JSON Schema says beyond that it is text."""

    def read(self, entry: Section) -> T | None:
        """Return the parsed value; None if it is missing or invalid, which is then reported."""
        return entry.text(self.name, self.parse, *self.aliases)

    def properties(self) -> Iterator[tuple[str, Json]]:
        """Iterate over the names of the key and what JSON Schema says about each."""
        yield self.name, {**_TEXT, "description": self.description, **self.schema}
        for alias in self.aliases:
            yield alias, {**_TEXT, "description": f"Another name for `{self.name}`."}


@attrs.frozen
class _SwitchKey:
    """A key with true or false as its value."""

    name: str
    description: str
    default: bool = False

    def read(self, entry: Section) -> bool:
        """Return the value, or the default if it is missing or invalid, which is then reported."""
        return entry.switch(self.name, default=self.default)

    def properties(self) -> Iterator[tuple[str, Json]]:
        """Iterate over the name of the key and what JSON Schema says about it."""
        yield self.name, {"type": "boolean", "description": self.description}


@attrs.frozen
class _TextsKey(Generic[T]):
    """A key with a list of texts as its value."""

    name: str
    parse: Parse[T]
    description: str
    least: int = 0

    def read(self, entry: Section) -> tuple[T, ...] | None:
        """Return the valid items; None if the key is missing."""
        return entry.texts(self.name, self.parse)

    def properties(self) -> Iterator[tuple[str, Json]]:
        """Iterate over the name of the key and what JSON Schema says about it."""
        least = {"minItems": self.least} if self.least else {}
        yield self.name, {"type": "array", "items": _TEXT, "description": self.description, **least}


@attrs.frozen
class _PairsKey:
    """A key with a mapping from texts to texts as its value."""

    name: str
    parse: Parse[str]
    description: str

    def read(self, entry: Section) -> dict[str, str]:
        """Return the valid items, none if the key is missing."""
        return entry.pairs(self.name, self.parse)

    def properties(self) -> Iterator[tuple[str, Json]]:
        """Iterate over the name of the key and what JSON Schema says about it."""
        yield self.name, {"type": "object", "additionalProperties": _TEXT, "description": self.description}


Key = _TextKey[Any] | _SwitchKey | _TextsKey[Any] | _PairsKey

BY_TEMPLATE = "template"
"""A value of ``format`` that is allowed beside a template, and that has no effect."""

_CONTAINERS = _TextsKey(
    "containers", parsers.object_name, "Containers that receive it; all of them if left out.", least=1
)


class SecretKeys:
    """The keys of an entry of ``secrets``."""

    RECORD = _TextKey(
        "record", parsers.text, "Title, UID or folder path of a record, or a part of one: `db[password]`."
    )
    NOTATION = _TextKey("notation", parsers.text, "Keeper notation.")
    RECORDS = _TextsKey("records", parsers.text, "Several records, for a template.", least=1)
    FILE = _TextKey("file", parsers.text, "Name of a file that is attached to `record`.", aliases=("fileName",))
    PATH = _TextKey("path", parsers.file_path, "Absolute path of the file; in `/keeper/secrets` if left out.")
    FIELDS = _TextsKey("fields", parsers.text, "Only these fields.")
    KEYS = _PairsKey(
        "keys",
        parsers.text,
        "Only these fields, each as `field: name` under its name in the file; instead of `fields`.",
    )
    FORMAT = _TextKey(
        "format",
        parsers.choice(*FORMATS, BY_TEMPLATE),
        "Format of the file; chosen by the suffix of the path if left out.",
        schema={"enum": [*FORMATS, BY_TEMPLATE]},
    )
    TEMPLATE = _TextKey("template", templates.template_source, "Go template, instead of a format.")
    MODE = _TextKey(
        "mode",
        parsers.file_mode,
        "Mode of the file, in quotes; derived from the pod if left out.",
        schema={"pattern": "^0?[0-7]{3}$"},
    )
    CONTAINERS = _CONTAINERS
    AS_VARIABLES = _SwitchKey("injectAsEnvVars", "Deliver the fields as environment variables.")
    PREFIX = _TextKey("envPrefix", parsers.variable_prefix, "Prefix of the names of the variables.")
    AS_SECRET = _SwitchKey("injectAsK8sSecret", "Write a Kubernetes Secret.")
    SECRET_NAME = _TextKey("k8sSecretName", parsers.object_name, "Name of the Secret.")
    SECRET_KEYS = _PairsKey(
        "k8sSecretKeys",
        parsers.data_key,
        "The key for each part, as `field: key` or `file: key`; all fields under their own names if left out.",
    )
    SECRET_TYPE = _TextKey("k8sSecretType", parsers.text, "Type of the Secret; `Opaque` if left out.")
    SECRET_MODE = _TextKey(
        "k8sSecretMode",
        parsers.choice(*SECRET_MODES),
        "What happens to a Secret that exists already; `overwrite` if left out.",
        schema={"enum": list(SECRET_MODES)},
    )
    SECRET_ROTATION = _SwitchKey(
        "k8sSecretRotation", "Update the Secret with every refresh; otherwise only a new pod writes it."
    )
    SECRET_OWNER = _SwitchKey(
        "k8sSecretOwnerRef", "Delete the Secret with the last pod that wrote it; true if left out.", default=True
    )


class FolderKeys:
    """The keys of an entry of ``folders``."""

    PATH = _TextKey("path", parsers.text, "Path of the folder by names.", aliases=("folderPath",))
    UID = _TextKey("uid", parsers.text, "UID of the folder.", aliases=("folderUid",))
    DIRECTORY = _TextKey("outputPath", parsers.absolute_path, "Directory of the files; `/keeper/secrets` if left out.")
    RECURSIVE = _SwitchKey("recursive", "Include the folders below this folder.")
    FORMAT = _TextKey(
        "format",
        parsers.choice(*FORMATS),
        "Format of the files; `json` if left out.",
        schema={"enum": list(FORMATS)},
    )
    CONTAINERS = _CONTAINERS


SECRETS, FOLDERS = "secrets", "folders"
"""The keys of the document itself."""
SOURCES = (SecretKeys.RECORD, SecretKeys.NOTATION, SecretKeys.RECORDS)
"""An entry of ``secrets`` has exactly one of them."""


def json_schema() -> Json:
    """Return the JSON Schema of the document. The syntax of texts (paths, references, names) is left to the parsers."""
    folder_names = (name for key in (FolderKeys.PATH, FolderKeys.UID) for name, _ in key.properties())
    entries = {
        SECRETS: ("Records to inject.", SecretKeys, (key.name for key in SOURCES)),
        FOLDERS: ("Folders to inject.", FolderKeys, folder_names),
    }
    return _object(
        {
            name: {
                "type": "array",
                "items": {
                    **_object(dict(part for key in _keys_of(keys) for part in key.properties())),
                    "oneOf": [{"required": [source]} for source in sources],
                },
                "description": description,
            }
            for name, (description, keys, sources) in entries.items()
        }
    )


def _keys_of(keys: type) -> list[Key]:
    kinds = (_TextKey, _SwitchKey, _TextsKey, _PairsKey)
    return [value for value in vars(keys).values() if isinstance(value, kinds)]


def _object(properties: Json) -> Json:
    return {"type": "object", "properties": properties, "additionalProperties": False}
