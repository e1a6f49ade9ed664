"""Messages about templates: phase, line, function, and what to do, without values.

The engine's messages contain values (``range cannot iterate over …``), so they are never passed on. Only their beginnings
are matched, to find the message to show instead.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper_injector_common.records.templates.functions import allowed_functions, explain_unavailable
from keeper_injector_common.records.templates.go_values import FunctionError
from keeper_injector_common.suggestions import nearest_words

if TYPE_CHECKING:
    import gotpl

_Messages = dict[str, tuple[str, str]]
"""Pattern of a message of the engine: what was found and what would be right."""
_SYNTAX: _Messages = {
    r"unclosed (?:action|left paren)|unexpected EOF": (
        "an action, parenthesis or block is not closed",
        "close it with }}, ) or {{ end }}",
    ),
    r"unclosed comment|comment ends": ("a comment is not closed", "write {{/* comment */}}"),
    r"untermin|invalid quoted|invalid char": ("a text is not closed or is quoted wrongly", 'write "text" or `text`'),
    r"unexpected (?:right paren|pipe)": ("there is nothing before a ) or |", "remove it"),
    r"unexpected e(?:lse|nd)\b": ("an 'else' or 'end' has no if, with or range", "remove it"),
    r"missing value|empty command": ("there is nothing to evaluate", "write a field, a value or a function"),
    r"multiple definition": ("two templates have the same name", "rename one"),
    r"\w+ outside range": ("break or continue is outside of range", "remove it"),
    r"too many decl|declaration not|expected variable": ("a variable is declared wrongly", "write {{ $a := 1 }}"),
    r"invalid numeric|bad number": ("a number is written wrongly", "quote it if it is text"),
    r"template (?:nesting|source|token) limit": ("it is too large or nested too deeply", "use fewer levels"),
    r"non executable": ("a | is followed by a value", "write a function after it"),
    r"expected quoted|unexpected define": (
        "define or template is inside an action or has no quoted name",
        'write {{ define "name" }}',
    ),
    r"unexpected|unrecognized": (
        "a character or word is not allowed here",
        'write a field with special characters as index . "a-b"',
    ),
}
_EXECUTION: _Messages = {
    r"function '(?:and|or)' requires": ("there are no arguments", "write at least one"),
    r"function '\w+' failed": ("it fails with these arguments", "check their types and their order"),
    r"function '\w+' is not": ("it is not available", "write the template without it"),
    r"template '": ("there is no template of this name", "define it"),
    r"range|can't use": ("range accepts a list, an object or a number", "use it on one of those"),
    r"(?:attribute|method|property) '(\w+)'": ("the value before .{0} is not an object", "shorten the path"),
    r"output character": ("it writes more than a million characters", "deliver large values by themselves"),
    r"iteration": ("it has more than 100000 iterations", "use smaller lists"),
    r"function-call": ("it has more than 10000 function calls", "use smaller lists"),
    r"template-depth|exceeded maximum template": ("it calls itself too deeply", "end the recursion"),
    r"non-callable": ("a value that is not a function has arguments", "remove them"),
    r"nil is not": ("nil cannot be written", "remove it"),
}
_OTHER = ("the template engine cannot do this", "write it in another way")


def syntax_message(error: gotpl.TemplateSyntaxError) -> tuple[str, str]:
    """Return what is wrong with the source of a template, and what would be right."""
    message = str(error).split(": ", 1)[-1]
    where = f"template, parsing line {error.line}"
    if match := re.match(r"function '(\w+)' not defined", message):
        found, right = explain_unavailable(match[1]) or _unknown(match[1])
        return f"{where}: function {match[1]} {found}", right
    if match := re.match(r"undefined variable '(\$\w+)'", message):
        return f"{where}: variable {match[1]} is not defined", f"write {{{{ {match[1]} := .field }}}} before it"
    found, right = _translated(message, _SYNTAX)
    return f"{where}: {found}", right


def execution_message(source: str, error: gotpl.TemplateExecutionError) -> tuple[str, str]:
    """Return what went wrong while the template *source* was rendered, and what would be right."""
    where = f"template, rendering line {error.line}"
    if isinstance(error, FunctionError):
        found, right = error.message_for(source)
        return f"{_in_function(where, error.function)}: {found}", right
    match = re.match(r"function '(\w+)'", error.message)
    found, right = _translated(error.message, _EXECUTION)
    return f"{_in_function(where, match[1] if match else '')}: {found}", right


def _in_function(where: str, function: str) -> str:
    return f"{where}, function {function}" if function else where


def _translated(message: str, messages: _Messages) -> tuple[str, str]:
    for pattern, (found, right) in messages.items():
        if match := re.match(pattern, message):
            return (found.replace("{0}", match[1]) if match.groups() else found), right
    return _OTHER


def _unknown(name: str) -> tuple[str, str]:
    near = nearest_words(name, allowed_functions(), most=2)
    return "is unknown", f"did you mean {' or '.join(near)}?" if near else f"write .{name} if it is a field"
