"""Lists the parts of a plan that occur several times only once, so that the plan fits into an annotation.

A directory is mounted from one volume, so containers with partly different files each have a volume with all of their files, and the
plan has the common files once for each volume. In a plan of more than :data:`SHARED_ABOVE` characters, such a part is in the list
``shared``, and each place has its position in that list::

    {"directories": [{"files": [{"shared": 0}, {"name": "own"…}]}, {"files": [{"shared": 0}]}], "shared": [{"name": "common"…}]}

Smaller plans are written without it, because people read them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

import attrs

from keeper_injector_common.json_values import Json, kind_of
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.attrs_codec import object_of
from keeper_injector_common.plan.codec import InvalidParts
from keeper_injector_common.plan.model import FileItem, FolderItem, Plan, RecordVariablesItem, VariableItem

KEY = "shared"
SHARED_ABOVE = 16 * 1024
"""Characters of the JSON of all items."""
LISTS = {"directories": ("files", "folders"), "environments": ("variables", "records")}
"""The lists whose items can be shared, by the list of the objects that contain them. Attributes and JSON have the same names."""
_Item = FileItem | FolderItem | VariableItem | RecordVariablesItem
_NAME = {FileItem: "name", FolderItem: "folder", VariableItem: "name", RecordVariablesItem: "source"}
"""The attribute in which the items of one kind differ in most plans."""
_WRITE: dict[type, Callable[..., Json]] = {
    kind: object_of(kind).write for kind in (FileItem, FolderItem, VariableItem, RecordVariablesItem)
}
_FIX = "it must be what the webhook wrote"


def shared_items(plan: Plan, above: int = SHARED_ABOVE) -> dict[_Item, Json]:
    """Return the items that occur in *plan* several times, with their JSON, if all items have more than *above* characters of JSON.

    The cost is that of the different items: an item with a long template is written once, however many volumes have it.
    """
    # A volume does not have an item twice.
    if len(plan.directories) < 2 and len(plan.environments) < 2:
        return {}
    # Equal items have equal names, and few plans have a name twice.
    names = [getattr(item, _NAME[type(item)]) for item in _items(plan)]
    if len(set(names)) == len(names):
        return {}
    counts = Counter(_items(plan))
    if len(counts) == counts.total():
        return {}
    written = {item: _WRITE[type(item)](item) for item in counts}
    size = sum(count * len(json.dumps(written[item], ensure_ascii=False)) for item, count in counts.items())
    return {item: written[item] for item, count in counts.items() if count > 1} if size > above else {}


def write_shared(plan: Plan, shared: dict[_Item, Json], write: Callable[[Plan], Json]) -> Json:
    """Return the JSON of *plan* with the items of *shared* once; *write* is the writer of whole plans."""
    position = {item: {KEY: number} for number, item in enumerate(shared)}
    directories = tuple(attrs.evolve(item, files=(), folders=()) for item in plan.directories)
    environments = tuple(attrs.evolve(item, variables=(), records=()) for item in plan.environments)
    content = write(attrs.evolve(plan, directories=directories, environments=environments))
    for outer, names in LISTS.items():
        for holder, written in zip(getattr(plan, outer), content.get(outer, ()), strict=True):
            for name in names:
                if items := getattr(holder, name):
                    written[name] = [position.get(item) or _WRITE[type(item)](item) for item in items]
    return {**content, KEY: list(shared.values())}


def _items(plan: Plan) -> Iterator[_Item]:
    for outer, names in LISTS.items():
        for holder in getattr(plan, outer):
            for name in names:
                yield from getattr(holder, name)


def restore_parts(content: Json) -> Json:
    """Return *content* without ``shared``, as if each item had been written at its place.

    Raises :class:`~keeper_injector_common.plan.codec.InvalidParts` for a list or a position that is invalid.
    """
    if KEY not in content:
        return content
    parts = content[KEY]
    if not isinstance(parts, list):
        raise InvalidParts([(f".{KEY}", InvalidValue(f"{kind_of(parts)} found", "write a list"))])
    invalid: list[tuple[str, InvalidValue]] = []

    def restored(item: object, path: str) -> object:
        if not isinstance(item, dict) or item.keys() != {KEY}:
            return item
        number = item[KEY]
        # bool is a subclass of int.
        if type(number) is int and 0 <= number < len(parts):
            return parts[number]
        invalid.append((f"{path}.{KEY}", InvalidValue(f"{number!r} is not a position in {KEY}", _FIX)))
        return item

    found = _replaced(content, restored)
    if invalid:
        raise InvalidParts(invalid)
    return {key: part for key, part in found.items() if key != KEY}


def schema_with_sharing(schema: Json) -> Json:
    """Return the JSON Schema of a plan in which items can be shared; *schema* is the one without."""
    position = {
        "type": "object",
        "properties": {KEY: {"type": "integer", "minimum": 0, "description": f"Position in {KEY}."}},
        "required": [KEY],
        "additionalProperties": False,
    }
    properties, kinds = dict(schema["properties"]), []
    for outer, names in LISTS.items():
        holder = properties[outer]["items"]
        inner = dict(holder["properties"])
        for name in names:
            kinds.append(inner[name]["items"])
            inner[name] = {**inner[name], "items": {"anyOf": [inner[name]["items"], position]}}
        properties[outer] = {**properties[outer], "items": {**holder, "properties": inner}}
    described = "Items that occur several times in a large plan."
    properties[KEY] = {"type": "array", "items": {"anyOf": kinds}, "description": described}
    return {**schema, "properties": properties}


def _replaced(content: Json, replace: Callable[[object, str], object]) -> Json:
    """Return a copy of *content* in which *replace* has seen each item that can be shared, with its path."""
    found = dict(content)
    for outer, names in LISTS.items():
        if not isinstance(content.get(outer), list):
            continue
        found[outer] = [
            {
                key: [replace(item, f".{outer}[{index}].{key}[{number}]") for number, item in enumerate(part)]
                if key in names and isinstance(part, list)
                else part
                for key, part in holder.items()
            }
            if isinstance(holder, dict)
            else holder
            for index, holder in enumerate(content[outer])
        ]
    return found
