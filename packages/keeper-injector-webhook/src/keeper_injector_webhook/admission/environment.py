"""Assigns environment variables to containers without writing their values into the pod, by one of two deliveries.

``exec``
    A small static program runs before the container's command. It reads the variables from a memory volume and executes the
    command. The container must set ``command``, because an image's own command is unknown at admission.
``file-ref``
    The kubelet reads the variables from the volume (EnvFiles, KEP-3721). The names must be known at admission, and all nodes must
    support it.

A container for which neither works is a problem that names the lines to add.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from keeper_injector_common.annotations.request import InjectionRequest, RecordVariables, Variable
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan import paths
from keeper_injector_common.plan.model import Environment, RecordVariablesItem, VariableItem
from keeper_injector_common.records.formats import is_forbidden_variable, is_protected_variable, to_variable_name
from keeper_injector_common.references import FieldValue
from keeper_injector_common.uniqueness import Named, divide
from keeper_injector_webhook.admission.names import VARIABLES_VOLUME_PREFIX
from keeper_injector_webhook.admission.pod import Container, in_order

if TYPE_CHECKING:
    from keeper_injector_webhook.admission.receivers import Received
    from keeper_injector_webhook.settings import Settings

_Item = Variable | RecordVariables
_Style = Literal["exec", "file-ref"]
MOUNT = "/keeper/env"
"""Where containers with the delivery ``exec`` mount their volume."""
SIZE = "2Mi"
"""The size of each volume: twice the largest file that ``keeper-exec`` reads, because a refresh writes the new one beside the old."""


@attrs.frozen
class Variables:
    """A memory volume with environment variables, and the containers that all receive exactly these."""

    name: str
    style: _Style
    items: tuple[_Item, ...]
    containers: tuple[Container, ...]

    def environment(self, mode: int) -> Environment:
        """Return the entry of the plan for this volume; *mode* is the mode of the file in it."""
        named = tuple(VariableItem(item.name, item.source) for item in self.items if isinstance(item, Variable))
        records = self.records
        path = f"{paths.VOLUMES_PATH}/{self.name}"
        if self.style == "file-ref":
            explicit = {item.name for item in named}
            known = [VariableItem(name, source) for item in records for name, source in _known_names(item)]
            unique = {item.name: item for item in known if item.name not in explicit}
            return Environment(path, self.style, mode, (*unique.values(), *named))
        kept = tuple(RecordVariablesItem(item.source, item.prefix, item.fields) for item in records)
        return Environment(path, self.style, mode, named, kept)

    @property
    def records(self) -> list[RecordVariables]:
        """The items that set variables from the fields of a whole record."""
        return [item for item in self.items if isinstance(item, RecordVariables)]


def assign_variables(request: InjectionRequest, received: Received, settings: Settings) -> tuple[Variables, ...]:
    """Return the volumes with variables that *request* needs, each with the containers that use it, given what these *received*.

    A container for which no delivery works is in a group of style ``exec``; :func:`problems_of_variables` reports it.
    """
    if not request.variables:
        return ()
    others = len(request.files) + len(request.folders)
    grouped: dict[tuple[int, ...], list[list[Container]]] = {}
    for numbers_of_all, containers in received.items():
        if numbers := tuple(number - others for number in numbers_of_all if number >= others):
            grouped.setdefault(numbers, []).append(containers)
    found = []
    for index, (numbers, groups) in enumerate(grouped.items()):
        items = tuple(request.variables[number] for number in numbers)
        style = _style(items, request.env_mode, settings)
        found.append(Variables(f"{VARIABLES_VOLUME_PREFIX}{index}", style, items, in_order(groups)))
    return tuple(found)


def problems_of_variables(
    request: InjectionRequest, settings: Settings, groups: Sequence[Variables]
) -> Iterator[Problem]:
    """Yield why the variables of *request* cannot be delivered to the containers of *groups*."""
    for item in request.variables:
        if isinstance(item, Variable) and is_forbidden_variable(item.name):
            found = f"{item.name} controls the dynamic loader, so a secret may not set it"
            yield Problem(item.where, found, "choose another name")
    for group in groups:
        yield from _problems_of_names(group)
        for container in group.containers if group.style == "exec" else ():
            if request.env_mode == "env-files":
                yield _why_not_file_ref(group, settings)
            elif not container.command:
                yield Problem(
                    group.items[0].where,
                    f"container {container.name!r} leaves its command to the image",
                    "add two lines to it: command: [the image's ENTRYPOINT] and args: [its CMD]; "
                    f"or {_other_containers(groups)}{_without_command(group, settings)}",
                )


def _problems_of_names(group: Variables) -> Iterator[Problem]:
    """Yield each variable of *group* that several fields would set, and each that no field of a record may set."""
    known = [(name, source, item.where) for item in group.records for name, source in _known_names(item)]
    named = [(item.name, item.source, item.where) for item in group.items if isinstance(item, Variable)]
    for name, source, where in (*known, *named):
        if is_protected_variable(name) and not where.startswith(f"{PREFIX}env-"):
            found = f"{source} would set the variable {name}, which controls more than the application"
            right = "remove it" if is_forbidden_variable(name) else f"remove it, or write {PREFIX}env-{name}: {source}"
            yield Problem(where, found, right)
    for same_kind in (known, named):
        entries = [Named(name, where, str(source)) for name, source, where in same_kind]
        last = {entry.name: entry.value for entry in entries}
        for clash in divide(entries)[1]:
            right = f"set a prefix for each with {PREFIX}env-prefix-<name>, or with envPrefix: in config"
            yield Problem(last[clash.name], f"the variable {clash.name} has several values: {clash}", right)


def explicit_names(group: Variables) -> dict[str, str]:
    """Return the variables of *group* whose names are known, each with the annotation that asks for it."""
    known = {name: item.where for item in group.records for name, _ in _known_names(item)}
    return {**known, **{item.name: item.where for item in group.items if isinstance(item, Variable)}}


def wrapped_command(container: Container, group: Variables) -> list[str]:
    """Return the container's command, preceded by ``keeper-exec``.

    A variable that the container sets itself takes precedence. An explicit ``env-<NAME>`` overrides one that only the image sets.
    """
    own = {item.get("name") for item in container.variables}
    override = [item.name for item in group.items if isinstance(item, Variable) and item.name not in own]
    return [
        *(f"{MOUNT}/{paths.EXEC_NAME}", "--file", f"{MOUNT}/{paths.VARIABLES_NAME}"),
        *(["--override", ",".join(override)] if override else []),
        *("--", *container.command),
    ]


def env_entries(container: Container, group: Variables) -> list[Json]:
    """Return the ``env`` entries that refer to the file with the variables, except those that the container sets itself."""
    own = {item.get("name") for item in container.variables}
    names = dict.fromkeys(item.name for item in group.environment(0o400).variables)
    return [
        {
            "name": name,
            "valueFrom": {"fileKeyRef": {"volumeName": group.name, "path": paths.VARIABLES_NAME, "key": name}},
        }
        for name in names
        if name not in own
    ]


def _style(items: Sequence[_Item], mode: str, settings: Settings) -> _Style:
    """Return ``file-ref`` if *mode*, the nodes and *items* allow it, otherwise ``exec``."""
    if mode == "exec" or not settings.env_files or any(map(_has_unknown_names, items)):
        return "exec"
    return "file-ref"


def _other_containers(groups: Sequence[Variables]) -> str:
    """Return the annotation that leaves out the containers without a command; empty if no container has one."""
    names = {container.name: None for group in groups for container in group.containers if container.command}
    return f"write {PREFIX}containers: {', '.join(names)}, or " if names else ""


def _without_command(group: Variables, settings: Settings) -> str:
    """Return how the variables could arrive in a container that needs no command."""
    if not settings.env_files_possible:
        return f"use a file ({PREFIX}record-<handle>), because the API server is older than Kubernetes 1.35"
    if not settings.env_files:
        return "set the chart value envFiles: always if all nodes run Kubernetes 1.35 or newer"
    if any(map(_has_unknown_names, group.items)):
        return "list the fields of the record, so that the kubelet can set the variables"
    return "remove env-mode: exec"


def _why_not_file_ref(group: Variables, settings: Settings) -> Problem:
    if not settings.env_files_possible:
        found = "the API server is older than Kubernetes 1.35, so it would drop fileKeyRef"
        return Problem(f"{PREFIX}env-mode", found, "write env-mode: exec")
    if not settings.env_files:
        found = "the webhook does not know whether all nodes support fileKeyRef (Kubernetes 1.35)"
        return Problem(f"{PREFIX}env-mode", found, "set the chart value envFiles: always, or write env-mode: exec")
    unknown = next(item for item in group.records if _has_unknown_names(item))
    found = f"{unknown.source}: the names of its variables are not known yet"
    return Problem(group.items[0].where, found, "list fields, use env-<NAME>, or write env-mode: exec")


def _has_unknown_names(item: _Item) -> bool:
    """Return whether the names of the variables depend on the record's fields, which only the agent sees."""
    return isinstance(item, RecordVariables) and not item.fields


def _known_names(item: RecordVariables) -> list[tuple[str, FieldValue]]:
    return [
        (to_variable_name(field, prefix=item.prefix), FieldValue(item.source.record, field)) for field in item.fields
    ]
