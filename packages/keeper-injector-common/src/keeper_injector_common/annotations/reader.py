"""Reads annotations one by one: from texts to values by name, with every problem and warning on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations import table
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import InvalidReferenceError, Problem, Severity
from keeper_injector_common.parsers import InvalidValue, file_path
from keeper_injector_common.references import Reference, parse_reference, relative_path


@attrs.frozen
class Member:
    """One annotation of a family such as ``secret-<name>``."""

    key: str
    """The whole annotation: ``keeper.security/secret-db``."""
    name: str
    """The part after the stem: ``db``."""
    value: Any


class Reader:
    """The values of one pod's annotations, and the problems found while reading them.

    A problem does not stop the reader: a user sees all of them at once. *annotations* maps whole keys to texts. *defaults*
    maps names without prefix to texts, and comes from a chart or a namespace. An annotation overrides such a default, and
    that default overrides the one of the table.
    """

    def __init__(self, annotations: Mapping[str, str], defaults: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._values: dict[str, Any] = {}
        self._defaulted: set[str] = set()
        self._families: dict[str, list[Member]] = {stem: [] for stem in table.FAMILIES}
        for name, text in defaults.items():
            known = table.BY_NAME.get(name)
            if known is None or not known.default_allowed:
                self.report(f"default {name}", "this annotation cannot have a default", "remove it")
                continue
            self._read(f"default {name}", known, "", text)
        self._defaulted = set(self._values)
        for key in sorted(annotations):
            if key.startswith(PREFIX) and key not in table.SET_BY_WEBHOOK:
                self._annotation(key, annotations[key])

    def __contains__(self, name: str) -> bool:
        """Return whether the pod, its namespace or the chart sets the annotation called *name* to a valid text."""
        return name in self._values

    def get(self, name: str) -> Any:
        """Return the value of the annotation called *name* (without prefix).

        This is the default of the table if the annotation is not set, and None if the table has no default.
        """
        return self._values[name] if name in self._values else table.BY_NAME[name].default_value

    def family(self, stem: str) -> Sequence[Member]:
        """Return the annotations whose names begin with *stem*, in the order of their keys."""
        return self._families[stem]

    def report(self, where: str, found: str, right: str) -> None:
        """Add an error."""
        self.problems.append(Problem(where, found, right))

    def warn(self, where: str, found: str, right: str) -> None:
        """Add a warning."""
        self.warnings.append(Problem(where, found, right, Severity.WARNING))

    def reference(self, where: str, text: str) -> Reference | None:
        """Return the reference that *text* contains; if it is invalid, add an error and return None."""
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
        """Return the path of a file that *text* contains; if it is invalid, add an error and return None."""
        try:
            return file_path(text)
        except InvalidValue as error:
            self.report(where, error.found, error.right)
            return None

    def _annotation(self, key: str, text: str) -> None:
        found = table.find(key.removeprefix(PREFIX))
        if found is None:
            near = table.nearest(key.removeprefix(PREFIX))
            right = f"did you mean {near}?" if near else "check its name, or remove it"
            self.warn(key, "unknown annotation, ignored", right)
            return
        annotation, member = found
        if annotation.replaced_by:
            self.warn(key, "old name", f"write {PREFIX}{annotation.replaced_by}")
            annotation = table.BY_NAME[annotation.replaced_by]
        self._read(key, annotation, member, text)

    def _read(self, where: str, annotation: table.Annotation, member: str, text: str) -> None:
        try:
            value = annotation.parse(text)
        except InvalidValue as error:
            self.report(where, error.found, error.right)
            return
        if annotation.stem:
            self._families[annotation.stem].append(Member(where, member, value))
            return
        if annotation.alternative in self._defaulted:
            self._defaulted.discard(annotation.alternative)
            del self._values[annotation.alternative]
        self._values[annotation.name] = value
