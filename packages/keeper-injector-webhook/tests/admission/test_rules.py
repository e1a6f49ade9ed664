"""Rules: pods that would fail after their creation are rejected."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import denial, pod, respond

ASKED = {"inject": "true", "secret": "db"}


KUBERNETES_SECRET = {**ASKED, "inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"}


@pytest.mark.parametrize(
    ("annotations", "spec", "reason"),
    [
        ({"secret": "a"}, {"os": {"name": "windows"}}, "the pod is for Windows"),
        ({"secret": "a", "k8s-secret-namespace": "other"}, {}, "'other' is not the pod's namespace"),
        ({"secret": "a"}, {"volumes": [{"name": "keeper-state"}]}, "the pod already has a volume named 'keeper-state'"),
    ],
)
def test_what_cannot_work_is_rejected(annotations: dict[str, str], spec: dict[str, Any], reason: str) -> None:
    """A pod that cannot be injected is rejected with the reason and what to do."""
    containers = [{"name": "app", "volumeMounts": [{"name": "disk", "mountPath": "/data/"}]}]
    assert reason in denial(pod(annotations={"inject": "true", **annotations}, containers=containers, **spec))


@pytest.mark.parametrize(
    ("annotations", "container", "spec", "reason"),
    [
        pytest.param(
            {"metrics-port": "9464"},
            {"ports": [{"containerPort": 9464}]},
            {},
            "keeper.security/metrics-port: 9464 is a port of container 'app'; choose another",
            id="a port of the application",
        ),
        pytest.param(
            {"signal": "HUP"},
            {},
            {"hostPID": True},
            "remove hostPID, or use notify-url",
            id="processes of the node",
        ),
        pytest.param(
            {},
            {},
            {"nodeSelector": {"kubernetes.io/os": "windows"}},
            "the pod is for Windows",
            id="nodes with Windows",
        ),
        pytest.param(
            {"inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"},
            {},
            {"volumes": [{"name": "v", "secret": {"secretName": "app-db"}}]},
            "volume 'v' mounts Secret 'app-db', which only exists once the pod's agent runs",
            id="a volume of the Secret that the agent writes",
        ),
        pytest.param(
            {"inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"},
            {},
            {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "app-db"}}]}}]},
            "write optional: true at the volume",
            id="a part of a volume",
        ),
    ],
)
def test_what_would_fail_later_is_rejected(
    annotations: dict[str, str], container: dict[str, Any], spec: dict[str, Any], reason: str
) -> None:
    """A pod that would fail later is rejected with the reason and what to do."""
    assert reason in denial(
        pod(annotations={**ASKED, **annotations}, containers=[{"name": "app", **container}], **spec)
    )


@pytest.mark.parametrize(
    "volume",
    [
        {"name": "v", "secret": {"secretName": "app-db", "optional": True}},
        {"name": "v", "secret": {"secretName": "another"}},
        {"name": "v", "emptyDir": {}},
    ],
    ids=["optional", "another", "no Secret"],
)
def test_volumes_that_do_not_block_the_pod(volume: dict[str, Any]) -> None:
    """A pod may mount the agent's Secret as an optional volume, and may mount any other Secret."""
    assert respond(pod(annotations=KUBERNETES_SECRET, volumes=[volume]))["allowed"]
