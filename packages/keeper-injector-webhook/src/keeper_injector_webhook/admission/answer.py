"""Answers one AdmissionReview, from the bytes of its body to the review to send back: parse, decide, patch; pure.

The answer is a :class:`ReviewResult`. The server logs and counts it, so that nothing here does any I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.limits import MOST_SHOWN, and_more
from keeper_injector_webhook.admission import review
from keeper_injector_webhook.admission.cache import LARGEST_POD, AnswerCache, CachedPatch, digest
from keeper_injector_webhook.admission.decide import decide_pod
from keeper_injector_webhook.admission.decision import Deny, Inject, Skip, SkipReason, warning_texts
from keeper_injector_webhook.admission.limits import problems_of_patch
from keeper_injector_webhook.admission.patch import build_patch
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.review import AdmissionRequest
from keeper_injector_webhook.errors import ReviewError
from keeper_injector_webhook.settings import Settings

LARGEST_REVIEW = 1024 * 1024
"""Bytes of a review. A pod with all of its 256 KiB of annotations has a third of it."""
_LARGEST_CACHED = 2 * LARGEST_POD
"""Bytes of the largest review for which a digest is computed."""
_INJECT = f"{PREFIX}inject"


@attrs.frozen
class ReviewResult:
    """The answer to one AdmissionReview, and the facts about it that the server logs and counts."""

    request: AdmissionRequest
    pod: Pod
    decision: str
    """``skip``, ``deny`` or ``inject``."""
    reason: str
    """Why, as a metric label: ``not_asked``, ``annotations``, ``asked``."""
    review: Json = attrs.field(repr=False)
    """The AdmissionReview to send back."""
    operations: int = 0
    """The number of JSON Patch operations in it."""
    warnings: tuple[Problem, ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """The fields of the log event ``admission.reviewed``, except the time that the review took."""
        return {
            "uid": self.request.uid,
            "namespace": self.request.namespace,
            "pod": self.pod.name,
            "owner": self.pod.owner,
            "decision": self.decision,
            "reason": self.reason,
            "operations": self.operations,
            "dry_run": self.request.dry_run,
            **({"warnings": warning_texts(self.warnings)} if self.warnings else {}),
        }


def answer_review(body: bytes, settings: Settings, cache: AnswerCache | None = None) -> ReviewResult:
    """Answer the AdmissionReview in *body*; raises :class:`~keeper_injector_webhook.errors.ReviewError` if it is not one.

    *cache* holds answers for the same *settings*. Without one, every answer is computed.
    """
    if len(body) > LARGEST_REVIEW:
        return _too_large(body)
    try:
        return _answered(body, settings, cache)
    except RecursionError:
        raise ReviewError("request.object: nested too deeply") from None


def _answered(body: bytes, settings: Settings, cache: AnswerCache | None) -> ReviewResult:
    request = review.parse_review(body)
    if not request.of_pod or request.object is None:
        return _skipped(request, Pod({}), SkipReason.NOT_A_POD)
    pod = Pod(request.object)
    if request.operation != "CREATE":
        return _skipped(request, pod, SkipReason.NOT_A_CREATION)
    if cache is None or len(body) > _LARGEST_CACHED or _INJECT not in pod.annotations:
        return _computed(request, pod, settings, None, b"")
    key = digest(pod, request.namespace)
    found = cache.find(key)
    return _computed(request, pod, settings, cache, key) if found is None else _injected(request, pod, found)


def _computed(
    request: AdmissionRequest, pod: Pod, settings: Settings, cache: AnswerCache | None, key: bytes
) -> ReviewResult:
    decision = decide_pod(pod, settings, request.namespace)
    match decision:
        case Skip(reason):
            return _skipped(request, pod, reason)
        case Deny(problems, warnings):
            return _denied(request, pod, problems, warnings)
        case Inject(warnings=warnings):
            operations = build_patch(pod, decision, settings)
            patch = CachedPatch(review.encode_patch(operations), warnings, len(operations))
            if too_large := tuple(problems_of_patch(patch.patch)):
                return _denied(request, pod, too_large, warnings)
            if cache is not None:
                cache.keep(key, patch)
            return _injected(request, pod, patch)


def _message(problems: Sequence[Problem]) -> str:
    shown = [f"({number}) {problem}" for number, problem in enumerate(problems[:MOST_SHOWN], 1)]
    return "keeper-injector: " + "; ".join(filter(None, [*shown, and_more(len(problems))]))


def _too_large(body: bytes) -> ReviewResult:
    """Reject a review that takes too long to parse; an object in etcd has at most 1.5 MiB."""
    request = AdmissionRequest(review.uid_of(body), "", "", None)
    found, right = f"the review has {len(body)} bytes", f"write a pod of which it has at most {LARGEST_REVIEW}"
    return _denied(request, Pod({}), [Problem("body", found, right)], ())


def _denied(
    request: AdmissionRequest, pod: Pod, problems: Sequence[Problem], warnings: Sequence[Problem]
) -> ReviewResult:
    answer = review.denied(request.uid, _message(problems), warnings=warnings)
    return ReviewResult(request, pod, "deny", "annotations", answer, warnings=tuple(warnings))


def _skipped(request: AdmissionRequest, pod: Pod, reason: SkipReason) -> ReviewResult:
    return ReviewResult(request, pod, "skip", reason.code, review.allowed(request.uid))


def _injected(request: AdmissionRequest, pod: Pod, patch: CachedPatch) -> ReviewResult:
    answer = review.patched(request.uid, patch.patch, warnings=patch.warnings)
    return ReviewResult(request, pod, "inject", "asked", answer, patch.operations, patch.warnings)
