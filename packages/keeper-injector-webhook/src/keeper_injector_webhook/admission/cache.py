"""Caches answers: the pods of one workload are nearly identical, and the patch computed for one is valid for the next.

Theory of operation
-------------------

Deciding about a pod and patching it are pure functions of four inputs: the pod's spec, its annotations, its namespace, and the
kind of its controller (:mod:`.warnings` knows Jobs). Settings are a fifth, and a cache belongs to one object of settings, which
never changes while the process runs. :func:`digest` hashes exactly the four. So an answer found under a digest is the answer that
would be computed: anything else about the pod, such as its name, labels or UID, is never read after :func:`.decide.decide_pod`
is called. Anyone who makes a decision depend on something new must add it to the digest; a test compares each cached answer with
a computed one.

One difference between the pods of a workload is normalised. API servers (ServiceAccount admission) add a volume for the service
account token under a random name, ``kube-api-access-`` and five characters, and every container mounts it. The digest replaces that
name, but only if the pod has it nowhere except in that volume and its mounts. There it has no effect on the answer: a patch appends
to lists and does not copy what is in them, and the only message that quotes a volume's name is a denial.

What may be cached:

- *Injections*, as the encoded patch, the warnings and the count of operations. Each answer gets the UID of the request.
- No *denials*: their messages may quote anything, and people correct them rather than repeat them.
- No *skips*: they take less time than a digest.
- No pod of more than 64 KiB: it is rare, and its answer is large.

Entries leave the cache in the order in which they came, once there are 512. Nothing expires, because nothing that an answer depends on
can change.
"""

from __future__ import annotations

from hashlib import blake2b

import attrs
import orjson

from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.pod import Pod

MOST_ANSWERS = 512
"""The number of cached answers, of about 10 kB each."""
LARGEST_POD = 64 * 1024
"""Bytes of the largest pod whose answer is cached."""
_TOKEN_VOLUME_PREFIX = "kube-api-access-"  # noqa: S105 - the prefix of a volume's name


@attrs.frozen
class CachedPatch:
    """An injection without the UID of a request: the answer for every pod with the same digest."""

    patch: str = attrs.field(repr=False)
    """The JSON Patch, in the encoding of a response."""
    warnings: tuple[Problem, ...]
    operations: int


@attrs.define
class AnswerCache:
    """Cached answers by digest, for one object of settings."""

    _answers: dict[bytes, CachedPatch] = attrs.field(factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, digest: bytes) -> CachedPatch | None:
        """Return the cached answer for pods with this digest, or None."""
        return self._answers.get(digest)

    def keep(self, digest: bytes, patch: CachedPatch) -> None:
        """Cache an answer, unless the digest is empty because the pod is too large."""
        if not digest:
            return
        if len(self._answers) >= MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        self._answers[digest] = patch


def digest(pod: Pod, namespace: str) -> bytes:
    """Return a digest of everything that the answer for *pod* depends on; empty if the pod is too large to be cached."""
    content = orjson.dumps((namespace, pod.owner.partition("/")[0], pod.annotations, pod.spec))
    if len(content) > LARGEST_POD:
        return b""
    for volume in pod.volumes():
        name = volume.get("name")
        if isinstance(name, str) and name.startswith(_TOKEN_VOLUME_PREFIX):
            content = _without_name(content, name, pod)
    return blake2b(content, digest_size=32).digest()


def _without_name(content: bytes, volume: str, pod: Pod) -> bytes:
    """Replace the name of *volume* in *content*, unless it is used for anything except the volume and its mounts."""
    quoted = b'"' + volume.encode() + b'"'
    mounts = sum(mount.get("name") == volume for container in pod.containers() for mount in container.mounts)
    if content.count(quoted) != 1 + mounts:
        return content
    return content.replace(quoted, b'"' + _TOKEN_VOLUME_PREFIX.encode() + b'"')
