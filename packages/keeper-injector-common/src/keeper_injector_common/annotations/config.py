"""The ``keeper.security/config`` document in YAML → what it asks for; it has our keys and those of the Go injector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations import request
from keeper_injector_common.annotations.config_content import read_content
from keeper_injector_common.annotations.config_keys import (
    FOLDERS,
    SECRETS,
    SOURCES,
    FolderKeys,
    SecretKeys,
)
from keeper_injector_common.annotations.reader import problems_of_templates, too_many_secrets
from keeper_injector_common.annotations.request import Containers, FolderFiles, RecordVariables, SecretFile, Variable
from keeper_injector_common.annotations.sources import variables_of_file
from keeper_injector_common.errors import InvalidReferenceError, Problem, Severity
from keeper_injector_common.limits import MOST_SECRETS
from keeper_injector_common.plan.delivery import (
    DEFAULT_FORMAT,
    DEFAULT_SECRET_MODE,
    DEFAULT_SECRET_TYPE,
    Content,
    Formatted,
    KubernetesSecret,
    Templated,
)
from keeper_injector_common.references import (
    FileContent,
    RecordName,
    Reference,
    WholeRecord,
    parse_folder,
    parse_reference,
)
from keeper_injector_common.yaml_document import Section, load_yaml


@attrs.frozen
class ConfigDeliveries:
    """What a YAML document asks for."""

    files: tuple[SecretFile, ...] = ()
    folders: tuple[FolderFiles, ...] = ()
    variables: tuple[Variable | RecordVariables, ...] = ()
    kubernetes_secrets: tuple[KubernetesSecret, ...] = ()
    keys: tuple[tuple[str, str, str], ...] = ()
    """The keys of all entries: the path of the entry, the list that it is in, and the key."""


def parse_config(
    where: str, text: str, problems: list[Problem], warnings: list[Problem], templates: Sequence[str] = ()
) -> ConfigDeliveries:
    """Read the document in *text*; add errors to *problems* and oddities to *warnings*, with their paths below *where*.

    *templates* are those that the pod has elsewhere; the limits apply to all of them together.
    """
    try:
        content = load_yaml(text)
    except parsers.InvalidValue as error:
        problems.append(Problem(where, error.found, error.right))
        return ConfigDeliveries()
    if not isinstance(content, dict):
        problems.append(Problem(where, "the document is not a mapping", "write secrets: or folders: with a list"))
        return ConfigDeliveries()
    lists = [entries for key in (SECRETS, FOLDERS) if isinstance(entries := content.get(key), list)]
    if (count := sum(map(len, lists))) > MOST_SECRETS:
        problems.append(too_many_secrets(where, count))
        return ConfigDeliveries()
    own = [item.get(SecretKeys.TEMPLATE.name) for entries in lists for item in entries if isinstance(item, dict)]
    if too_large := [*problems_of_templates(where, [*templates, *(text for text in own if isinstance(text, str))])]:
        problems += too_large
        return ConfigDeliveries()
    root = Section(content, f"{where}: ", problems)
    secrets = [_Secret(entry, warnings) for entry in root.mappings(SECRETS)]
    folders = [folder for entry in root.mappings(FOLDERS) if (folder := _folder(entry))]
    root.finish()
    return ConfigDeliveries(
        tuple(file for secret in secrets for file in secret.files),
        tuple(folders),
        tuple(variables for secret in secrets for variables in secret.variables),
        tuple(item for secret in secrets for item in secret.kubernetes_secrets),
        tuple(_keys_in(content)),
    )


def _keys_in(content: dict[str, object]) -> Iterator[tuple[str, str, str]]:
    for name in (SECRETS, FOLDERS):
        entries = content.get(name)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            for key in entry if isinstance(entry, dict) else ():
                yield f"{name}[{number}]", name, str(key)


class _Secret:
    """One entry of ``secrets``."""

    def __init__(self, entry: Section, warnings: list[Problem]) -> None:
        self.files: list[SecretFile] = []
        self.variables: list[Variable | RecordVariables] = []
        self.kubernetes_secrets: list[KubernetesSecret] = []
        of_file = [key.name for key in (SecretKeys.TEMPLATE, SecretKeys.FORMAT, SecretKeys.MODE) if entry.has(key.name)]
        sources = _sources(entry)
        path = SecretKeys.PATH.read(entry)
        content = read_content(entry, path, sources)
        mode = SecretKeys.MODE.read(entry)
        containers = _containers(entry)
        as_variables = SecretKeys.AS_VARIABLES.read(entry)
        prefix = SecretKeys.PREFIX.read(entry)
        as_secret = SecretKeys.AS_SECRET.read(entry)
        # An entry with another delivery becomes a file only if it has a path.
        is_file = bool(path) or not (as_variables or as_secret)
        if isinstance(content, Formatted) and content.keys and not is_file:
            right = "add path:" if as_variables else "add path:, or write k8sSecretKeys:"
            entry.report(SecretKeys.KEYS.name, "has no effect without a file", right)
        if not is_file:
            _refuse_file_keys(entry, of_file, warnings)
        secret = _kubernetes_secret(entry, sources, content, warnings) if as_secret else None
        if not as_secret:
            _refuse_secret_keys(entry)
        entry.finish()
        if not sources or content is None:
            return
        if secret:
            self.kubernetes_secrets.append(secret)
        target = path or request.default_path(sources[0])
        file = SecretFile(entry.path, sources, target, content, mode, containers, prefix)
        if as_variables:
            self._add_variables(entry, file)
        if is_file:
            self.files.append(file)

    def _add_variables(self, entry: Section, file: SecretFile) -> None:
        found = [*variables_of_file(file, file.variable_prefix or "")]
        if not found:
            key, right = SecretKeys.AS_VARIABLES.name, "deliver it as a file"
            entry.report(key, "a file, a note or several records cannot be variables", right)
        self.variables += found


def _sources(entry: Section) -> tuple[Reference, ...]:
    given = [key.name for key in SOURCES if entry.has(key.name)]
    record = SecretKeys.RECORD.read(entry)
    notation = SecretKeys.NOTATION.read(entry)
    records = SecretKeys.RECORDS.read(entry)
    file = SecretKeys.FILE.read(entry)
    if len(given) != 1:
        entry.report("", "exactly one source is needed", "write record:, notation: or, for a template, records:")
        return ()
    if file is not None and record is None:
        entry.report(SecretKeys.FILE.name, "belongs to a record", "write record: beside it, or a notation with /file/")
        return ()
    if records is not None:
        found = [_reference(entry, SecretKeys.RECORDS.name, text) for text in records]
        return tuple(source for source in found if source)
    source = _reference(entry, given[0], record or notation or "") if record or notation else None
    if source is None:
        return ()
    if file is None:
        return (source,)
    if not isinstance(source, WholeRecord):
        entry.report(SecretKeys.FILE.name, "the record already names a part of it", "write its title or UID alone")
        return ()
    return (FileContent(source.record, file),)


def _reference(entry: Section, key: str, text: str) -> Reference | None:
    try:
        return parse_reference(text)
    except InvalidReferenceError as error:
        entry.report(key, error.found, error.right)
        return None


def _containers(entry: Section) -> Containers:
    key = SecretKeys.CONTAINERS
    names = key.read(entry)
    if names is not None and not names:
        entry.report(key.name, "the list is empty", "name a container or leave the key out")
    return names


NEEDED_KEYS = {
    "kubernetes.io/tls": {"tls.crt", "tls.key"},
    "kubernetes.io/dockerconfigjson": {".dockerconfigjson"},
    "kubernetes.io/ssh-auth": {"ssh-privatekey"},
}
"""Type of a Secret → the keys that API servers require in it (Kubernetes, ``validation.ValidateSecret``)."""


def _kubernetes_secret(
    entry: Section, sources: tuple[Reference, ...], content: Content | None, warnings: list[Problem]
) -> KubernetesSecret | None:
    name = SecretKeys.SECRET_NAME.read(entry)
    kind = SecretKeys.SECRET_TYPE.read(entry) or DEFAULT_SECRET_TYPE
    mode = SecretKeys.SECRET_MODE.read(entry) or DEFAULT_SECRET_MODE
    keys, sources = _keys(entry, kind, sources, warnings)
    if isinstance(content, Templated) and not keys:
        found = "the Secret gets all fields of the records, not what the template writes"
        where, right = entry.inside(SecretKeys.AS_SECRET.name), "choose fields with k8sSecretKeys:"
        warnings.append(Problem(where, found, right, Severity.WARNING))
    # k8sSecretKeys itself lists the fields of the Secret.
    sources = sources if keys else request.chosen_sources(sources, content)
    rotation = SecretKeys.SECRET_ROTATION.read(entry)
    owner = SecretKeys.SECRET_OWNER.read(entry)
    if name is None:
        entry.report(SecretKeys.AS_SECRET.name, "the Secret has no name", "add k8sSecretName:")
        return None
    return KubernetesSecret(entry.path, name, sources, kind, mode, keys=keys, rotation=rotation, owner_reference=owner)


def _keys(
    entry: Section, kind: str, sources: tuple[Reference, ...], warnings: list[Problem]
) -> tuple[dict[str, str], tuple[Reference, ...]]:
    """Return field or file → key of the Secret, and the sources for them.

    The Go injector's example for TLS has the two the other way round. It is accepted with a warning.
    """
    key = SecretKeys.SECRET_KEYS
    pairs = key.read(entry)
    needed = NEEDED_KEYS.get(kind, set())
    if not pairs or needed <= set(pairs.values()):
        return pairs, sources
    if not needed <= pairs.keys():
        missing = ", ".join(sorted(needed - set(pairs.values())))
        entry.report(key.name, f"a Secret of type {kind} needs {missing}", f"write the field or file: {missing}")
        return pairs, sources
    turned = {name: part for part, name in pairs.items()}
    if len(turned) < len(pairs):
        entry.report(key.name, "a field or file has several keys", "write each field or file once, before its key")
        return pairs, sources
    shown = ", ".join(f"{part}: {name}" for part, name in turned.items())
    where, right = entry.inside(key.name), f"write {{{shown}}}"
    warnings.append(Problem(where, "fields or files come first", right, Severity.WARNING))
    # The keys may select any attached file of the record, so a source that is one file becomes the whole record.
    whole = tuple(WholeRecord(source.record) if isinstance(source, FileContent) else source for source in sources)
    return turned, whole


def _refuse_file_keys(entry: Section, given: Sequence[str], warnings: list[Problem]) -> None:
    """Report those of the *given* keys of *entry* that say something about a file, while it has none."""
    found = "has no effect without a file"
    if SecretKeys.TEMPLATE.name in given:
        entry.report(SecretKeys.TEMPLATE.name, found, "add path:")
        return
    warnings += [Problem(entry.inside(name), found, "add path:, or remove this", Severity.WARNING) for name in given]


def _refuse_secret_keys(entry: Section) -> None:
    for key in (
        SecretKeys.SECRET_NAME,
        SecretKeys.SECRET_TYPE,
        SecretKeys.SECRET_MODE,
        SecretKeys.SECRET_KEYS,
        SecretKeys.SECRET_ROTATION,
        SecretKeys.SECRET_OWNER,
    ):
        if entry.has(key.name):
            entry.report(key.name, "has no effect by itself", "add injectAsK8sSecret: true")
            _ = key.read(entry)


def _folder(entry: Section) -> FolderFiles | None:
    path = FolderKeys.PATH.read(entry)
    uid = FolderKeys.UID.read(entry)
    directory = FolderKeys.DIRECTORY.read(entry) or request.DEFAULT_DIRECTORY
    recursive = FolderKeys.RECURSIVE.read(entry)
    chosen = FolderKeys.FORMAT.read(entry) or DEFAULT_FORMAT
    containers = _containers(entry)
    entry.finish()
    if uid is not None and path is None:
        return FolderFiles(entry.path, RecordName((uid,)), directory, recursive, chosen, containers)
    if path is None or uid is not None:
        entry.report("", "exactly one folder is needed", "write path: or uid:")
        return None
    try:
        return FolderFiles(entry.path, parse_folder(path), directory, recursive, chosen, containers)
    except InvalidReferenceError as error:
        entry.report(FolderKeys.PATH.name, error.found, error.right)
        return None
