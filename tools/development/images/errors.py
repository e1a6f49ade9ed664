"""Errors of building images."""

from __future__ import annotations


class BuildError(Exception):
    """An image cannot be built; the message says why and what to do."""
