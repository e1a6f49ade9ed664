"""Errors of the engine in our own words: phase, line, function and the way out, never a value.

The engine's messages hold values (``range cannot iterate over …``), so none is passed on; only how it begins is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.records.templates.functions import allowed_functions, explain_unavailable
from keeper_injector_common.records.templates.go_values import FunctionError
from keeper_injector_common.suggestions import nearest_words

if TYPE_CHECKING:
    import gotpl

_SYNTAX = {
    r"unclosed (?:action|left paren)|unexpected EOF": ("something is not closed", "close it with }}, ) or {{ end }}"),
    r"unclosed comment|comment ends": ("a comment is not closed", "write {{/* comment */}}"),
    r"untermin|invalid quoted|invalid char": ("a text is not closed or not quoted rightly", 'write "text" or `text`'),
    r"unexpected (?:right paren|pipe)": ("a ) or | stands where nothing is before it", "remove it"),
    r"unexpected (?:else|end)\b": ("there is no if, with or range to this else or end", "remove it"),
    r"missing value|empty command": ("there is nothing to evaluate", "write a field, a value or a function"),
    r"multiple definition": ("a template of this name is defined twice", "rename one"),
    r"\w+ outside range": ("break and continue belong into range", "remove it"),
    r"too many decl|declaration not|expected variable": ("variables cannot be declared so", "write {{ $a := 1 }}"),
    r"invalid numeric|bad number": ("a number is not written rightly", "quote it if it is text"),
    r"template (?:nesting|source|token) limit": ("it is too large or nested too deeply", "write it flatter"),
    r"non executable": ("a value follows a |", "write a function there"),
    r"expected quoted|unexpected define": ("define and template stand alone and take a quoted name", "move it"),
    r"unexpected|unrecognized": (
        "something cannot stand there",
        'a field with odd characters is written index . "a-b"',
    ),
}
_EXECUTION = {
    r"function '(?:and|or)' requires": ("it has no arguments", "give it some"),
    r"function '\w+' failed": ("it cannot work with what it is given", "check type and order of its arguments"),
    r"function '\w+' is not": ("it is not offered here", "write it in another way"),
    r"template '": ("the template of this name is not defined", "define it"),
    r"range|can't use": ("range takes a list, an object or a number", "use it on one of those"),
    r"(?:attribute|method|property) '(\w+)'": ("the value before .{0} is no object", "shorten the path"),
    r"output character": ("it writes more than a million characters", "deliver large values by themselves"),
    r"iteration": ("it goes round more than 100000 times", "use smaller lists"),
    r"function-call": ("it calls functions more than 10000 times", "use smaller lists"),
    r"template-depth|exceeded maximum template": ("it calls itself too deeply", "end the recursion"),
    r"non-callable": ("a value has arguments and is no function", "remove them"),
    r"nil is not": ("nil cannot be written", "remove it"),
}


def syntax_message(error: gotpl.TemplateSyntaxError) -> tuple[str, str]:
    """Say what keeps a source from being a template."""
    message = str(error).split(": ", 1)[-1]
    where = f"template, parsing line {error.line}"
    if match := re.match(r"function '(\w+)' not defined", message):
        found, right = explain_unavailable(match[1]) or _unknown(match[1])
        return f"{where}: function {match[1]} {found}", right
    if match := re.match(r"undefined variable '(\$\w+)'", message):
        return f"{where}: variable {match[1]} is not defined", f"write {{{{ {match[1]} := .field }}}} before it"
    found, right = _ours(message, _SYNTAX)
    return f"{where}: {found}", right


def execution_message(source: str, error: gotpl.TemplateExecutionError) -> tuple[str, str]:
    """Say what went wrong on which line, in which function; *source* tells which words are the template's own."""
    where = f"template, rendering line {error.line}"
    if isinstance(error, FunctionError):
        return f"{_in(where, error.function)}: {error.said(source)}", ""
    named = re.match(r"function '(\w+)'", error.message)
    found, right = _ours(error.message, _EXECUTION)
    return f"{_in(where, named[1] if named else '')}: {found}", right


def _in(where: str, function: str) -> str:
    return f"{where}, function {function}" if function else where


def _ours(message: str, words: dict[str, tuple[str, str]]) -> tuple[str, str]:
    for theirs, (found, right) in words.items():
        if match := re.match(theirs, message):
            return (found.replace("{0}", match[1]) if match.groups() else found), right
    return "the template engine cannot do this", "write it in another way"


def _unknown(name: str) -> tuple[str, str]:
    near = nearest_words(name, allowed_functions(), most=2)
    return "is unknown", f"did you mean {' or '.join(near)}?" if near else f"a field is written .{name}"
