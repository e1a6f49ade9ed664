"""Annotations, key by key → their values by name; every problem and warning is noted, and reading goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations import table as vocabulary
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import InvalidReferenceError, Problem, Severity
from keeper_injector_common.parsers import InvalidValue, file_path
from keeper_injector_common.references import Reference, parse_reference, relative_path


@attrs.frozen
class Member:
    """One annotation of a family such as ``secret-<name>``."""

    key: str
    name: str
    value: Any


class Reader:
    """What one pod's annotations say, over its defaults, and what is wrong or odd about them so far."""

    def __init__(self, annotations: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._values: dict[str, Any] = {}
        self._defaulted: set[str] = set()
        self._families: dict[str, list[Member]] = {stem: [] for stem in vocabulary.FAMILIES}
        for name, text in defaults.items():
            known = vocabulary.BY_NAME.get(name)
            if known is None or not known.default_allowed:
                self.report(f"default {name}", "no annotation that can have a default", "remove it")
                continue
            self._read(f"default {name}", known, "", text)
        self._defaulted = set(self._values)
        for key in sorted(annotations):
            if key.startswith(PREFIX) and key not in vocabulary.SET_BY_WEBHOOK:
                self._annotation(key, annotations[key])

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of the annotation called *name* (without prefix)."""
        return self._values.get(name, default)

    def family(self, stem: str) -> Sequence[Member]:
        """Return the annotations that begin with *stem*, in the order of their keys."""
        return self._families[stem]

    def report(self, where: str, found: str, right: str) -> None:
        """Add an error."""
        self.problems.append(Problem(where, found, right))

    def warn(self, where: str, found: str, right: str = "") -> None:
        """Add a warning."""
        self.warnings.append(Problem(where, found, right, Severity.WARNING))

    def reference(self, where: str, text: str) -> Reference | None:
        """Read the name of a secret; None when it cannot be (then reported)."""
        if relative := relative_path(text):
            title = text.replace(f":{relative}", f"\\:{relative}")
            self.report(
                where, f"the path {relative!r} is relative", f"write /{relative.lstrip('./')}, or {title} for a title"
            )
            return None
        try:
            return parse_reference(text)
        except InvalidReferenceError as error:
            self.report(where, error.found, error.right)
            return None

    def path(self, where: str, text: str) -> str | None:
        """Read the path of a file; None when it cannot be one (then reported)."""
        try:
            return file_path(text)
        except InvalidValue as error:
            self.report(where, error.found, error.right)
            return None

    def _annotation(self, key: str, text: str) -> None:
        found = vocabulary.find(key.removeprefix(PREFIX))
        if found is None:
            near = vocabulary.nearest(key.removeprefix(PREFIX))
            self.warn(key, "unknown annotation, ignored", f"did you mean {near}?" if near else "")
            return
        annotation, member = found
        if annotation.replaced_by:
            new = PREFIX + annotation.replaced_by
            self.warn(key, "old name", f"write {new}")
            annotation = vocabulary.BY_NAME[annotation.replaced_by]
        self._read(key, annotation, member, text)

    def _read(self, where: str, annotation: vocabulary.Annotation, member: str, text: str) -> None:
        try:
            value = annotation.parse(text)
        except InvalidValue as error:
            self.report(where, error.found, error.right)
            return
        if annotation.stem:
            self._families[annotation.stem].append(Member(where, member, value))
            return
        other = vocabulary.INSTEAD.get(annotation.name)
        if other in self._defaulted:
            self._defaulted.discard(other)
            del self._values[other]
        self._values[annotation.name] = value
