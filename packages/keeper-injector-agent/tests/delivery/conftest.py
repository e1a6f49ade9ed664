"""A cluster for tests of Kubernetes Secrets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trustme
from agent_pods import AgentPod
from secret_clusters import SecretCluster
from servers import serving

from keeper_injector_common.plan.paths import ACCOUNT_PATH


@pytest.fixture(name="cluster")
def _cluster(pod: AgentPod, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretCluster]:
    """A cluster, and in the pod the files that the webhook mounts for access to it."""
    ca, cluster = trustme.CA(), SecretCluster()
    account = {"token": "of-the-pod", "namespace": "shop", "pod-name": "web-1", "pod-uid": "uid-of-web-1"}
    for name, content in {**account, "ca.crt": ca.cert_pem.bytes().decode()}.items():
        pod.put(f"{ACCOUNT_PATH}/{name}", content)
    with serving(cluster.respond, ca, "127.0.0.1") as port:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
        yield cluster
