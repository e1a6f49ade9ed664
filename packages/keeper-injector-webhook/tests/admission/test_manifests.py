"""The agent's containers and volumes in an injected pod."""

from __future__ import annotations

import pytest
from admission_reviews import by_name, injected, plan, pod, sidecar_of

from keeper_injector_webhook.settings import Agent, Image, Settings

ASKED = {"inject": "true", "secret": "database-credentials"}


def test_two_annotations_inject() -> None:
    """Two annotations add an init container, a native sidecar, a plan and a memory volume that the application mounts read-only."""
    new = injected(pod(annotations=ASKED))
    init, sidecar = new["spec"]["initContainers"]
    assert (init["name"], sidecar["name"]) == ("keeper-injector-init", "keeper-injector-sidecar")
    assert (sidecar["restartPolicy"], "startupProbe" in sidecar) == ("Always", True)
    assert by_name(new["spec"]["volumes"], "keeper-secrets-0")["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Mi"}
    assert new["spec"]["containers"][0]["volumeMounts"] == [
        {"name": "keeper-secrets-0", "mountPath": "/keeper/secrets", "readOnly": True}
    ]
    assert plan(new)["directories"][0]["files"][0]["sources"] == ["database-credentials"]


@pytest.mark.parametrize("wanted", ["auto", "native"])
def test_auto_is_native(wanted: str) -> None:
    """``auto`` and ``native`` both add the sidecar to the init containers, because every supported cluster has KEP-753."""
    new = injected(pod(annotations={**ASKED, "sidecar": wanted}))
    assert new["spec"]["initContainers"][1]["restartPolicy"] == "Always"
    assert [item["name"] for item in new["spec"]["containers"]] == ["app"]


def test_a_classic_sidecar_is_an_ordinary_container() -> None:
    """``sidecar: classic`` adds the sidecar to the containers, without a restart policy."""
    new = injected(pod(annotations={**ASKED, "sidecar": "classic"}))
    assert [item["name"] for item in new["spec"]["containers"]] == ["app", "keeper-injector-sidecar"]
    assert "restartPolicy" not in new["spec"]["containers"][1]


def test_init_only_has_no_sidecar() -> None:
    """With `init-only` there is no sidecar, so the files are not refreshed."""
    new = injected(pod(annotations={**ASKED, "init-only": "true"}))
    assert [item["name"] for item in new["spec"]["initContainers"]] == ["keeper-injector-init"]


def test_the_configuration_is_a_file_of_the_agent_alone() -> None:
    """Only the agent's containers mount the Secret with the KSM configuration, and no container has it as a variable."""
    new = injected(pod(annotations={**ASKED, "ksm-config": "mine"}))
    assert by_name(new["spec"]["volumes"], "keeper-credentials")["secret"]["secretName"] == "mine"
    assert "keeper-credentials" not in str(new["spec"]["containers"])
    assert all("env" not in item for item in new["spec"]["initContainers"])


def test_a_cloud_needs_no_secret() -> None:
    """With a cloud's auth method the agent uses the larger image and mounts no Secret."""
    annotations = {**ASKED, "auth-method": "aws-secrets-manager", "aws-secret-id": "keeper"}
    new = injected(pod(annotations=annotations), Settings(agent=Agent(image=Image(repository="agent", tag="1"))))
    assert new["spec"]["initContainers"][0]["image"] == "agent:1-cloud"
    assert "keeper-credentials" not in str(new["spec"]["volumes"])
    assert plan(new)["credentials"] == {"method": "aws-secrets-manager", "secret": "keeper"}


def test_a_kubernetes_secret_needs_a_way_to_the_api_server() -> None:
    """An agent that writes a Secret gets a token for one hour and the pod's identity; other agents get neither."""
    asked = {"inject": "true", "secret": "db"}
    wanted = {**asked, "inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"}
    spec = injected(pod(annotations=wanted))["spec"]
    (volume,) = [item for item in spec["volumes"] if item["name"] == "keeper-api"]
    assert volume["projected"]["sources"][0]["serviceAccountToken"] == {"path": "token", "expirationSeconds": 3600}
    mounting = [
        item["name"]
        for item in (*spec["initContainers"], *spec["containers"])
        if "keeper-api" in [mount["name"] for mount in item["volumeMounts"]]
    ]
    assert mounting == ["keeper-injector-init", "keeper-injector-sidecar"]
    assert plan(injected(pod(annotations=wanted)))["kubernetesSecrets"][0]["name"] == "app-db"
    assert "keeper-api" not in str(injected(pod(annotations=asked)))


def test_the_metrics_port_is_declared() -> None:
    """The sidecar declares its metrics port, and a UDP port with the same number is not a conflict."""
    taken = {"name": "app", "ports": [{"containerPort": 9464, "protocol": "UDP"}]}
    new = injected(pod(annotations={**ASKED, "metrics-port": "9464"}, containers=[taken]))
    assert sidecar_of(new)["ports"] == [{"name": "keeper-metrics", "containerPort": 9464, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("policy", "more"), [({}, []), ({"restartPolicy": "OnFailure"}, []), ({"restartPolicy": "Never"}, ["--no-restart"])]
)
def test_the_init_container_knows_whether_it_is_restarted(policy: dict[str, str], more: list[str]) -> None:
    """The kubelet does not repeat the init container of a pod with `restartPolicy: Never`, so the agent retries longer."""
    wanted = pod(annotations=ASKED)
    wanted["spec"].update(policy)
    init, sidecar = injected(wanted)["spec"]["initContainers"]
    assert (init["command"][4:], sidecar["command"][4:]) == (more, [])


def test_the_startup_probe_waits_for_the_sidecar() -> None:
    """The probe itself waits for five seconds (the agent's `cli.py`), so its timeout is longer, and few failures are enough."""
    _, sidecar = injected(pod(annotations=ASKED))["spec"]["initContainers"]
    probe = sidecar["startupProbe"]
    assert probe["exec"]["command"] == ["keeper-injector-agent", "ready"]
    assert probe["timeoutSeconds"] >= 2 * 5
    assert probe["failureThreshold"] * 5 >= 50
