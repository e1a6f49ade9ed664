"""What a pod gets → annotations that the webhook's parser accepts, and why others are not written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import attrs
import yaml

from keeper_injector_common import parsers
from keeper_injector_common.annotations.config_keys import SECRETS
from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.annotations.table import PREFIX, find
from keeper_injector_common.cli.migrate.wanted import Origin, Setting, WantedEntry
from keeper_injector_common.errors import Problem

CONFIG = f"{PREFIX}config"
_INJECT = f"{PREFIX}inject"
_NUMBER = re.compile(rf"{re.escape(CONFIG)}: {SECRETS}\[(\d+)\]")


@attrs.frozen
class Accepted:
    """The annotations to write."""

    settings: tuple[Setting, ...]
    entries: tuple[WantedEntry, ...]
    refused: tuple[tuple[Origin, str], ...]
    """What is not written, and why."""
    remaining: tuple[Problem, ...]
    """The problems of the annotations that stay."""

    @property
    def config(self) -> str:
        """The value of the annotation ``config``; empty if it has no entries."""
        return config_text(self.entries)


def config_text(entries: Sequence[WantedEntry]) -> str:
    """Return the value of the annotation ``config``; empty if it has no entries."""
    if not entries:
        return ""
    content = {SECRETS: [item.content for item in entries]}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10000)


def accept(kept: Mapping[str, str], settings: Sequence[Setting], entries: Sequence[WantedEntry]) -> Accepted:
    """Return those of *settings* and *entries* that the webhook's parser accepts together with *kept*.

    A Kustomize patch may set a part of the annotations, so that "nothing to inject" is a problem only beside ``inject``.
    """
    chosen, refused = _chosen(kept, settings)
    left = list(entries)
    if left and CONFIG in kept:
        for entry in left:
            text = yaml.safe_dump([entry.content], default_flow_style=True, width=10000).strip()
            refused.append((entry.origin, f"{CONFIG} is set already; add this to its secrets: {text}"))
        left = []
    while True:
        values = {key: item.value for key, item in chosen.items()}
        values |= {CONFIG: config_text(left)} if left else {}
        problems = read_request({**kept, **values})[1]
        removed = [*_without_entries(left, problems), *_without_settings(chosen, problems)]
        if not removed:
            break
        refused += removed
    remaining = tuple(item for item in problems if item.where != _INJECT or _INJECT in kept)
    return Accepted(tuple(chosen.values()), tuple(left), tuple(refused), remaining)


_Refused = list[tuple[Origin, str]]


def _chosen(kept: Mapping[str, str], settings: Sequence[Setting]) -> tuple[dict[str, Setting], _Refused]:
    """Return the settings that are valid by themselves, each once, by annotation; and why others are not written."""
    chosen: dict[str, Setting] = {}
    refused: _Refused = []
    for item in settings:
        key = f"{PREFIX}{item.name}"
        before = kept.get(key, chosen[key].value if key in chosen else None)
        if before == item.value:
            continue
        if before is not None:
            refused.append((item.origin, f"{key} is not written: it is set already; keep one of the two"))
        elif fault := _fault(item):
            refused.append((item.origin, f"{key} is not written: {fault}"))
        else:
            chosen[key] = item
    return chosen, refused


def _without_entries(left: list[WantedEntry], problems: Sequence[Problem]) -> Iterator[tuple[Origin, str]]:
    """Remove the entries with problems from *left*, and yield why."""
    wrong = {int(found[1]): item for item in problems if (found := _NUMBER.match(item.where))}
    whole = next((item for item in problems if item.where == CONFIG), None)
    if whole and left:
        # The document is too large, or asks for too much.
        wrong[len(left) - 1] = whole
    for number in sorted(wrong, reverse=True):
        if number < len(left):
            yield left.pop(number).origin, f"not written: the webhook would reject it: {_within(wrong[number])}"


def _without_settings(chosen: dict[str, Setting], problems: Sequence[Problem]) -> Iterator[tuple[Origin, str]]:
    """Remove the settings with problems from *chosen*, and yield why."""
    for key, problem in {item.where.partition(": ")[0]: item for item in problems}.items():
        if key in chosen:
            yield chosen.pop(key).origin, f"{key} is not written: the webhook would reject it: {problem.message}"


def _within(problem: Problem) -> str:
    """Return a problem of an entry without the number of the entry, which the user has not written."""
    where = _NUMBER.sub("", problem.where).lstrip(".")
    return f"{where}: {problem.message}" if where else problem.message


def _fault(item: Setting) -> str:
    """Return why the value is not valid by itself; empty if it is."""
    found = find(item.name)
    try:
        if found:
            found[0].parse(item.value)
    except parsers.InvalidValue as error:
        return str(error)
    return ""


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as literal blocks."""

    def ignore_aliases(self, _data: object) -> bool:
        """Write equal values twice, because the webhook reads no aliases."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text and all(line.isprintable() for line in text.split("\n")) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
