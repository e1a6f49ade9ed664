"""A review from body to answer: review → decide → patch → review, with one log line and one count for each."""

from __future__ import annotations

import logging
import time
from typing import Any

import attrs

from keeper_injector_webhook import review
from keeper_injector_webhook.decide import Decision, Deny, Inject, Skip, SkipReason, decide
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.patch import patch
from keeper_injector_webhook.pod import Pod
from keeper_injector_webhook.review import AdmissionRequest
from keeper_injector_webhook.settings import Settings

log = logging.getLogger(__name__)
Json = dict[str, Any]


@attrs.frozen
class Answer:
    """What goes back, and what is said of it."""

    decision: str
    reason: str
    body: Json = attrs.field(repr=False)
    operations: int = 0


def mutate(body: bytes, settings: Settings, metrics: Metrics) -> Json:
    """Answer one AdmissionReview; raises :class:`~keeper_injector_webhook.errors.ReviewError`."""
    started = time.perf_counter()
    request = review.parse_review(body)
    pod = Pod(request.object)
    answer = _answer(request, pod, settings)
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


def _answer(request: AdmissionRequest, pod: Pod, settings: Settings) -> Answer:
    decision: Decision = Skip(SkipReason.NOT_A_CREATION)
    if request.operation == "CREATE":
        decision = decide(pod, settings, request.namespace)
    match decision:
        case Skip(reason):
            return Answer("skip", reason.code, review.allowed(request.uid))
        case Deny(problems):
            message = "keeper-injector: " + "; ".join(
                f"({number}) {problem}" for number, problem in enumerate(problems, 1)
            )
            return Answer("deny", "annotations", review.denied(request.uid, message))
        case Inject(warnings=warnings):
            operations = patch(pod, decision, settings)
            body = review.patched(request.uid, operations, warnings=warnings)
            return Answer("inject", "asked", body, len(operations))
