"""The real webhook as a process, and the API server's side of an admission review."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
import yaml

from demo.console import StepFailedError

Json = dict[str, Any]
START_TIMEOUT = 20.0


def pod_of(deployment: Path) -> Json:
    """Return the pod that the controllers would create for a Deployment."""
    manifest = yaml.safe_load(deployment.read_text(encoding="utf-8"))
    template = manifest["spec"]["template"]
    name = manifest["metadata"]["name"]
    metadata = {**template["metadata"], "generateName": f"{name}-5d9c7b-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


class Webhook:
    """``keeper-injector-webhook serve`` over HTTPS."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        certificates = directory / "webhook-tls"
        certificates.mkdir()
        pair = authority.issue_cert("localhost")
        pair.cert_chain_pems[0].write_to_path(certificates / "tls.crt")
        pair.private_key_pem.write_to_path(certificates / "tls.key")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
        settings = directory / "settings.yaml"
        # The demo's local Keeper has its own CA. In a cluster, the chart sets this default for a company's CA.
        settings.write_text("defaults: {ca-cert-configmap: local-keeper-ca}\n", encoding="utf-8")
        self.log = directory / "webhook.log"
        command = [
            *(str(Path(sys.executable).with_name("keeper-injector-webhook")), "serve"),
            *("--host", "127.0.0.1", "--port", str(self.port), "--drain", "0"),
            *("--certificates", str(certificates), "--settings", str(settings)),
        ]
        with self.log.open("wb") as stream:
            self._process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=os.environ)

    def __enter__(self) -> Self:
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.get("/readyz")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
            else:
                return self
        raise StepFailedError(f"the webhook did not start:\n{self.log.read_text(encoding='utf-8')}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(10)

    def get(self, path: str) -> str:
        """Return the answer to a GET."""
        with urllib.request.urlopen(f"https://localhost:{self.port}{path}", context=self._context, timeout=5) as answer:
            return str(answer.read().decode())

    def review(self, pod: Json, namespace: str = "default") -> Json:
        """Send an admission review as an API server does and return the response."""
        request = {
            "uid": str(uuid.uuid4()),
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
            "object": pod,
            "dryRun": False,
        }
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request})
        http = urllib.request.Request(
            f"https://localhost:{self.port}/mutate?timeout=5s", body.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(http, context=self._context, timeout=5) as answer:
            response: Json = json.load(answer)["response"]
        return response


def operations(response: Json) -> list[Json]:
    """Return the JSON Patch of an admission response."""
    found: list[Json] = json.loads(base64.b64decode(response["patch"]))
    return found
