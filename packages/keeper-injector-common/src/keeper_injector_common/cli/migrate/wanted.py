"""What a pod gets from another tool, in the terms of Keeper Injector; each tool's module returns it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import attrs
import yaml

from keeper_injector_common.cli.manifest_yaml import Position
from keeper_injector_common.cli.migrate.pods import Item, Pod
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.titles import escaped
from keeper_injector_common.json_values import Json


@attrs.frozen(order=True)
class Unmigrated:
    """Something that the user must migrate or check."""

    position: Position
    message: str
    is_done: bool = False
    """Whether it was removed and nothing needs to be checked."""


@attrs.frozen(eq=False)
class Removal:
    """An item of a list or an entry of a mapping that the pod no longer needs."""

    parent: yaml.CollectionNode = attrs.field(repr=False)
    index: int

    @classmethod
    def of(cls, item: Item) -> Removal:
        """Return the removal of an item."""
        return cls(item.parent, item.index)


@attrs.frozen(kw_only=True)
class Origin:
    """What asks for a setting, a variable or an entry, and is removed when that is written."""

    position: Position
    label: str
    """For messages: the annotation, the variable, the object."""
    removals: tuple[Removal, ...] = ()
    index: int | None = None
    """The index of the annotation that is replaced; None if it is not an annotation."""


@attrs.frozen
class Setting:
    """One annotation of Keeper Injector, without prefix."""

    name: str
    value: str
    origin: Origin


@attrs.frozen
class WantedVariable:
    """An environment variable."""

    name: str
    reference: str
    """What it contains: ``db[password]``."""
    origin: Origin
    container: str = ""
    """The container that has it. Empty for all containers."""


@attrs.frozen
class WantedEntry:
    """An entry of ``secrets`` in the annotation ``config``: files, variables of a record, or a Kubernetes Secret."""

    content: Json
    origin: Origin


@attrs.frozen
class Wanted:
    """Everything that one tool gives to a pod."""

    settings: Sequence[Setting] = ()
    variables: Sequence[WantedVariable] = ()
    entries: Sequence[WantedEntry] = ()
    removals: Sequence[Removal] = ()
    """What is removed in any case."""
    replaced: Sequence[int] = ()
    """The indexes of annotations that are removed in any case."""
    remarks: Sequence[Unmigrated] = ()

    @property
    def origins(self) -> list[Origin]:
        """What asks for something, in the order of settings, entries and variables."""
        return [
            *(item.origin for item in self.settings),
            *(item.origin for item in self.entries),
            *(item.origin for item in self.variables),
        ]


def merged(found: Iterable[Wanted]) -> Wanted:
    """Return everything that several tools give to one pod."""
    every = tuple(found)
    return Wanted(
        *(tuple(item for wanted in every for item in getattr(wanted, field.name)) for field in attrs.fields(Wanted))
    )


@attrs.frozen
class Document:
    """The YAML document that is added to the output for one object."""

    text: str
    unmigrated: tuple[str, ...] = ()


WantsOf = Callable[[Pod, Run], Wanted]
"""Returns what a tool gives to a pod."""
MigrateObject = Callable[[Json, Run], Document | None]
"""Takes an object; returns None if nothing has to be added for it."""


@attrs.frozen
class Tool:
    """A tool that is migrated from."""

    name: str
    wants: WantsOf | None = None
    prefixes: tuple[str, ...] = ()
    """The beginnings of its annotations."""
    migrate_object: MigrateObject | None = None
    by_default: bool = True
    """Whether it is migrated from without ``--from``."""


def reference(record: str, field: str) -> str:
    """Return the reference to a field of a record; *record* is escaped already."""
    return f"{record}[{escaped(field)}]"
