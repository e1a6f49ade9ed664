"""A workload → the problems in its annotations, as the API server and the webhook would report them; no I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.annotations.parser import NO_DEFAULTS, read_request, wants_injection
from keeper_injector_common.annotations.policy import NO_POLICY, Policy
from keeper_injector_common.annotations.table import INJECTED, PREFIX
from keeper_injector_common.cli.manifest_yaml import Position
from keeper_injector_common.cli.manifests import Entry, Workload
from keeper_injector_common.cli.yaml_positions import position_in_document
from keeper_injector_common.errors import AnnotationsError, Problem, explain
from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.records.templates import quoting_function_for

if TYPE_CHECKING:
    from keeper_injector_common.annotations.request import InjectionRequest
    from keeper_injector_common.cli.webhook_rules import Verdict

RULES = MappingProxyType(
    {
        "invalid-value": "The value of an annotation is invalid; the webhook rejects the pod.",
        "rejected-pod": "The annotations ask for what cannot work in this pod; the webhook rejects it.",
        "webhook-warning": "The webhook accepts the pod with a warning, for example about an unknown annotation.",
        "not-a-string": "The value of an annotation is not a string; Kubernetes rejects the manifest.",
        "duplicate": "An annotation is written twice in one mapping; only the last one is used.",
        "misplaced": "An annotation is where pods do not inherit it, and has no effect.",
        "missing-inject": "The annotations have no effect, because keeper.security/inject is missing.",
        "unquoted-field": "A template writes a field without the quotes or escapes that the suffix of its file requires.",
        "invalid-yaml": "A file is not valid YAML.",
        "unreadable-file": "A file cannot be read.",
    }
)
"""The rules by name. Reports contain these names, so they must not change."""
WARNINGS = frozenset({"webhook-warning", "misplaced", "missing-inject", "unquoted-field"})
"""The rules whose findings are warnings; all others are errors."""
OF_THE_WEBHOOK = frozenset({"invalid-value", "rejected-pod", "webhook-warning", "not-a-string"})
"""The rules that API servers and the webhook apply to a pod. The others are about how the manifest is written."""
OF_FILES = frozenset({"invalid-yaml", "unreadable-file"})
"""The rules about files whose workloads are unknown."""
_CONFIG = f"{PREFIX}config"
_TEMPLATED = re.compile("(?:record|secret)-")
_TEMPLATE = f"{PREFIX}template-"


@attrs.frozen
class Finding:
    """A problem, the rule that found it, and its position in a file."""

    file: str
    position: Position
    rule: str
    found: str
    """What was found: ``'5x' is not a duration``."""
    right: str = ""
    """What to do about it: ``write 30s, 5m or 1h30m``. May be empty."""
    workload: str = ""
    annotation: str = ""
    """The annotation, or the path inside its document: ``keeper.security/config: secrets[0].path``."""

    @property
    def is_warning(self) -> bool:
        """Whether ``lint`` exits with 1 for this finding only with ``--strict``."""
        return self.rule in WARNINGS

    @property
    def message(self) -> str:
        """The finding as ``found; right``."""
        return explain(self.found, self.right)

    @property
    def text(self) -> str:
        """The finding as ``workload: annotation: found; right``."""
        return ": ".join(part for part in (self.workload, self.annotation, self.message) if part)


def check_workload(
    file: str,
    workload: Workload,
    lines: list[str],
    defaults: Mapping[str, str] = NO_DEFAULTS,
    policy: Policy = NO_POLICY,
    *,
    check: Callable[[Workload], Verdict] = lambda _: ((), ()),
) -> Iterator[Finding]:
    """Iterate over the problems in the annotations of one workload.

    *lines* are the lines of *file*. *defaults* and *policy* apply in the workload's namespace. *check* returns what the webhook
    finds in the workload's pods.
    """
    for rule, entry, problem in _problems_as_written(workload):
        yield Finding(file, entry.position, rule, problem.found, problem.right, workload.label, problem.where)
    for rule, problem in _problems_of_request(workload, defaults, policy, check):
        position = _position(workload, problem, lines)
        yield Finding(file, position, rule, problem.found, problem.right, workload.label, problem.where)


def non_string_annotations(workload: Workload) -> tuple[Problem, ...]:
    """Return a problem for each annotation that is not a string. The API server rejects it before it calls a webhook."""
    return tuple(_not_a_string(entry) for entry in workload.injector_entries() if not isinstance(entry.value, str))


def _problems_as_written(workload: Workload) -> Iterator[tuple[str, Entry, Problem]]:
    """Iterate over the problems that the webhook would not see: those of the manifest, not of the pod."""
    for entry in workload.misplaced:
        yield "misplaced", entry, _misplaced(entry, workload)
    for entry in workload.injector_entries():
        if not isinstance(entry.value, str):
            yield "not-a-string", entry, _not_a_string(entry)
        if entry.repeated:
            found = "the same mapping has this key twice, and only the last one is used"
            yield "duplicate", entry, Problem(entry.key, found, "keep one")


def _problems_of_request(
    workload: Workload, defaults: Mapping[str, str], policy: Policy, check: Callable[[Workload], Verdict]
) -> Iterator[tuple[str, Problem]]:
    """Iterate over the problems that the webhook would report."""
    entries = workload.injector_entries()
    if not entries or non_string_annotations(workload):
        return
    try:
        if wants_injection(workload.annotations):
            request, problems = read_request(workload.annotations, defaults, policy)
            rejected, warnings = check(workload)
            yield from (("invalid-value", problem) for problem in problems)
            yield from (("rejected-pod", problem) for problem in rejected if problem not in problems)
            yield from _warnings(tuple(dict.fromkeys((*request.warnings, *warnings))))
            yield from (("unquoted-field", problem) for problem in _unquoted_fields(request))
        elif not {f"{PREFIX}inject", INJECTED} & workload.annotations.keys():
            found = "no effect without the annotation inject"
            yield "missing-inject", Problem(entries[0].key, found, f'add {PREFIX}inject: "true"')
    except AnnotationsError as error:
        yield from (("invalid-value", problem) for problem in error.problems)
        yield from _warnings(error.warnings)


def _warnings(warnings: tuple[Problem, ...]) -> Iterator[tuple[str, Problem]]:
    yield from (("webhook-warning", warning) for warning in warnings)


def _unquoted_fields(request: InjectionRequest) -> Iterator[Problem]:
    for file in request.files:
        function = quoting_function_for(file.path)
        if not function or not isinstance(file.content, Templated):
            continue
        # Imported here because most manifests have no template, and the engine takes half a second.
        from keeper_injector_common.records.templates.bare_fields import bare_fields

        is_config = file.where.startswith(_CONFIG)
        where = f"{file.where}.template" if is_config else _TEMPLATED.sub("template-", file.where, count=1)
        for line, text in bare_fields(file.content.source):
            action = " ".join(text.split())
            found = f"line {line} of the template writes {{{{ {action} }}}} into {file.path} as it is, so its value may change"
            yield Problem(where, found, f"write {{{{ {action} | {function} }}}} without quotes around it")


def _misplaced(entry: Entry, workload: Workload) -> Problem:
    if workload.kind == "Pod":
        return Problem(entry.key, "this is a label, not an annotation", "move it to metadata.annotations")
    path = f"{workload.template_path}.metadata.annotations"
    return Problem(entry.key, "pods do not inherit this", f"move it to {path}")


def _not_a_string(entry: Entry) -> Problem:
    match entry.value:
        case None:
            return Problem(entry.key, "the value is missing", "write a string in quotes, or remove the annotation")
        case list() | dict():
            right = "write a string; for a YAML document, begin it with '|'"
            return Problem(entry.key, "this is a list or mapping, not a string", right)
        case value:
            text = entry.node.value
            kind = "boolean" if isinstance(value, bool) else "number"
            return Problem(entry.key, f"{text} is a {kind}, not a string", f'write "{text}" in quotes')


def _position(workload: Workload, problem: Problem, lines: list[str]) -> Position:
    if entry := workload.last_entry(problem.where):
        has_lines = entry.key == _CONFIG or entry.key.startswith(_TEMPLATE)
        return position_in_document(entry, "", problem.found, lines) if has_lines else entry.position
    path = problem.where.removeprefix(f"{_CONFIG}: ")
    entry = workload.last_entry(_CONFIG) if path != problem.where else None
    return position_in_document(entry, path, problem.found, lines) if entry else workload.position
