"""JSON schemas of the chart's texts.

Each accepts only what the webhook's parser of the same text accepts, and is as close to it as a pattern can be; a test generates
values from them and parses each. Patterns are the common subset of those of Go, Python and ECMAScript: no flags, no look-around and no
classes such as that of blanks, which differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keeper_injector_common import parsers
from keeper_injector_common.annotations.table import Annotation
from keeper_injector_webhook import settings

Json = dict[str, Any]

_HOUR, _MINUTE = 3600, 60


def whole_numbers(low: int, high: int) -> str:
    """Return a pattern of the whole numbers from *low* to *high*, without leading zeros."""
    found = []
    while low <= high:
        # The largest block 10…0 to 19…9 (or with more leading digits) that begins at low and ends before high.
        zeros = 0
        while low % 10 ** (zeros + 1) == 0 and low + 10 ** (zeros + 1) - 1 <= high and low:
            zeros += 1
        unit = 10**zeros
        first = low // unit
        last = min(first - first % 10 + 9, (high + 1) // unit - 1)
        head = str(first // 10) if first >= 10 else ""
        digits = str(first % 10) if first == last else f"[{first % 10}-{last % 10}]"
        found.append(head + digits + ("[0-9]" * zeros))
        low = (last + 1) * unit
    return f"(?:{'|'.join(found)})"


def any_of(*patterns: str) -> Json:
    """Return the schema of texts that one of *patterns* matches as a whole."""
    return {"type": "string", "pattern": f"^(?:{'|'.join(patterns)})$"}


def or_empty(schema: Json) -> Json:
    """Return *schema* for a value that may be empty, which means that it is not set."""
    return {**schema, "pattern": f"^(?:{schema['pattern'][1:-1]})?$"}


def _below(seconds: int, unit: int) -> str:
    """Return the numbers of *unit* that leave room for 59 minutes and 59 seconds, or for 59 seconds, below *seconds*."""
    return whole_numbers(1, seconds // unit - 1)


_MOST = int(parsers.LONGEST_INTERVAL)
INTERVAL = any_of(
    f"{whole_numbers(10, _MOST)}s",
    f"{whole_numbers(1, _MOST // _MINUTE)}m",
    f"{whole_numbers(1, _MOST // _HOUR)}h",
    f"{_below(_MOST, _MINUTE)}m[0-5]?[0-9]s",
    f"{_below(_MOST, _HOUR)}h[0-5]?[0-9]m(?:[0-5]?[0-9]s)?",
    f"{_below(_MOST, _HOUR)}h[0-5]?[0-9]s",
)
DURATION = any_of("[0-9]{1,6}h(?:[0-9]{1,6}m)?(?:[0-9]{1,6}s)?", "[0-9]{1,6}m(?:[0-9]{1,6}s)?", "[0-9]{1,6}s")
"""A duration of cert-manager or Prometheus."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
VOLUME_SIZE = any_of(
    *(
        whole_numbers(max(1, -(-parsers.SMALLEST_VOLUME // unit)), parsers.LARGEST_VOLUME // unit) + suffix
        for suffix, unit in _UNITS.items()
    )
)
_NUMBER: Json = {"type": "number", "minimum": 0.001, "maximum": 10**12, "multipleOf": 0.001}
QUANTITY: Json = {
    "anyOf": [_NUMBER, any_of("none", r"(?:[1-9][0-9]{0,11}(?:\.[0-9]{1,9})?|0\.[0-9]{0,8}[1-9])(?:m|k|Ki|[MGTPE]i?)?")]
}
"""Of an injected container."""
CONTAINER_QUANTITY: Json = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        any_of(r"[0-9]{1,15}(?:\.[0-9]{1,9})?(?:[mk]|Ki|[MGTPE]i?|[eE][0-9]{1,2})?"),
    ]
}
"""Of the webhook's container: as Kubernetes reads it."""
OBJECT_NAME: Json = {
    **any_of(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"),
    "maxLength": 253,
}
NAMESPACE: Json = {**any_of("[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"), "maxLength": 63}
DATA_KEY: Json = {**any_of(r"[-_a-zA-Z0-9][-._a-zA-Z0-9]*", r"\.[-_a-zA-Z0-9][-._a-zA-Z0-9]*"), "maxLength": 253}
TEXT = any_of("[!-~](?:[ -~]*[!-~])?")
"""A name in a cloud."""
REPOSITORY = any_of(settings.REPOSITORY)
REGISTRY = or_empty(any_of(r"[-A-Za-z0-9.:_\[\]]+(?:/[-a-z0-9._]+)*/?"))
TAG = or_empty(any_of(settings.TAG))
DIGEST = or_empty(any_of(settings.DIGEST))
PROXY = or_empty(any_of(settings.PROXY))
_HOST = r" *[-A-Za-z0-9.:*_%\[\]]+(?:/[0-9]{1,3})? *"
HOSTS = or_empty(any_of(f"{_HOST}(?:,{_HOST})*"))
_INTEGER: Json = {"type": "integer", "minimum": 0, "maximum": 10**12}
SWITCH: Json = {
    "enum": [True, False, "true", "false", "yes", "no", "on", "off", "1", "0", 1, 0],
}

_OF_PARSERS: dict[Callable[[str], Any], Json] = {
    parsers.data_key: {"anyOf": [DATA_KEY, _INTEGER]},
    parsers.duration: INTERVAL,
    parsers.object_name: {"anyOf": [OBJECT_NAME, _INTEGER]},
    parsers.port: {
        "anyOf": [
            any_of(whole_numbers(parsers.LOWEST_PORT, parsers.HIGHEST_PORT)),
            {"type": "integer", "minimum": parsers.LOWEST_PORT, "maximum": parsers.HIGHEST_PORT},
        ]
    },
    parsers.quantity: QUANTITY,
    parsers.switch: SWITCH,
    parsers.text: {"anyOf": [TEXT, _INTEGER]},
    parsers.volume_size: {
        "anyOf": [
            VOLUME_SIZE,
            {"type": "integer", "minimum": parsers.SMALLEST_VOLUME, "maximum": parsers.LARGEST_VOLUME},
        ]
    },
}


def schema_of_annotation(annotation: Annotation) -> Json:
    """Return the schema of a default of *annotation*; raises KeyError for a parser that has no schema yet."""
    aliases = annotation.parse.aliases if isinstance(annotation.parse, parsers.Choice) else ()
    schema = {"enum": [*annotation.words, *aliases]} if annotation.words else _OF_PARSERS[annotation.parse]
    return {**schema, "description": annotation.help}
