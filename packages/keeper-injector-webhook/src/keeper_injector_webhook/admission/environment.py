"""Environment variables without values in the pod: which container gets which, and by which of two deliveries.

``exec``: a small static program goes before the container's command, reads the variables from a memory volume and execs
the command. ``file-ref``: the kubelet reads them from the volume (EnvFiles, KEP-3721), which needs names known at admission
and nodes that know it. A container that allows neither is a problem with the lines to add.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs

from keeper_injector_common.annotations.directories import receives
from keeper_injector_common.annotations.request import InjectionRequest, RecordVariables, Variable
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan import paths
from keeper_injector_common.plan.model import Environment, RecordVariablesItem, VariableItem
from keeper_injector_common.records.formats import is_forbidden_variable, to_variable_name
from keeper_injector_common.references import FieldValue

if TYPE_CHECKING:
    from keeper_injector_webhook.admission.pod import Container, Pod
    from keeper_injector_webhook.settings import Settings

Item = Variable | RecordVariables
Style = Literal["exec", "file-ref"]
MOUNT = "/keeper/env"
SIZE = "2Mi"
"""Twice the largest file of variables that ``keeper-exec`` reads: old and new set stand side by side."""


@attrs.frozen
class Variables:
    """A memory volume with the variables of containers that receive the same."""

    name: str
    style: Style
    items: tuple[Item, ...]
    containers: tuple[Container, ...]

    def environment(self, mode: int) -> Environment:
        """Return what the plan says of it."""
        named = tuple(VariableItem(item.name, item.source) for item in self.items if isinstance(item, Variable))
        records = [item for item in self.items if isinstance(item, RecordVariables)]
        path = f"{paths.VOLUMES_PATH}/{self.name}"
        if self.style == "file-ref":
            known = tuple(VariableItem(name, source) for item in records for name, source in _known_names(item))
            return Environment(path, self.style, mode, (*known, *named))
        kept = tuple(RecordVariablesItem(item.source, item.prefix, item.fields) for item in records)
        return Environment(path, self.style, mode, named, kept)


def variables(
    request: InjectionRequest, pod: Pod, settings: Settings, problems: list[Problem]
) -> tuple[Variables, ...]:
    """Say which container gets which variables and how; adds what cannot be to *problems*."""
    problems += [
        Problem(
            item.where, f"{item.name} steers the loader of programs, and no secret may set it", "choose another name"
        )
        for item in request.variables
        if isinstance(item, Variable) and is_forbidden_variable(item.name)
    ]
    grouped: dict[tuple[Style, tuple[int, ...]], list[Container]] = {}
    for container in pod.containers():
        numbers = tuple(
            number
            for number, item in enumerate(request.variables)
            if receives(container.name, item.containers, request.containers)
        )
        if numbers:
            items = [request.variables[number] for number in numbers]
            style = _style(container, items, request.env_mode, settings, problems)
            grouped.setdefault((style, numbers), []).append(container)
    return tuple(
        Variables(
            f"keeper-env-{index}", style, tuple(request.variables[number] for number in numbers), tuple(containers)
        )
        for index, ((style, numbers), containers) in enumerate(grouped.items())
    )


def command(container: Container, group: Variables) -> list[str]:
    """Return the container's command with ``keeper-exec`` before it.

    A variable that the pod sets itself wins; one that only the image sets gives way to an explicit ``env-<NAME>``.
    """
    own = {item.get("name") for item in container.variables}
    override = [item.name for item in group.items if isinstance(item, Variable) and item.name not in own]
    return [
        *(f"{MOUNT}/{paths.EXEC_NAME}", "--file", f"{MOUNT}/{paths.VARIABLES_NAME}"),
        *(["--override", ",".join(override)] if override else []),
        *("--", *container.command),
    ]


def references(container: Container, group: Variables) -> list[Json]:
    """Return the entries of ``env`` by which the kubelet reads the variables; those of the pod's own stay as they are."""
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


def _style(container: Container, items: list[Item], mode: str, settings: Settings, problems: list[Problem]) -> Style:
    unknown = [item for item in items if isinstance(item, RecordVariables) and not item.fields]
    can_refer = settings.env_files and not unknown
    can_exec = bool(container.command)
    if mode in {"auto", "file-ref"} and can_refer:
        return "file-ref"
    if mode in {"auto", "exec"} and can_exec:
        return "exec"
    where = items[0].where
    if mode == "file-ref" and not settings.env_files:
        problems.append(
            Problem("keeper.security/env-mode", "the cluster's nodes do not know fileKeyRef", "write env-mode: exec")
        )
    elif mode == "file-ref":
        found = f"{unknown[0].source}: the names of its variables are not known yet"
        problems.append(Problem(where, found, "list fields, use env-<NAME>, or write env-mode: exec"))
    else:
        problems.append(
            Problem(
                where,
                f"container {container.name!r} leaves its command to the image",
                "add two lines to it: command: [the image's ENTRYPOINT] and args: [its CMD]",
            )
        )
    return "exec"


def _known_names(item: RecordVariables) -> list[tuple[str, FieldValue]]:
    return [
        (to_variable_name(field, prefix=item.prefix), FieldValue(item.source.record, field)) for field in item.fields
    ]
