"""The codecs of attrs classes, from the metadata of their fields.

::

    @attrs.frozen
    class Entry:
        name: str = attrs.field(metadata=wire("name", text(parsers.text), "Name of the entry."))
        recursive: bool = attrs.field(default=False, metadata=wire("recursive", BOOLEAN, "Include folders below."))

    ENTRY = object_of(Entry)
    ENTRY.read({"name": "a"})  # Entry("a", recursive=False)
    ENTRY.write(Entry("a"))  # {"name": "a"}

Keys are written in the order of the fields. A field without a default is required. A field that equals its default is not
written.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.json_values import Json, kind_of
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.codec import Codec, InvalidParts, T, at, text, unchanged
from keeper_injector_common.suggestions import advice_on_key

_METADATA = "wire"
_ALWAYS = object()
"""Marker: always write this field."""
_MISSING = ("missing", "it must be what the webhook wrote")


@attrs.frozen
class _Wire:
    key: str
    codec: Codec[Any]
    description: str
    required: bool


def wire(key: str, codec: Codec[Any], description: str, *, required: bool = False) -> dict[str, object]:
    """Return the metadata of a field that is *key* in JSON; the schema has its *description*.

    A field without a default is always required. With ``required=True`` JSON must contain the key even though Python has a default.
    """
    return {_METADATA: _Wire(key, codec, description, required)}


def inline(*kinds: type[Any]) -> dict[str, object]:
    """Return the metadata of a field that is one of several attrs classes, with its keys among those of the whole object.

    The class is the one whose first key is present.
    """
    return {_METADATA: _Wire("", _variants(*kinds), "", required=True)}


def object_of(kind: type[T]) -> Codec[T]:
    """Return the codec of an attrs class whose fields all have metadata from :func:`wire` or :func:`inline`."""
    fields = tuple(_Field.of(attribute) for attribute in attrs.fields(kind))  # type: ignore[arg-type] # any attrs class
    schema = _schema(fields)
    return Codec(_reader(kind, fields, schema), _writer(fields), schema)


def _reader(kind: type[T], fields: tuple[_Field, ...], schema: Json) -> Callable[[object], T]:
    readers = tuple((field.wire.key, field.name, field.wire.codec.read) for field in fields if field.wire.key)
    inlined = tuple((field.name, field.wire.codec) for field in fields if not field.wire.key)
    known = frozenset(schema["properties"])
    required = frozenset(schema.get("required", ()))

    def read(content: object) -> T:
        if not isinstance(content, dict):
            raise InvalidValue(f"{kind_of(content)} found", "write an object")
        values: Json = {}
        parts: list[tuple[str, InvalidValue]] = []
        for key, name, read_part in readers:
            if key in content:
                try:
                    values[name] = read_part(content[key])
                except (InvalidValue, InvalidParts) as error:
                    parts += at(f".{key}", error)
        for name, codec in inlined:
            try:
                values[name] = codec.read({key: content[key] for key in codec.schema["properties"] if key in content})
            except (InvalidValue, InvalidParts) as error:
                parts += at("", error)
        parts += [(f".{key}", InvalidValue(*_MISSING)) for key in required - content.keys()]
        for key in content.keys() - known:
            parts.append((f".{key}", InvalidValue("unknown key", advice_on_key(key, known))))
        if parts:
            raise InvalidParts(parts)
        return kind(**values)

    return read


def _writer(fields: tuple[_Field, ...]) -> Callable[[Any], Json]:
    writers = tuple((field.wire.key, attrgetter(field.name), field.wire.codec.write, field.omitted) for field in fields)

    def write(value: Any) -> Json:
        content: Json = {}
        for key, get, convert, omitted in writers:
            part = get(value)
            if omitted is not _ALWAYS and (part is omitted or part == omitted):
                continue
            if convert is unchanged:
                content[key] = part
            elif key:
                content[key] = convert(part)
            else:
                content.update(convert(part))
        return content

    return write


def one_of(tag: str, *kinds: type[Any]) -> Codec[Any]:
    """Return the codec of one of several attrs classes; the class attribute *tag*, written first, tells which."""
    codecs = {getattr(kind, tag): object_of(kind) for kind in kinds}
    read_tag = parsers.choice(*codecs)

    def read(content: object) -> Any:
        if not isinstance(content, dict):
            raise InvalidValue(f"{kind_of(content)} found", "write an object")
        if tag not in content:
            raise InvalidParts([(f".{tag}", InvalidValue(*_MISSING))])
        try:
            word = text(read_tag).read(content[tag])
        except InvalidValue as error:
            raise InvalidParts(at(f".{tag}", error)) from None
        return codecs[word].read({key: part for key, part in content.items() if key != tag})

    def write(value: Any) -> Json:
        word = getattr(value, tag)
        return {tag: word, **codecs[word].write(value)}

    schemas = []
    for word, codec in codecs.items():
        properties = {tag: {"const": word}, **codec.schema["properties"]}
        schemas.append({**codec.schema, "properties": properties, "required": [tag, *codec.schema.get("required", [])]})
    return Codec(read, write, {"oneOf": schemas})


def _variants(*kinds: type[Any]) -> Codec[Any]:
    codecs = {kind: object_of(kind) for kind in kinds}
    first = {next(iter(codec.schema["properties"])): codec for codec in codecs.values()}

    def read(content: object) -> Any:
        assert isinstance(content, dict)  # noqa: S101 - object_of() passes the part of an object
        for key, codec in first.items():
            if key in content:
                return codec.read(content)
        raise InvalidParts([(f".{next(iter(first))}", InvalidValue(*_MISSING))])

    def write(value: Any) -> Any:
        return codecs[type(value)].write(value)

    schemas = [codec.schema for codec in codecs.values()]
    return Codec(
        read,
        write,
        {
            "properties": {key: part for schema in schemas for key, part in schema["properties"].items()},
            "oneOf": [{"required": schema["required"]} for schema in schemas],
            "dependentRequired": {
                key: schema["required"]
                for schema in schemas
                for key in schema["properties"]
                if key not in schema["required"]
            },
        },
    )


@attrs.frozen
class _Field:
    """One field of an attrs class."""

    name: str
    wire: _Wire
    required: bool
    omitted: object
    """The value that is not written, or :data:`_ALWAYS`."""

    @classmethod
    def of(cls, attribute: attrs.Attribute[Any]) -> _Field:
        declared: _Wire = attribute.metadata[_METADATA]
        default = attribute.default
        required = declared.required or default is attrs.NOTHING
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type] # a class at run time, a function in its stub
            default = default.factory()  # type: ignore[union-attr]
        return cls(attribute.name, declared, required, _ALWAYS if required else default)


def _schema(fields: tuple[_Field, ...]) -> Json:
    properties: Json = {}
    more: Json = {}
    for field in fields:
        schema = field.wire.codec.schema
        if field.wire.key:
            properties[field.wire.key] = {**schema, "description": field.wire.description}
        else:
            properties.update(schema["properties"])
            more = {key: part for key, part in schema.items() if key != "properties"}
    required = [field.wire.key for field in fields if field.required and field.wire.key]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
        **more,
    }
