"""A workload → what is wrong or odd in its annotations, as the webhook will judge them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import attrs

from keeper_injector_common.annotations.parser import NO_DEFAULTS, parse_request, wants_injection
from keeper_injector_common.annotations.table import INJECTED, PREFIX
from keeper_injector_common.cli.manifests import Entry, Position, Workload
from keeper_injector_common.cli.yaml_positions import position_in_document
from keeper_injector_common.errors import AnnotationsError, Problem

RULES = MappingProxyType(
    {
        "value": "An annotation's value cannot be read; the webhook denies the pod.",
        "advice": "An annotation is unknown, of an old name, or has no effect; the webhook warns.",
        "text": "Annotations are text: Kubernetes refuses a manifest with anything else.",
        "repeated": "An annotation stands twice in one mapping; only the second counts.",
        "placement": "An annotation stands where no pod inherits it, and does nothing.",
        "switch": "Annotations ask for something, and keeper.security/inject is missing.",
        "yaml": "A file is no YAML.",
        "unreadable": "A file cannot be read.",
    }
)
"""Kinds of findings by name."""
WARNINGS = frozenset({"advice", "placement", "switch"})


@attrs.frozen
class Finding:
    """Something to say about one place."""

    file: str
    position: Position
    rule: str
    message: str
    """``found; right``, without the place."""
    workload: str = ""
    annotation: str = ""
    """The annotation, with the path inside its document."""

    @property
    def is_warning(self) -> bool:
        """Whether it fails only with ``--strict``."""
        return self.rule in WARNINGS

    @property
    def fix(self) -> str:
        """What would be right; empty when the message does not say."""
        return self.message.rpartition("; ")[2] if "; " in self.message else ""

    @property
    def text(self) -> str:
        """The finding without its place."""
        return ": ".join(part for part in (self.workload, self.annotation, self.message) if part)


def check(
    file: str, workload: Workload, lines: list[str], defaults: Mapping[str, str] = NO_DEFAULTS
) -> Iterator[Finding]:
    """Iterate over what is wrong or odd in one workload of the text *lines*."""
    for rule, entry, message in _as_written(workload):
        yield Finding(file, entry.position, rule, message, workload.label, entry.key)
    for rule, problem in _as_read(workload, defaults):
        place = _place(workload, problem, lines)
        yield Finding(file, place, rule, problem.message, workload.label, problem.where)


def unquoted(workload: Workload) -> tuple[Problem, ...]:
    """Return what API servers refuse before any webhook is asked: annotations of ours that are no text."""
    return tuple(
        Problem(entry.key, _not_text(entry))
        for entry in workload.injector_entries()
        if not isinstance(entry.value, str)
    )


def _as_written(workload: Workload) -> Iterator[tuple[str, Entry, str]]:
    """Iterate over what a cluster would refuse or overlook before any webhook sees it."""
    for entry in workload.misplaced:
        yield "placement", entry, _misplaced(workload)
    for entry in workload.injector_entries():
        if not isinstance(entry.value, str):
            yield "text", entry, _not_text(entry)
        if entry.repeated:
            yield "repeated", entry, "written before in the same mapping, and only the last counts; keep one"


def _as_read(workload: Workload, defaults: Mapping[str, str]) -> Iterator[tuple[str, Problem]]:
    """Iterate over what the webhook would say."""
    ours = workload.injector_entries()
    if not ours or unquoted(workload):
        return
    try:
        if wants_injection(workload.annotations):
            yield from _advice(parse_request(workload.annotations, defaults).warnings)
        elif not {f"{PREFIX}inject", INJECTED} & workload.annotations.keys():
            yield "switch", Problem(ours[0].key, f'nothing is injected by this alone; add {PREFIX}inject: "true"')
    except AnnotationsError as error:
        yield from (("value", problem) for problem in error.problems)
        yield from _advice(error.warnings)


def _advice(warnings: Iterable[str]) -> Iterator[tuple[str, Problem]]:
    for warning in warnings:
        parts = warning.split(": ")
        # Inside the YAML document the place goes on: keeper.security/config: secrets[0].path
        length = 2 if parts[0] == f"{PREFIX}config" else 1
        yield "advice", Problem(": ".join(parts[:length]), ": ".join(parts[length:]))


def _misplaced(workload: Workload) -> str:
    if workload.kind == "Pod":
        return "stands among the labels; move it to metadata.annotations"
    return f"stands where pods do not inherit it; move it to {workload.template_path}.metadata.annotations"


def _not_text(entry: Entry) -> str:
    match entry.value:
        case bool():
            return f'a boolean found; write "{entry.node.value}" in quotes'
        case None:
            return "nothing found; write a text in quotes, or remove the annotation"
        case list() | dict():
            return "a list or mapping found; write a text, for a document begin it with '|'"
        case _:
            return f'a number found; write "{entry.node.value}" in quotes'


def _place(workload: Workload, problem: Problem, lines: list[str]) -> Position:
    key, _, path = problem.where.partition(": ")
    entry = workload.entry(key)
    if entry is None:
        return workload.position
    return position_in_document(entry, path, problem.message, lines) if key == f"{PREFIX}config" else entry.position
