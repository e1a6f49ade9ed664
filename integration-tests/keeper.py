"""Local Keeper in the cluster, with its records and faults."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import yaml
from pods import ROOT, Namespace, image

MANIFEST = ROOT / "tools/local_keeper/kubernetes.yaml"


@attrs.frozen
class Keeper:
    """Local Keeper in the cluster."""

    namespace: Namespace
    address: str

    def order(self, *arguments: str) -> Any:
        """Run a command of local Keeper and return its output."""
        command = ("python3", "-m", "local_keeper", "--state", "/state", "--output", "json", *arguments)
        answer = self.namespace.kubectl("exec", "deployment/local-keeper", "--", *command)
        return json.loads(answer) if answer.strip() else None

    def set(self, record: str, field: str, value: str) -> None:
        """Change a field of a record."""
        self.order("set", record, field, value)

    @property
    def requests(self) -> int:
        """The number of requests for records."""
        return int((self.order("stats") or {}).get("get_secret", 0))

    @contextmanager
    def failing(self, *fault: str) -> Iterator[None]:
        """Fail all requests inside the block."""
        self.order("fault", *fault, "--always")
        try:
            yield
        finally:
            self.order("clear")

    def certificate_of(self, address: str) -> str:
        """Return the certificate in PEM that a server at *address*, port 8443, shows to another pod."""
        program = f"import ssl; print(ssl.get_server_certificate(({address!r}, 8443)))"
        return self.namespace.kubectl("exec", "deployment/local-keeper", "--", "python3", "-c", program).strip()

    def share_with(self, namespace: Namespace) -> None:
        """Create the configuration Secret and the CA in a namespace, as its owner does once."""
        config = self.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/config")
        ca = self.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/ca.crt")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keeper-credentials"}}
        authority = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "local-keeper-ca"},
            "data": {"ca.crt": ca},
        }
        namespace.apply({**secret, "data": {"config": base64.b64encode(config.encode()).decode()}}, authority)


def start_keeper(namespace: Namespace) -> Keeper:
    """Start local Keeper in *namespace*."""
    service, deployment = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    deployment["spec"]["template"]["spec"]["containers"][0].update(image=image("local-keeper"), imagePullPolicy="Never")
    namespace.apply(service, deployment)
    address = namespace.get("service/local-keeper")["spec"]["clusterIP"]
    namespace.kubectl("rollout", "status", "deployment/local-keeper", "--timeout=120s")
    return Keeper(namespace, address)
