"""Limits on the cost of one function call in a template.

The engine counts calls, iterations and output, but not how much a single call computes: ``repeat 1000000000 "x"`` is one
call. Each function here is checked before it runs, by an upper bound of its result, and after it ran, by its result.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from keeper_injector_common.records.templates.go_values import MAX_WEIGHT, FunctionError, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAX_COUNT = 100_000
"""Elements that a function may count up to, and characters that it may pad to."""
_MAX_COMPARED = 2_000
"""Elements that a function may compare with each other."""
_MAX_JSON = 1_000_000
"""Characters of JSON that a template may parse."""
_MAX_YAML = 100_000
"""Characters of YAML that a template may parse; PyYAML takes about a second for these."""
_MAX_PATTERN = 1_000
"""Characters of a regular expression or a version."""
_MAX_REPEATS = 100
"""Product of the counts ``{n,m}`` in a regular expression."""
_MAX_SEARCHED = 100_000
"""Characters that a regular expression may search."""
_COPYING_NOTHING = frozenset(
    {"default", "coalesce", "empty", "required", "eq", "ne", "not", "ternary", "get", "hasKey", "dig", "index", "first"}
    | {"last", "len", "kindOf", "kindIs", "typeOf", "typeIs", "typeIsLike"}
)
"""Functions that copy no value; they accept a record with large attachments."""
_REPLACEMENT = "\ufffd"
"""The character that replaces bytes that are not valid text."""
_DELIVER_LARGE = "deliver large values by themselves"


def check_call(function: str, arguments: Sequence[object]) -> None:
    """Raise :class:`FunctionError` if a call would cost too much. Number and types of *arguments* are checked already."""
    if function not in _COPYING_NOTHING and weight(arguments) > MAX_WEIGHT:
        raise FunctionError("the arguments have more than a million characters", _DELIVER_LARGE, function=function)
    bound = _BOUNDS.get(function.removeprefix("must").lower())
    if bound is not None and bound(*arguments) > MAX_WEIGHT:
        raise FunctionError(
            "it would create or compare more than a million characters or elements", "use fewer", function=function
        )


def check_result(function: str, arguments: Sequence[object], result: object) -> None:
    """Raise :class:`FunctionError` if the result of a call is too large, or is not the text that it should be."""
    if function not in _COPYING_NOTHING and weight(result) > MAX_WEIGHT:
        raise FunctionError("the result has more than a million characters", _DELIVER_LARGE, function=function)
    if not isinstance(result, str):
        return
    if _REPLACEMENT in result and _REPLACEMENT not in repr(arguments):
        raise FunctionError(
            "the result contains bytes that are not text, such as a part of a character",
            "deliver binary values by themselves",
            function=function,
        )
    if function == "printf" and "%!" in result and any(isinstance(value, list | dict) for value in arguments):
        raise FunctionError(
            "it can write a list or an object with %v only", "use %v, join or toJson", function=function
        )


def _counted(count: float) -> float:
    return count * MAX_WEIGHT / _MAX_COUNT


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


def _formatted(template: object, *values: object) -> float:
    """Return a bound from the widths and precisions in the format or the arguments, and from values used several times."""
    if not isinstance(template, str):
        return 0
    largest = max((abs(value) for value in values if isinstance(value, int)), default=0)
    directives = _DIRECTIVE.findall(template)
    padding = sum(
        largest if size == "*" else int(size[:9] or 0) for parts in directives for size in (parts[1], parts[3])
    )
    uses = len(directives) if "[" in template else 1
    return len(template) + _counted(padding) + uses * weight(values)


def _searched(pattern: str, text: str, *_: object) -> float:
    repeats = math.prod(
        max(int(low[:9] or 0), int(high[:9] or 0), 1) for low, high in re.findall(r"\{(\d*),?(\d*)\}", pattern)
    )
    fits = len(pattern) <= _MAX_PATTERN and repeats <= _MAX_REPEATS and len(text) <= _MAX_SEARCHED
    return 0 if fits else math.inf


def _rewritten(pattern: str, text: str, replacement: str) -> float:
    groups = replacement.count("$") * len(text)
    return _searched(pattern, text) + (len(text) + 1) * len(replacement) + groups


def _compared(items: object, *_: object) -> int:
    return len(items) ** 2 * MAX_WEIGHT // _MAX_COMPARED**2 if isinstance(items, list) else 0


def _without(items: object, *others: object) -> int:
    return len(items) * len(others) if isinstance(items, list) else 0


def _infinite_if_longer(text: str, limit: int) -> float:
    return 0 if len(text) <= limit else math.inf


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
    "fromjson": lambda text: _infinite_if_longer(text, _MAX_JSON),
    "fromyaml": lambda text: _infinite_if_longer(text, _MAX_YAML),
    "semver": lambda text: _infinite_if_longer(text, _MAX_PATTERN),
    "semvercompare": lambda pattern, text: _infinite_if_longer(pattern + text, _MAX_PATTERN),
}
"""For each function, by its name in lower case without ``must``: an upper bound of the weight of its result or its work."""
