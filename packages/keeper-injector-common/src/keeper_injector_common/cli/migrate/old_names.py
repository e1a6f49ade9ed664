"""Annotations of Keeper Injector that were renamed, and the names that replace them."""

from __future__ import annotations

from collections.abc import Mapping

from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.counterparts import Annotations
from keeper_injector_common.cli.migrate.titles import Titles


def rename_annotation(entry: Entry, _entries: Mapping[str, Entry], _titles: Titles) -> Annotations | None:
    """Return the annotation under its new name, or None if it was not renamed."""
    annotation = BY_NAME.get(entry.key.removeprefix(PREFIX)) if entry.key.startswith(PREFIX) else None
    if annotation is None or not annotation.replaced_by:
        return None
    return Annotations({annotation.replaced_by: entry.text})
