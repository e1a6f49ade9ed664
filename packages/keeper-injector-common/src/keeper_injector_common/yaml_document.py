"""YAML documents from untrusted users: parsed within limits, and read key by key with the path to every problem.

:func:`load_yaml` rejects what people do not write and what could exhaust the server: aliases, duplicate keys, deep nesting.
:class:`Section` reads one mapping of the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import kind_of
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.suggestions import advice_on_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keeper_injector_common.parsers import Parse, T

MAX_CHARACTERS = 64 * 1024
"""Kubernetes limits all annotations of an object together to 256 KiB."""
MAX_DEPTH = 12


def load_yaml(text: str) -> object:
    """Return the document in *text*, which must be the only one.

    Raises :class:`~keeper_injector_common.parsers.InvalidValue` for invalid YAML, anchors, aliases, duplicate keys, and documents
    that exceed :data:`MAX_CHARACTERS` or :data:`MAX_DEPTH`.
    """
    # PyYAML is imported here because most pods have no YAML, and the webhook starts faster without it.
    import yaml

    if len(text) > MAX_CHARACTERS:
        raise InvalidValue(f"the document has {len(text)} characters", f"write at most {MAX_CHARACTERS}")
    try:
        _reject_bombs(yaml, text)
        return yaml.load(text, Loader=_loader(yaml))  # noqa: S506 - a SafeLoader that also rejects duplicate keys
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InvalidValue(f"not valid YAML{position}: {error.problem or error.context}", "correct it there") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # PyYAML's constructors raise ValueError for dates and numbers that do not exist.
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue("not valid YAML", "check it with a YAML linter") from None


def _reject_bombs(yaml: Any, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = event.start_mark.line + 1
            raise InvalidValue(f"line {line} uses a YAML anchor or alias", "write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InvalidValue(f"the document is nested more than {MAX_DEPTH} deep", "flatten it")


def _loader(yaml: Any) -> Any:
    class UniqueKeys(yaml.SafeLoader):  # type: ignore[misc] # the base comes from a module that is imported late
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT002 - PyYAML's signature
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise InvalidValue(
                        f"line {key.start_mark.line + 1} has a key that is not plain text", "write a name"
                    )
                if key.value in seen:
                    raise InvalidValue(f"line {key.start_mark.line + 1} repeats the key {key.value!r}", "keep one")
                seen.add(key.value)
            return dict(super().construct_mapping(node, deep=deep))

    return UniqueKeys


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
        self.report(name, f"{kind_of(value)} found", "write text")
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
            self.report(name, f"{kind_of(value)} found", "write text")
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
                self.report(f"{name}[{number}]", f"{kind_of(item)} found", "write text")
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
        if not isinstance(value, dict) or not all(isinstance(item, str | int) for item in value.values()):
            self.report(name, f"{kind_of(value)} found", "write a mapping of names to names")
            return {}
        result: dict[str, str] = {}
        for field, item in value.items():
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
            self.report(str(key), "unknown key", advice_on_key(str(key), self._known))

    def _take(self, key: str, *aliases: str) -> tuple[str, object]:
        self._known.append(key)
        found = [(name, self._content.pop(name)) for name in (key, *aliases) if name in self._content]
        if len(found) > 1:
            self.report(found[1][0], f"the same as {found[0][0]!r}", "write one of the two")
        return found[0] if found else (key, None)
