"""The pinned dependencies in tools/constraints.txt: versions, hashes, and which package needs which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import attrs
from packaging.utils import canonicalize_name

from artifacts.errors import ArtifactError

_PIN = re.compile(r"([\w.-]+)(?:\[[\w,-]+\])?==([\w.+!-]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_PARENT = re.compile(r"^    #   (?:via )?([\w.-]+)|^    # via ([\w.-]+)")


@attrs.frozen
class Pin:
    """One pinned dependency."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """The SHA-256 of each file of this version, in hexadecimal digits."""
    parents: frozenset[str]
    """The names of the packages that need it."""


def read_pins(path: Path) -> dict[str, Pin]:
    """Return the pins of a file that ``./tools/run lock`` wrote, by name. Raises ArtifactError if one has no hash."""
    blocks: list[list[str]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if _PIN.match(line):
            blocks.append([])
        if blocks:
            blocks[-1].append(line)
    pins = {pin.name: pin for pin in map(_pin, blocks)}
    if without := sorted(name for name, pin in pins.items() if not pin.hashes):
        raise ArtifactError(f"{path}: {', '.join(without)}: no hash; run ./tools/run lock")
    return pins


def _pin(lines: list[str]) -> Pin:
    [(name, version)] = _PIN.findall(lines[0])
    parents = [first or second for line in lines for first, second in _PARENT.findall(line)]
    hashes = tuple(sorted(_HASH.findall("\n".join(lines))))
    return Pin(canonicalize_name(name), version, hashes, frozenset(map(canonicalize_name, parents)))


def closure(wanted: Iterable[str], children: Mapping[str, Iterable[str]]) -> set[str]:
    """Return *wanted* and everything that it needs, directly or not."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += children.get(name, ())
    return found
