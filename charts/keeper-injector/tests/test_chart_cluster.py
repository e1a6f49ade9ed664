"""What the chart tells the cluster: which pods reach the webhook, its certificate, networks and monitoring, by version of Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from rendered_chart import (
    CHART,
    NAME,
    NAMESPACE,
    SELECTED,
    for_each_ci,
    helm,
    needs_helm,
    one,
    pod_of,
    render,
)

from keeper_injector_webhook.admission.names import METRICS_PORT

pytestmark = needs_helm


@pytest.mark.parametrize(
    ("ci", "egress"),
    [
        ("default", [{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]),
        ("minimal", [{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]),
        ("monitoring", [{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]),
        ("cert-manager", []),
        ("given-secret", []),
    ],
)
@pytest.mark.parametrize("port", [8443, 9443])
def test_one_value_closes_the_network_in_every_mode(ci: str, egress: list[Any], port: int) -> None:
    """`networkPolicy.enabled=true` allows what the webhook needs in each tls.mode: its one port, and the API server if it calls it."""
    objects = render(ci, networkPolicy__enabled=True, port=port)
    policy, pod = one(objects, "NetworkPolicy")["spec"], pod_of(objects)
    (container,) = pod["spec"]["containers"]

    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    # Reviews, probes and metrics all arrive at this port.
    assert policy["ingress"] == [{"ports": [{"port": port, "protocol": "TCP"}]}]
    assert [item["containerPort"] for item in container["ports"]] == [port]
    probes = [container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["httpGet"]["port"] for probe in probes} == {container["ports"][0]["name"]}
    assert one(objects, "Service")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    # Without a token, the webhook has nobody to call.
    assert policy["egress"] == egress
    assert bool(egress) is pod["spec"]["automountServiceAccountToken"]


def test_a_pod_monitor_has_the_label_that_alerts_select() -> None:
    """Alerts select the label `service`, which only a ServiceMonitor sets by itself."""
    monitor = one(render("default", monitoring__podMonitor__enabled=True), "PodMonitor")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]

    assert monitor["selector"]["matchLabels"] == SELECTED
    assert {"targetLabel": "service", "replacement": NAME} in endpoint["relabelings"]
    assert endpoint["scheme"] == "https"


def test_agents_are_scraped_by_the_name_of_their_port() -> None:
    """The PodMonitor selects the port that the webhook adds to pods with `metrics-port`, in all namespaces."""
    objects = render("monitoring", monitoring__agentPodMonitor__relabelings=[{"action": "labelmap", "regex": "app"}])
    monitor = one(objects, "PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]

    assert monitor["metadata"]["name"] == f"{NAME}-agents"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    assert monitor["spec"]["selector"] == {}
    assert endpoint["port"] == METRICS_PORT
    assert endpoint["interval"] == "1m"
    assert endpoint["relabelings"] == [{"action": "labelmap", "regex": "app"}]


@pytest.mark.parametrize(
    ("version", "value", "env_files", "possible"),
    [
        ("1.34.9", "auto", "false", "false"),
        ("1.34.9-gke.100", "never", "false", "false"),
        ("1.35.0-alpha.1", "auto", "false", "true"),
        ("1.37.1", "auto", "false", "true"),
        ("1.38.0-eks-1", "auto", "true", "true"),
        ("1.35.0-gke.100", "always", "true", "true"),
        ("1.37.1", "always", "true", "true"),
        ("1.38.0", "never", "false", "true"),
    ],
)
def test_env_files_are_used_where_every_kubelet_has_them(
    version: str, value: str, env_files: str, possible: str
) -> None:
    """`auto` uses EnvFiles only if every kubelet supports it: kubelets may be three minor versions older than the API server."""
    options = ("--kube-version", version, "--set", f"envFiles={value}")
    settings = [item for item in render("default", *options) if item["kind"] == "ConfigMap"]

    assert f"envFiles: {env_files}\n" in settings[0]["data"]["settings.yaml"]
    assert f"envFilesPossible: {possible}\n" in settings[0]["data"]["settings.yaml"]


@pytest.mark.parametrize(
    ("version", "possible"), [("1.30.0", "false"), ("1.35.9", "false"), ("1.36.0-rc.1", "true"), ("1.37.2", "true")]
)
def test_nothing_restarts_all_containers_unless_it_is_allowed(version: str, possible: str) -> None:
    """The default is false in every version, and the webhook learns whether `true` would be possible."""
    settings = [item for item in render("default", "--kube-version", version) if item["kind"] == "ConfigMap"]
    assert "restartAllContainers: false\n" in settings[0]["data"]["settings.yaml"]
    assert f"restartAllContainersPossible: {possible}\n" in settings[0]["data"]["settings.yaml"]


def test_restarts_of_all_containers_cannot_be_allowed_on_an_old_api_server() -> None:
    """The message says what would happen, and what to do."""
    done = helm("template", "x", CHART, "--kube-version", "1.35.2", "--set", "restartAllContainers=true")
    assert done.returncode
    assert (
        "restartAllContainers: true, but the API server is v1.35.2, which would reject such pods or drop the rule"
        in done.stderr
    )


def test_env_files_cannot_be_forced_on_an_old_api_server() -> None:
    """An API server before 1.35 drops the field without a message, so containers would start without their variables."""
    done = helm("template", "x", CHART, "--kube-version", "1.34.5", "--set", "envFiles=always")

    assert done.returncode != 0
    assert "envFiles: always, but the API server is v1.34.5, which would drop the variables; set auto" in done.stderr


@for_each_ci
def test_only_annotated_pods_reach_the_webhook(ci: str) -> None:
    """On every cluster that the chart accepts; system pods and the webhook's own never do."""
    (webhook,) = one(render(ci), "MutatingWebhookConfiguration")["webhooks"]
    condition, mirror = webhook["matchConditions"]
    excluded = webhook["namespaceSelector"]["matchExpressions"][0]

    assert condition["expression"] == (
        "has(object.metadata.annotations) && 'keeper.security/inject' in object.metadata.annotations"
    )
    assert "!('kubernetes.io/config.mirror' in object.metadata.annotations)" in mirror["expression"]
    assert excluded == {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", NAMESPACE]}
    assert webhook["rules"] == [
        {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE"],
            "resources": ["pods"],
            "scope": "Namespaced",
        }
    ]
    assert (webhook["failurePolicy"], webhook["sideEffects"], webhook["timeoutSeconds"]) == ("Fail", "None", 5)
    assert (webhook["reinvocationPolicy"], webhook["matchPolicy"]) == ("Never", "Equivalent")


def test_namespaces_can_be_chosen_besides() -> None:
    """A selector of the user's is added to the rule that leaves system pods out."""
    expression = {"key": "tier", "operator": "Exists"}
    selector = {"matchLabels": {"keeper-injection": "enabled"}, "matchExpressions": [expression]}
    (webhook,) = one(render("default", namespaceSelector=selector), "MutatingWebhookConfiguration")["webhooks"]

    assert webhook["namespaceSelector"]["matchLabels"] == {"keeper-injection": "enabled"}
    assert webhook["namespaceSelector"]["matchExpressions"][1:] == [expression]


@for_each_ci
def test_who_brings_the_certificate(ci: str) -> None:
    """In mode `own` there are an empty Secret, a memory volume and a token; in other modes a mounted Secret and no token. Only the user sets caBundle."""
    objects = render(ci)
    configuration = one(objects, "MutatingWebhookConfiguration")
    spec = pod_of(objects)["spec"]
    volume = next(volume for volume in spec["volumes"] if volume["name"] == "tls")
    mode = {"cert-manager": "cert-manager", "hardened": "cert-manager", "given-secret": "secret"}.get(ci, "own")

    assert spec["automountServiceAccountToken"] is (mode == "own")
    assert ("caBundle" in configuration["webhooks"][0]["clientConfig"]) is (mode == "secret")
    injected = configuration["metadata"].get("annotations", {}).get("cert-manager.io/inject-ca-from")
    assert injected == (f"{NAMESPACE}/{NAME}" if mode == "cert-manager" else None)
    if mode == "own":
        secret = one(objects, "Secret")
        # An upgrade that says nothing of data leaves data alone.
        assert set(secret) == {"apiVersion", "kind", "metadata", "type"}
        assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "1Mi"}
        assert f"--secret={secret['metadata']['name']}" in spec["containers"][0]["args"]
        assert f"--webhook-configuration={configuration['metadata']['name']}" in spec["containers"][0]["args"]
        assert f"--service={one(objects, 'Service')['metadata']['name']}" in spec["containers"][0]["args"]
    else:
        name = "webhook-tls" if mode == "secret" else f"{NAME}-certificate"
        assert volume["secret"] == {"secretName": name, "defaultMode": 0o440}
        assert not [item for item in objects if item["kind"] == "Secret"]


def test_cert_managers_certificate_is_for_the_service() -> None:
    """API servers call the Service by this name; the chain ends in a CA that lives on when certificates change."""
    objects = {(item["kind"], item["metadata"]["name"]): item for item in render("cert-manager")}
    leaf = objects["Certificate", NAME]["spec"]
    authority = objects["Certificate", f"{NAME}-ca"]["spec"]

    assert leaf["dnsNames"][0] == f"{NAME}.{NAMESPACE}.svc"
    assert objects["Issuer", leaf["issuerRef"]["name"]]["spec"] == {"ca": {"secretName": authority["secretName"]}}
    assert objects["Issuer", authority["issuerRef"]["name"]]["spec"] == {"selfSigned": {}}
    assert (authority["isCA"], authority["privateKey"]["rotationPolicy"]) == (True, "Never")


def test_the_network_is_closed_but_for_what_is_needed() -> None:
    """In: the webhook's port. Out: the API server, if the webhook has anything to do there."""
    own = one(render("default", networkPolicy__enabled=True, port=9443), "NetworkPolicy")["spec"]
    given = one(render("given-secret", networkPolicy__enabled=True), "NetworkPolicy")["spec"]

    assert own["ingress"] == [{"ports": [{"port": 9443, "protocol": "TCP"}]}]
    assert own["egress"] == [{"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]}]
    assert given["egress"] == []
    assert given["policyTypes"] == ["Ingress", "Egress"]


def test_alerts_are_about_this_release() -> None:
    """No placeholder is left, Prometheus' own braces are."""
    rules = one(render("monitoring"), "PrometheusRule")["spec"]["groups"]
    text = yaml.safe_dump(rules, width=10_000)

    assert "$(" not in text
    assert 'absent(keeper_injector_build_info{namespace="keeper", service="keeper-injector"})' in text
    assert "last_success_timestamp_seconds > 0) > 1800 unless time()" in text
    assert "{{ $labels.namespace }}/{{ $labels.pod }}" in text
