"""The JSON form of a plan → the plan, or every problem of it; the agent reads what some version of the webhook wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar, cast

from keeper_injector_common import parsers
from keeper_injector_common.errors import InvalidReferenceError, PlanError, Problem
from keeper_injector_common.plan.credentials import (
    METHODS,
    AwsCredentials,
    AzureCredentials,
    CloudCredentials,
    FileCredentials,
    GcpCredentials,
)
from keeper_injector_common.plan.delivery import FORMATS, Content, Formatted, KubernetesSecret, Notify, Templated
from keeper_injector_common.plan.model import (
    VERSION,
    Directory,
    Environment,
    FileItem,
    FolderItem,
    Plan,
    RecordVariablesItem,
    VariableItem,
)
from keeper_injector_common.references import RecordName, Reference, WholeRecord, parse_reference
from keeper_injector_common.yaml_document import Section

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def loads(text: str) -> Plan:
    """Read what :func:`~keeper_injector_common.plan.writer.dumps` wrote; raises :class:`PlanError` that names every problem."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise PlanError("plan: not JSON; it must be what the webhook wrote") from None
    return from_json(content)


def from_json(content: object) -> Plan:
    """Read a plan from JSON values; raises :class:`PlanError`."""
    if not isinstance(content, dict):
        raise PlanError("plan: no JSON object; it must be what the webhook wrote")
    version = content.get("version")
    if version != VERSION:
        fix = (
            "use an agent image as new as the webhook"
            if isinstance(version, int) and version > VERSION
            else "inject anew"
        )
        raise PlanError(f"plan: version {version!r} is unknown here, which reads version {VERSION}; {fix}")
    problems: list[Problem] = []
    plan = _plan(Section({key: value for key, value in content.items() if key != "version"}, "plan: ", problems))
    if problems:
        raise PlanError("\n".join(map(str, problems)))
    return plan


def _plan(top: Section) -> Plan:
    def needed(key: str, value: T | None, instead: T) -> T:
        if value is None:
            top.report(key, "missing", "it must be what the webhook wrote")
        return instead if value is None else value

    credentials = top.mapping("credentials", _credentials) or FileCredentials()
    plan = Plan(
        credentials=credentials,
        state=needed("state", top.text("state", parsers.absolute_path), "/"),
        refresh_interval=needed("refreshInterval", top.text("refreshInterval", _seconds), 300.0),
        ca_file=top.text("caFile", parsers.absolute_path),
        fail_on_error=top.switch("failOnError", default=True),
        strict_lookup=top.switch("strictLookup", default=False),
        on_removal=cast("Any", top.text("onRemoval", parsers.choice("keep", "remove")) or "keep"),
        metrics_port=top.text("metricsPort", parsers.whole(1, 65535)),
        volume_size=needed("volumeSize", top.text("volumeSize", parsers.volume_size), 1),
        notify=top.mapping("notify", _notify),
        directories=_each(top, "directories", _directory),
        environments=_each(top, "environments", _environment),
        kubernetes_secrets=_each(top, "kubernetesSecrets", _kubernetes_secret),
    )
    top.finish()
    return plan


def _each(entry: Section, key: str, read: Callable[[Section], T | None]) -> tuple[T, ...]:
    found = []
    for item in entry.mappings(key):
        value = read(item)
        item.finish()
        if value is not None:
            found.append(value)
    return tuple(found)


def _all(entry: Section, **fields: object) -> Any:
    """Return *fields* when none is missing; reports those that are."""
    for key in [key for key, value in fields.items() if value is None]:
        entry.report(key, "missing or wrong", "it must be what the webhook wrote")
    return None if None in fields.values() else fields


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= parsers.LONGEST_INTERVAL:
        raise parsers.InvalidValue(
            f"{text!r} is no number of seconds", f"write one up to {parsers.LONGEST_INTERVAL:.0f}"
        )
    return seconds


def _reference(text: str) -> Reference:
    try:
        return parse_reference(text)
    except InvalidReferenceError as error:
        raise parsers.InvalidValue(error.found, error.right) from None


def _whole_record(text: str) -> WholeRecord:
    reference = _reference(text)
    if not isinstance(reference, WholeRecord):
        raise parsers.InvalidValue(f"{text!r} is no whole record", "write its title or UID")
    return reference


def _folder_name(text: str) -> RecordName:
    return _whole_record(text).record


def _references(entry: Section) -> tuple[Reference, ...] | None:
    found = entry.texts("sources", _reference)
    return found or None


def _relative(text: str) -> str:
    path = parsers.absolute_path(f"/{text}")[1:]
    if path != text or any(part.startswith("..") for part in path.split("/")):
        raise parsers.InvalidValue(f"{text!r} is no path below a directory", "it must be what the webhook wrote")
    return path


def _content(entry: Section) -> Content | None:
    template = entry.text("template", parsers.block)
    fields = entry.texts("fields", parsers.text) or ()
    form = entry.text("format", parsers.choice(*FORMATS))
    if template is not None:
        return Templated(template)
    return None if form is None else Formatted(form, fields)


def _file(entry: Section) -> FileItem | None:
    fields = _all(
        entry,
        name=entry.text("name", _relative),
        sources=_references(entry),
        content=_content(entry),
        mode=entry.text("mode", parsers.file_mode),
    )
    return fields and FileItem(**fields)


def _folder(entry: Section) -> FolderItem | None:
    recursive = entry.switch("recursive", default=False)
    below = entry.text("below", _relative) or ""
    fields = _all(
        entry,
        folder=entry.text("folder", _folder_name),
        mode=entry.text("mode", parsers.file_mode),
        format=entry.text("format", parsers.choice(*FORMATS)),
    )
    return fields and FolderItem(recursive=recursive, below=below, **fields)


def _directory(entry: Section) -> Directory | None:
    files, folders = _each(entry, "files", _file), _each(entry, "folders", _folder)
    fields = _all(
        entry, path=entry.text("path", parsers.absolute_path), target=entry.text("target", parsers.absolute_path)
    )
    return fields and Directory(files=files, folders=folders, **fields)


def _variable(entry: Section) -> VariableItem | None:
    fields = _all(entry, name=entry.text("name", parsers.variable_name), source=entry.text("source", _reference))
    return fields and VariableItem(**fields)


def _record_variables(entry: Section) -> RecordVariablesItem | None:
    prefix = entry.text("prefix", parsers.variable_prefix) or ""
    names = entry.texts("fields", parsers.text) or ()
    fields = _all(entry, source=entry.text("source", _whole_record))
    return fields and RecordVariablesItem(prefix=prefix, fields=names, **fields)


def _environment(entry: Section) -> Environment | None:
    variables, records = _each(entry, "variables", _variable), _each(entry, "records", _record_variables)
    fields = _all(
        entry,
        path=entry.text("path", parsers.absolute_path),
        style=entry.text("style", parsers.choice("exec", "file-ref")),
        mode=entry.text("mode", parsers.file_mode),
    )
    return fields and Environment(variables=variables, records=records, **fields)


def _kubernetes_secret(entry: Section) -> KubernetesSecret | None:
    keys = entry.pairs("keys", parsers.data_key)
    rotation = entry.switch("rotation", default=False)
    owner = entry.switch("ownerReference", default=True)
    fields = _all(
        entry,
        where=entry.text("where", parsers.text),
        name=entry.text("name", parsers.object_name),
        sources=_references(entry),
        type=entry.text("type", parsers.text),
        mode=entry.text("mode", parsers.text),
    )
    return fields and KubernetesSecret(keys=keys, rotation=rotation, owner_reference=owner, **fields)


def _notify(entry: Section) -> Notify:
    return Notify(
        entry.text("signal", parsers.signal_name),
        entry.text("process", parsers.text),
        entry.text("url", parsers.loopback_url),
    )


def _credentials(entry: Section) -> FileCredentials | CloudCredentials | None:
    method = entry.text("method", parsers.choice(*METHODS))
    if method == FileCredentials.method:
        path = entry.text("path", parsers.absolute_path)
        return None if path is None else FileCredentials(path)
    place = entry.text("place", parsers.text) or ""
    fields = _all(entry, method=method, secret=entry.text("secret", parsers.text))
    if not fields:
        return None
    match method:
        case AwsCredentials.method:
            return AwsCredentials(fields["secret"], place)
        case GcpCredentials.method:
            return GcpCredentials(fields["secret"])
        case _:
            return AzureCredentials(secret=fields["secret"], vault=place)
