"""An API server with Kubernetes' rules for Secrets, for tests."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
from servers import Response

from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.delivery import KubernetesSecret
from keeper_injector_common.references import parse_reference

SECRETS = "/api/v1/namespaces/shop/secrets"


@attrs.define
class SecretCluster:
    """The Secrets of a namespace, with an API server's rules for them."""

    secrets: dict[str, Json] = attrs.field(factory=dict)
    version: int = 0
    requests: list[str] = attrs.field(factory=list)
    failures: list[int] = attrs.field(factory=list)
    """Statuses to respond with first."""
    interloper: Json | None = None
    """A Secret that another writer stores between the next read and the next write."""

    def respond(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        """Respond to one request."""
        self.requests.append(method)
        if self.failures:
            return failure(self.failures.pop(0), "Failed")
        if headers.get("authorization") != "Bearer of-the-pod" or not path.startswith(SECRETS):
            return failure(403, "Forbidden")
        name = path.removeprefix(SECRETS).lstrip("/")
        if method == "GET":
            found = self.secrets.get(name)
            response: Response = (200, {}, found) if found else failure(404, "NotFound")
            if self.interloper is not None:
                self.store(self.interloper)
                self.interloper = None
            return response
        given = json.loads(body)
        present = self.secrets.get(given["metadata"]["name"])
        if (method == "POST") == (present is not None):
            return failure(409, "AlreadyExists") if present else failure(404, "NotFound")
        if present and given["metadata"].get("resourceVersion") != present["metadata"]["resourceVersion"]:
            return failure(409, "Conflict")
        return 200, {}, self.store(given)

    def store(self, secret: Json) -> Json:
        """Store a Secret with a new resource version."""
        self.version += 1
        metadata = {**secret["metadata"], "resourceVersion": str(self.version)}
        self.secrets[metadata["name"]] = {**secret, "metadata": metadata}
        return self.secrets[metadata["name"]]

    def data(self, name: str) -> dict[str, str]:
        """Return a Secret's data as text."""
        return {key: base64.b64decode(value).decode() for key, value in self.secrets[name]["data"].items()}


def failure(status: int, reason: str) -> Response:
    """Return the response of an API server that rejects a request."""
    return (
        status,
        {},
        {
            "kind": "Status",
            "status": "Failure",
            "reason": reason,
            "code": status,
            "message": f"no, because of {status}",
        },
    )


def wanted_secret(*references: str, **more: Any) -> KubernetesSecret:
    """Return a plan's entry for a Secret called ``app``."""
    return KubernetesSecret("test", "app", tuple(map(parse_reference, references)), **more)


def foreign_secret(**more: Any) -> Json:
    """Return a Secret called ``app`` that Keeper Injector does not manage."""
    secret = {"metadata": {"name": "app", "labels": {"team": "x"}}, "type": "Opaque", "data": {"theirs": "eA=="}}
    return {**secret, **more}
