"""The YAML form of a request: the value of ``keeper.security/config``, with its own names and the Go injector's."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations import request
from keeper_injector_common.annotations.request import Containers, FolderFiles, RecordVariables, SecretFile
from keeper_injector_common.errors import InvalidReferenceError, Problem, Severity
from keeper_injector_common.plan.delivery import FORMATS, Content, Formatted, KubernetesSecret, Templated
from keeper_injector_common.records import templates
from keeper_injector_common.references import (
    FieldValue,
    FileContent,
    RecordName,
    Reference,
    WholeRecord,
    parse_reference,
)
from keeper_injector_common.yaml_document import Section, load

if TYPE_CHECKING:
    from collections.abc import Callable


@attrs.frozen
class Configured:
    """What a YAML document asks for."""

    files: tuple[SecretFile, ...] = ()
    folders: tuple[FolderFiles, ...] = ()
    variables: tuple[RecordVariables, ...] = ()
    kubernetes_secrets: tuple[KubernetesSecret, ...] = ()


def parse(where: str, text: str, problems: list[Problem], warnings: list[Problem]) -> Configured:
    """Read the document in *text*, adding what is wrong to *problems* and what is odd to *warnings*, with paths below *where*."""
    try:
        content = load(text)
    except parsers.InvalidValue as error:
        problems.append(Problem(where, error.found, error.right))
        return Configured()
    if not isinstance(content, dict):
        problems.append(Problem(where, "the document is no mapping", "write secrets: or folders: with a list"))
        return Configured()
    root = Section(content, f"{where}: ", problems)
    secrets = [_Secret(entry, warnings) for entry in root.mappings("secrets")]
    folders = [folder for entry in root.mappings("folders") if (folder := _folder(entry))]
    root.finish()
    return Configured(
        tuple(file for secret in secrets for file in secret.files),
        tuple(folders),
        tuple(variables for secret in secrets for variables in secret.variables),
        tuple(item for secret in secrets for item in secret.kubernetes_secrets),
    )


BY_TEMPLATE = "template"
"""What may stand as ``format:`` beside a template, and says no more than that."""


class _Secret:
    """One entry of ``secrets:``."""

    def __init__(self, entry: Section, warnings: list[Problem]) -> None:
        self.files: list[SecretFile] = []
        self.variables: list[RecordVariables] = []
        self.kubernetes_secrets: list[KubernetesSecret] = []
        sources = _sources(entry)
        path = entry.text("path", parsers.file_path)
        content = _content(entry, path, sources)
        mode = entry.text("mode", parsers.file_mode)
        containers = _containers(entry)
        as_variables = entry.switch("injectAsEnvVars", default=False)
        prefix = entry.text("envPrefix", parsers.variable_prefix) or ""
        as_secret = entry.switch("injectAsK8sSecret", default=False)
        secret = _kubernetes_secret(entry, sources, warnings) if as_secret else None
        if not as_secret:
            _refuse_secret_keys(entry)
        entry.finish()
        if not sources or content is None:
            return
        if secret:
            self.kubernetes_secrets.append(secret)
        if as_variables:
            self._as_variables(entry, sources, content, prefix, containers)
        # An entry that names another delivery and no path is not delivered as a file as well.
        if path or not (as_variables or as_secret):
            target = path or request.default_path(sources[0])
            self.files.append(SecretFile(entry.place, sources, target, content, mode, containers))

    def _as_variables(
        self, entry: Section, sources: tuple[Reference, ...], content: Content, prefix: str, containers: Containers
    ) -> None:
        fields = content.fields if isinstance(content, Formatted) else ()
        for source in sources:
            match source:
                case WholeRecord():
                    self.variables.append(RecordVariables(entry.place, source, prefix, fields, containers))
                case FieldValue(record=record, field=field):
                    only = RecordVariables(entry.place, WholeRecord(record), prefix, (field,), containers)
                    self.variables.append(only)
                case _:
                    entry.report("injectAsEnvVars", "a file or note cannot be a variable", "deliver it as a file")


def _sources(entry: Section) -> tuple[Reference, ...]:
    given = [key for key in ("record", "notation", "records") if entry.has(key)]
    record = entry.text("record", parsers.text)
    notation = entry.text("notation", parsers.text)
    records = entry.texts("records", parsers.text)
    file = entry.text("file", parsers.text, "fileName")
    if len(given) != 1:
        entry.report("", "exactly one source is needed", "write record:, notation: or, for a template, records:")
        return ()
    if file is not None and record is None:
        entry.report("file", "belongs to a record", "write record: beside it, or a notation with /file/")
        return ()
    if records is not None:
        found = [_reference(entry, "records", text) for text in records]
        return tuple(source for source in found if source)
    source = _reference(entry, given[0], record or notation or "") if record or notation else None
    if source is None:
        return ()
    if file is None:
        return (source,)
    if not isinstance(source, WholeRecord):
        entry.report("file", "the record already names a part of it", "write its title or UID alone")
        return ()
    return (FileContent(source.record, file),)


def _reference(entry: Section, key: str, text: str) -> Reference | None:
    try:
        return parse_reference(text)
    except InvalidReferenceError as error:
        entry.report(key, error.found, error.right)
        return None


def _content(entry: Section, path: str | None, sources: tuple[Reference, ...]) -> Content | None:
    fields = entry.texts("fields", parsers.text) or ()
    form = entry.text("format", parsers.choice(*FORMATS, BY_TEMPLATE))
    has_template = entry.has("template")
    template = entry.text("template", templates.template_source)
    if form == BY_TEMPLATE:
        # The Go injector's documents say so beside the template; alone it says nothing.
        form = None
        if not has_template:
            entry.report("format", "a template is announced and missing", "add template:, or remove the format")
    if has_template:
        for key, given in (("format", form), ("fields", fields)):
            if given:
                entry.report(key, "the template already says what the file holds", "keep one of the two")
        return None if template is None else Templated(template)
    if not sources:
        return None
    if len(sources) > 1:
        entry.report("records", "several records need a template", "add template:")
        return None
    if fields and not isinstance(sources[0], WholeRecord):
        entry.report("fields", "the source is one value already", "name the record alone")
    if form is None:
        form = request.format_for(path or request.default_path(sources[0]), sources[0])
    return Formatted(form, fields)


def _containers(entry: Section) -> Containers:
    names = entry.texts("containers", parsers.object_name)
    if names is not None and not names:
        entry.report("containers", "the list is empty", "name a container or leave the key out")
    return names


_SECRET_KEYS: dict[str, Callable[[str], str]] = {
    "k8sSecretName": parsers.object_name,
    "k8sSecretType": parsers.text,
    "k8sSecretMode": parsers.choice("overwrite", "merge", "skip-if-exists", "fail"),
}


NEEDED_KEYS = {
    "kubernetes.io/tls": {"tls.crt", "tls.key"},
    "kubernetes.io/dockerconfigjson": {".dockerconfigjson"},
    "kubernetes.io/ssh-auth": {"ssh-privatekey"},
}
"""Keys without which API servers refuse a Secret of the type (Kubernetes, validation.ValidateSecret)."""


def _kubernetes_secret(
    entry: Section, sources: tuple[Reference, ...], warnings: list[Problem]
) -> KubernetesSecret | None:
    name, kind, mode = (entry.text(key, parse) for key, parse in _SECRET_KEYS.items())
    keys, sources = _keys(entry, kind or "", sources, warnings)
    rotation = entry.switch("k8sSecretRotation", default=False)
    owner = entry.switch("k8sSecretOwnerRef", default=True)
    if name is None:
        entry.report("injectAsK8sSecret", "the Secret has no name", "add k8sSecretName:")
        return None
    return KubernetesSecret(
        entry.place,
        name,
        sources,
        kind or "Opaque",
        mode or "overwrite",
        keys=keys,
        rotation=rotation,
        owner_reference=owner,
    )


def _keys(
    entry: Section, kind: str, sources: tuple[Reference, ...], warnings: list[Problem]
) -> tuple[dict[str, str], tuple[Reference, ...]]:
    """Return what becomes which key; the Go injector's example for TLS has it the other way round, and is understood."""
    keys = entry.pairs("k8sSecretKeys", parsers.data_key)
    needed = NEEDED_KEYS.get(kind, set())
    if not keys or needed <= set(keys.values()):
        return keys, sources
    if not needed <= keys.keys():
        missing = ", ".join(sorted(needed - set(keys.values())))
        entry.report("k8sSecretKeys", f"a Secret of type {kind} needs {missing}", f"write the field or file: {missing}")
        return keys, sources
    turned = {name: key for key, name in keys.items()}
    shown = ", ".join(f"{name}: {key}" for name, key in turned.items())
    where, right = entry.inside("k8sSecretKeys"), f"write {{{shown}}}"
    warnings.append(Problem(where, "fields or files come first", right, Severity.WARNING))
    # Keys name the files of the record; one that is named besides would leave out the others.
    whole = tuple(WholeRecord(source.record) if isinstance(source, FileContent) else source for source in sources)
    return turned, whole


def _refuse_secret_keys(entry: Section) -> None:
    for key in (*_SECRET_KEYS, "k8sSecretKeys"):
        if entry.has(key):
            entry.report(key, "has no effect by itself", "add injectAsK8sSecret: true")
            _ = entry.pairs(key, parsers.text) if key == "k8sSecretKeys" else entry.text(key, parsers.text)


def _folder(entry: Section) -> FolderFiles | None:
    path = entry.text("path", parsers.text, "folderPath")
    uid = entry.text("uid", parsers.text, "folderUid")
    directory = entry.text("outputPath", parsers.absolute_path) or request.DEFAULT_DIRECTORY
    recursive = entry.switch("recursive", default=False)
    form = entry.text("format", parsers.choice(*FORMATS)) or "json"
    containers = _containers(entry)
    entry.finish()
    if (path is None) == (uid is None):
        entry.report("", "exactly one folder is needed", "write path: or uid:")
        return None
    if uid is not None:
        return FolderFiles(entry.place, RecordName((uid,)), directory, recursive, form, containers)
    name = _reference(entry, "path", cast("str", path).strip("/"))
    if not isinstance(name, WholeRecord):
        if name is not None:
            entry.report("path", f"{path!r} is no path of a folder", "write names with '/' between them")
        return None
    return FolderFiles(entry.place, name.record, directory, recursive, form, containers)
