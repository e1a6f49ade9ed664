"""The AdmissionReview envelope (admission.k8s.io/v1): parses the request and builds the response."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
import orjson

from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.limits import MOST_SHOWN, and_more, shortened
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
    object: Json | None = attrs.field(repr=False)
    """The object, or None if the request has none, as for a deletion."""
    dry_run: bool = False
    of_pod: bool = True
    """Whether the request is about a pod itself, and not about another kind or a subresource such as ``pods/eviction``."""


def parse_review(body: bytes) -> AdmissionRequest:
    """Parse the body of an HTTP request; raises :class:`ReviewError` if it is not an AdmissionReview."""
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
    if not isinstance(pod, dict | None):
        raise ReviewError("body: request.object is not an object; this webhook reviews the creation of pods")
    return AdmissionRequest(
        uid=request["uid"],
        # Not metadata.namespace, which is empty in pods that are created from templates.
        namespace=_text(request, "namespace"),
        operation=_text(request, "operation"),
        object=pod,
        dry_run=request.get("dryRun") is True,
        of_pod=_is_of_pod(request),
    )


_OF_PODS = {
    "kind": {"group": "", "version": "v1", "kind": "Pod"},
    "resource": {"group": "", "version": "v1", "resource": "pods"},
}


def _is_of_pod(request: Json) -> bool:
    """Return whether the fields of *request* that are present say that it is about a pod. API servers send all of them."""
    return not request.get("subResource") and all(request.get(key) in (None, value) for key, value in _OF_PODS.items())


def _text(request: Json, key: str) -> str:
    value = request.get(key)
    if not isinstance(value, str | None):
        raise ReviewError(f"body: request.{key} is not text")
    return value or ""


_UID = re.compile(rb'"uid":\s?"([-0-9A-Za-z]{1,64})"')
_START = 1024


def uid_of(body: bytes) -> str:
    """Return the UID of a review that is too large to be parsed. API servers write it at the beginning of the request.

    Raises :class:`ReviewError` if it is not there.
    """
    found = _UID.search(body, 0, _START)
    if found is None:
        raise ReviewError(f"body: {len(body)} bytes, and request.uid is not at their beginning")
    return found[1].decode()


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
        shown = [shortened(str(warning), _LONGEST_WARNING) for warning in warnings[:MOST_SHOWN]]
        response["warnings"] = [*shown, *filter(None, [and_more(len(warnings))])]
    return {"apiVersion": _API_VERSION, "kind": _KIND, "response": response}


def encode_review(review: Json) -> bytes:
    """Return a review as the body of an HTTP response."""
    return orjson.dumps(review)
