"""What the agent delivers and how, as request and plan both say it; apart from them, for the agent knows no request."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from keeper_injector_common.references import Reference

FORMATS = ("json", "env", "properties", "yaml", "ini", "raw", "toml", "shell", "dockerconfigjson", "pkcs12")
"""What ``format:`` can say."""


@attrs.frozen
class Formatted:
    """The content of a file is a record's fields in a format."""

    format: str
    fields: tuple[str, ...] = ()
    """Only these; all when empty."""


@attrs.frozen
class Templated:
    """The content of a file is a template's output."""

    source: str
    """Go template; may hold anything but secrets, which come from the record."""


Content = Formatted | Templated


@attrs.frozen
class KubernetesSecret:
    """A Kubernetes Secret that the agent writes, for applications that must have one."""

    where: str
    name: str
    sources: tuple[Reference, ...]
    keys: Mapping[str, str] = attrs.field(factory=dict)
    """Field of the record → key of the Secret; all fields under their own names when empty."""
    type: str = "Opaque"
    mode: str = "overwrite"
    rotation: bool = False
    owner_reference: bool = True


@attrs.frozen
class Notify:
    """How the application learns of a change."""

    signal: str | None = None
    process: str | None = None
    """Name of the processes to signal; None: the main process of each container."""
    url: str | None = None


def file_name(title: str) -> str:
    """Make a file name of a title: slashes and control characters become ``_``, as do leading dots.

    Anything else stays, letters of any script included, so that people find the title again.
    """
    name = "".join("_" if character == "/" or not character.isprintable() else character for character in title.strip())
    stripped = name.lstrip(".")
    return ("_" * (len(name) - len(stripped)) + stripped) or "_"
