"""YAML documents from untrusted users: parsed within limits, and read key by key with the path to every problem.

:func:`load_yaml` rejects what people do not write and what could exhaust the server: aliases, tags, duplicate keys, deep nesting.
:class:`Section` reads one mapping of the document.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import kind_of
from keeper_injector_common.limits import LONGEST_VALUE, MOST_SHOWN
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.suggestions import advice_on_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keeper_injector_common.parsers import Parse, T

MAX_CHARACTERS = LONGEST_VALUE
MAX_DEPTH = 12
MAX_NODES = 4000
"""Texts, lists and mappings of one document; 200 secrets with nine keys each have 3,801."""


def load_yaml(text: str, most_characters: int = MAX_CHARACTERS) -> object:
    """Return the document in *text*, which must be the only one.

    A document of administrators may be longer than one of users: with more *most_characters*, its size alone limits it, and not
    :data:`MAX_NODES`.

    A text without quotes is None, a boolean or a whole number only if it is written as YAML 1.1 and JSON both write one. Anything else
    stays the text that was written: ``0440``, ``1.10``, ``12:30`` and ``2026-01-01`` do not become other numbers or dates.

    Raises :class:`~keeper_injector_common.parsers.InvalidValue` for invalid YAML, anchors, aliases, tags, duplicate keys, and
    documents that exceed *most_characters*, :data:`MAX_DEPTH` or :data:`MAX_NODES`.
    """
    # PyYAML is imported here because most pods have no YAML, and the webhook starts faster without it.
    import yaml

    if len(text) > most_characters:
        raise InvalidValue(f"the document has {len(text)} characters", f"write at most {most_characters}")
    most_nodes = MAX_NODES if most_characters <= MAX_CHARACTERS else most_characters
    # libyaml is twenty times as fast. Both loaders only supply events here, and construct nothing.
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    try:
        return _build(yaml, yaml.parse(text, Loader=loader), most_nodes)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidValue(f"not valid YAML{position}: {error.problem or error.context}", "correct it there") from None
    except (yaml.YAMLError, UnicodeError):
        raise InvalidValue("not valid YAML", "check it with a YAML linter") from None


def _build(yaml: Any, events: Iterator[Any], most_nodes: int) -> object:
    """Return the value of the only document in *events*.

    The value is built here and not by PyYAML's constructor, which expands aliases, recurses, and turns texts into numbers and dates
    at the price that their authors choose.
    """
    documents: list[object] = []
    # Each open collection, with the key that waits for its value and the line of the collection.
    open_ones: list[tuple[list[object] | dict[str, object], list[str]]] = []
    nodes = 0
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            nodes += 1
            if nodes > most_nodes:
                raise InvalidValue(f"the document has more than {most_nodes} values", "write a shorter one")
            _reject(yaml, event, len(open_ones), len(documents))
        elif not isinstance(event, yaml.CollectionEndEvent):
            continue
        else:
            open_ones.pop()
            continue
        value = _value(yaml, event)
        if not open_ones:
            documents.append(value)
        elif isinstance(open_ones[-1][0], list):
            open_ones[-1][0].append(value)
        else:
            _add(yaml, event, *open_ones[-1], value)
        if isinstance(value, list | dict):
            open_ones.append((value, []))
    return documents[0] if documents else None


def _reject(yaml: Any, event: Any, depth: int, documents: int) -> None:
    line = event.start_mark.line + 1
    if isinstance(event, yaml.AliasEvent) or event.anchor:
        raise InvalidValue(f"line {line} uses a YAML anchor or alias", "write the value out")
    if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
        raise InvalidValue(f"line {line} uses the tag {event.tag!r}", "remove it")
    if not depth and documents:
        raise InvalidValue(f"not valid YAML at line {line}: another document begins", "write one document")
    if depth >= MAX_DEPTH and isinstance(event, yaml.CollectionStartEvent):
        raise InvalidValue(f"the document is nested more than {MAX_DEPTH} deep", "flatten it")


def _add(yaml: Any, event: Any, mapping: Any, waiting: list[str], value: object) -> None:
    """Add *value* to *mapping*: as a key, which then waits for its value, or as the value of the key that waits."""
    if waiting:
        mapping[waiting.pop()] = value
        return
    line = event.start_mark.line + 1
    if not isinstance(event, yaml.ScalarEvent):
        raise InvalidValue(f"line {line} has a key that is not plain text", "write a name")
    if event.value in mapping:
        raise InvalidValue(f"line {line} repeats the key {event.value!r}", "keep one")
    waiting.append(event.value)


_NULL = re.compile(r"~|null|Null|NULL|", re.ASCII)
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}", re.ASCII)
_BOOLEANS = {
    form: value
    for word, value in (("true", True), ("yes", True), ("on", True), ("false", False), ("no", False), ("off", False))
    for form in (word, word.capitalize(), word.upper())
}


def _value(yaml: Any, event: Any) -> object:
    if isinstance(event, yaml.MappingStartEvent):
        return {}
    if isinstance(event, yaml.SequenceStartEvent):
        return []
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _NULL.fullmatch(text):
        return None
    return int(text) if _WHOLE.fullmatch(text) else text


class Section:
    """A mapping of the document that knows its path and collects problems.

    Every read removes the key, so that :meth:`finish` can report the keys that are unknown. A value that is null counts as missing.
    """

    def __init__(self, content: dict[str, object], path: str, problems: list[Problem]) -> None:
        self.path = path
        self._content = dict(content)
        self._known: list[str] = []
        self._problems = problems

    def report(self, key: str, found: str, right: str) -> None:
        """Add a problem at *key*, or at the mapping itself if *key* is empty."""
        self._problems.append(Problem(self.inside(key), found, right))

    def inside(self, key: str) -> str:
        """Return the path of *key* for messages: ``keeper.security/config: secrets[0].path``."""
        if not key:
            return self.path.removesuffix(": ")
        return f"{self.path}{'' if self.path.endswith(': ') else '.'}{key}"

    def unread(self) -> list[str]:
        """Return the keys that have not been read."""
        return [str(key) for key in self._content]

    def scalar(self, key: str) -> str | None:
        """Return the text, number or boolean at *key* as text; None if it is missing or another type, which is reported."""
        name, value = self._take(key)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        self.report(name, f"{kind_of(value)} found", _text_instead_of(value))
        return None

    def has(self, *keys: str) -> bool:
        """Return whether any of *keys* is present, not null and not read yet."""
        return any(self._content.get(key) is not None for key in keys)

    def text(self, key: str, parse: Parse[T], *aliases: str) -> T | None:
        """Return the parsed text or number at *key* or one of its *aliases*; None if it is missing, or invalid and reported."""
        name, value = self._take(key, *aliases)
        if value is None:
            return None
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            self.report(name, f"{kind_of(value)} found", _text_instead_of(value))
            return None
        try:
            return parse(str(value))
        except InvalidValue as error:
            self.report(name, error.found, error.right)
            return None

    def switch(self, key: str, *, default: bool) -> bool:
        """Return the boolean at *key*, or *default* if it is missing or invalid; text such as ``yes`` is read as in annotations."""
        from keeper_injector_common.parsers import switch

        name, value = self._take(key)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        try:
            return switch(str(value))
        except InvalidValue as error:
            self.report(name, error.found, error.right)
            return default

    def texts(self, key: str, parse: Parse[T]) -> tuple[T, ...] | None:
        """Return the valid items of the list at *key*, None if it is missing; a single text is a list of one."""
        name, value = self._take(key)
        if value is None:
            return None
        found: list[T] = []
        for number, item in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(item, str | int | float) or isinstance(item, bool):
                self.report(f"{name}[{number}]", f"{kind_of(item)} found", _text_instead_of(item))
                continue
            try:
                found.append(parse(str(item)))
            except InvalidValue as error:
                self.report(f"{name}[{number}]", error.found, error.right)
        return tuple(found)

    def pairs(self, key: str, parse: Parse[str]) -> dict[str, str]:
        """Return the mapping at *key* with its values parsed, without the invalid ones; empty if it is missing."""
        name, value = self._take(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.report(name, f"{kind_of(value)} found", "write a mapping of names to names")
            return {}
        result: dict[str, str] = {}
        for field, item in value.items():
            if not isinstance(item, str | int) or isinstance(item, bool):
                self.report(f"{name}.{field}", f"{kind_of(item)} found", _text_instead_of(item))
                continue
            try:
                result[str(field)] = parse(str(item))
            except InvalidValue as error:
                self.report(f"{name}.{field}", error.found, error.right)
        return result

    def mapping(self, key: str, read: Callable[[Section], T]) -> T | None:
        """Return the result of *read* for the mapping at *key*; None if it is missing or not a mapping."""
        name, value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.report(name, f"{kind_of(value)} found", "write a mapping")
            return None
        entry = Section(value, self.inside(name), self._problems)
        result = read(entry)
        entry.finish()
        return result

    def mappings(self, key: str) -> Iterator[Section]:
        """Iterate over the mappings in the list at *key*."""
        name, value = self._take(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.report(name, f"{kind_of(value)} found", "write a list")
            return
        for number, item in enumerate(value):
            path = f"{name}[{number}]"
            if not isinstance(item, dict):
                self.report(path, f"{kind_of(item)} found", "write a mapping such as {record: my-record}")
                continue
            yield Section(item, self.inside(path), self._problems)

    def finish(self) -> None:
        """Report every key that has not been read, with the key that was probably meant."""
        for key in self._content:
            # A suggestion takes long, and only the first problems are shown.
            known = self._known if len(self._problems) < MOST_SHOWN else ()
            self.report(str(key), "unknown key", advice_on_key(str(key), known) if known else "remove it")

    def _take(self, key: str, *aliases: str) -> tuple[str, object]:
        self._known.append(key)
        found = [(name, self._content.pop(name)) for name in (key, *aliases) if name in self._content]
        if len(found) > 1:
            self.report(found[1][0], f"the same as {found[0][0]!r}", "write one of the two")
        return found[0] if found else (key, None)


def _text_instead_of(value: object) -> str:
    return "put it in quotes" if isinstance(value, bool) else "write text"
