"""Imports logging, pathlib and http.client without what they need only for tracebacks, mail and URLs with IPv6 addresses.

That takes 5 ms less, of 25. A module that refreshes imports this before it imports any of them. What is postponed works when it is used.
"""

from __future__ import annotations

from keeper_injector_agent.postponed import imports_postponed

with imports_postponed("calendar", "email.header", "ipaddress", "traceback"):
    import http.client
    import logging
    import pathlib

__all__ = ["http", "logging", "pathlib"]
