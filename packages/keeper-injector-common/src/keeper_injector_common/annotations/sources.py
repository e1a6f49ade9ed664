"""Collects what single annotations ask for: files, folders, environment variables and Kubernetes Secrets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keeper_injector_common.annotations import request
from keeper_injector_common.annotations.reader import Member, Reader
from keeper_injector_common.annotations.request import FolderFiles, RecordVariables, SecretFile, Variable
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import InvalidReferenceError
from keeper_injector_common.parsers import InvalidValue, variable_name
from keeper_injector_common.plan.delivery import Content, Formatted, KubernetesSecret, Templated
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
    """Return the files that ``secret``, ``secrets``, ``secret-<name>`` and ``file-<name>`` ask for."""
    return [*_simple_secrets(reader), *_named_secrets(reader), *_attachments(reader)]


def folders(reader: Reader) -> Iterator[FolderFiles]:
    """Yield the folder that ``folder`` or ``folder-uid`` asks for."""
    given = [name for name in ("folder", "folder-uid") if name in reader]
    if len(given) > 1:
        reader.report(f"{PREFIX}folder-uid", f"{PREFIX}folder is set too", "keep one of the two")
    if not given:
        for name in ("folder-path", "folder-recursive"):
            if name in reader:
                reader.warn(f"{PREFIX}{name}", f"has no effect without {PREFIX}folder", "add that, or remove this")
        return
    where = PREFIX + given[0]
    text = reader.get(given[0])
    folder = RecordName((text,)) if given[0] == "folder-uid" else _folder_name(reader, where, text)
    if folder is not None:
        yield FolderFiles(where, folder, reader.get("folder-path"), recursive=reader.get("folder-recursive"))


def variables(reader: Reader, files: Sequence[SecretFile]) -> Iterator[Variable | RecordVariables]:
    """Yield the variables that ``env-<NAME>`` asks for and, with ``inject-env-vars``, those of the records of *files*."""
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
    if reader.get("inject-env-vars"):
        yield from _variables_of(reader, files)
    elif "env-prefix" in reader:
        found = f'has no effect without {PREFIX}inject-env-vars: "true"'
        reader.warn(f"{PREFIX}env-prefix", found, "add that, or remove this")


def kubernetes_secrets(reader: Reader, files: Sequence[SecretFile]) -> Iterator[KubernetesSecret]:
    """Yield the Kubernetes Secret that ``inject-as-k8s-secret`` asks for, made of the records of *files*."""
    if not reader.get("inject-as-k8s-secret"):
        return
    where = f"{PREFIX}inject-as-k8s-secret"
    name = reader.get("k8s-secret-name")
    if name is None:
        reader.report(where, "the Secret has no name", f"add {PREFIX}k8s-secret-name")
        return
    if not files:
        reader.report(
            where, "there is nothing to put into the Secret", f"add {PREFIX}secret with the title of a record"
        )
        return
    yield KubernetesSecret(
        where=where,
        name=name,
        sources=tuple(source for file in files for source in file.sources),
        type=reader.get("k8s-secret-type"),
        mode=reader.get("k8s-secret-mode"),
        rotation=reader.get("k8s-secret-rotation"),
        owner_reference=reader.get("k8s-secret-owner-ref"),
    )


def _simple_secrets(reader: Reader) -> Iterator[SecretFile]:
    for name in ("secret", "secrets"):
        for item in reader.get(name) or ():
            target, path = split_target(item)
            source = reader.reference(PREFIX + name, target)
            if source is not None:
                yield from _file(reader, PREFIX + name, source, path, "")


def _named_secrets(reader: Reader) -> Iterator[SecretFile]:
    formats = {item.name: item for item in reader.family("format-")}
    templates = {item.name: item for item in reader.family("template-")}
    for secret in reader.family("secret-"):
        # The value may be a path alone. The title of the record is then the name: secret-db: /app/db.json
        target, path = ("", secret.value) if secret.value.startswith("/") else split_target(secret.value)
        source = reader.reference(secret.key, target) if target else WholeRecord(RecordName((secret.name,)))
        form, template = formats.pop(secret.name, None), templates.pop(secret.name, None)
        if source is not None:
            yield from _file(reader, secret.key, source, path, secret.name, form=form, template=template)
    for orphan in [*formats.values(), *templates.values()]:
        reader.report(
            orphan.key, f"there is no {PREFIX}secret-{orphan.name} that it applies to", "add that, or remove this"
        )


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
        yield from _file(reader, item.key, source, path, item.name)


def _file(
    reader: Reader,
    where: str,
    source: Reference,
    path: str | None,
    name: str,
    *,
    form: Member | None = None,
    template: Member | None = None,
) -> Iterator[SecretFile]:
    clean = request.default_path(source, name) if path is None else reader.path(where, path)
    if form and template:
        reader.report(form.key, f"{template.key} already determines the content of the file", "keep one of the two")
    if clean is None:
        return
    content: Content = Formatted(request.format_for(clean, source))
    if template:
        content = Templated(template.value)
    elif form:
        content = Formatted(form.value)
    yield SecretFile(where, (source,), clean, content)


def _folder_name(reader: Reader, where: str, text: str) -> RecordName | None:
    try:
        return parse_folder(text)
    except InvalidReferenceError as error:
        reader.report(where, error.found, error.right)
        return None


def _variables_of(reader: Reader, files: Sequence[SecretFile]) -> Iterator[RecordVariables]:
    prefix = reader.get("env-prefix") or ""
    for file in files:
        match file.sources:
            case (WholeRecord() as record,):
                yield RecordVariables(file.where, record, prefix)
            case (FieldValue(record=record, field=field),):
                yield RecordVariables(file.where, WholeRecord(record), prefix, (field,))
            case _:
                right = f"remove {PREFIX}inject-env-vars and use {PREFIX}env-<NAME>, if you do not expect this"
                reader.warn(file.where, "a file or template cannot become environment variables", right)
