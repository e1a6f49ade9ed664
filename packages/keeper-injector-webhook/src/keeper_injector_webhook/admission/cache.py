"""Pods that are alike: a workload's pods differ in their names, and what was worked out for one holds for the next.

Deciding and patching are functions of what goes into the digest below and of nothing else, so an answer found by it is the
answer that would be worked out again. The one thing that differs in the specs of such pods is the name that API servers
make up for the volume of the service account's token (ServiceAccount admission, ``kube-api-access-`` and five letters).
"""

from __future__ import annotations

from hashlib import blake2b

import attrs
import orjson

from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.pod import Pod

KEPT = 512
"""Answers that are kept, of some 10 kB each; the oldest goes first."""
LARGEST = 64 * 1024
"""Bytes of a pod that is kept in mind; larger ones are rare, and their answers are large."""
TOKEN_VOLUME = "kube-api-access-"  # noqa: S105 - the beginning of a volume's name


@attrs.frozen
class CachedPatch:
    """The answer for pods that are alike."""

    patch: str = attrs.field(repr=False)
    """JSON Patch, base64."""
    warnings: tuple[Problem, ...]
    operations: int


@attrs.define
class AnswerCache:
    """Answers by digest; for one set of settings."""

    _answers: dict[bytes, CachedPatch] = attrs.field(factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, digest: bytes) -> CachedPatch | None:
        """Return the answer for pods with this digest."""
        return self._answers.get(digest)

    def keep(self, digest: bytes, injection: CachedPatch) -> None:
        """Keep an answer; none for pods too large to have a digest."""
        if not digest:
            return
        if len(self._answers) >= KEPT:
            del self._answers[next(iter(self._answers))]
        self._answers[digest] = injection


def digest(pod: Pod, namespace: str) -> bytes:
    """Return what pods have in common that get the same answer; empty for those too large to be kept in mind."""
    content = orjson.dumps((namespace, pod.owner.partition("/")[0], pod.annotations, pod.spec))
    if len(content) > LARGEST:
        return b""
    for volume in pod.volumes():
        name = volume.get("name")
        if isinstance(name, str) and name.startswith(TOKEN_VOLUME):
            content = content.replace(b'"' + name.encode() + b'"', b'"' + TOKEN_VOLUME.encode() + b'"')
    return blake2b(content, digest_size=32).digest()
