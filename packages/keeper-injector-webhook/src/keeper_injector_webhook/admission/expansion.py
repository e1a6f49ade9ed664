"""Finds ``$(NAME)`` in the commands, arguments and variables of containers, as Kubernetes expands them.

Kubernetes replaces ``$(NAME)`` by a variable of the container's ``env`` before the container starts, and leaves it as it is if there is
no such variable. ``$$(NAME)`` is an escaped dollar sign. Variables that the program ``keeper-exec`` sets are not in ``env``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from keeper_injector_common.errors import Problem, Severity
from keeper_injector_webhook.admission.environment import MOUNT, Variables, explicit_names
from keeper_injector_webhook.admission.pod import Container, object_at

_VARIABLE = re.compile(r"(?!KUBERNETES_)(?!\w*_SERVICE_(?:HOST|PORT))[A-Z_][A-Z0-9_]*")
"""Names as the agent makes them from fields, except those that Kubernetes sets for services."""


def references(text: str) -> Iterator[str]:
    """Yield each name that Kubernetes would expand in *text* (third_party/forked/golang/expansion/expand.go).

    >>> list(references("--password=$(PASSWORD) $$(ESCAPED) $(open"))
    ['PASSWORD']
    """
    position = text.find("$")
    while 0 <= position < len(text) - 1:
        end = position + 1
        if text[end] == "(":
            end = text.find(")", end)
            if end < 0:
                return
            yield text[position + 2 : end]
        position = text.find("$", end + 1)


def problems_of_expansion(groups: Sequence[Variables]) -> Iterator[Problem]:
    """Yield each place where a container expects Kubernetes to expand a variable that ``keeper-exec`` will set."""
    for group in groups:
        injected = explicit_names(group)
        for container in group.containers if group.style == "exec" and injected else ():
            own = {item.get("name") for item in container.variables}
            reported = set()
            for place, text in _texts(container):
                for name in references(text):
                    if name in injected and name not in own and (place, name) not in reported:
                        reported.add((place, name))
                        found = f"{place} of container {container.name!r} has $({name}), which Kubernetes cannot expand"
                        right = f"let a shell expand ${{{name}}}, use a template for a file, or set the chart value envFiles"
                        yield Problem(injected[name], found, right)


def warnings_of_handlers(groups: Sequence[Variables]) -> Iterator[Problem]:
    """Yield each container whose probes or hooks run commands: they do not see what ``keeper-exec`` sets."""
    for group in groups:
        for container in group.containers if group.style == "exec" else ():
            handlers = [name for name, command in _handlers(container) if not command.startswith(f"{MOUNT}/")]
            if handlers:
                yield Problem(
                    group.items[0].where,
                    f"{', '.join(handlers)} of container {container.name!r} runs a command without the variables",
                    f"if it needs them, begin it with {MOUNT}/keeper-exec --file {MOUNT}/variables --",
                    Severity.WARNING,
                )


def warnings_of_expansion(groups: Sequence[Variables]) -> Iterator[Problem]:
    """Yield a name in each container that no variable of the pod has, if a record's field may have it: it would stay literal."""
    for group in groups:
        records = [item for item in group.records if not item.fields]
        for container in group.containers if group.style == "exec" and records else ():
            if container.raw.get("envFrom"):
                continue
            own = {item.get("name") for item in container.variables} | explicit_names(group).keys()
            for item in records:
                missing = (
                    (place, name)
                    for place, text in _texts(container)
                    for name in references(text)
                    if name not in own and _VARIABLE.fullmatch(name) and name.startswith(item.prefix)
                )
                if first := next(missing, None):
                    yield Problem(
                        item.where,
                        f"{first[0]} of container {container.name!r} has $({first[1]}), which Kubernetes expands from the pod's "
                        "env only",
                        "if it is a field of the record, let a shell expand it",
                        Severity.WARNING,
                    )


def _texts(container: Container) -> Iterator[tuple[str, str]]:
    """Yield the texts of the container in which Kubernetes expands variables, each with where it is."""
    for number, text in enumerate(container.command):
        yield f"command[{number}]", text
    arguments = container.raw.get("args")
    for number, argument in enumerate(arguments if isinstance(arguments, list) else ()):
        yield f"args[{number}]", str(argument)
    for item in container.variables:
        yield f"env {item.get('name')}", str(item.get("value") or "")


def _handlers(container: Container) -> Iterator[tuple[str, str]]:
    """Yield the probes and hooks that run a command, each with the program."""
    hooks = object_at(container.raw, "lifecycle")
    probes = ("startupProbe", "readinessProbe", "livenessProbe")
    for parent, name in (*((container.raw, probe) for probe in probes), (hooks, "postStart"), (hooks, "preStop")):
        command = object_at(object_at(parent, name), "exec").get("command")
        if command and isinstance(command, list):
            yield name, str(command[0])
