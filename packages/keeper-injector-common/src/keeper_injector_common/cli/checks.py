"""A workload → what is wrong or odd in its annotations, as the webhook will judge them; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import attrs

from keeper_injector_common.annotations.parser import NO_DEFAULTS, parse_request, wants_injection
from keeper_injector_common.annotations.table import INJECTED, PREFIX
from keeper_injector_common.cli.manifests import Entry, Position, Workload
from keeper_injector_common.cli.yaml_positions import position_in_document
from keeper_injector_common.errors import AnnotationsError, Problem, explain

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


CONFIG = f"{PREFIX}config"


@attrs.frozen
class Finding:
    """Something to say about one place."""

    file: str
    position: Position
    rule: str
    found: str
    """What was found, without the place."""
    right: str = ""
    """What to do about it; may be empty."""
    workload: str = ""
    annotation: str = ""
    """The annotation, with the path inside its document."""

    @property
    def is_warning(self) -> bool:
        """Whether it fails only with ``--strict``."""
        return self.rule in WARNINGS

    @property
    def message(self) -> str:
        """The finding without its place and annotation, as ``found; right``."""
        return explain(self.found, self.right)

    @property
    def text(self) -> str:
        """The finding without its place."""
        return ": ".join(part for part in (self.workload, self.annotation, self.message) if part)


def check(
    file: str, workload: Workload, lines: list[str], defaults: Mapping[str, str] = NO_DEFAULTS
) -> Iterator[Finding]:
    """Iterate over what is wrong or odd in one workload of the text *lines*."""
    for rule, entry, found, right in _as_written(workload):
        yield Finding(file, entry.position, rule, found, right, workload.label, entry.key)
    for rule, problem in _as_read(workload, defaults):
        place = _place(workload, problem, lines)
        yield Finding(file, place, rule, problem.found, problem.right, workload.label, problem.where)


def unquoted(workload: Workload) -> tuple[Problem, ...]:
    """Return what API servers refuse before any webhook is asked: annotations of ours that are no text."""
    return tuple(
        Problem(entry.key, *_not_text(entry))
        for entry in workload.injector_entries()
        if not isinstance(entry.value, str)
    )


def _as_written(workload: Workload) -> Iterator[tuple[str, Entry, str, str]]:
    """Iterate over what a cluster would refuse or overlook before any webhook sees it."""
    for entry in workload.misplaced:
        yield "placement", entry, *_misplaced(workload)
    for entry in workload.injector_entries():
        if not isinstance(entry.value, str):
            yield "text", entry, *_not_text(entry)
        if entry.repeated:
            yield "repeated", entry, "written before in the same mapping, and only the last counts", "keep one"


def _as_read(workload: Workload, defaults: Mapping[str, str]) -> Iterator[tuple[str, Problem]]:
    """Iterate over what the webhook would say."""
    ours = workload.injector_entries()
    if not ours or unquoted(workload):
        return
    try:
        if wants_injection(workload.annotations):
            yield from (("advice", warning) for warning in parse_request(workload.annotations, defaults).warnings)
        elif not {f"{PREFIX}inject", INJECTED} & workload.annotations.keys():
            yield "switch", Problem(ours[0].key, "nothing is injected by this alone", f'add {PREFIX}inject: "true"')
    except AnnotationsError as error:
        yield from (("value", problem) for problem in error.problems)
        yield from (("advice", warning) for warning in error.warnings)


def _misplaced(workload: Workload) -> tuple[str, str]:
    if workload.kind == "Pod":
        return "stands among the labels", "move it to metadata.annotations"
    return "stands where pods do not inherit it", f"move it to {workload.template_path}.metadata.annotations"


def _not_text(entry: Entry) -> tuple[str, str]:
    match entry.value:
        case bool():
            return "a boolean found", f'write "{entry.node.value}" in quotes'
        case None:
            return "nothing found", "write a text in quotes, or remove the annotation"
        case list() | dict():
            return "a list or mapping found", "write a text, for a document begin it with '|'"
        case _:
            return "a number found", f'write "{entry.node.value}" in quotes'


def _place(workload: Workload, problem: Problem, lines: list[str]) -> Position:
    if entry := workload.entry(problem.where):
        return position_in_document(entry, "", problem.found, lines) if entry.key == CONFIG else entry.position
    path = problem.where.removeprefix(f"{CONFIG}: ")
    entry = workload.entry(CONFIG) if path != problem.where else None
    return position_in_document(entry, path, problem.found, lines) if entry else workload.position
