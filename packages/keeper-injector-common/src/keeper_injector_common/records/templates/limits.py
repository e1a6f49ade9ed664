"""Bounds on what one call of a template's function may cost, where the engine's own budgets do not reach."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from keeper_injector_common.records.templates.go_values import MAX_WEIGHT, FunctionError, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_COUNTED = 100_000
"""Elements that a function may count up to."""
MOST_COMPARED = 2_000
"""Elements that a function may compare with each other."""
MOST_JSON = 1_000_000
MOST_YAML = 100_000
MOST_PATTERN = 1_000
MOST_REPEATS = 100
MOST_SEARCHED = 100_000
LIGHT = frozenset(
    {"default", "coalesce", "empty", "required", "eq", "ne", "not", "ternary", "get", "hasKey", "dig", "index", "first"}
    | {"last", "len", "kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike"}
)
"""Functions that copy nothing: they may be given a record with large files."""
LOST = "\ufffd"
"""What stands where bytes were no text."""


def check_call(function: str, arguments: Sequence[object]) -> None:
    """Raise :class:`FunctionError` when a call would cost too much. Number and types of arguments are right already."""
    if function not in LIGHT and weight(arguments) > MAX_WEIGHT:
        raise FunctionError(f"it is given {_MUCH}", function=function)
    bound = _BOUNDS.get(function.removeprefix("must").lower())
    if bound is not None and bound(*arguments) > MAX_WEIGHT:
        raise FunctionError(
            "it would make or compare more than a million characters or elements; use less", function=function
        )


def check_result(function: str, arguments: Sequence[object], result: object) -> None:
    """Raise :class:`FunctionError` for a result that is too large, or not the text that it should be."""
    if function not in LIGHT and weight(result) > MAX_WEIGHT:
        raise FunctionError(f"it makes {_MUCH}", function=function)
    if not isinstance(result, str):
        return
    if LOST in result and LOST not in repr(arguments):
        raise FunctionError(
            "it cuts a character apart or gives bytes; deliver binary values by themselves", function=function
        )
    if function == "printf" and "%!" in result and any(isinstance(value, list | dict) for value in arguments):
        raise FunctionError(
            "it can write a list or an object with %v only; use that, join or toJson", function=function
        )


_MUCH = "more than a million characters; deliver large values by themselves"


def _counted(count: float) -> float:
    return count * MAX_WEIGHT / MOST_COUNTED


def _until_step(start: int, stop: int, step: int) -> float:
    return _counted((stop - start) / step) if step else 0


def _sequence(*numbers: int) -> float:
    match numbers:
        case (stop,):
            return _counted(abs(stop - 1) + 1)
        case (start, stop):
            return _counted(abs(stop - start) + 1)
        case (start, step, stop) if step:
            return _counted(abs(stop - start) / abs(step) + 1)
        case _:
            return 0


def _indented(spaces: int, text: str) -> int:
    return len(text) + (text.count("\n") + 2) * spaces


def _replaced(old: str, new: str, text: str) -> int:
    return len(text) + (text.count(old) + 1) * len(new)


def _joined(separator: str, items: object) -> int:
    return weight(items) + (len(separator) * len(items) if isinstance(items, list) else 0)


def _wrapped(width: int, separator: str, text: str) -> float:
    return len(text) + (len(text) / max(width, 1) + 1) * len(separator)


_DIRECTIVE = re.compile(r"%%|%[-+# 0]*(\[\d*\])?(\d+|\*)?(?:\.(\[\d*\])?(\d+|\*)?)?(\[\d*\])?")


def _formatted(form: object, *values: object) -> float:
    """Bound by what the format asks for: widths and precisions, also given as arguments, and values used again."""
    if not isinstance(form, str):
        return 0
    given = max((abs(value) for value in values if isinstance(value, int)), default=0)
    directives = _DIRECTIVE.findall(form)
    padding = sum(given if size == "*" else int(size[:9] or 0) for parts in directives for size in (parts[1], parts[3]))
    again = len(directives) if "[" in form else 1
    return len(form) + _counted(padding) + again * weight(values)


def _searched(pattern: str, text: str, *_: object) -> float:
    repeats = math.prod(
        max(int(low[:9] or 0), int(high[:9] or 0), 1) for low, high in re.findall(r"\{(\d*),?(\d*)\}", pattern)
    )
    fits = len(pattern) <= MOST_PATTERN and repeats <= MOST_REPEATS and len(text) <= MOST_SEARCHED
    return 0 if fits else math.inf


def _rewritten(pattern: str, text: str, replacement: str) -> float:
    groups = replacement.count("$") * len(text)
    return _searched(pattern, text) + (len(text) + 1) * len(replacement) + groups


def _compared(items: object, *_: object) -> int:
    return len(items) ** 2 * MAX_WEIGHT // MOST_COMPARED**2 if isinstance(items, list) else 0


def _without(items: object, *others: object) -> int:
    return len(items) * len(others) if isinstance(items, list) else 0


def _document(text: str, most: int) -> float:
    return 0 if len(text) <= most else math.inf


_BOUNDS: dict[str, Callable[..., int | float]] = {
    "repeat": lambda count, text: count * len(text),
    "indent": _indented,
    "nindent": _indented,
    "replace": _replaced,
    "join": _joined,
    "until": lambda count: _counted(abs(count)),
    "untilstep": _until_step,
    "seq": _sequence,
    "wrapwith": _wrapped,
    "printf": _formatted,
    "regexmatch": _searched,
    "regexfind": _searched,
    "regexfindall": _searched,
    "regexsplit": _searched,
    "regexreplaceall": _rewritten,
    "regexreplaceallliteral": _rewritten,
    "uniq": _compared,
    "without": _without,
    "fromjson": lambda text: _document(text, MOST_JSON),
    "fromyaml": lambda text: _document(text, MOST_YAML),
    "semver": lambda text: _document(text, MOST_PATTERN),
    "semvercompare": lambda pattern, text: _document(pattern + text, MOST_PATTERN),
}
