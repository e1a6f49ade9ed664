"""The AdmissionReview envelope (admission.k8s.io/v1): read a request, and answer allowed, denied, patched or errored."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.errors import ReviewError

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"
LONGEST_WARNING = 256
"""Runes; the API server may cut longer ones (apiserver, pkg/warning)."""


@attrs.frozen
class AdmissionRequest:
    """What the API server asks about."""

    uid: str
    namespace: str
    operation: str
    object: Json = attrs.field(repr=False)
    dry_run: bool = False


def parse_review(body: bytes) -> AdmissionRequest:
    """Read the body of an HTTP request; raises :class:`ReviewError`."""
    try:
        review = orjson.loads(body)
    except ValueError:
        raise ReviewError("body: not JSON; an AdmissionReview is expected") from None
    if not isinstance(review, dict) or review.get("kind") != KIND or review.get("apiVersion") != API_VERSION:
        raise ReviewError(f"body: no {KIND} of {API_VERSION}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str) or not request["uid"]:
        raise ReviewError("body: request.uid is missing")
    pod = request.get("object")
    if not isinstance(pod, dict):
        raise ReviewError("body: request.object is no object; this webhook reviews the creation of pods")
    return AdmissionRequest(
        uid=request["uid"],
        # Not metadata.namespace, which is empty in pods made from templates.
        namespace=str(request.get("namespace") or ""),
        operation=str(request.get("operation") or ""),
        object=pod,
        dry_run=request.get("dryRun") is True,
    )


def allowed(uid: str, *, warnings: Sequence[Problem] = ()) -> Json:
    """Answer that the object may pass unchanged."""
    return _review(uid, warnings, allow=True)


def encoded_patch(operations: Iterable[Mapping[str, Any]]) -> str:
    """Write JSON Patch (RFC 6902) operations as a response carries them."""
    return base64.b64encode(orjson.dumps(list(operations))).decode()


def patched(uid: str, patch: str, *, warnings: Sequence[Problem] = ()) -> Json:
    """Answer that the object may pass after what :func:`encoded_patch` has written."""
    return _review(uid, warnings, allow=True, patchType="JSONPatch", patch=patch)


def denied(uid: str, message: str, *, warnings: Sequence[Problem] = ()) -> Json:
    """Answer that the object may not pass, and why."""
    return _review(uid, warnings, allow=False, status={"code": 403, "reason": "Forbidden", "message": message})


def errored(uid: str, message: str) -> Json:
    """Answer that the webhook itself failed."""
    return _review(uid, (), allow=False, status={"code": 500, "reason": "InternalError", "message": message})


def _review(uid: str, warnings: Sequence[Problem], *, allow: bool, **more: Any) -> Json:
    response = {"uid": uid, "allowed": allow, **more}
    if warnings:
        response["warnings"] = [str(warning)[:LONGEST_WARNING] for warning in warnings]
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


def encoded(review: Json) -> bytes:
    """Return an answer as the body of an HTTP response."""
    return orjson.dumps(review)
