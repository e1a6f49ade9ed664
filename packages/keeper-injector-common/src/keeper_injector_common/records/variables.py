"""The environment variables of a pod: which value each has, and which previous value stays if an item fails.

An *item* of the plan is one variable with a name, or a record whose fields become variables. A problem of one item never takes the
variables of another one away, and never gives a variable the value of another item:

- A variable that the plan names overrides one that a record implies, also if its own value is unavailable.
- Two records that imply one variable are a problem of that variable.
- If an item fails, all variables that came from it keep their previous values. Values of one record change together, because a
  user name and its password belong together. Another record that implies one of these variables does not get it.
- If a record is gone, and the pod wants what was delivered of it removed (``on-removal: remove``), its variables have no values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common.errors import FormatError, RecordGoneError
from keeper_injector_common.uniqueness import Clash, Named, divide

if TYPE_CHECKING:
    from keeper_injector_common.plan.model import Environment, RecordVariablesItem
    from keeper_injector_common.references import Reference


@attrs.frozen
class Variable:
    """A value, and the item of the plan that it came from."""

    value: str = attrs.field(repr=False)
    item: str
    """Identifies the item in the plan of a pod."""


@attrs.define
class VariableSet:
    """The variables of one environment."""

    variables: dict[str, Variable] = attrs.field(factory=dict)
    """By name; those that keep their previous values are among them."""
    problems: list[tuple[str, Exception]] = attrs.field(factory=list)
    """What could not be brought up to date, and why."""
    missing: bool = False
    """Whether an item with a problem has no value, so that the environment is incomplete."""
    gone: bool = False
    """Whether an item has no value because its record is gone, and what was delivered of it is to be removed."""
    up_to_date: int = 0
    """Number of variables that have their present values."""


def collect_variables(
    environment: Environment,
    *,
    of_record: Callable[[RecordVariablesItem], Iterable[Named[str]]],
    value_of: Callable[[Reference], str],
    check: Callable[[Mapping[str, str]], object],
    warn: Callable[[str], None],
    previous: Mapping[str, Variable],
    remove_gone: bool = False,
) -> VariableSet:
    """Return the variables of *environment*; what *of_record*, *value_of* and *check* raise is among the problems.

    *check* raises FormatError for variables that cannot be written. *previous* has the variables of the previous refresh by name;
    those of a record that is gone stay unless *remove_gone*.
    """
    found = VariableSet()
    explicit = {item.name for item in environment.variables}
    implied, held = _implied(found, environment.records, of_record, previous, remove_gone=remove_gone)
    for name in sorted(explicit & {entry.name for entry in implied}):
        warn(f"variable {name}: the explicit variable overrides the one of a record")
    found.variables |= {name: kept for name, kept in held.items() if name not in explicit}
    _add(found, [entry for entry in implied if entry.name not in explicit], held, previous, check)
    named: list[Named[Variable]] = []
    for item in environment.variables:
        key = str(item.source)
        try:
            named.append(Named(item.name, Variable(value_of(item.source), key), key))
        except Exception as error:  # noqa: BLE001 - whatever one item meets must not keep the others away
            _keep(found, item.name, error, {key}, previous, remove_gone=remove_gone)
    _add(found, named, {}, previous, check)
    _sort(found, environment)
    return found


def _sort(found: VariableSet, environment: Environment) -> None:
    """Put the variables into the order of the plan, so that an item that fails does not change the order in the file."""
    order = {_key(item): number for number, item in enumerate(environment.records)}
    names = {item.name: number for number, item in enumerate(environment.variables, len(order))}

    def position(entry: tuple[str, Variable]) -> int:
        name, variable = entry
        return names[name] if name in names else order[variable.item]

    found.variables = dict(sorted(found.variables.items(), key=position))


def _key(item: RecordVariablesItem) -> str:
    return f"{item.prefix}* of {item.source}"


def _implied(
    found: VariableSet,
    items: Iterable[RecordVariablesItem],
    of_record: Callable[[RecordVariablesItem], Iterable[Named[str]]],
    previous: Mapping[str, Variable],
    *,
    remove_gone: bool,
) -> tuple[list[Named[Variable]], dict[str, Variable]]:
    """Return the variables of records, and by name those that keep their previous values, because their items failed."""
    implied: list[Named[Variable]] = []
    held: dict[str, Variable] = {}
    for item in items:
        key = _key(item)
        try:
            implied += [Named(entry.name, Variable(entry.value, key), entry.origin) for entry in of_record(item)]
        except Exception as error:  # noqa: BLE001 - as above
            found.problems.append((f"variables of {item.source}", error))
            own = {name: kept for name, kept in previous.items() if kept.item == key}
            if remove_gone and isinstance(error, RecordGoneError):
                found.gone, own = True, {}
            held |= own
            found.missing |= not own
    return implied, held


def _add(
    found: VariableSet,
    entries: list[Named[Variable]],
    held: Mapping[str, Variable],
    previous: Mapping[str, Variable],
    check: Callable[[Mapping[str, str]], object],
) -> None:
    """Add *entries* whose names are free and whose values can be written; *held* variables belong to items that failed."""
    free, clashes = divide(entries)
    for clash in clashes:
        items = {entry.value.item for entry in entries if entry.name == clash.name}
        _keep(found, clash.name, _clash_of_variables(clash), items, previous)
    for name, entry in free.items():
        if name in held and held[name].item != entry.value.item:
            owner = f"{held[name].item}, which is not up to date,"
            _keep(found, name, _clash_of_variables(Clash(name, (owner, entry.origin))), {held[name].item}, previous)
            continue
        try:
            check({name: entry.value.value})
        except Exception as error:  # noqa: BLE001 - as above
            _keep(found, name, error, {entry.value.item}, previous)
        else:
            found.variables[name] = entry.value
            found.up_to_date += 1


def _keep(
    found: VariableSet,
    name: str,
    error: Exception,
    items: Iterable[str],
    previous: Mapping[str, Variable],
    *,
    remove_gone: bool = False,
) -> None:
    """Report the variable *name*, which keeps its previous value if that came from one of *items*."""
    found.problems.append((f"variable {name}", error))
    kept = previous.get(name)
    is_gone = remove_gone and isinstance(error, RecordGoneError)
    found.gone |= is_gone
    if kept is not None and kept.item in items and not is_gone:
        found.variables[name] = kept
    else:
        found.variables.pop(name, None)
        found.missing = True


def _clash_of_variables(clash: Clash) -> FormatError:
    return FormatError(
        f"variable {clash.name}: {clash} have this name; set a prefix for each secret with keeper.security/env-prefix-<name>, or "
        "with envPrefix: in config"
    )
