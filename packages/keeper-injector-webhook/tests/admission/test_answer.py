"""One review: from the bytes of its body to the review that is sent back."""

from __future__ import annotations

import json

import pytest
from admission_reviews import body, denial, pod, respond

from keeper_injector_common.limits import LARGEST_ANNOTATIONS
from keeper_injector_webhook.admission.answer import LARGEST_REVIEW, answer_review
from keeper_injector_webhook.errors import ReviewError
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


OTHERS: dict[str, dict[str, object]] = {
    "an eviction": {"subResource": "eviction", "kind": {"group": "policy", "version": "v1", "kind": "Eviction"}},
    "a binding": {"subResource": "binding", "kind": {"group": "", "version": "v1", "kind": "Binding"}},
    "an ephemeral container": {"subResource": "ephemeralcontainers"},
    "a deployment": {
        "kind": {"group": "apps", "version": "v1", "kind": "Deployment"},
        "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
    },
    "a kind of another group": {"kind": {"group": "example.com", "version": "v1", "kind": "Pod"}},
    "no object": {"object": None},
    "no object of a deletion": {"object": None, "operation": "DELETE"},
    "an object that would not be a pod": {"subResource": "eviction", "object": {"spec": 5, "metadata": []}},
}


@pytest.mark.parametrize("name", OTHERS)
def test_only_pods_are_changed(name: str) -> None:
    """A review of another kind, of a subresource or without an object is allowed without a patch."""
    review = json.loads(body(pod(annotations=ASKED)))
    review["request"] |= OTHERS[name]
    answer = answer_review(json.dumps(review).encode(), Settings())
    assert answer.review["response"] == {"uid": "u-1", "allowed": True}
    assert (answer.decision, answer.reason) == ("skip", "not_a_pod")


def test_a_review_that_is_too_large_is_denied_without_being_parsed() -> None:
    """The denial has the UID, which API servers write first; without one, the request is an error."""
    large = body(pod(annotations={"x": "y" * LARGEST_REVIEW}))
    response = answer_review(large, Settings()).review["response"]
    assert (response["uid"], response["allowed"]) == ("u-1", False)
    assert f"at most {LARGEST_REVIEW}" in response["status"]["message"]
    with pytest.raises(ReviewError, match=r"request\.uid is not at their beginning"):
        answer_review(b" " * (LARGEST_REVIEW + 1), Settings())


def test_annotations_over_the_limit_of_kubernetes_are_refused_first() -> None:
    """Annotations of more than 256 KiB in total are the only problem, whatever they are, because no API server stores them."""
    original = pod(annotations={**ASKED, "refresh-interval": "5x"})
    original["metadata"]["annotations"]["example.com/large"] = "x" * LARGEST_ANNOTATIONS
    response = answer_review(body(original), Settings()).review["response"]
    message = response["status"]["message"]
    assert message.startswith("keeper-injector: (1) metadata.annotations: the pod's annotations have 262")
    assert "(2)" not in message


def test_a_plan_that_does_not_fit_into_the_annotations_is_refused() -> None:
    """The plan is an annotation too, so a pod whose plan exceeds their limit is denied with both sizes."""
    asked = {f"secret-{number}": f"{'t' * 1000}{number}:/app/{number}" for number in range(200)}
    message = denial(pod(annotations={"inject": "true", **asked}))
    assert "and the agent's plan 207 KiB, of 256 KiB together" in message


def test_a_patch_that_is_too_large_is_refused() -> None:
    """A pod whose changes would not fit into etcd is denied, instead of an answer of several megabytes."""
    command = ["x" * 10_000]
    containers = [{"name": f"c{number}", "command": command} for number in range(90)]
    message = denial(pod(annotations={"inject": "true", "env-A": "db[pw]"}, containers=containers))
    assert "the changes of the pod have " in message
