"""The AdmissionReview envelope (admission.k8s.io/v1): parses the request and builds the response."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.errors import ReviewError

_API_VERSION = "admission.k8s.io/v1"
_KIND = "AdmissionReview"
_LONGEST_WARNING = 256
"""Characters; API servers may truncate longer warnings (apiserver, pkg/warning)."""


@attrs.frozen
class AdmissionRequest:
    """The parts of an AdmissionReview's request that the webhook uses."""

    uid: str
    namespace: str
    operation: str
    object: Json = attrs.field(repr=False)
    dry_run: bool = False


def parse_review(body: bytes) -> AdmissionRequest:
    """Parse the body of an HTTP request; raises :class:`ReviewError` if it is not an AdmissionReview of a pod."""
    try:
        review = orjson.loads(body)
    except ValueError:
        raise ReviewError("body: not JSON; send an AdmissionReview") from None
    if not isinstance(review, dict) or review.get("kind") != _KIND or review.get("apiVersion") != _API_VERSION:
        raise ReviewError(f"body: not an {_KIND} of {_API_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str) or not request["uid"]:
        raise ReviewError("body: request.uid is missing")
    pod = request.get("object")
    if not isinstance(pod, dict):
        raise ReviewError("body: request.object is not an object; this webhook reviews the creation of pods")
    return AdmissionRequest(
        uid=request["uid"],
        # Not metadata.namespace, which is empty in pods that are created from templates.
        namespace=str(request.get("namespace") or ""),
        operation=str(request.get("operation") or ""),
        object=pod,
        dry_run=request.get("dryRun") is True,
    )


def allowed(uid: str, *, warnings: Sequence[Problem] = ()) -> Json:
    """Return a review that allows the object unchanged."""
    return _review(uid, warnings, allow=True)


def encode_patch(operations: Iterable[Mapping[str, Any]]) -> str:
    """Return JSON Patch operations (RFC 6902) in the encoding of a response: base64 of JSON."""
    return base64.b64encode(orjson.dumps(list(operations))).decode()


def patched(uid: str, patch: str, *, warnings: Sequence[Problem] = ()) -> Json:
    """Return a review that allows the object after applying *patch*, which :func:`encode_patch` returned."""
    return _review(uid, warnings, allow=True, patchType="JSONPatch", patch=patch)


def denied(uid: str, message: str, *, warnings: Sequence[Problem] = ()) -> Json:
    """Return a review that rejects the object with *message*."""
    return _review(uid, warnings, allow=False, status={"code": 403, "reason": "Forbidden", "message": message})


def errored(uid: str, message: str) -> Json:
    """Return a review that rejects the object because the webhook itself failed."""
    return _review(uid, (), allow=False, status={"code": 500, "reason": "InternalError", "message": message})


def _review(uid: str, warnings: Sequence[Problem], *, allow: bool, **more: Any) -> Json:
    response = {"uid": uid, "allowed": allow, **more}
    if warnings:
        response["warnings"] = [str(warning)[:_LONGEST_WARNING] for warning in warnings]
    return {"apiVersion": _API_VERSION, "kind": _KIND, "response": response}


def encode_review(review: Json) -> bytes:
    """Return a review as the body of an HTTP response."""
    return orjson.dumps(review)
