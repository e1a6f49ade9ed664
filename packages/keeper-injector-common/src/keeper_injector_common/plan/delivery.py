"""What the agent delivers and how: the values that a request and a plan have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import attrs

from keeper_injector_common.plan.attrs_codec import object_of, wire
from keeper_injector_common.plan.codec import BOOLEAN, array, choice, mapping
from keeper_injector_common.plan.scalars import (
    ABSOLUTE_PATH,
    BLOCK,
    DATA_KEY,
    LOOPBACK_URL,
    OBJECT_NAME,
    REFERENCE,
    SECONDS,
    SIGNAL,
    TEXT,
)
from keeper_injector_common.references import Reference

FORMATS = {
    "json": ".json",
    "env": ".env",
    "properties": ".properties",
    "yaml": ".yaml",
    "ini": ".ini",
    "raw": ".raw",
    "toml": ".toml",
    "shell": ".sh",
    "dockerconfigjson": ".json",
    "pkcs12": ".p12",
}
"""The values of ``format``, each with the suffix of the files of a folder."""
DEFAULT_FORMAT = "json"
FORMAT_BY_SUFFIX = {
    **{FORMATS[name]: name for name in ("json", "env", "properties", "yaml", "ini", "toml", "pkcs12")},
    ".yml": "yaml",
    ".pfx": "pkcs12",
}
"""The suffixes of paths that choose a format; every other path is :data:`DEFAULT_FORMAT`."""

OnRemoval = Literal["keep", "remove"]
ON_REMOVAL: tuple[OnRemoval, ...] = get_args(OnRemoval)
"""What happens to the files of a record that is gone."""

SECRET_MODES = ("overwrite", "merge", "skip-if-exists", "fail")
"""What happens to a Kubernetes Secret that exists already."""
DEFAULT_SECRET_MODE = "overwrite"  # noqa: S105 - a mode
DEFAULT_SECRET_TYPE = "Opaque"  # noqa: S105 - a type


@attrs.frozen
class Formatted:
    """The content of a file is the fields of a record in a format."""

    format: str = attrs.field(metadata=wire("format", choice(*FORMATS), "Format of the file."))
    fields: tuple[str, ...] = attrs.field(
        default=(), metadata=wire("fields", array(TEXT), "Only these fields; all of them if left out.")
    )
    keys: Mapping[str, str] = attrs.field(
        factory=dict,
        hash=False,  # a dict has no hash, and equal keys are not needed for one
        metadata=wire(
            "keys", mapping(TEXT), "Field → its name in the file; all fields under their own names if left out."
        ),
    )

    @property
    def selection(self) -> tuple[str, ...]:
        """The fields that the file has, by their names in Keeper; all of them if it is empty."""
        return self.fields or tuple(self.keys)


@attrs.frozen
class Templated:
    """The content of a file is the output of a template."""

    source: str = attrs.field(
        metadata=wire("template", BLOCK, "Go template. It contains no secret: secrets come from the records.")
    )


Content = Formatted | Templated


@attrs.frozen
class KubernetesSecret:
    """A Kubernetes Secret that the agent writes, for applications that cannot do without one."""

    where: str = attrs.field(metadata=wire("where", TEXT, "The annotation that asks for it, for messages."))
    name: str = attrs.field(metadata=wire("name", OBJECT_NAME, "Name of the Secret."))
    sources: tuple[Reference, ...] = attrs.field(
        metadata=wire("sources", array(REFERENCE, least=1), "References to the records and parts of records.")
    )
    type: str = attrs.field(
        default=DEFAULT_SECRET_TYPE, metadata=wire("type", TEXT, "Type of the Secret.", required=True)
    )
    mode: str = attrs.field(
        default=DEFAULT_SECRET_MODE,
        metadata=wire("mode", choice(*SECRET_MODES), "What happens to a Secret that exists already.", required=True),
    )
    owner_reference: bool = attrs.field(
        default=True,
        metadata=wire("ownerReference", BOOLEAN, "Delete it with the last pod that wrote it.", required=True),
    )
    keys: Mapping[str, str] = attrs.field(
        factory=dict,
        metadata=wire(
            "keys", mapping(DATA_KEY), "Field → key of the Secret; all fields under their own names if left out."
        ),
    )
    rotation: bool = attrs.field(default=False, metadata=wire("rotation", BOOLEAN, "Update it with every refresh."))


@attrs.frozen
class Notify:
    """How the application learns of a change."""

    signal: str | None = attrs.field(default=None, metadata=wire("signal", SIGNAL, "Signal to send."))
    process: str | None = attrs.field(
        default=None,
        metadata=wire(
            "process", TEXT, "Name of the processes to signal; the main process of each container if left out."
        ),
    )
    url: str | None = attrs.field(default=None, metadata=wire("url", LOOPBACK_URL, "URL inside the pod to request."))
    spread: float = attrs.field(
        default=0.0, metadata=wire("spread", SECONDS, "Seconds over which pods spread out; at once if left out.")
    )


@attrs.frozen
class RestartedContainer:
    """A container that restarts after a change."""

    name: str = attrs.field(metadata=wire("name", TEXT, "Name of the container."))
    volumes: tuple[str, ...] = attrs.field(
        metadata=wire("volumes", array(ABSOLUTE_PATH, least=1), "Where the agent mounts the volumes that it receives.")
    )


@attrs.frozen
class Restart:
    """How containers restart after a change: their liveness probes read from a volume when that is due."""

    path: str = attrs.field(metadata=wire("path", ABSOLUTE_PATH, "Where the agent mounts the volume for the probes."))
    spread: float = attrs.field(metadata=wire("spread", SECONDS, "Seconds over which pods spread out."))
    min_interval: float = attrs.field(
        metadata=wire("minInterval", SECONDS, "Seconds for which a container runs at least.")
    )
    containers: tuple[RestartedContainer, ...] = attrs.field(
        metadata=wire("containers", array(object_of(RestartedContainer), least=1), "The containers.")
    )


RESTART_ALL_CODE = 88
"""The exit code of the sidecar by which all containers of a pod with :class:`RestartAll` restart. No other end of the agent has it."""


@attrs.frozen
class RestartAll:
    """All containers of the pod restart after a change: the sidecar exits with :data:`RESTART_ALL_CODE` (KEP-5532)."""

    spread: float = attrs.field(metadata=wire("spread", SECONDS, "Seconds over which pods spread out."))
    min_interval: float = attrs.field(
        metadata=wire("minInterval", SECONDS, "Seconds for which the containers run at least.")
    )


def suffix_of(path: str) -> str:
    """Return the suffix of *path* in lower case, with its dot; empty if it has none. ``.env`` alone is a suffix, too."""
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :].lower() if "." in name else ""


def file_name(title: str) -> str:
    """Return a file name for *title*: slashes and control characters become ``_``, as do leading dots.

    Everything else is kept, including letters of any script, so that people recognize the title.
    """
    name = title.strip().replace("/", "_")
    if not name.isprintable():
        name = "".join(character if character.isprintable() else "_" for character in name)
    stripped = name.lstrip(".")
    return ("_" * (len(name) - len(stripped)) + stripped) or "_"
