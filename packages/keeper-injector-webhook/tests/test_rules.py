"""What is refused or warned of because it would fail later or surprise."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from admission_reviews import denial, injected, pod, respond

from keeper_injector_webhook.admission.resources import amount

ASKED = {"inject": "true", "secret": "db"}
KUBERNETES_SECRET = {**ASKED, "inject-as-k8s-secret": "true", "k8s-secret-name": "app-db"}
FIXED = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}


def agent(new: dict[str, Any]) -> dict[str, Any]:
    """Return the container that stays."""
    return next(item for item in new["spec"]["initContainers"] if item["name"] == "keeper-injector-sidecar")


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
            {"agent-requests-memory": "256Mi"},
            {},
            {},
            "keeper.security/agent-requests-memory: 256Mi is more than the limit of 128Mi; lower it, or write "
            "agent-limits-memory: none",
            id="a request above the limit",
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
def test_what_would_fail_later_is_refused(
    annotations: dict[str, str], container: dict[str, Any], spec: dict[str, Any], reason: str
) -> None:
    """With the reason and the way out."""
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
def test_volumes_that_do_not_wait(volume: dict[str, Any]) -> None:
    """An optional volume is filled later; another Secret is none of ours."""
    assert respond(pod(annotations=KUBERNETES_SECRET, volumes=[volume]))["allowed"]


def test_the_metrics_port_is_declared() -> None:
    """Schedulers and Prometheus learn of it by the pod; a UDP port of the same number is another one."""
    taken = {"name": "app", "ports": [{"containerPort": 9464, "protocol": "UDP"}]}
    new = injected(pod(annotations={**ASKED, "metrics-port": "9464"}, containers=[taken]))
    assert agent(new)["ports"] == [{"name": "keeper-metrics", "containerPort": 9464, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("annotations", "spec", "warning"),
    [
        pytest.param(
            {"sidecar": "classic"},
            {"restartPolicy": "OnFailure"},
            'a classic sidecar never ends, so this pod will not end either; add keeper.security/init-only: "true"',
            id="classic in a Job",
        ),
        pytest.param(
            {"metrics-port": "9464"},
            {"hostNetwork": True},
            "only one process can have port 9464, and anyone who can reach the node can read the metrics",
            id="the node's network",
        ),
        pytest.param(
            {"signal": "HUP"},
            {"securityContext": {"runAsUser": 0}},
            "set runAsUser to the application's number",
            id="a signal to root",
        ),
        pytest.param(
            {"volume-size": "256Mi"},
            {},
            "files in memory count as the agent's, whose limit is 128Mi; set agent-limits-memory to 320Mi or more",
            id="more files than memory",
        ),
    ],
)
def test_what_will_surprise_is_a_warning(annotations: dict[str, str], spec: dict[str, Any], warning: str) -> None:
    """The pod is created all the same; what is well asked for has no warning."""
    (found,) = respond(pod(annotations={**ASKED, **annotations}, **spec))["warnings"]
    assert warning in found


@pytest.mark.parametrize(
    ("annotations", "spec"),
    [
        ({"sidecar": "classic", "init-only": "true"}, {"restartPolicy": "Never"}),
        ({}, {"restartPolicy": "OnFailure"}),
        ({"signal": "HUP"}, {"securityContext": {"runAsUser": 1000}}),
        ({"volume-size": "256Mi", "agent-limits-memory": "320Mi"}, {}),
        ({"volume-size": "256Mi", "agent-limits-memory": "none"}, {}),
    ],
    ids=["classic that goes", "native in a Job", "a signal to a user", "memory enough", "memory without limit"],
)
def test_what_is_well_asked_for_has_no_warning(annotations: dict[str, str], spec: dict[str, Any]) -> None:
    """Warnings that come always are read by nobody."""
    assert "warnings" not in respond(pod(annotations={**ASKED, **annotations}, **spec))


def test_a_guaranteed_pod_stays_guaranteed() -> None:
    """Requests are limits in the agent's containers too, with CPU enough for a refresh."""
    new = injected(pod(annotations=ASKED, containers=[{"name": "app", "resources": FIXED}]))
    assert agent(new)["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "100m", "memory": "128Mi"},
    }


def test_other_classes_of_service_keep_the_charts_amounts() -> None:
    """A pod of which one container may grow is Burstable with or without us."""
    containers = [
        {"name": "app", "resources": FIXED},
        {"name": "b", "resources": {"limits": FIXED["limits"]}},
        {"name": "c"},
    ]
    lines = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    assert agent(injected(pod(annotations=ASKED, containers=containers)))["resources"] == lines


def test_own_amounts_in_a_guaranteed_pod() -> None:
    """Equal ones are kept; others take the pod out of its class, and that is said."""
    equal = {
        f"agent-{kind}-{name}": text
        for kind in ("requests", "limits")
        for name, text in (("cpu", "200m"), ("memory", "64Mi"))
    }
    guaranteed = pod(annotations={**ASKED, **equal}, containers=[{"name": "app", "resources": FIXED}])
    assert "warnings" not in respond(guaranteed)
    guaranteed = pod(
        annotations={**ASKED, "agent-limits-memory": "64Mi"}, containers=[{"name": "app", "resources": FIXED}]
    )
    (warning,) = respond(guaranteed)["warnings"]
    assert "so the pod is no longer Guaranteed" in warning


def test_resources_of_the_pod_as_a_whole() -> None:
    """The chart's lines could break the pod's; the pod's own annotations are kept."""
    whole = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}}
    assert agent(injected(pod(annotations=ASKED, **whole)))["resources"] == {}
    asked = {**ASKED, "agent-limits-memory": "64Mi"}
    assert agent(injected(pod(annotations=asked, **whole)))["resources"] == {"limits": {"memory": "64Mi"}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("0.5", "0.5"),
        ("100m", "0.1"),
        ("64Mi", "67108864"),
        ("1e3", "1000"),
        ("1E", "1e18"),
        ("5k", "5000"),
    ],
)
def test_quantities(text: str, number: str) -> None:
    """Suffixes of both kinds and exponents, as Kubernetes' quantities have them."""
    assert amount(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", None, {}, "1Ki1"], ids=repr)
def test_what_is_no_quantity(text: object) -> None:
    """The API server refuses such a pod with its own words."""
    assert amount(text) == 0


def test_a_user_of_openshifts_choice() -> None:
    """OpenShift has given the containers their user before a webhook is asked: the agent takes the same."""
    context = {"runAsUser": 1000650000, "runAsNonRoot": True}
    whole = {"securityContext": {"fsGroup": 1000650000, "seLinuxOptions": {"level": "s0:c26,c0"}}}
    new = injected(pod(annotations=ASKED, containers=[{"name": "app", "securityContext": context}], **whole))
    assert agent(new)["securityContext"]["runAsUser"] == 1000650000


def test_user_namespaces_change_nothing() -> None:
    """With `hostUsers: false` numbers are the container's own; the agent's stays what the application has."""
    new = injected(pod(annotations=ASKED, hostUsers=False, securityContext={"runAsUser": 1000}))
    assert (new["spec"]["hostUsers"], agent(new)["securityContext"]["runAsUser"]) == (False, 1000)
