"""The variables of a record, by name: for formats with one ``NAME=value`` line for each, and for environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import FormatError
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.records.formats.flattening import flatten
from keeper_injector_common.records.formats.ordinary_fields import is_ordinary
from keeper_injector_common.records.formats.variable_names import (
    is_forbidden_variable,
    to_variable_name,
    to_variable_names,
)
from keeper_injector_common.uniqueness import Named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keeper_injector_common.records.formats.interface import RecordContent


def variables_of(content: RecordContent) -> dict[str, str]:
    """Return the text of each value by the name of its variable.

    Names that the user wrote are kept; parts of a structured value are added in upper case: ``db_HOSTNAME``. Raises what
    :func:`variable_entries` raises.
    """
    if content.exact_names:
        return flatten(content, lambda name, part: to_variable_name(str(part), prefix=f"{name}_"))
    return {entry.name: entry.value for entry in variable_entries(content, otherwise="use another format")}


def variable_entries(
    content: RecordContent,
    *,
    prefix: str = "",
    uid: str = "",
    otherwise: str = "set an env-prefix that ends in '_'",
) -> Iterator[Named[str]]:
    """Yield the variables of a record with their origins, structured values in one variable for each part.

    If the pod has not listed the fields, they must be ordinary (see :mod:`.ordinary_fields`), or the pod must set a *prefix* that
    ends in ``_``: then an editor of the record chooses only names that begin with it. Raises FormatError for any other field, if
    two fields get the same variable, and if a variable is forbidden or protected; *otherwise* is what helps besides a list.
    """
    title = content.title
    if content.chosen_by_record and not prefix.endswith("_"):
        strange = [field for field, value in content.fields.items() if not is_ordinary(field, value)]
        if strange:
            names = ", ".join(to_variable_name(field, prefix=prefix) for field in strange)
            fields, are = f"field {strange[0]!r}", "is not an ordinary field"
            if len(strange) > 1:
                fields, are = f"fields {', '.join(map(repr, strange))}", "are not ordinary fields"
            raise FormatError(
                f"record {title!r}, {fields}: {are} of Keeper, and {names} could be any variable that "
                "someone who edits the record chooses; list the fields that you want (fields: in config, or fields-<name>), or "
                f"{otherwise}"
            )
    record = f"record {title!r} ({uid})" if uid else f"record {title!r}"
    for name, (field, value) in to_variable_names(title, flatten(content), prefix=prefix).items():
        yield Named(name, value, f"field {field!r} of {record}")


def refuse_loader_variable(name: str) -> None:
    """Raise InvalidValue if *name* is a variable that controls the program loader."""
    if is_forbidden_variable(name):
        raise InvalidValue(f"{name} controls the program loader and cannot be set from a secret", "choose another name")
