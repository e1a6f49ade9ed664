"""Reads annotations one by one: from texts to values by name, with every problem and warning on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations import table
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import InvalidReferenceError, Problem, Severity
from keeper_injector_common.limits import (
    LARGEST_ANNOTATIONS,
    LONGEST_VALUE,
    MOST_ACTION_CHARACTERS,
    MOST_ANNOTATIONS,
    MOST_SECRETS,
    MOST_SHOWN,
    MOST_TEMPLATES,
    action_characters,
)
from keeper_injector_common.parsers import InvalidValue, file_path
from keeper_injector_common.references import Reference, parse_reference, relative_path


@attrs.frozen
class Member:
    """One annotation of a family such as ``record-<handle>``."""

    key: str
    """The whole annotation: ``keeper.security/record-db``."""
    name: str
    """The part after the stem: ``db``."""
    value: Any


_LONGEST_KEY = 512
"""Characters of a key, which is the title of a record in some annotations. Kubernetes allows 317, but checks it after the webhook."""
_EACH_A_SECRET = tuple(f"{PREFIX}{stem}" for stem in ("record-", "secret-", "file-", "env-"))
"""The beginnings of annotations that ask for one secret each."""
_NO_SECRET = f"{PREFIX}env-prefix-"


def problems_of_size(annotations: Mapping[str, str]) -> Iterator[Problem]:
    """Yield why *annotations* are too many or too large to be read. API servers check the size only after the webhook."""
    size = sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items())
    if size > LARGEST_ANNOTATIONS:
        yield annotations_too_large(size)
        return
    own = [key for key in annotations if key.startswith(PREFIX)]
    if len(own) > MOST_ANNOTATIONS:
        found, right = f"the pod has {len(own)} of these annotations", f"write at most {MOST_ANNOTATIONS}"
        yield Problem(f"{PREFIX}*", found, right)
    if (count := sum(key.startswith(_EACH_A_SECRET) and not key.startswith(_NO_SECRET) for key in own)) > MOST_SECRETS:
        yield too_many_secrets(f"{PREFIX}*", count)
    yield from problems_of_templates(
        f"{PREFIX}template-*", [annotations[key] for key in own if key.startswith(_TEMPLATES)]
    )
    for key in own:
        if len(key) > _LONGEST_KEY:
            yield Problem(key, f"the key has {len(key)} characters", f"write at most {_LONGEST_KEY}")


_TEMPLATES = f"{PREFIX}template-"


def problems_of_templates(where: str, templates: Sequence[str]) -> Iterator[Problem]:
    """Yield why *templates*, all of one pod, would take too long to compile."""
    if len(templates) > MOST_TEMPLATES:
        yield Problem(where, f"{len(templates)} templates found", f"write at most {MOST_TEMPLATES}")
    elif sum(map(action_characters, templates)) > MOST_ACTION_CHARACTERS:
        found = f"the templates have more than {MOST_ACTION_CHARACTERS} characters between {{{{ and }}}}"
        yield Problem(where, found, "write shorter ones, or let the application read formats such as json")


def annotations_too_large(size: int) -> Problem:
    """Return the problem of a pod whose annotations, of all prefixes, have *size* bytes."""
    found = f"the pod's annotations have {size} bytes"
    return Problem("metadata.annotations", found, f"Kubernetes allows {LARGEST_ANNOTATIONS}, so remove some")


def too_many_secrets(where: str, count: int) -> Problem:
    """Return the problem of a pod that asks for *count* secrets."""
    right = f"ask for at most {MOST_SECRETS} files, folders and variables, or for a folder with all of its records"
    return Problem(where, f"{count} secrets are asked for", right)


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
        self._origins: dict[str, str] = {}
        """The annotation that sets each value."""
        self._defaulted: set[str] = set()
        self._families: dict[str, dict[str, Member]] = {stem: {} for stem in table.FAMILIES}
        for name, text in defaults.items():
            known = table.BY_NAME.get(name)
            if known is None or not known.default_allowed:
                self.report(f"default {name}", "this annotation cannot have a default", "remove it")
                continue
            self._read(f"default {name}", known, "", text)
        self._defaulted = set(self._values)
        self._origins.clear()  # an annotation overrides a default
        if too_large := [*problems_of_size(annotations)]:
            self.problems += too_large
            return
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

    def keys_of(self, name: str) -> Sequence[str]:
        """Return the annotations of the pod that set the one called *name*; none if it is unset, or a default."""
        return [self._origins[name]] if name in self._origins else []

    def family(self, stem: str) -> Sequence[Member]:
        """Return the annotations whose names begin with *stem*, in the order of their keys."""
        return [*self._families[stem].values()]

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
            # A suggestion takes long, and only the first warnings are shown.
            near = table.nearest(key.removeprefix(PREFIX)) if len(self.warnings) < MOST_SHOWN else None
            right = f"did you mean {near}?" if near else "check its name, or remove it"
            self.warn(key, "unknown annotation, ignored", right)
            return
        annotation, member = found
        if annotation.replaced_by:
            self.warn(key, "old name", f"write {PREFIX}{annotation.replaced_by}")
            annotation = table.BY_NAME[annotation.replaced_by]
        self._read(key, annotation, member, text)

    def _read(self, where: str, annotation: table.Annotation, member: str, text: str) -> None:
        if len(text) > LONGEST_VALUE:
            self.report(where, f"the value has {len(text)} characters", f"write at most {LONGEST_VALUE}")
            return
        try:
            value = annotation.parse(text)
        except InvalidValue as error:
            self.report(where, error.found, error.right)
            return
        if annotation.alias_of and not annotation.adds:
            annotation = table.BY_ANY_NAME[annotation.alias_of]
        if annotation.stem:
            self._add_member(annotation.stem, Member(where, member, value))
            return
        other = self._origins.get(annotation.name)
        if other and self._values[annotation.name] != value:
            self._report_other_name(where, other)
            return
        if annotation.alternative in self._defaulted:
            self._defaulted.discard(annotation.alternative)
            del self._values[annotation.alternative]
        self._values[annotation.name], self._origins[annotation.name] = value, where

    def _add_member(self, stem: str, member: Member) -> None:
        """Add *member*. Another name of the same annotation may be set too, if it has the same value."""
        same = self._families[stem].setdefault(member.name, member)
        if same.value != member.value:
            self._report_other_name(member.key, same.key)

    def _report_other_name(self, where: str, other: str) -> None:
        self.report(where, f"{other} is the same setting, and has another value", "keep one of the two")
