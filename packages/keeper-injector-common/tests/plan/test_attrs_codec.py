"""Codecs of attrs classes, from the metadata of their fields."""

from __future__ import annotations

from typing import Any, ClassVar

import attrs
import pytest

from keeper_injector_common import parsers
from keeper_injector_common.plan.attrs_codec import inline, object_of, one_of, wire
from keeper_injector_common.plan.codec import BOOLEAN, Codec, InvalidParts, array, integer, text


@attrs.frozen
class Round:
    """A shape."""

    kind: ClassVar[str] = "round"
    radius: int = attrs.field(metadata=wire("radius", integer(1, 9), "Radius."))


@attrs.frozen
class Square:
    """Another shape."""

    kind: ClassVar[str] = "square"
    side: int = attrs.field(metadata=wire("side", integer(1, 9), "Side."))
    filled: bool = attrs.field(default=False, metadata=wire("filled", BOOLEAN, "Whether it is filled."))


@attrs.frozen
class Drawing:
    """Shapes in both ways."""

    name: str = attrs.field(metadata=wire("theName", text(parsers.text), "Name."))
    shape: Round | Square = attrs.field(metadata=inline(Round, Square))
    scale: int = attrs.field(default=1, metadata=wire("scale", integer(1, 9), "Scale.", required=True))
    others: tuple[Round | Square, ...] = attrs.field(
        default=(), metadata=wire("others", array(one_of("kind", Round, Square)), "Other shapes.")
    )


DRAWING = object_of(Drawing)


@pytest.mark.parametrize(
    ("drawing", "content"),
    [
        (Drawing("a", Round(2)), {"theName": "a", "radius": 2, "scale": 1}),
        (Drawing("a", Square(2)), {"theName": "a", "side": 2, "scale": 1}),
        (
            Drawing("a", Square(2, filled=True), 3, (Round(1), Square(4))),
            {
                "theName": "a",
                "side": 2,
                "filled": True,
                "scale": 3,
                "others": [{"kind": "round", "radius": 1}, {"kind": "square", "side": 4}],
            },
        ),
    ],
)
def test_the_metadata_declares_the_json(drawing: Drawing, content: dict[str, Any]) -> None:
    """Keys have the order of the fields; optional fields with their default are left out."""
    assert DRAWING.write(drawing) == content
    assert list(DRAWING.write(drawing)) == list(content)
    assert DRAWING.read(content) == drawing


@pytest.mark.parametrize(
    ("codec", "content", "faults"),
    [
        (DRAWING, {}, {".theName: missing", ".scale: missing", ".radius: missing"}),
        (DRAWING, {"theName": "a", "scale": 1, "radius": 1, "side": 1}, {".side: unknown key"}),
        (
            DRAWING,
            {"theName": "a", "scale": 1, "radius": 1, "theNam": 1},
            {".theNam: unknown key; did you mean 'theName'?"},
        ),
        (DRAWING, {"theName": "a", "scale": "1", "side": 0}, {".scale: text found", ".side: 0 is out of range"}),
        (
            DRAWING,
            {"theName": "a", "scale": 1, "side": 1, "others": [5, {}]},
            {".others[0]: a num", ".others[1].kind: mis"},
        ),
        (one_of("kind", Round, Square), {"kind": "oval"}, {".kind: 'oval' is unknown; write round or square"}),
        (one_of("kind", Round, Square), {"kind": "round", "side": 1}, {".radius: missing", ".side: unknown key"}),
    ],
)
def test_every_fault_is_reported_with_its_path(codec: Codec[Any], content: object, faults: set[str]) -> None:
    """Missing, unknown and invalid keys are reported at once."""
    with pytest.raises(InvalidParts) as caught:
        codec.read(content)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(faults)
    assert all(any(line.startswith(fault) for line in lines) for fault in faults), lines


def test_the_schema_follows_from_the_same_metadata() -> None:
    """Descriptions, types and required keys are those of the fields."""
    schema = DRAWING.schema
    assert list(schema["properties"]) == ["theName", "radius", "side", "filled", "scale", "others"]
    assert schema["properties"]["scale"] == {"type": "integer", "minimum": 1, "maximum": 9, "description": "Scale."}
    assert schema["required"] == ["theName", "scale"]
    assert schema["oneOf"] == [{"required": ["radius"]}, {"required": ["side"]}]
    assert schema["dependentRequired"] == {"filled": ["side"]}
    assert schema["additionalProperties"] is False
