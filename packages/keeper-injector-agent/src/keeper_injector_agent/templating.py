"""Templates rendered in a child process that can open neither file nor socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_common.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.record import JsonValue


def render(source: str, data: Mapping[str, JsonValue]) -> str:
    """Render *source* with *data*; raises TemplateError that names line and function and no value."""
    raise TemplateError("template: not available in this version; use a format")
