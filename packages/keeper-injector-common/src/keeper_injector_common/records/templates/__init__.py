"""Templates: Go's text/template with Sprig's functions, sandboxed and bounded, behind :func:`parse` and :func:`render`.

The engine is the library gotpl, in Python, imported only when a template is used (0.3 s, 35 MB). What it lacks stands
in this package: bounds on sizes, Go's outcome for nil, an error for a missing field, errors without values. Memory and
time as a whole are bounded by the process that renders; these functions are pure, open nothing and read no clock.

A template sees the record's fields by name, and ``title``, ``uid``, ``type``, ``notes`` and ``files``; one over several
records sees each under its title.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.parsers import InvalidValue, block

if TYPE_CHECKING:
    from collections.abc import Mapping

    import gotpl

    from keeper_injector_common.records.record import JsonValue

MOST_SOURCE = 100_000
"""Characters of a template's source."""

__all__ = ["MOST_SOURCE", "parse", "prepare", "render", "template"]


def prepare() -> None:
    """Import all that :func:`render` may need, for a process that then gives up its right to open files."""
    from keeper_injector_common.records.templates import faults, functions, values, yaml  # noqa: F401

    functions.functions()


def template(text: str) -> str:
    """Read a template as the value of an annotation, executing nothing: one that does not parse is an InvalidValue."""
    try:
        parse(block(text))
    except TemplateError as error:
        raise InvalidValue(str(error)) from None
    return text


def parse(source: str) -> None:
    """Check that *source* is a template, executing nothing; raises TemplateError with the line."""
    _compiled(source)


def render(source: str, data: Mapping[str, JsonValue]) -> str:
    """Return the text that the template *source* makes of *data*; raises TemplateError with phase, line and function.

    The same source and data give the same text, always. *data* stays as it is. An error never holds a value.
    """
    import gotpl

    from keeper_injector_common.records.templates.faults import execution_fault
    from keeper_injector_common.records.templates.values import Output, own

    template, output = _compiled(source), Output()
    try:
        template.render_to(output, own(dict(data)))
    except gotpl.TemplateExecutionError as error:
        raise TemplateError(execution_fault(source, error)) from None
    except RecursionError:
        raise TemplateError("template, rendering: values are nested too deeply; deliver them by themselves") from None
    except MemoryError:
        raise TemplateError("template, rendering: it takes more memory than it may; use smaller values") from None
    return output.getvalue()


def _compiled(source: str) -> gotpl.Template:
    import gotpl

    from keeper_injector_common.records.templates.faults import syntax_fault
    from keeper_injector_common.records.templates.functions import functions

    _check_source(source)
    sandbox = gotpl.SandboxPolicy.strict(allow_functions=functions(), max_template_chars=MOST_SOURCE)
    try:
        return gotpl.Template(source, functions=functions(), sandbox=sandbox, missing_key="error")
    except gotpl.TemplateSyntaxError as error:
        raise TemplateError(syntax_fault(error)) from None
    except RecursionError:
        raise TemplateError("template, parsing: it is nested too deeply; write it flatter") from None


def _check_source(source: str) -> None:
    if len(source) > MOST_SOURCE:
        raise TemplateError(f"template, parsing: it has {len(source)} characters; write at most {MOST_SOURCE}")
    try:
        source.encode()
    except UnicodeEncodeError:
        raise TemplateError("template, parsing: it holds half a surrogate pair, which is no text; remove it") from None
