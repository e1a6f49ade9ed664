"""One review: from the bytes of its body to the review that is sent back."""

from __future__ import annotations

from admission_reviews import body, denial, pod, respond

from keeper_injector_webhook.admission.answer import answer_review
from keeper_injector_webhook.settings import Settings

ASKED = {"inject": "true", "secret": "database-credentials"}


def test_updates_are_left_alone() -> None:
    """An update is not changed, because most of a pod is immutable once it exists."""
    assert "patch" not in respond(pod(annotations=ASKED), operation="UPDATE")


def test_every_problem_is_reported_at_once() -> None:
    """A denial numbers all problems of a pod, so that its author can correct them together."""
    asked = {"inject": "true", "secret": "a", "refresh-interval": "5x", "file-mode": "9"}
    assert "(2) keeper.security/refresh-interval: '5x'" in denial(pod(annotations=asked))


def test_the_result_has_the_facts_for_the_log() -> None:
    """The server logs the request, the pod, its owner and the decision, and none of the pod's content."""
    original = pod(annotations=ASKED)
    original["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "web-1", "controller": True}]
    facts = answer_review(body(original), Settings()).facts
    assert facts.pop("operations") == 5
    assert facts == {
        "uid": "u-1",
        "namespace": "shop",
        "pod": "web-",
        "owner": "ReplicaSet/web-1",
        "decision": "inject",
        "reason": "asked",
        "dry_run": False,
    }
