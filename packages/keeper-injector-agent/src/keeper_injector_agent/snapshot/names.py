"""The names of a snapshot's files, relative to the directory of its application, and that directory."""

from __future__ import annotations

HEAD_NAME = "head.json"


def application_path(application: str) -> str:
    """Return the path below which an application is published."""
    return f"v1/{application}"


def index_name(digest: str) -> str:
    """Return the name of an index, relative to :func:`application_path`."""
    return f"index-{digest}"


def record_name(digest: str) -> str:
    """Return the name of a record."""
    return f"r/{digest}"


def attachment_name(digest: str) -> str:
    """Return the name of an attachment."""
    return f"f/{digest}"
