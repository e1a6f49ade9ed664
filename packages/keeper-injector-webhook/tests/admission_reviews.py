"""Pods and reviews as API servers send them. Patches are applied by an independent library."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import jsonpatch

from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.answer import answer_review
from keeper_injector_webhook.settings import Settings

PREFIX = "keeper.security/"


def pod(*, containers: list[Json] | None = None, annotations: dict[str, str] | None = None, **spec: Any) -> Json:
    """Return a pod; *annotations* have names without the prefix."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-",
            "annotations": {PREFIX + name: text for name, text in (annotations or {}).items()},
        },
        "spec": {"containers": containers or [{"name": "app", "image": "app:1"}], **spec},
    }


def body(pod: Json, operation: str = "CREATE", namespace: str = "shop") -> bytes:
    """Return the body of a review of *pod*."""
    request = {
        "uid": "u-1",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": namespace,
        "operation": operation,
        "object": pod,
        "dryRun": None,
    }
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


def respond(pod: Json, settings: Settings | None = None, operation: str = "CREATE", namespace: str = "shop") -> Json:
    """Return the response to a review of *pod*."""
    result = answer_review(body(pod, operation, namespace), settings or Settings())
    response: Json = result.review["response"]
    return response


def operations(response: Json) -> list[Json]:
    """Return the JSON Patch of a response; empty if it has none."""
    found: list[Json] = json.loads(base64.b64decode(response.get("patch", "W10=")))
    return found


def injected(pod: Json, settings: Settings | None = None, namespace: str = "shop") -> Json:
    """Return *pod* after the patch, as the API server would create it."""
    response = respond(pod, settings, namespace=namespace)
    if not response["allowed"]:
        raise AssertionError(response["status"]["message"])
    result: Json = jsonpatch.apply_patch(copy.deepcopy(pod), operations(response))
    return result


def plan(pod: Json) -> Json:
    """Return the plan in an injected pod."""
    found: Json = json.loads(pod["metadata"]["annotations"][f"{PREFIX}plan"])
    return found


def denial(pod: Json, settings: Settings | None = None) -> str:
    """Return why *pod* is denied."""
    response = respond(pod, settings)
    if response["allowed"]:
        raise AssertionError("the pod was not denied")
    return str(response["status"]["message"])


def by_name(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the item called *name*."""
    return next(item for item in items if item["name"] == name)


def sidecar_of(new: dict[str, Any]) -> dict[str, Any]:
    """Return the native sidecar of an injected pod."""
    return next(item for item in new["spec"]["initContainers"] if item["name"] == "keeper-injector-sidecar")
