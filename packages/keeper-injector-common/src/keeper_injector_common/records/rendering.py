"""Render the items of a plan: files, folders of files, Kubernetes Secrets and environment variables.

Everything here is pure, apart from the functions that a :class:`Renderer` holds. The agent and ``keeper-injector render`` use the
same code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import ContractError, FormatError, RecordGoneError, SelectionError, TemplateError
from keeper_injector_common.plan.delivery import FORMATS, Formatted, Templated
from keeper_injector_common.records import formats
from keeper_injector_common.records.attachments import check_readable, newest, newest_by_name
from keeper_injector_common.records.folder_names import name_files
from keeper_injector_common.records.library import Library, Resolution
from keeper_injector_common.records.record import Attachment, JsonValue, Record
from keeper_injector_common.records.secret_keys import secret_key
from keeper_injector_common.records.selection import check_not_empty, select_files, select_value
from keeper_injector_common.records.template_data import template_data
from keeper_injector_common.records.variables import Variable, VariableSet, collect_variables
from keeper_injector_common.references import FieldValue, FileContent, RecordName, RecordText, WholeRecord
from keeper_injector_common.uniqueness import Named, unique

if TYPE_CHECKING:
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.plan.model import Environment, FileItem, FolderItem, RecordVariablesItem
    from keeper_injector_common.references import Reference

RenderTemplate = Callable[[str, Mapping[str, JsonValue]], str]
"""Takes the source of a template and its data, and returns the text; the agent does this in a child process."""
Download = Callable[[Record, Attachment], bytes]
"""Returns the content of an attachment."""


def _ignore(_: str) -> None:
    """Ignore a warning."""


def _accept(_: Mapping[str, str]) -> None:
    """Accept all variables."""


@attrs.frozen
class Renderer:
    """Renders items of a plan from the records of a library.

    All methods raise :class:`~keeper_injector_common.errors.ContractError` if the records, the format or the template do not
    allow the result, and whatever *download* raises.
    """

    library: Library
    strict: bool
    """Whether a title that several records have, or a name that several attachments of a record have, is an error."""
    download: Download
    render_template: RenderTemplate
    warn: Callable[[str], None] = _ignore
    """Takes the text of a warning: one of two entries of a name was chosen as the documentation says."""
    origins: Mapping[str, str] = attrs.field(factory=dict)
    """UID of the record that each name meant before; see :meth:`Library.resolve`."""
    resolutions: dict[RecordName, Resolution] = attrs.field(factory=dict, init=False)
    """What the names mean that have been found, for messages."""

    def render_file(self, item: FileItem) -> bytes:
        """Return the content of one file."""
        match item.content:
            case Templated(template):
                text = self._from_template(item, template)
                if not text.strip():
                    raise TemplateError(
                        "template: its result is empty", "write something in every case, or remove the file"
                    )
                return text.encode()
            case Formatted() as content:
                source = item.sources[0]
                written = self._from_format(source, content)
                if isinstance(source, FileContent):
                    if not written:
                        self.warn(
                            f"{source}: the attached file is empty in Keeper, and so is the file that is delivered"
                        )
                    return written
                return _not_empty(written, source)

    def folder_files(self, item: FolderItem, owners: Mapping[str, str] | None = None) -> list[Named[Record]]:
        """Return the records of a folder with the paths of their files, relative to the directory of the plan.

        *owners* has the UID of the record that each file was made from before. See :mod:`.folder_names` for the names.
        """
        records = self.library.in_folder(item.folder, recursive=item.recursive, strict=self.strict)
        if named := self.library.folder_by_name(item.folder):
            self.warn(
                f"folder {item.folder.title!r}: no folder has this UID, so that the folder with this name is delivered; write {named}"
            )
        below = f"{item.below}/" if item.below else ""
        known = {
            path.removeprefix(below): uid
            for path, uid in (owners or {}).items()
            if path.startswith(below) and "/" not in path.removeprefix(below)
        }
        names = name_files(records, FORMATS[item.format], known, self.library, strict=self.strict)
        repeated = sorted({record.title for record in records if names[record.uid].repeated})
        if repeated:
            listed = ", ".join(map(repr, repeated))
            self.warn(
                f"folder {item.folder.title!r}: records share the title or file name of {listed}, so files have UIDs in their names"
            )
        return [
            Named(
                f"{below}{names[record.uid].name}", record, f"{item.format} of record {record.title!r} ({record.uid})"
            )
            for record in records
        ]

    def render_record(self, record: Record, format_name: str) -> bytes:
        """Return the content of a file of a folder."""
        return _not_empty(formats.write_content(format_name, self._content(record, format_name)), record.title)

    def secret_data(self, secret: KubernetesSecret) -> dict[str, bytes]:
        """Return the data of a Kubernetes Secret: all values by their names, or the ones that *secret* has keys for.

        Characters of a name that a key cannot have become ``_``. Raises FormatError if two values get the same key, or if a
        name cannot become a key.
        """
        return {key: read() for key, (read, _) in self._secret_parts(secret).items()}

    def secret_origins(self, secret: KubernetesSecret) -> list[Named[None]]:
        """Return the keys of a Kubernetes Secret with where their values come from; raises what :meth:`secret_data` raises."""
        return [Named(key, None, origin) for key, (_, origin) in self._secret_parts(secret).items()]

    def _secret_parts(self, secret: KubernetesSecret) -> dict[str, tuple[Callable[[], bytes], str]]:
        """Return the function that reads the value of each key, and the origin of the value."""
        parts = [part for source in secret.sources for part in self._source_parts(source, secret)]
        missing = sorted(secret.keys.keys() - {name for name, _, _ in parts})
        if missing:
            for source in secret.sources:
                check_readable(self.find_record(source))
            names = ", ".join(map(repr, missing))
            raise SelectionError(f"Secret {secret.name!r}: no field or file {names} in {secret.sources[0]}")
        entries, errors = [], []
        for name, read, origin in parts:
            try:
                entries.append(Named(secret.keys.get(name) or secret_key(origin, name), (read, origin), origin))
            except FormatError as error:
                errors.append(str(error))
        if errors:
            right = "set a key with k8sSecretKeys, or rename it in Keeper"
            raise FormatError(f"Secret {secret.name!r}: {', '.join(errors)}; {right}")
        return unique(
            entries,
            lambda clash: FormatError(
                f"Secret {secret.name!r}: two values for the key {clash.name!r}, {clash}; set different keys with k8sSecretKeys"
            ),
        )

    def _source_parts(
        self, source: Reference, secret: KubernetesSecret
    ) -> Iterator[tuple[str, Callable[[], bytes], str]]:
        """Yield the values of *source*: name, function and origin; a whole record adds only attachments that have a key."""
        record = self.find_record(source)
        where = f"of record {record.title!r} ({record.uid})"
        match source:
            case WholeRecord():
                for name, value in record.named_values().items():
                    if name in secret.keys:
                        check_not_empty(value, FieldValue(source.record, name), record)
                    if not secret.keys or name in secret.keys:
                        yield name, _constant(_variable_text(value).encode()), f"field {name!r} {where}"
                wanted = [item for item in record.attachments if item.name in secret.keys]
                chosen = attrs.evolve(record, attachments=tuple(wanted))
                for name, item in newest_by_name(chosen, strict=self.strict, warn=self.warn).items():
                    yield name, self._downloader(record, item), f"file {name!r} {where}"
            case FileContent(file=name):
                yield name, self._downloader(record, self._attachment(source, record)), f"file {name!r} {where}"
            case FieldValue(field=name, index=None, property=None, kind="any"):
                yield name, _constant(_variable_text(self._value(source)).encode()), f"field {name!r} {where}"
            case FieldValue(field=name) | RecordText(which=name):
                yield name, _constant(_variable_text(self._value(source)).encode()), f"{source} ({record.uid})"

    def _downloader(self, record: Record, attachment: Attachment) -> Callable[[], bytes]:
        return lambda: self.download(record, attachment)

    def variables(
        self,
        environment: Environment,
        check: Callable[[Mapping[str, str]], object] = _accept,
        previous: Mapping[str, Variable] = MappingProxyType({}),
        *,
        remove_gone: bool = False,
    ) -> VariableSet:
        """Return the environment variables with every problem of them; see :mod:`.variables` for the rules and arguments."""
        return collect_variables(
            environment,
            of_record=self._record_variables,
            value_of=lambda source: _variable_text(self._value(source)),
            check=check,
            warn=self.warn,
            previous=previous,
            remove_gone=remove_gone,
        )

    def _record_variables(self, item: RecordVariablesItem) -> Iterator[Named[str]]:
        record = self.find_record(item.source)
        fields = _fields(record, item.fields)
        for name in item.fields:
            check_not_empty(fields[name], FieldValue(item.source.record, name), record)
        content = formats.RecordContent(record.title, fields, chosen_by_record=not item.fields)
        return formats.variable_entries(content, prefix=item.prefix, uid=record.uid)

    def find_record(self, reference: Reference) -> Record:
        """Return the record of *reference*."""
        try:
            return self._resolve(reference.record).record
        except RecordGoneError as error:
            if not isinstance(reference, RecordText):
                raise
            name = f"{reference.record}/\\{reference.which}"
            raise RecordGoneError(
                f"{error}; for a record called {reference.which!r} in a folder, write {name}"
            ) from None

    def _resolve(self, name: RecordName) -> Resolution:
        if name not in self.resolutions:
            origin = self.origins.get(str(name), "")
            self.resolutions[name] = self.library.resolve(name, strict=self.strict, origin=origin)
        return self.resolutions[name]

    def _value(self, reference: Reference) -> JsonValue:
        if isinstance(reference, FileContent):
            raise SelectionError(f"{reference}: an attachment is not a value; deliver it as a file")
        record = self.find_record(reference)
        value = select_value(reference, record)
        if not isinstance(reference, WholeRecord):
            check_not_empty(value, reference, record)
        return value

    def _from_format(self, source: Reference, chosen: Formatted) -> bytes:
        record, format_name = self.find_record(source), chosen.format
        match source:
            case WholeRecord() if chosen.keys:
                return formats.write_content(format_name, _renamed(record, format_name, chosen.keys))
            case WholeRecord():
                return formats.write_content(format_name, self._content(record, format_name, chosen.fields))
            case FileContent():
                if format_name != "raw":
                    raise FormatError(
                        f"{source}: an attachment is delivered unchanged; remove the format {format_name!r}"
                    )
                return self.download(record, self._attachment(source, record))
            case FieldValue(field=name) | RecordText(which=name):
                content = formats.RecordContent(record.title, {name: self._value(source)})
                return formats.write_content(format_name, content)

    def _attachment(self, source: FileContent, record: Record) -> Attachment:
        return newest(record, source.file, select_files(source, record), strict=self.strict, warn=self.warn)

    def _download_all(self, record: Record) -> dict[str, bytes]:
        attachments = newest_by_name(record, strict=self.strict, warn=self.warn)
        return {name: self.download(record, item) for name, item in attachments.items()}

    def _content(self, record: Record, format_name: str, fields: tuple[str, ...] = ()) -> formats.RecordContent:
        chosen = formats.FORMATS.get(format_name)
        reads_attachments = chosen is not None and chosen.reads_attachments
        if reads_attachments:
            check_readable(record)
        files = self._download_all(record) if reads_attachments else {}
        return formats.RecordContent(record.title, _fields(record, fields), files, chosen_by_record=not fields)

    def _from_template(self, item: FileItem, template: str) -> str:
        records = list({record.uid: record for record in map(self.find_record, item.sources)}.values())
        data = unique(
            (
                Named(record.title, template_data(record, template, partial(self._download_all, record)), record.uid)
                for record in records
            ),
            lambda clash: TemplateError(
                f"records {clash} have the same title {clash.name!r}, by which a template finds them",
                "rename one in Keeper, or write a file for each",
            ),
        )
        titles = [record.title for record in records]
        try:
            return self.render_template(template, data[titles[0]] if len(item.sources) == 1 else data)
        except TemplateError as error:
            raise TemplateError(f"record {', '.join(map(repr, titles))}: {error.found}", error.right) from None


def _not_empty(content: bytes, source: object) -> bytes:
    if not content:
        raise FormatError(
            f"{source}: the record has nothing to write, and an empty file would be delivered; fill it in Keeper"
        )
    return content


def _constant(content: bytes) -> Callable[[], bytes]:
    return lambda: content


def _fields(record: Record, names: Collection[str]) -> dict[str, JsonValue]:
    """Return the values of the fields *names*, or of all fields if *names* is empty."""
    if not names:
        return record.named_values()
    values: dict[str, JsonValue] = {}
    errors: list[ContractError] = []
    for name in names:
        try:
            values[name] = _field(record, name)
        except ContractError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise SelectionError("; ".join(map(str, errors)))
    return values


def _renamed(record: Record, format_name: str, keys: Mapping[str, str]) -> formats.RecordContent:
    """Return the fields of *record* in *keys* under the names there, in the order of *keys*."""
    for field, problem in formats.problems_of_keys(format_name, keys):
        raise FormatError(f"record {record.title!r}, field {field!r}: {problem}")
    values = {name: _field(record, field) for field, name in keys.items()}
    return formats.RecordContent(record.title, values, exact_names=True)


def _field(record: Record, name: str) -> JsonValue:
    return select_value(FieldValue(RecordName((record.uid,)), name), record)


def _variable_text(value: JsonValue) -> str:
    """Return *value* as an environment variable holds it: text unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
