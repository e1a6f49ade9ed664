"""Every value of the chart has an effect on what helm renders."""

from __future__ import annotations

from typing import Any

import pytest
import test_chart_pods
import test_chart_refusals
from rendered_chart import CHART, needs_helm, render

from chart_values import read_values

pytestmark = needs_helm
VALUES = [value.name for value in read_values((CHART / "values.yaml").read_text(encoding="utf-8"))]

OWN: dict[str, Any] = {}
CERT_MANAGER = {"tls__mode": "cert-manager"}
SECRET = {"tls__mode": "secret", "tls__secretName": "webhook-tls"}
NETWORK = {"networkPolicy__enabled": True}
RIGHTS = {"kubernetesSecrets__namespaces": ["shop"], "kubernetesSecrets__serviceAccounts": ["default"]}
SCALED = {"autoscaling__enabled": True}
RULES = {"monitoring__prometheusRule__enabled": True}
MONITOR = {"monitoring__serviceMonitor__enabled": True}
PODS = {"monitoring__podMonitor__enabled": True}
AGENTS = {"monitoring__agentPodMonitor__enabled": True}
DASHBOARD = {"monitoring__dashboard__enabled": True}
RELABELINGS = [{"action": "labeldrop", "regex": "instance"}]
EFFECTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "nameOverride": ("other", OWN),
    "fullnameOverride": ("other", OWN),
    "commonLabels": ({"team": "platform"}, OWN),
    "commonAnnotations": ({"team": "platform"}, OWN),
    "global.imageRegistry": ("mirror.example", OWN),
    "global.imagePullSecrets": ([{"name": "shared"}], OWN),
    "image.repository": ("registry.example/webhook", OWN),
    "image.tag": ("9.9.9", OWN),
    "image.digest": (f"sha256:{'1' * 64}", OWN),
    "image.pullPolicy": ("Always", OWN),
    "imagePullSecrets": ([{"name": "registry"}], OWN),
    "agent.image.repository": ("registry.example/agent", OWN),
    "agent.image.tag": ("9.9.9", OWN),
    "agent.image.digest": (f"sha256:{'1' * 64}", OWN),
    "agent.image.cloudDigest": (f"sha256:{'1' * 64}", OWN),
    "agent.image.pullPolicy": ("Always", OWN),
    "agent.resources.requests": ({"cpu": "1"}, OWN),
    "agent.resources.limits": ({"memory": "1Gi"}, OWN),
    "agent.httpsProxy": ("http://proxy.example:3128", OWN),
    "agent.noProxy": (".example.com", OWN),
    "envFiles": ("always", OWN),
    "restartAllContainers": (True, OWN),
    "defaults": ({"refresh-interval": "10m"}, OWN),
    "namespaceDefaults": ({"shop": {"refresh-interval": "10m"}}, OWN),
    "policy.locked": (["agent-image"], OWN),
    "policy.forbidden": (["env"], OWN),
    "policy.minRefreshInterval": ("1m", OWN),
    "policy.maxVolumeSize": ("64Mi", OWN),
    "policy.maxSecrets": (20, OWN),
    "policy.contact": ("Ask Ann.", OWN),
    "policy.namespaces": ({"shop": {"maxSecrets": 10}}, OWN),
    "policy.namespacesMayWiden": (True, OWN),
    "tls.mode": ("cert-manager", OWN),
    "tls.secretName": ("other-tls", SECRET),
    "tls.caBundle": ("YQ==", SECRET),
    "tls.certManager.issuerRef": ({"name": "internal"}, CERT_MANAGER),
    "tls.certManager.duration": ("1000h", CERT_MANAGER),
    "tls.certManager.renewBefore": ("8h", CERT_MANAGER),
    "failurePolicy": ("Ignore", OWN),
    "timeoutSeconds": (10, OWN),
    "namespaceSelector": ({"matchLabels": {"a": "b"}}, OWN),
    "objectSelector": ({"matchLabels": {"a": "b"}}, OWN),
    "mutatingWebhookConfiguration.labels": ({"admissions.enforcer/disabled": "true"}, OWN),
    "mutatingWebhookConfiguration.annotations": ({"admissions.enforcer/disabled": "true"}, CERT_MANAGER),
    "replicas": (3, OWN),
    "autoscaling.enabled": (True, OWN),
    "autoscaling.minReplicas": (3, SCALED),
    "autoscaling.maxReplicas": (9, SCALED),
    "autoscaling.targetCPUUtilizationPercentage": (50, SCALED),
    "podDisruptionBudget.enabled": (False, OWN),
    "podDisruptionBudget.maxUnavailable": ("50%", OWN),
    "logLevel": ("debug", OWN),
    "port": (9443, OWN),
    "hostNetwork": (True, OWN),
    "resources": ({"limits": {"cpu": "1"}}, OWN),
    "priorityClassName": ("system-cluster-critical", OWN),
    "podLabels": ({"a": "b"}, OWN),
    "podAnnotations": ({"a": "b"}, OWN),
    "podSecurityContext": ({"runAsUser": 1000}, OWN),
    "nodeSelector": ({"a": "b"}, OWN),
    "tolerations": ([{"operator": "Exists"}], OWN),
    "affinity": ({"podAntiAffinity": {}}, OWN),
    "topologySpreadConstraints": ([{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}], OWN),
    "rbac.create": (False, OWN),
    "serviceAccount.create": (False, {"serviceAccount__name": "other"}),
    "serviceAccount.name": ("other", OWN),
    "serviceAccount.annotations": ({"a": "b"}, OWN),
    "admissionPolicy.enabled": (False, OWN),
    "kubernetesSecrets.namespaces": (["till"], RIGHTS),
    "kubernetesSecrets.serviceAccounts": (["shop"], RIGHTS),
    "kubernetesSecrets.secretNames": (["db"], RIGHTS),
    "networkPolicy.enabled": (True, OWN),
    "networkPolicy.from": ([{"ipBlock": {"cidr": "10.0.0.0/8"}}], NETWORK),
    "networkPolicy.apiServerPorts": ([6443], NETWORK),
    "monitoring.serviceMonitor.enabled": (True, OWN),
    "monitoring.serviceMonitor.interval": ("10s", MONITOR),
    "monitoring.serviceMonitor.labels": ({"a": "b"}, MONITOR),
    "monitoring.serviceMonitor.tlsConfig": ({"serverName": "x"}, MONITOR),
    "monitoring.serviceMonitor.scrapeTimeout": ("5s", MONITOR),
    "monitoring.serviceMonitor.relabelings": (RELABELINGS, MONITOR),
    "monitoring.serviceMonitor.metricRelabelings": (RELABELINGS, MONITOR),
    "monitoring.podMonitor.enabled": (True, OWN),
    "monitoring.podMonitor.interval": ("10s", PODS),
    "monitoring.podMonitor.scrapeTimeout": ("5s", PODS),
    "monitoring.podMonitor.labels": ({"a": "b"}, PODS),
    "monitoring.podMonitor.tlsConfig": ({"serverName": "x"}, PODS),
    "monitoring.podMonitor.relabelings": (RELABELINGS, PODS),
    "monitoring.podMonitor.metricRelabelings": (RELABELINGS, PODS),
    "monitoring.agentPodMonitor.enabled": (True, OWN),
    "monitoring.agentPodMonitor.interval": ("10s", AGENTS),
    "monitoring.agentPodMonitor.scrapeTimeout": ("5s", AGENTS),
    "monitoring.agentPodMonitor.labels": ({"a": "b"}, AGENTS),
    "monitoring.agentPodMonitor.relabelings": (RELABELINGS, AGENTS),
    "monitoring.agentPodMonitor.metricRelabelings": (RELABELINGS, AGENTS),
    "monitoring.prometheusRule.enabled": (True, OWN),
    "monitoring.prometheusRule.labels": ({"a": "b"}, RULES),
    "monitoring.prometheusRule.staleAfterSeconds": (60, RULES),
    "monitoring.dashboard.enabled": (True, OWN),
    "monitoring.dashboard.labels": ({"a": "b"}, DASHBOARD),
    "monitoring.dashboard.annotations": ({"a": "b"}, DASHBOARD),
    "namespaceOverride": ("other", OWN),
    "extraEnv": ([{"name": "A", "value": "b"}], OWN),
    "extraArgs": (["--drain=20"], OWN),
    "extraVolumes": ([{"name": "a", "emptyDir": {}}], OWN),
    "extraVolumeMounts": ([{"name": "a", "mountPath": "/a"}], OWN),
    "extraObjects": ([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}], OWN),
    "containerSecurityContext": ({"privileged": False}, OWN),
    "strategy": ({"type": "Recreate"}, OWN),
    "revisionHistoryLimit": (9, OWN),
    "terminationGracePeriodSeconds": (60, OWN),
    "startupProbe": ({"failureThreshold": 90}, OWN),
    "readinessProbe": ({"failureThreshold": 9}, OWN),
    "livenessProbe": ({"failureThreshold": 9}, OWN),
    "dnsConfig": ({"nameservers": ["10.0.0.1"]}, OWN),
    "hostAliases": ([{"ip": "10.0.0.1", "hostnames": ["a"]}], OWN),
    "runtimeClassName": ("gvisor", OWN),
    "deploymentAnnotations": ({"a": "b"}, OWN),
    "service.annotations": ({"a": "b"}, OWN),
    "service.ipFamilyPolicy": ("PreferDualStack", OWN),
    "service.ipFamilies": (["IPv6"], OWN),
}


EFFECTS_ELSEWHERE = {
    "checkOtherReleases": "test_a_second_release_is_refused",
    "tests.enabled": "test_helm_test_asks_the_service",
}
"""Values whose effect other tests show."""


@pytest.mark.parametrize("name", [name for name in VALUES if not name.startswith("relay.")])
def test_every_value_has_an_effect(name: str) -> None:
    """A different value changes the rendered objects."""
    if name in EFFECTS_ELSEWHERE:
        assert EFFECTS_ELSEWHERE[name] in vars(test_chart_refusals) | vars(test_chart_pods)
        return
    value, given = EFFECTS[name]
    before = render("default", **given)

    assert render("default", **{**given, name.replace(".", "__"): value}) != before
