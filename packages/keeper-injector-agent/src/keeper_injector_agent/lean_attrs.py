"""Imports attrs without what it needs only for converters, cached properties and validators: import this before attrs.

That is more than half of the time that importing attrs takes, 8 ms of 15. What is postponed works when it is used. A module that
refreshes imports this before any module that imports attrs; once attrs has been imported, this changes nothing.
"""

from __future__ import annotations

from keeper_injector_agent.postponed import imports_postponed

with imports_postponed("inspect", "platform", "attr.validators", "attrs.validators"):
    import attrs

__all__ = ["attrs"]
