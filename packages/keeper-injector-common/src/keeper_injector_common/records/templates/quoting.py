r"""The functions with which a template writes a value in a format: ``toProperties``, ``toShell``, ``toYaml`` and others.

Each uses the writer of the format of the same name, so that a template and ``format:`` write a value alike::

    spring.datasource.password={{ .password | toProperties }}      p\\a:ss#=       for p\a:ss#=
    export PASSWORD={{ .password | toShell }}                      'it'\''s'       for it's

They are named like ``toJson`` and ``toYaml``, which users of Helm know. ``env`` is a function of Sprig that reads the environment.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from keeper_injector_common.plan.delivery import FORMAT_BY_SUFFIX, suffix_of
from keeper_injector_common.plan.delivery import FORMATS as SUFFIXES
from keeper_injector_common.records.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.records.formats import Quote

QUOTING_FUNCTIONS: Mapping[str, Quote] = MappingProxyType(
    {f"to{name.capitalize()}": chosen.quote for name, chosen in FORMATS.items() if chosen.quote}
)
"""The functions by name. Formats without names, such as ``raw``, have none."""
_BY_SUFFIX = {**FORMAT_BY_SUFFIX, SUFFIXES["shell"]: "shell"}


def quoting_function_for(path: str) -> str | None:
    """Return the name of the function that quotes values for a file at *path*; None if the suffix has no rule of quoting.

    >>> quoting_function_for("/app/application.properties"), quoting_function_for("/app/motd.txt")
    ('toProperties', None)
    """
    name = f"to{_BY_SUFFIX.get(suffix_of(path), '').capitalize()}"
    return name if name in QUOTING_FUNCTIONS else None
