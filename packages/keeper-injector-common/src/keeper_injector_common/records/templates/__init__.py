"""Templates of secret files: Go's ``text/template`` with Sprig's functions, sandboxed, with limits.

A template of one record sees the record's fields by name, and ``title``, ``uid``, ``type``, ``notes`` and ``files``. A
template of several records sees each record under its title::

    postgres://{{ .login }}:{{ .password | urlquery }}@{{ .host.hostName }}/app      one record
    {{ (index . "Prod DB").login }}                                                  several records

Importing this package is cheap; the template engine is imported when the first template is checked or rendered.
"""

from keeper_injector_common.records.templates.engine import (
    check_template,
    load_engine,
    render_template,
    template_source,
)
from keeper_injector_common.records.templates.quoting import quoting_function_for

__all__ = ["check_template", "load_engine", "quoting_function_for", "render_template", "template_source"]
