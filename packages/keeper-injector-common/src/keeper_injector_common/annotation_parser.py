"""Annotations → :class:`~keeper_injector_common.request.InjectionRequest`, collecting every problem on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from keeper_injector_common import annotations as vocabulary
from keeper_injector_common import configuration, request
from keeper_injector_common.annotations import PREFIX
from keeper_injector_common.delivery import FORMATS, Content, Formatted, KubernetesSecret, Notify, Templated
from keeper_injector_common.errors import AnnotationsError, Problem, ReferenceSyntaxError
from keeper_injector_common.references import (
    FieldValue,
    FileContent,
    RecordName,
    Reference,
    WholeRecord,
    parse_file,
    parse_reference,
    relative_path,
    split_target,
)
from keeper_injector_common.request import (
    AdditionalCa,
    AwsCredentials,
    AzureCredentials,
    Credentials,
    FolderFiles,
    GcpCredentials,
    InjectionRequest,
    RecordVariables,
    Resources,
    SecretCredentials,
    SecretFile,
    Variable,
)
from keeper_injector_common.values import InvalidValue, choice, file_path, variable_name

NO_DEFAULTS: Mapping[str, str] = {}
_format = choice(*FORMATS)


def wants_injection(annotations: Mapping[str, str]) -> bool:
    """Say whether a pod asks for injection; raises :class:`AnnotationsError` when its switch is malformed."""
    inject = vocabulary.BY_NAME["inject"]
    try:
        return bool(inject.parse(annotations.get(inject.key, "false")))
    except InvalidValue as error:
        raise AnnotationsError([Problem(inject.key, str(error))]) from None


def parse_request(annotations: Mapping[str, str], defaults: Mapping[str, str] = NO_DEFAULTS) -> InjectionRequest:
    """Read a pod's *annotations* (whole keys) over *defaults* (names without prefix, as a chart or namespace sets them).

    Raises :class:`AnnotationsError` with every problem. What is odd but harmless is in the request's ``warnings``.
    """
    reader = _Reader(annotations, defaults)
    result = reader.request()
    if reader.problems:
        raise AnnotationsError(reader.problems)
    return result


@attrs.define
class _Family:
    """One annotation of a family such as ``secret-<name>``."""

    key: str
    member: str
    value: Any


class _Reader:
    """Reads one pod; every method notes problems and goes on."""

    def __init__(self, annotations: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self._values: dict[str, Any] = {}
        self._families: dict[str, list[_Family]] = {stem: [] for stem in vocabulary.FAMILIES}
        for name, text in defaults.items():
            known = vocabulary.BY_NAME.get(name)
            if known is None or not known.default_allowed:
                self._report(f"default {name}", "no annotation that can have a default; remove it")
                continue
            self._read(f"default {name}", known, "", text)
        for key in sorted(annotations):
            if key.startswith(PREFIX) and key not in vocabulary.SET_BY_WEBHOOK:
                self._annotation(key, annotations[key])

    def request(self) -> InjectionRequest:
        get = self._values.get
        configured = self._configuration()
        files = [*self._simple_secrets(), *self._named_secrets(), *self._attachments(), *configured.files]
        folders = [*self._folder(), *configured.folders]
        variables = [*self._variables(files), *configured.variables]
        secrets = [*self._kubernetes_secrets(files), *configured.kubernetes_secrets]
        if not (files or folders or variables or secrets or self.problems):
            self._report(f"{PREFIX}inject", f"nothing to inject; add {PREFIX}secret with the title of a record")
        named: dict[str, Any] = {
            name.replace("-", "_"): get(name)
            for name in [
                "init-only",
                "fail-on-error",
                "strict-lookup",
                "on-removal",
                "init-first",
                "sidecar",
                "volume-size",
                "file-mode",
                "run-as-user",
                "run-as-group",
                "agent-image",
                "log-level",
                "metrics-port",
                "env-mode",
                "refresh-interval",
                "containers",
            ]
            if name in self._values
        }
        return InjectionRequest(
            files=tuple(files),
            folders=tuple(folders),
            variables=tuple(variables),
            kubernetes_secrets=tuple(secrets),
            credentials=self._credentials(),
            ca=self._ca(),
            notify=self._notify(),
            resources=Resources(
                *(get(f"agent-{line}") for line in ("requests-cpu", "requests-memory", "limits-cpu", "limits-memory"))
            ),
            warnings=tuple(self.warnings),
            **named,
        )

    # Reading single annotations

    def _report(self, where: str, message: str) -> None:
        self.problems.append(Problem(where, message))

    def _annotation(self, key: str, text: str) -> None:
        found = vocabulary.find(key.removeprefix(PREFIX))
        if found is None:
            near = vocabulary.nearest(key.removeprefix(PREFIX))
            self.warnings.append(f"{key}: unknown annotation, ignored" + (f"; did you mean {near}?" if near else ""))
            return
        annotation, member = found
        if annotation.replaced_by:
            new = PREFIX + annotation.replaced_by
            self.warnings.append(f"{key}: old name; write {new}")
            annotation = vocabulary.BY_NAME[annotation.replaced_by]
        self._read(key, annotation, member, text)

    def _read(self, where: str, annotation: vocabulary.Annotation, member: str, text: str) -> None:
        try:
            value = annotation.parse(text)
        except InvalidValue as error:
            self._report(where, str(error))
            return
        if annotation.stem:
            self._families[annotation.stem].append(_Family(where, member, value))
        else:
            self._values[annotation.name] = value

    def _reference(self, where: str, text: str) -> Reference | None:
        if relative := relative_path(text):
            title = text.replace(f":{relative}", f"\\:{relative}")
            self._report(
                where, f"the path {relative!r} is relative; write /{relative.lstrip('./')}, or {title} for a title"
            )
            return None
        try:
            return parse_reference(text)
        except ReferenceSyntaxError as error:
            self._report(where, str(error))
            return None

    def _path(self, where: str, text: str) -> str | None:
        try:
            return file_path(text)
        except InvalidValue as error:
            self._report(where, str(error))
            return None

    # What to inject

    def _configuration(self) -> configuration.Configured:
        text = self._values.get("config")
        if text is None:
            return configuration.Configured()
        return configuration.parse(f"{PREFIX}config", text, self.problems)

    def _simple_secrets(self) -> Iterator[SecretFile]:
        for name in ("secret", "secrets"):
            for item in self._values.get(name, ()):
                where = PREFIX + name
                target, path = split_target(item)
                source = self._reference(where, target)
                if source is not None:
                    yield from self._file(where, source, path, "")

    def _named_secrets(self) -> Iterator[SecretFile]:
        secrets = self._families["secret-"]
        formats = {item.member: item for item in self._families["format-"]}
        templates = {item.member: item for item in self._families["template-"]}
        for secret in secrets:
            # The value of secret-<name> may be a path alone: then <name> is the title.
            target, path = ("", secret.value) if secret.value.startswith("/") else split_target(secret.value)
            source = self._reference(secret.key, target) if target else WholeRecord(RecordName((secret.member,)))
            if source is not None:
                yield from self._file(
                    secret.key,
                    source,
                    path,
                    secret.member,
                    form=formats.pop(secret.member, None),
                    template=templates.pop(secret.member, None),
                )
            formats.pop(secret.member, None)
            templates.pop(secret.member, None)
        for orphan in [*formats.values(), *templates.values()]:
            self._report(orphan.key, f"belongs to no secret; add {PREFIX}secret-{orphan.member} or remove it")

    def _file(
        self,
        where: str,
        source: Reference,
        path: str | None,
        name: str,
        *,
        form: _Family | None = None,
        template: _Family | None = None,
    ) -> Iterator[SecretFile]:
        clean = request.default_path(source, name) if path is None else self._path(where, path)
        if form and template:
            self._report(form.key, f"{template.key} already says what the file holds; keep one of the two")
        if clean is None:
            return
        content: Content = Formatted(request.format_for(clean, source))
        if template:
            content = Templated(template.value)
        elif form:
            try:
                content = Formatted(_format(form.value))
            except InvalidValue as error:
                self._report(form.key, str(error))
        yield SecretFile(where, (source,), clean, content)

    def _attachments(self) -> Iterator[SecretFile]:
        for item in self._families["file-"]:
            if item.value.startswith("/"):
                self._report(item.key, f"names no file; write record:file:{item.value}")
                continue
            target, path = split_target(item.value)
            try:
                source = parse_file(target)
            except ReferenceSyntaxError as error:
                self._report(item.key, str(error))
                continue
            yield from self._file(item.key, source, path, item.member)

    def _folder(self) -> Iterator[FolderFiles]:
        get = self._values.__getitem__
        given = [name for name in ("folder", "folder-uid") if name in self._values]
        if len(given) > 1:
            self._report(f"{PREFIX}folder-uid", f"{PREFIX}folder names a folder too; keep one of the two")
        if not given:
            self.warnings.extend(
                f"{PREFIX}{name}: has no effect without {PREFIX}folder"
                for name in ("folder-path", "folder-recursive")
                if name in self._values
            )
            return
        where = PREFIX + given[0]
        text = get(given[0])
        folder = RecordName((text,)) if given[0] == "folder-uid" else self._folder_name(where, text)
        if folder is not None:
            directory = self._values.get("folder-path", request.DEFAULT_DIRECTORY)
            recursive = self._values.get("folder-recursive", False)
            yield FolderFiles(where, folder, directory, recursive=recursive)

    def _folder_name(self, where: str, text: str) -> RecordName | None:
        match self._reference(where, text.strip("/")):
            case WholeRecord(name):
                return name
            case None:
                return None
            case _:
                pass
        self._report(where, f"{text!r} is no path of a folder; write names with '/' between them")
        return None

    # Environment variables and Kubernetes Secrets

    def _variables(self, files: list[SecretFile]) -> Iterator[Variable | RecordVariables]:
        get = self._values.get
        for item in self._families["env-"]:
            source = self._reference(item.key, item.value)
            try:
                name = variable_name(item.member)
            except InvalidValue as error:
                self._report(item.key, str(error))
                continue
            if isinstance(source, WholeRecord):
                self._report(item.key, f"{item.value!r} is a whole record; write {item.value}[field]")
            elif isinstance(source, FileContent):
                self._report(item.key, "a file cannot be a variable; deliver it as a file")
            elif source is not None:
                yield Variable(item.key, name, source)
        if get("inject-env-vars", False):
            yield from self._variables_of(files)
        elif "env-prefix" in self._values:
            self.warnings.append(f'{PREFIX}env-prefix: has no effect without {PREFIX}inject-env-vars: "true"')

    def _variables_of(self, files: list[SecretFile]) -> Iterator[Variable | RecordVariables]:
        prefix = self._values.get("env-prefix", "")
        for file in files:
            match file.sources:
                case (WholeRecord() as record,):
                    yield RecordVariables(file.where, record, prefix)
                case (FieldValue(record=record, field=field),):
                    yield RecordVariables(file.where, WholeRecord(record), prefix, (field,))
                case _:
                    self.warnings.append(f"{file.where}: a file or template is no environment variable")

    def _kubernetes_secrets(self, files: list[SecretFile]) -> Iterator[KubernetesSecret]:
        get = self._values.get
        if not get("inject-as-k8s-secret", False):
            return
        where = f"{PREFIX}inject-as-k8s-secret"
        name = get("k8s-secret-name")
        if name is None:
            self._report(where, f"the Secret has no name; add {PREFIX}k8s-secret-name")
            return
        if not files:
            self._report(where, f"no secret is asked for; add {PREFIX}secret with the title of a record")
            return
        yield KubernetesSecret(
            where,
            name,
            tuple(source for file in files for source in file.sources),
            type=get("k8s-secret-type", "Opaque"),
            mode=get("k8s-secret-mode", "overwrite"),
            rotation=get("k8s-secret-rotation", False),
            owner_reference=get("k8s-secret-owner-ref", True),
        )

    # Where the KSM configuration comes from, and the rest

    def _credentials(self) -> Credentials:
        get = self._values.get
        match get("auth-method", "secret"):
            case "aws-secrets-manager":
                return AwsCredentials(self._needed("aws-secret-id", "aws-secrets-manager"), get("aws-region", ""))
            case "gcp-secret-manager":
                return GcpCredentials(self._needed("gcp-secret-id", "gcp-secret-manager"))
            case "azure-key-vault":
                vault = self._needed("azure-vault-name", "azure-key-vault")
                return AzureCredentials(vault, self._needed("azure-secret-name", "azure-key-vault"))
            case _:
                return SecretCredentials(get("ksm-config", request.DEFAULT_SECRET))

    def _needed(self, name: str, method: str) -> str:
        if name not in self._values:
            self._report(f"{PREFIX}auth-method", f"{method} needs {PREFIX}{name}; add it")
        return str(self._values.get(name, ""))

    def _ca(self) -> AdditionalCa | None:
        secret, configmap = self._values.get("ca-cert-secret"), self._values.get("ca-cert-configmap")
        if secret and configmap:
            self._report(f"{PREFIX}ca-cert-configmap", f"{PREFIX}ca-cert-secret is set too; keep one of the two")
        key = self._values.get("ca-cert-key", "ca.crt")
        if secret:
            return AdditionalCa("secret", secret, key)
        return AdditionalCa("configmap", configmap, key) if configmap else None

    def _notify(self) -> Notify | None:
        signal, process, url = (self._values.get(name) for name in ("signal", "signal-process", "notify-url"))
        if process and not signal:
            self._report(f"{PREFIX}signal-process", f"no signal is named; add {PREFIX}signal: SIGHUP")
        return Notify(signal, process, url) if signal or url else None
