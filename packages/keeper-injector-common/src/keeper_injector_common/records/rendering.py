"""Items of a plan + a library of records → the bytes of files; pure, for the agent and for ``keeper-injector render``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import FormatError, SelectionError, TemplateError
from keeper_injector_common.plan.delivery import Formatted, Templated, file_name
from keeper_injector_common.records import formats
from keeper_injector_common.records.record import Attachment, JsonValue, Record
from keeper_injector_common.records.selection import Library, select_file, select_value
from keeper_injector_common.references import FieldValue, FileContent, RecordName, RecordText, WholeRecord

if TYPE_CHECKING:
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.plan.model import Environment, FileItem, FolderItem, RecordVariablesItem
    from keeper_injector_common.references import Reference

RenderTemplate = Callable[[str, Mapping[str, JsonValue]], str]
"""Template source and data → text; the agent does it in a child process."""
Download = Callable[[Record, Attachment], bytes]
"""Fetches the content of an attachment."""
PKCS12 = "pkcs12"
_NO_KEY = re.compile(r"[^-._a-zA-Z0-9]")
"""What a key of a Secret cannot hold (Kubernetes, validation.IsConfigMapKey)."""


@attrs.frozen
class Renderer:
    """What rendering needs besides the item itself."""

    library: Library
    strict: bool
    download: Download
    render_template: RenderTemplate

    def render_file(self, item: FileItem) -> bytes:
        """Return the content of one file; raises ContractError when records, format or template do not allow it."""
        match item.content:
            case Templated(source):
                return self._templated(item, source).encode()
            case Formatted(form, fields):
                return self._formatted(item.sources[0], form, fields)

    def folder_files(self, item: FolderItem) -> dict[str, Record]:
        """Return a folder's records by the names of their files; two of one title get their UIDs into the names."""
        records = self.library.in_folder(item.folder, recursive=item.recursive)
        titles = [file_name(record.title) for record in records]
        files = {}
        for record, title in zip(records, titles, strict=True):
            name = title if titles.count(title) == 1 else f"{title}-{record.uid}"
            suffix = formats.FORMATS[item.format].extension or item.format
            files[f"{item.below}/{name}.{suffix}".lstrip("/")] = record
        return files

    def render_record(self, record: Record, form: str) -> bytes:
        """Return the content of a file of a folder."""
        return formats.write_content(form, self._content(record, form))

    def secret_data(self, secret: KubernetesSecret) -> dict[str, bytes]:
        """Return the data of a Kubernetes Secret: all values under their own names, or those that it gives keys to.

        Names that no key may have get ``_`` for each character in the way; two of one key are a :class:`FormatError`.
        """
        found: dict[str, bytes] = {}
        for source in secret.sources:
            for name, content in self._named(source, secret).items():
                key = secret.keys.get(name) or _NO_KEY.sub("_", name)
                if key in found:
                    raise FormatError(
                        f"Secret {secret.name!r}: two values for the key {key!r}; name keys by k8sSecretKeys"
                    )
                found[key] = content
        missing = sorted(secret.keys.keys() - self._used(secret))
        if missing:
            raise SelectionError(f"Secret {secret.name!r}: no field or file {missing[0]!r} in {secret.sources[0]}")
        return found

    def _used(self, secret: KubernetesSecret) -> set[str]:
        return {name for source in secret.sources for name in self._named(source, secret)}

    def _named(self, source: Reference, secret: KubernetesSecret) -> dict[str, bytes]:
        """Return the values of one source by field or file; of a whole record, files only where a key asks for them."""
        record = self.find_record(source)
        match source:
            case WholeRecord():
                values = {name: variable_text(value).encode() for name, value in record.named_values().items()}
                files = {item.name: item for item in record.attachments if item.name in secret.keys}
                values.update({name: self.download(record, item) for name, item in files.items()})
                return {name: value for name, value in values.items() if not secret.keys or name in secret.keys}
            case FileContent(file=file):
                return {file: self.download(record, select_file(source, record))}
            case FieldValue(field=name) | RecordText(which=name):
                return {name: variable_text(self.value(source)).encode()}

    def value(self, reference: Reference) -> JsonValue:
        """Return the value that *reference* names, for an environment variable."""
        if isinstance(reference, FileContent):
            raise SelectionError(f"{reference}: a file is no value; deliver it as a file")
        return select_value(reference, self.find_record(reference))

    def variables(self, environment: Environment) -> dict[str, str]:
        """Return environment variables by name; one that the plan names goes before one that follows from a field's name."""
        found: dict[str, str] = {}
        for item in environment.records:
            found.update(self._of_record(item))
        for variable in environment.variables:
            found[variable.name] = variable_text(self.value(variable.source))
        return found

    def _of_record(self, item: RecordVariablesItem) -> dict[str, str]:
        record = self.find_record(item.source)
        values = record.named_values()
        if item.fields:
            values = {field: select_value(FieldValue(_uid(record), field), record) for field in item.fields}
        content = formats.RecordContent(record.title, values)
        return formats.to_variable_names(record.title, formats.flatten(content), prefix=item.prefix)

    def find_record(self, reference: Reference) -> Record:
        """Return the record of *reference*."""
        return self.library.find(reference.record, strict=self.strict)

    def _formatted(self, source: Reference, form: str, fields: tuple[str, ...]) -> bytes:
        record = self.find_record(source)
        match source:
            case WholeRecord():
                return formats.write_content(form, self._content(record, form, fields))
            case FileContent():
                return self._file(record, source, form)
            case FieldValue(field=name) | RecordText(which=name):
                return formats.write_content(form, formats.RecordContent(record.title, {name: self.value(source)}))

    def _file(self, record: Record, source: FileContent, form: str) -> bytes:
        if form != "raw":
            raise FormatError(f"{source}: a file is delivered as it is; remove the format {form!r}")
        return self.download(record, select_file(source, record))

    def _content(self, record: Record, form: str, fields: tuple[str, ...] = ()) -> formats.RecordContent:
        values = record.named_values()
        if fields:
            values = {field: select_value(FieldValue(_uid(record), field), record) for field in fields}
        files = {item.name: self.download(record, item) for item in record.attachments} if form == PKCS12 else {}
        return formats.RecordContent(record.title, values, files)

    def _templated(self, item: FileItem, source: str) -> str:
        records = [self.find_record(reference) for reference in item.sources]
        data = [self._data(record, source) for record in records]
        titles = [record.title for record in records]
        try:
            return self.render_template(source, data[0] if len(data) == 1 else dict(zip(titles, data, strict=True)))
        except TemplateError as error:
            raise TemplateError(f"record {', '.join(map(repr, titles))}: {error}") from None

    def _data(self, record: Record, source: str) -> dict[str, JsonValue]:
        """Return what a template sees of a record. Files are fetched only for templates that speak of them."""
        data: dict[str, JsonValue] = {
            "title": record.title,
            "uid": record.uid,
            "type": record.type,
            "notes": record.notes,
        }
        data.update(record.named_values())
        if ".files" in source:
            data["files"] = {item.name: _text(record, item, self.download(record, item)) for item in record.attachments}
        return data


def variable_text(value: JsonValue) -> str:
    """Return *value* as an environment variable holds it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(record: Record, attachment: Attachment, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FormatError(
            f"record {record.title!r}: file {attachment.name!r} is not text; deliver it by itself, without a template"
        ) from None


def _uid(record: Record) -> RecordName:
    return RecordName((record.uid,))
