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
from collections.abc import Callable

from keeper_injector_common.json_values import Json, kind_of
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.codec import InvalidParts

KEY = "shared"
SHARED_ABOVE = 16 * 1024
"""Characters of a plan."""
LISTS = {"directories": ("files", "folders"), "environments": ("variables", "records")}
"""The lists whose items can be shared, by the list of the objects that contain them."""
_FIX = "it must be what the webhook wrote"


def share_parts(content: Json) -> Json:
    """Return *content*, the JSON of a plan, with each item that occurs several times in ``shared``."""
    counts: Counter[str] = Counter()

    def counted(item: object, _path: str) -> object:
        counts[json.dumps(item)] += 1
        return item

    _replaced(content, counted)
    position = {text: number for number, text in enumerate(text for text, count in counts.items() if count > 1)}
    if not position:
        return content

    def shared(item: object, _path: str) -> object:
        number = position.get(json.dumps(item))
        return item if number is None else {KEY: number}

    return {**_replaced(content, shared), KEY: [json.loads(text) for text in position]}


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
