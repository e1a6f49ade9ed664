"""From an AdmissionReview to a JSON Patch. Everything here is pure: no I/O, no cluster, no clock, no log.

:func:`answer_review` does it all for the server. :func:`decide_pod` and :func:`build_patch` are its two halves, for programs that have a
pod but no review.
"""

from keeper_injector_webhook.admission.answer import ReviewResult, answer_review
from keeper_injector_webhook.admission.cache import AnswerCache
from keeper_injector_webhook.admission.decide import decide_pod
from keeper_injector_webhook.admission.decision import Decision, Deny, Inject, Skip
from keeper_injector_webhook.admission.patch import build_patch
from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.review import encode_review, errored

__all__ = [
    "AnswerCache",
    "Decision",
    "Deny",
    "Inject",
    "Pod",
    "ReviewResult",
    "Skip",
    "answer_review",
    "build_patch",
    "decide_pod",
    "encode_review",
    "errored",
]
