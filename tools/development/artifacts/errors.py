"""Errors of building what a release ships."""

from __future__ import annotations


class ArtifactError(Exception):
    """An artifact cannot be built; the message says why and what to do."""
