"""Render the items of a plan: files, folders of files, Kubernetes Secrets and environment variables.

Everything here is pure, apart from the two functions that a :class:`Renderer` holds. The agent and ``keeper-injector
render`` use the same code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import FormatError, RecordGoneError, SelectionError, TemplateError
from keeper_injector_common.plan.delivery import FORMATS, Formatted, Templated, file_name
from keeper_injector_common.records import formats
from keeper_injector_common.records.library import Library
from keeper_injector_common.records.record import Attachment, JsonValue, Record
from keeper_injector_common.records.selection import select_file, select_value
from keeper_injector_common.references import FieldValue, FileContent, RecordName, RecordText, WholeRecord

if TYPE_CHECKING:
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.plan.model import Environment, FileItem, FolderItem, RecordVariablesItem
    from keeper_injector_common.references import Reference

RenderTemplate = Callable[[str, Mapping[str, JsonValue]], str]
"""Takes the source of a template and its data, and returns the text; the agent does this in a child process."""
Download = Callable[[Record, Attachment], bytes]
"""Returns the content of an attachment."""
_NOT_IN_KEYS = re.compile(r"[^-._a-zA-Z0-9]")
"""Characters that a key of a Secret cannot have (Kubernetes, validation.IsConfigMapKey)."""


@attrs.frozen
class Renderer:
    """Renders items of a plan from the records of a library.

    All methods raise :class:`~keeper_injector_common.errors.ContractError` if the records, the format or the template do not
    allow the result, and whatever *download* raises.
    """

    library: Library
    strict: bool
    """Whether a title that several records have is an error."""
    download: Download
    render_template: RenderTemplate

    def render_file(self, item: FileItem) -> bytes:
        """Return the content of one file."""
        match item.content:
            case Templated(template):
                return self._from_template(item, template).encode()
            case Formatted() as content:
                return self._from_format(item.sources[0], content)

    def folder_files(self, item: FolderItem) -> dict[str, Record]:
        """Return the records of a folder by the paths of their files, relative to the directory of the plan.

        If several records have the same title, the UID is appended to the names of their files.
        """
        records = self.library.in_folder(item.folder, recursive=item.recursive, strict=self.strict)
        titles = [file_name(record.title) for record in records]
        files = {}
        for record, title in zip(records, titles, strict=True):
            name = title if titles.count(title) == 1 else f"{title}-{record.uid}"
            files[f"{item.below}/{name}{FORMATS[item.format]}".lstrip("/")] = record
        return files

    def render_record(self, record: Record, format_name: str) -> bytes:
        """Return the content of a file of a folder."""
        return formats.write_content(format_name, self._content(record, format_name))

    def secret_data(self, secret: KubernetesSecret) -> dict[str, bytes]:
        """Return the data of a Kubernetes Secret: all values by their names, or the ones that *secret* has keys for.

        Characters of a name that a key cannot have become ``_``. Raises FormatError if two values get the same key.
        """
        data: dict[str, bytes] = {}
        used: set[str] = set()
        for source in secret.sources:
            for name, content in self._source_values(source, secret).items():
                key = secret.keys.get(name) or _NOT_IN_KEYS.sub("_", name)
                if key in data:
                    raise FormatError(
                        f"Secret {secret.name!r}: two values for the key {key!r}; set different keys with k8sSecretKeys"
                    )
                data[key] = content
                used.add(name)
        missing = sorted(secret.keys.keys() - used)
        if missing:
            raise SelectionError(f"Secret {secret.name!r}: no field or file {missing[0]!r} in {secret.sources[0]}")
        return data

    def _source_values(self, source: Reference, secret: KubernetesSecret) -> dict[str, bytes]:
        """Return the values of *source* by field or attachment; a whole record adds only attachments that have a key."""
        record = self.find_record(source)
        match source:
            case WholeRecord():
                values = {name: _variable_text(value).encode() for name, value in record.named_values().items()}
                files = {item.name: item for item in record.attachments if item.name in secret.keys}
                values.update({name: self.download(record, item) for name, item in files.items()})
                return {name: value for name, value in values.items() if not secret.keys or name in secret.keys}
            case FileContent(file=file):
                return {file: self.download(record, select_file(source, record))}
            case FieldValue(field=name) | RecordText(which=name):
                return {name: _variable_text(self._value(source)).encode()}

    def variables(self, environment: Environment) -> dict[str, str]:
        """Return environment variables by name. A variable that the plan names overrides one that a record implies."""
        values: dict[str, str] = {}
        for item in environment.records:
            values.update(self._record_variables(item))
        for variable in environment.variables:
            values[variable.name] = _variable_text(self._value(variable.source))
        return values

    def _record_variables(self, item: RecordVariablesItem) -> dict[str, str]:
        record = self.find_record(item.source)
        content = formats.RecordContent(record.title, _fields(record, item.fields))
        return formats.to_variable_names(record.title, formats.flatten(content), prefix=item.prefix)

    def find_record(self, reference: Reference) -> Record:
        """Return the record of *reference*."""
        try:
            return self.library.find(reference.record, strict=self.strict)
        except RecordGoneError as error:
            if not isinstance(reference, RecordText):
                raise
            name = f"{reference.record}/\\{reference.which}"
            raise RecordGoneError(
                f"{error}; for a record called {reference.which!r} in a folder, write {name}"
            ) from None

    def _value(self, reference: Reference) -> JsonValue:
        if isinstance(reference, FileContent):
            raise SelectionError(f"{reference}: an attachment is not a value; deliver it as a file")
        return select_value(reference, self.find_record(reference))

    def _from_format(self, source: Reference, chosen: Formatted) -> bytes:
        record, format_name = self.find_record(source), chosen.format
        match source:
            case WholeRecord() if chosen.keys:
                return formats.write_content(format_name, _renamed(record, format_name, chosen.keys))
            case WholeRecord():
                return formats.write_content(format_name, self._content(record, format_name, chosen.fields))
            case FileContent():
                return self._attachment(record, source, format_name)
            case FieldValue(field=name) | RecordText(which=name):
                content = formats.RecordContent(record.title, {name: self._value(source)})
                return formats.write_content(format_name, content)

    def _attachment(self, record: Record, source: FileContent, format_name: str) -> bytes:
        if format_name != "raw":
            raise FormatError(f"{source}: an attachment is delivered unchanged; remove the format {format_name!r}")
        return self.download(record, select_file(source, record))

    def _content(self, record: Record, format_name: str, fields: tuple[str, ...] = ()) -> formats.RecordContent:
        chosen = formats.FORMATS.get(format_name)
        attachments = record.attachments if chosen and chosen.reads_attachments else ()
        files = {item.name: self.download(record, item) for item in attachments}
        return formats.RecordContent(record.title, _fields(record, fields), files)

    def _from_template(self, item: FileItem, template: str) -> str:
        records = [self.find_record(reference) for reference in item.sources]
        data = [self._template_data(record, template) for record in records]
        titles = [record.title for record in records]
        try:
            return self.render_template(template, data[0] if len(data) == 1 else dict(zip(titles, data, strict=True)))
        except TemplateError as error:
            raise TemplateError(f"record {', '.join(map(repr, titles))}: {error.found}", error.right) from None

    def _template_data(self, record: Record, template: str) -> dict[str, JsonValue]:
        """Return what a template sees of *record*. Attachments are downloaded only if the template mentions them."""
        data: dict[str, JsonValue] = {
            "title": record.title,
            "uid": record.uid,
            "type": record.type,
            "notes": record.notes,
        }
        data.update(record.named_values())
        if ".files" in template:
            data["files"] = {
                item.name: _decoded(record, item, self.download(record, item)) for item in record.attachments
            }
        return data


def _fields(record: Record, names: tuple[str, ...]) -> dict[str, JsonValue]:
    """Return the values of the fields *names*, or of all fields if *names* is empty."""
    if not names:
        return record.named_values()
    return {name: _field(record, name) for name in names}


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


def _decoded(record: Record, attachment: Attachment, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FormatError(
            f"record {record.title!r}: file {attachment.name!r} is not text; deliver it by itself, without a template"
        ) from None
