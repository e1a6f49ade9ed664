"""The variables of a record, by name, for formats with one ``NAME=value`` line for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.variable_names import (
    is_forbidden_variable,
    to_variable_name,
    to_variable_names,
)

if TYPE_CHECKING:
    from keeper_injector_common.records.formats.interface import RecordContent


def variables_of(content: RecordContent) -> dict[str, str]:
    """Return the text of each value by the name of its variable.

    Names that the user wrote are kept; parts of a structured value are added in upper case: ``db_HOSTNAME``. Raises FormatError
    if two values get the same variable.
    """
    if content.exact_names:
        return flatten(content, lambda name, part: to_variable_name(str(part), prefix=f"{name}_"))
    return to_variable_names(content.title, flatten(content))


def refuse_loader_variable(name: str) -> None:
    """Raise InvalidValue if *name* is a variable that controls the program loader."""
    if is_forbidden_variable(name):
        raise InvalidValue(f"{name} controls the program loader and cannot be set from a secret", "choose another name")
