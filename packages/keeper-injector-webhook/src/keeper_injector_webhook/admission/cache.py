"""Caches answers: the pods of one workload are nearly identical, and the patch computed for one is valid for the next.

Theory of operation
-------------------

Deciding about a pod and patching it are pure functions of four inputs: the pod's spec, its annotations, its namespace, and the
kind of its controller (:mod:`.warnings` knows Jobs). Settings are a fifth, and a cache belongs to one object of settings, which
never changes while the process runs. :func:`digest` hashes exactly the four. So an answer found under a digest is the answer that
would be computed: anything else about the pod, such as its name, labels, UID or the annotations of other programs, is never read
after :func:`.decide.decide_pod` is called. Anyone who makes a decision depend on something new must add it to the digest; a test
compares cached answers with computed ones, and the answers of pods that have the same digest.

One difference between the pods of a workload is normalised. API servers (ServiceAccount admission) add a volume for the service
account token under a random name, ``kube-api-access-`` and five characters, and every container mounts it. The digest replaces that
name in the name of the volume and in the mounts of containers, and nowhere else. There it has no effect on the answer: a patch appends
to lists and does not copy what is in them, and the only message that quotes a volume's name is a denial.

What may be cached:

- *Injections*, as the encoded patch, the warnings and the count of operations. Each answer gets the UID of the request.
- No *denials*: their messages may quote anything, and people correct them rather than repeat them.
- No *skips*: they take less time than a digest.
- No pod of more than 64 KiB, and no answer of more than 64 KiB: both are rare.

The cache holds at most 4 MiB. Entries leave it in the order in which they came. Nothing expires, because nothing that an answer depends
on can change.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from hashlib import sha256
from typing import Generic, TypeVar

import attrs
import orjson

from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.pod import MOST_READ, Pod

LARGEST_POD = 64 * 1024
"""Bytes of the largest pod whose answer is cached."""
LARGEST_ANSWER = 64 * 1024
"""Bytes of the largest answer that is cached."""
LARGEST_CACHE = 4 * 1024 * 1024
"""Bytes of all cached answers together."""
ENTRY = 1024
"""Bytes that an entry is counted for besides its texts: more than its objects take."""
_TOKEN_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}", re.ASCII)

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


@attrs.define
class BoundedCache(Generic[Key, Value]):
    """Values by key, of at most *most* bytes; the oldest ones leave first."""

    most: int
    size: int = 0
    """Bytes of all entries, as their owner counts them."""
    _entries: dict[Key, tuple[Value, int]] = attrs.field(factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key) -> Value | None:
        """Return the value of *key*, or None."""
        found = self._entries.get(key)
        return found[0] if found else None

    def keep(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of *size* bytes, and remove the oldest ones that then do not fit."""
        if size > self.most or key in self._entries:
            return
        self._entries[key] = value, size
        self.size += size
        while self.size > self.most:
            _, freed = self._entries.pop(next(iter(self._entries)))
            self.size -= freed


@attrs.frozen
class CachedPatch:
    """An injection without the UID of a request: the answer for every pod with the same digest."""

    patch: str = attrs.field(repr=False)
    """The JSON Patch, in the encoding of a response."""
    warnings: tuple[Problem, ...]
    operations: int

    @property
    def size(self) -> int:
        """The bytes of its texts."""
        return len(self.patch) + sum(len(part.where) + len(part.found) + len(part.right) for part in self.warnings)


@attrs.define
class AnswerCache:
    """Cached answers by digest, for one object of settings."""

    _answers: BoundedCache[bytes, CachedPatch] = attrs.field(
        factory=lambda: BoundedCache[bytes, CachedPatch](LARGEST_CACHE), repr=False
    )

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def size(self) -> int:
        """The bytes of all answers, estimated upwards."""
        return self._answers.size

    def find(self, digest: bytes) -> CachedPatch | None:
        """Return the cached answer for pods with this digest, or None."""
        return self._answers.find(digest)

    def keep(self, digest: bytes, patch: CachedPatch) -> None:
        """Cache an answer, unless it is too large, or the digest is empty because the pod is too large."""
        if digest and patch.size <= LARGEST_ANSWER:
            self._answers.keep(digest, patch, patch.size + ENTRY)


def digest(pod: Pod, namespace: str) -> bytes:
    """Return a digest of everything that the answer for *pod* depends on; empty if the pod is too large to be cached."""
    if pod.container_count > MOST_READ:
        return b""
    spec, replaced = _without_token_volume(pod)
    try:
        content = orjson.dumps((namespace, pod.owner.partition("/")[0], replaced, pod.annotations, spec))
    except orjson.JSONEncodeError:
        return b""  # nested too deeply
    return sha256(content).digest() if len(content) <= LARGEST_POD else b""


def _without_token_volume(pod: Pod) -> tuple[Json, bool]:
    """Return the spec, and whether it is a copy without the name of the token's volume. That name is unique in a valid pod."""
    names = [name for volume in pod.volumes() if _TOKEN_VOLUME.fullmatch(name := _name(volume))]
    if len(names) != 1:
        return pod.spec, False
    name = names[0]
    spec = {**pod.spec, "volumes": [_renamed(volume, name) for volume in pod.volumes()]}
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            spec[kind] = [_remounted(container, name) for container in spec[kind]]
    return spec, True


def _remounted(container: Json, name: str) -> Json:
    mounts = container.get("volumeMounts")
    if not isinstance(mounts, list):
        return container
    return {
        **container,
        "volumeMounts": [_renamed(mount, name) if isinstance(mount, dict) else mount for mount in mounts],
    }


def _renamed(item: Json, name: str) -> Json:
    return {**item, "name": None} if item.get("name") == name else item


def _name(volume: Json) -> str:
    name = volume.get("name")
    return name if isinstance(name, str) else ""
