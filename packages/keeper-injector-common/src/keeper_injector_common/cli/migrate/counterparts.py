"""What a migration returns: the counterpart of an annotation or an object, and what has no counterpart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from keeper_injector_common.cli.manifests import Entry, Position
from keeper_injector_common.cli.migrate.titles import Titles
from keeper_injector_common.json_values import Json


@attrs.frozen(order=True)
class Unmigrated:
    """Something that the user must migrate or check."""

    position: Position
    message: str


@attrs.frozen
class Annotations:
    """The Keeper Injector annotations that replace one annotation. If they are empty, it is removed."""

    annotations: Mapping[str, str] = attrs.field(factory=dict)
    """Values by name, without the prefix ``keeper.security/``."""
    unmigrated: str = ""
    """What the user must do about it; empty if nothing."""


@attrs.frozen
class Document:
    """The YAML document that is added to the output for one object."""

    text: str
    unmigrated: tuple[str, ...] = ()


MigrateAnnotation = Callable[[Entry, Mapping[str, Entry], Titles], Annotations | None]
"""Takes an annotation and all annotations of its pod by name; returns None if the annotation is not for this tool."""
MigrateObject = Callable[[Json], Document | None]
"""Takes an object; returns None if it is not for this tool."""
