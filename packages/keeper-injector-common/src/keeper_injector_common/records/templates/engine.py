"""Check and render templates with gotpl, a Python implementation of Go's ``text/template``.

gotpl takes 0.3 s and 35 MB to import, so it is imported when the first template is checked or rendered. This package adds
what gotpl lacks: size limits for each function call, Go's treatment of nil, an error for a missing field, and messages
without values. Limits on total memory and time are the caller's task: the agent renders in a child process with rlimits.
The functions here are pure: they open no file or socket and read no clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.parsers import InvalidValue, block

if TYPE_CHECKING:
    from collections.abc import Mapping

    import gotpl

    from keeper_injector_common.records.record import JsonValue

_MAX_SOURCE_CHARACTERS = 100_000


def load_engine() -> None:
    """Import everything that :func:`render_template` may need, so that the process can then give up opening files."""
    from keeper_injector_common.records.templates import (  # noqa: F401 - imported for later
        functions,
        go_values,
        template_errors,
        yaml_functions,
    )

    functions.allowed_functions()


def template_source(text: str) -> str:
    """Parse the value of a template annotation and return it unchanged.

    The template is compiled, not rendered. Raises :class:`~keeper_injector_common.parsers.InvalidValue` if *text* is empty
    or is not a template.
    """
    try:
        check_template(block(text))
    except TemplateError as error:
        raise InvalidValue(error.found, error.right) from None
    return text


def check_template(source: str) -> None:
    """Raise TemplateError, with the line, if *source* is not a valid template. Nothing is rendered."""
    _compile(source)


def render_template(source: str, data: Mapping[str, JsonValue]) -> str:
    """Return the text that the template *source* produces from *data*.

    The result depends on *source* and *data* only, and *data* is not modified. Raises TemplateError with the phase
    (parsing or rendering), the line and the function; the message never contains a value.

    >>> render_template("user={{ .login | quote }}", {"login": "admin"})
    'user="admin"'
    """
    import gotpl

    from keeper_injector_common.records.templates.go_values import TemplateOutput, to_template_value
    from keeper_injector_common.records.templates.template_errors import execution_message

    template, output = _compile(source), TemplateOutput()
    try:
        template.render_to(output, to_template_value(dict(data)))
    except gotpl.TemplateExecutionError as error:
        raise TemplateError(*execution_message(source, error)) from None
    except RecursionError:
        raise TemplateError("template, rendering: values are nested too deeply", "deliver them by themselves") from None
    except MemoryError:
        raise TemplateError("template, rendering: it needs more memory than allowed", "use smaller values") from None
    return _encodable(output.getvalue())


def _encodable(text: str) -> str:
    """Return *text*, which a file can then hold: JSON from Keeper may contain half of a pair of surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise TemplateError(
            "template, rendering: a value contains a lone surrogate, which is not valid text",
            "enter the value again in Keeper",
        ) from None
    return text


def _compile(source: str) -> gotpl.Template:
    import gotpl

    from keeper_injector_common.records.templates.functions import allowed_functions
    from keeper_injector_common.records.templates.template_errors import syntax_message

    _check_source(source)
    sandbox = gotpl.SandboxPolicy.strict(allow_functions=allowed_functions(), max_template_chars=_MAX_SOURCE_CHARACTERS)
    try:
        return gotpl.Template(source, functions=allowed_functions(), sandbox=sandbox, missing_key="error")
    except gotpl.TemplateSyntaxError as error:
        raise TemplateError(*syntax_message(error)) from None
    except RecursionError:
        raise TemplateError("template, parsing: it is nested too deeply", "use fewer levels") from None


def _check_source(source: str) -> None:
    if len(source) > _MAX_SOURCE_CHARACTERS:
        raise TemplateError(
            f"template, parsing: it has {len(source)} characters", f"write at most {_MAX_SOURCE_CHARACTERS}"
        )
    try:
        source.encode()
    except UnicodeEncodeError:
        raise TemplateError(
            "template, parsing: it contains a lone surrogate, which is not valid text", "remove it"
        ) from None
