"""A review from body to answer: review → decide → patch → review, with one log line and one count for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import attrs

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import review
from keeper_injector_webhook.admission.cache import AnswerCache, CachedPatch, digest
from keeper_injector_webhook.admission.decide import Deny, Inject, Skip, SkipReason, decide_pod
from keeper_injector_webhook.admission.patch import build_patch
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.review import AdmissionRequest
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)
INJECT = f"{PREFIX}inject"


@attrs.frozen
class ReviewResult:
    """What goes back, and what is said of it."""

    decision: str
    reason: str
    body: Json = attrs.field(repr=False)
    operations: int = 0


def answer_review(body: bytes, settings: Settings, metrics: Metrics, memory: AnswerCache | None = None) -> Json:
    """ReviewResult one AdmissionReview; raises :class:`~keeper_injector_webhook.errors.ReviewError`.

    *memory* holds answers for the same settings; without one everything is worked out.
    """
    started = time.perf_counter()
    request = review.parse_review(body)
    pod = Pod(request.object)
    answer = _answer(request, pod, settings, memory)
    seconds = time.perf_counter() - started
    metrics.reviewed(answer.decision, answer.reason, seconds)
    log.info(
        "admission.reviewed",
        extra={
            "uid": request.uid,
            "namespace": request.namespace,
            "pod": pod.name,
            "owner": pod.owner,
            "decision": answer.decision,
            "reason": answer.reason,
            "operations": answer.operations,
            "dry_run": request.dry_run,
            "milliseconds": round(seconds * 1000, 3),
        },
    )
    return answer.body


def _answer(request: AdmissionRequest, pod: Pod, settings: Settings, memory: AnswerCache | None) -> ReviewResult:
    if request.operation != "CREATE":
        return _skipped(request, SkipReason.NOT_A_CREATION)
    if memory is None or INJECT not in pod.annotations:
        return _decided(request, pod, settings, None)
    key = digest(pod, request.namespace)
    found = memory.find(key)
    if found is not None:
        return _injected(request, found)
    return _decided(request, pod, settings, lambda injection: memory.keep(key, injection))


def _decided(
    request: AdmissionRequest, pod: Pod, settings: Settings, keep: Callable[[CachedPatch], None] | None
) -> ReviewResult:
    decision = decide_pod(pod, settings, request.namespace)
    match decision:
        case Skip(reason):
            return _skipped(request, reason)
        case Deny(problems, warnings):
            message = "keeper-injector: " + "; ".join(
                f"({number}) {problem}" for number, problem in enumerate(problems, 1)
            )
            return ReviewResult("deny", "annotations", review.denied(request.uid, message, warnings=warnings))
        case Inject(warnings=warnings):
            operations = build_patch(pod, decision, settings)
            injection = CachedPatch(review.encoded_patch(operations), warnings, len(operations))
            if keep:
                keep(injection)
            return _injected(request, injection)


def _skipped(request: AdmissionRequest, reason: SkipReason) -> ReviewResult:
    return ReviewResult("skip", reason.code, review.allowed(request.uid))


def _injected(request: AdmissionRequest, injection: CachedPatch) -> ReviewResult:
    body = review.patched(request.uid, injection.patch, warnings=injection.warnings)
    return ReviewResult("inject", "asked", body, injection.operations)
