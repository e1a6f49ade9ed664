"""Collects what single annotations ask for: files, folders, environment variables and Kubernetes Secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import attrs

from keeper_injector_common.annotations import request
from keeper_injector_common.annotations.reader import Member, Reader
from keeper_injector_common.annotations.request import FolderFiles, RecordVariables, SecretFile, Variable
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.parsers import InvalidValue, variable_name
from keeper_injector_common.plan.delivery import Content, Formatted, KubernetesSecret, Templated
from keeper_injector_common.records.formats import problems_of_keys, to_variable_name
from keeper_injector_common.references import (
    FieldValue,
    FileContent,
    RecordName,
    Reference,
    WholeRecord,
    parse_file,
    parse_folder,
    split_target,
)


def files(reader: Reader) -> list[SecretFile]:
    """Return the files that ``records``, ``record-<handle>``, their older names, and ``file-<name>`` ask for."""
    details = _Details(reader)
    found = [*_listed_records(reader, details), *_named_records(reader, details), *_attachments(reader)]
    details.report_unused()
    return found


class _Details:
    """What annotations such as ``format-<name>`` say about the file of ``record-<name>``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._members = {stem: {item.name: item for item in reader.family(stem)} for stem in (*_OF_NAMED, *_OF_ANY)}
        self._used: set[str] = set()
        self._of_records: set[str] = set()
        """The annotations that apply to a record of ``records``."""

    def of(self, stem: str, name: str) -> Member | None:
        """Return the annotation of the family *stem* for the secret called *name*, or None."""
        member = self._members[stem].get(name)
        if member:
            self._used.add(member.key)
        return member

    def of_record(self, stem: str, title: str) -> Member | None:
        """Return the annotation of the family *stem* for the record *title* in ``records``, or None."""
        member = self.of(stem, title)
        if member:
            self._of_records.add(member.key)
        return member

    def refuse_shared(self, name: str, key: str) -> None:
        """Report annotations about a record called *name* that mean another record too, that of the annotation *key*."""
        for stem in _OF_ANY:
            item = self._members[stem].get(name)
            if item and item.key in self._of_records:
                found = f"it applies to {key} and to another record, {name!r}"
                self._reader.report(item.key, found, f"rename {key}, or write record-<handle> for both")

    def report_unused(self) -> None:
        """Report annotations for secrets that do not exist."""
        for stem, members in self._members.items():
            for item in members.values():
                if item.key not in self._used:
                    named = f", nor a record {item.name!r} in {PREFIX}records" if stem in _OF_ANY else ""
                    found = f"there is no {PREFIX}record-{item.name} that it applies to{named}"
                    self._reader.report(item.key, found, "add that, or remove this")


_OF_NAMED = ("format-", "template-")
"""Families about a file of ``record-<name>``."""
_OF_ANY = ("fields-", "keys-", "env-prefix-")
"""Families about a file of ``record-<name>``, or of a record of that name in ``records``."""


def folders(reader: Reader) -> Iterator[FolderFiles]:
    """Yield the folder that ``folder`` or ``folder-uid`` asks for."""
    given = [name for name in ("folder", "folder-uid") if name in reader]
    if len(given) > 1:
        reader.report(f"{PREFIX}folder-uid", f"{PREFIX}folder is set too", "keep one of the two")
    if not given:
        return
    where = PREFIX + given[0]
    text = reader.get(given[0])
    folder = RecordName((text,)) if given[0] == "folder-uid" else _folder_name(reader, where, text)
    if folder is not None:
        yield FolderFiles(where, folder, reader.get("folder-output-path"), recursive=reader.get("folder-recursive"))


def variables(
    reader: Reader, files: Sequence[SecretFile], complete: Collection[str]
) -> Iterator[Variable | RecordVariables]:
    """Yield the variables that ``env-<NAME>`` asks for and, with ``inject-env-vars``, those of the records of *files*.

    Files whose ``where`` is in *complete* have variables already.
    """
    for item in reader.family("env-"):
        source = reader.reference(item.key, item.value)
        try:
            name = variable_name(item.name)
        except InvalidValue as error:
            reader.report(item.key, error.found, error.right)
            continue
        if isinstance(source, WholeRecord):
            reader.report(item.key, f"{item.value!r} is a whole record", f"write {item.value}[field]")
        elif isinstance(source, FileContent):
            reader.report(item.key, "a file cannot be a variable", "deliver it as a file")
        elif source is not None:
            yield Variable(item.key, name, source)
    missing = [file for file in files if file.where not in complete]
    if reader.get("inject-env-vars"):
        yield from _variables_of(reader, missing)
        return
    for file in missing:
        if file.variable_prefix is not None and file.where.startswith(f"{PREFIX}config"):
            reader.warn(
                f"{file.where}.envPrefix", "has no effect by itself", "add injectAsEnvVars: true, or remove this"
            )


def variables_of_file(file: SecretFile, prefix: str) -> Iterator[Variable | RecordVariables]:
    """Yield the variables of the secrets in *file*: one for a single value, and those of the fields of a record.

    An attachment and a text of a record, such as its notes, have no variables.
    """
    containers = file.containers
    fields = file.content.selection if isinstance(file.content, Formatted) else ()
    for source in file.sources:
        match source:
            case WholeRecord():
                yield RecordVariables(file.where, source, prefix, fields, containers)
            case FieldValue(record=record, field=field, index=None, property=None, kind="any"):
                yield RecordVariables(file.where, WholeRecord(record), prefix, (field,), containers)
            case FieldValue(field=field):
                yield Variable(file.where, to_variable_name(field, prefix=prefix), source, containers)
            case _:
                pass


def kubernetes_secrets(reader: Reader, files: Sequence[SecretFile]) -> Iterator[KubernetesSecret]:
    """Yield the Kubernetes Secret that ``inject-as-k8s-secret`` asks for, made of the records of *files*."""
    if not reader.get("inject-as-k8s-secret"):
        return
    where = f"{PREFIX}inject-as-k8s-secret"
    name = reader.get("k8s-secret-name")
    if name is None:
        reader.report(where, "the Secret has no name", f"add {PREFIX}k8s-secret-name")
        return
    for file in files:
        if isinstance(file.content, Templated):
            found = f"the Secret gets all fields of the record of {file.where}, not what its template writes"
            reader.warn(where, found, "choose fields with k8sSecretKeys: in config")
        if isinstance(file.content, Formatted) and file.content.keys:
            found = f"the names that {file.where} gives to fields are those in a file, not keys of the Secret"
            reader.report(where, found, "write k8sSecretKeys: in config, or choose the fields without names")
    if not files:
        reader.report(
            where, "there is nothing to put into the Secret", f"add {PREFIX}records with the title of a record"
        )
        return
    yield KubernetesSecret(
        where=where,
        name=name,
        sources=tuple(source for file in files for source in request.chosen_sources(file.sources, file.content)),
        type=reader.get("k8s-secret-type"),
        mode=reader.get("k8s-secret-mode"),
        rotation=reader.get("k8s-secret-rotation"),
        owner_reference=reader.get("k8s-secret-owner-ref"),
    )


def _listed_records(reader: Reader, details: _Details) -> Iterator[SecretFile]:
    for name in _lists_of_records(reader):
        for item in reader.get(name):
            target, path = split_target(item)
            source = reader.reference(PREFIX + name, target)
            if source is not None:
                title = source.record.title
                fields, keys, prefix = (details.of_record(stem, title) for stem in _OF_ANY)
                chosen = _Chosen(fields=fields, keys=keys, prefix=prefix)
                yield from _file(reader, PREFIX + name, source, path, chosen)


def _lists_of_records(reader: Reader) -> list[str]:
    """Return the annotations with the records to deliver. ``secret`` and ``secrets`` add up, and repeat ``records`` at most."""
    given = [name for name in ("secret", "secrets") if name in reader]
    if "records" not in reader:
        return given
    same = set(reader.get("records"))
    for name in given:
        if set(reader.get(name)) != same:
            found = f"{PREFIX}records is the same setting, and has another value"
            reader.report(PREFIX + name, found, "keep one of the two")
    return ["records"]


def _named_records(reader: Reader, details: _Details) -> Iterator[SecretFile]:
    for secret in reader.family("record-"):
        # The value of secret-<name> may be a path alone. The title of the record is then the name: secret-db: /app/db.json
        target, path = ("", secret.value) if secret.value.startswith("/") else split_target(secret.value)
        source = reader.reference(secret.key, target) if target else WholeRecord(RecordName((secret.name,)))
        chosen = _Chosen(secret.name, *(details.of(stem, secret.name) for stem in (*_OF_NAMED, *_OF_ANY)))
        if source is not None:
            if source.record != RecordName((secret.name,)):
                details.refuse_shared(secret.name, secret.key)
            yield from _file(reader, secret.key, source, path, chosen)


def _attachments(reader: Reader) -> Iterator[SecretFile]:
    for item in reader.family("file-"):
        if item.value.startswith("/"):
            reader.report(item.key, "no file is named", f"write record:file:{item.value}")
            continue
        target, path = split_target(item.value)
        try:
            source = parse_file(target)
        except InvalidReferenceError as error:
            reader.report(item.key, error.found, error.right)
            continue
        yield from _file(reader, item.key, source, path, _Chosen(item.name))


@attrs.frozen
class _Chosen:
    """What other annotations say about one file."""

    name: str = ""
    """The part of the annotation after ``record-``, ``secret-`` or ``file-``."""
    form: Member | None = None
    template: Member | None = None
    fields: Member | None = None
    keys: Member | None = None
    prefix: Member | None = None


def _file(
    reader: Reader, where: str, source: Reference, path: str | None, chosen: _Chosen = _Chosen()
) -> Iterator[SecretFile]:
    clean = request.default_path(source, chosen.name) if path is None else reader.path(where, path)
    form, template, fields, keys = chosen.form, chosen.template, chosen.fields, chosen.keys
    if template:
        for other in filter(None, (form, fields, keys)):
            reader.report(
                other.key, f"{template.key} already determines the content of the file", "keep one of the two"
            )
    for other in filter(None, (fields, keys)):
        if not isinstance(source, WholeRecord):
            reader.report(other.key, f"{where} asks for one value already", "name the record alone, or remove this")
    if fields and keys:
        reader.report(fields.key, f"{keys.key} already chooses the fields", "keep one of the two")
    if clean is None:
        return
    content: Content
    if template:
        content = Templated(template.value)
    else:
        default = request.format_for(clean, source)
        content = Formatted(form.value if form else default, fields.value if fields else (), keys.value if keys else {})
        if keys and isinstance(source, WholeRecord):
            for field, problem in problems_of_keys(content.format, content.keys):
                reader.report(keys.key, f"field {field!r}: {problem.found}", problem.right)
    yield SecretFile(where, (source,), clean, content, variable_prefix=chosen.prefix.value if chosen.prefix else None)


def _folder_name(reader: Reader, where: str, text: str) -> RecordName | None:
    try:
        return parse_folder(text)
    except InvalidReferenceError as error:
        reader.report(where, error.found, error.right)
        return None


def _variables_of(reader: Reader, files: Sequence[SecretFile]) -> Iterator[Variable | RecordVariables]:
    for file in files:
        prefix = reader.get("env-prefix") or "" if file.variable_prefix is None else file.variable_prefix
        found = [*variables_of_file(file, prefix)] if len(file.sources) == 1 else []
        if not found:
            right = f"remove {PREFIX}inject-env-vars and use {PREFIX}env-<NAME>, if you do not expect this"
            reader.warn(file.where, "a file or template cannot become environment variables", right)
        yield from found
