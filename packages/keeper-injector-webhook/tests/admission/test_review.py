"""The AdmissionReview envelope."""

from __future__ import annotations

from admission_reviews import body, pod

from keeper_injector_common.errors import Problem
from keeper_injector_webhook.admission.review import allowed, errored, parse_review


def test_a_request_is_parsed() -> None:
    """The namespace comes from the request, because a pod made from a template has none."""
    request = parse_review(body(pod(), operation="UPDATE", namespace="shop"))
    assert (request.uid, request.namespace, request.operation, request.dry_run) == ("u-1", "shop", "UPDATE", False)


def test_long_warnings_are_cut() -> None:
    """A warning has at most 256 characters, because API servers may truncate longer ones."""
    (warning,) = allowed("u-1", warnings=[Problem("keeper.security/x", "y" * 300)])["response"]["warnings"]
    assert len(warning) == 256


def test_an_internal_error_denies_the_pod() -> None:
    """A pod is not created without its secrets if the webhook fails."""
    response = errored("u-1", "internal error")["response"]
    assert (response["allowed"], response["status"]["code"]) == (False, 500)
