"""The chart rejects invalid values before anything reaches a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from lookup_server import DENIED, lookup_server
from rendered_chart import CHART, CI, NAMESPACE, VERSIONS, helm, needs_helm

pytestmark = needs_helm


def refusal(*settings: str) -> str:
    """Return helm's error for *settings*, which must fail."""
    done = helm("template", "keeper-injector", CHART, *(word for setting in settings for word in ("--set", setting)))
    assert done.returncode != 0
    return done.stderr


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("replica=2", "at '': additional properties 'replica' not allowed"),
        ("tls.secret=x", "at '/tls': additional properties 'secret' not allowed"),
        ("enabled=false", "at '/enabled': value must be true"),
        ("tls.mode=self-signed", "at '/tls/mode': value must be one of 'own', 'cert-manager', 'secret'"),
        ("failurePolicy=fail", "at '/failurePolicy': value must be one of 'Fail', 'Ignore'"),
        ("timeoutSeconds=31", "at '/timeoutSeconds': maximum: got 31, want 30"),
        ("timeoutSeconds=5s", "at '/timeoutSeconds': got string, want integer"),
        ("port=443", "at '/port': minimum: got 443, want 1,024"),
        ("image.digest=latest", "at '/image/digest': 'latest' does not match pattern"),
        ("image.tag=15", "at '/image/tag': got number, want string"),
        ("tls.caBundle=-----BEGIN", "at '/tls/caBundle': '-----BEGIN' does not match pattern"),
        ("tls.certManager.duration=90d", "at '/tls/certManager/duration': '90d' does not match pattern"),
        ("tls.certManager.issuerRef.kind=Issuer", "at '/tls/certManager/issuerRef': missing property 'name'"),
        ("defaults.refresh=5m", "at '/defaults': additional properties 'refresh' not allowed"),
        ("defaults.secret=x", "at '/defaults': additional properties 'secret' not allowed"),
        (
            "namespaceDefaults.shop.inject=true",
            "at '/namespaceDefaults/shop': additional properties 'inject' not allowed",
        ),
        ("policy.locked={inject}", "at '/policy/locked/0': value must be one of 'ksm-config'"),
        (
            "policy.forbidden={files}",
            "at '/policy/forbidden/0': value must be one of 'env', 'kubernetes-secret', 'signal'",
        ),
        ("policy.maxSecrets=201", "at '/policy/maxSecrets': maximum: got 201, want 200"),
        (
            "policy.namespaces.shop.lock={signal}",
            "at '/policy/namespaces/shop': additional properties 'lock' not allowed",
        ),
        ("namespaceSelector.labels.a=b", "at '/namespaceSelector': additional properties 'labels' not allowed"),
        ("kubernetesSecrets.namespaces={Shop}", "at '/kubernetesSecrets/namespaces/0': 'Shop' does not match pattern"),
        ("commonLabels.tier=1", "at '/commonLabels/tier': got number, want string"),
        ("agent.httpsProxy=http://user:pass@proxy:3128", "at '/agent/httpsProxy'"),
        ("agent.resources.limits.gpu=1", "at '/agent/resources/limits': additional properties 'gpu' not allowed"),
        ("podDisruptionBudget.maxUnavailable=half", "at '/podDisruptionBudget/maxUnavailable': 'anyOf' failed"),
    ],
)
def test_a_wrong_value_is_refused(setting: str, problem: str) -> None:
    """A misspelt name or a value out of range is reported with its path."""
    said = refusal(setting)

    assert "values don't meet the specifications of the schema" in said
    # Helm 3 has other messages for the same problems.
    assert problem in said or helm("version", "--short").stdout.startswith("v3.")


NO_EFFECT = (
    "networkPolicy.enabled: true, but hostNetwork is true, and network policies have no effect on such pods; "
    "use the firewall of the nodes, and set networkPolicy.enabled=false"
)
MISSING_ACCOUNTS = (
    "kubernetesSecrets.serviceAccounts: empty, so that every pod of shop, till would get the permission; "
    "list the service accounts that need it, such as {shop}"
)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            ["tls.mode=secret"],
            "tls.secretName: empty, but tls.mode is secret; set it to the name of a Secret with tls.crt and tls.key",
        ),
        (["tls.secretName=x"], "tls.secretName: set, but tls.mode is own; set tls.mode=secret, or remove it"),
        (["tls.caBundle=YQ=="], "tls.caBundle: set, but tls.mode is own; set tls.mode=secret, or remove it"),
        (
            ["tls.certManager.issuerRef.name=x"],
            "tls.certManager.issuerRef: set, but tls.mode is own; set tls.mode=cert-manager, or remove it",
        ),
        (
            ["serviceAccount.create=false"],
            "serviceAccount.name: empty, but serviceAccount.create is false; set it to the name of an existing service account",
        ),
        (
            ["autoscaling.enabled=true", "autoscaling.minReplicas=9"],
            "autoscaling.minReplicas: 9 is greater than autoscaling.maxReplicas; set a lower value",
        ),
        (
            ["networkPolicy.enabled=true", "hostNetwork=true"],
            NO_EFFECT,
        ),
        (
            ["kubernetesSecrets.secretNames={db}"],
            "kubernetesSecrets.namespaces: empty, so that no namespace gets the permission; list the namespaces",
        ),
        (
            ["rbac.create=false", "kubernetesSecrets.namespaces={shop}", "kubernetesSecrets.serviceAccounts={till}"],
            "kubernetesSecrets.namespaces: set, but rbac.create is false, so that no namespace gets the permission; set rbac.create=true, or remove it",
        ),
        (
            ["kubernetesSecrets.namespaces={shop,till}"],
            MISSING_ACCOUNTS,
        ),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else " ".join(value),
)
def test_values_that_contradict_each_other_are_refused(settings: list[str], problem: str) -> None:
    """The message says which value is wrong, what was found and what to set."""
    assert problem in refusal(*settings).splitlines()


def test_a_policy_without_ports_is_refused() -> None:
    """A rule without ports would allow traffic to every port, the opposite of what the value looks like."""
    done = helm(
        "template", "x", CHART, "--set", "networkPolicy.enabled=true", "--set-json", "networkPolicy.apiServerPorts=[]"
    )

    assert done.returncode != 0
    assert "networkPolicy" in done.stderr


def test_all_contradictions_are_reported_at_once() -> None:
    """Three problems are reported by one attempt to install."""
    said = refusal("tls.secretName=x", "serviceAccount.create=false", "kubernetesSecrets.serviceAccounts={shop}")

    assert [line.partition(":")[0] for line in said.splitlines() if "; " in line] == [
        *("tls.secretName", "serviceAccount.name", "kubernetesSecrets.namespaces")
    ]


def test_a_cluster_that_is_too_old_is_refused() -> None:
    """The chart requires the oldest version of Kubernetes that the integration tests run on."""
    old = helm("template", "x", CHART, "--kube-version", "1.29.15")
    assert "chart requires kubeVersion: >= 1.30.0-0" in old.stderr
    assert helm("template", "x", CHART, "--kube-version", "1.30.0-gke.100").returncode == 0


def configuration(release: str, part_of: str = "keeper-injector") -> dict[str, Any]:
    """Return the webhook configuration of a release, as a cluster has it."""
    namespace, _, name = release.partition("/")
    annotations = {"meta.helm.sh/release-namespace": namespace, "meta.helm.sh/release-name": name}
    metadata = {
        "name": f"{name}-{namespace}",
        "annotations": annotations,
        "labels": {"app.kubernetes.io/part-of": part_of},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": metadata,
    }


APPLIED = configuration("keeper/first")
"""The object of the release itself, as `helm template | kubectl apply` creates it: without annotations of Helm."""
APPLIED["metadata"] |= {"name": "first-keeper-injector-keeper", "annotations": {}}


@pytest.mark.parametrize(
    ("there", "settings", "refused"),
    [
        ([], [], False),
        ([configuration("keeper/first")], [], False),
        ([configuration("elsewhere/other", part_of="linkerd")], [], False),
        ([configuration("elsewhere/first")], [], True),
        ([configuration("keeper/second")], [], True),
        ([APPLIED], [], False),
        ([configuration("elsewhere/first")], ["--set", "namespaceSelector.matchLabels.tenant=b"], False),
    ],
    ids=[
        "none",
        "itself",
        "another product",
        "another namespace",
        "the same namespace",
        "applied by kubectl",
        "namespaces divided",
    ],
)
def test_a_second_release_is_refused(there: list[dict[str, Any]], settings: list[str], refused: bool) -> None:
    """A second release for the same pods is rejected; with separate namespaces it is accepted."""
    with lookup_server(there) as url:
        server = ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", url)
        done = helm("template", "first", CHART, "--namespace", NAMESPACE, *server, *settings)
        unchecked = helm(
            "template", "first", CHART, "--namespace", NAMESPACE, *server, *settings, "--set=checkOtherReleases=false"
        )
        upgrade = helm("template", "first", CHART, "--namespace", NAMESPACE, *server, *settings, "--is-upgrade")

    assert (unchecked.returncode, upgrade.returncode) == (0, 0), (unchecked.stderr, upgrade.stderr)
    assert (done.returncode != 0) is refused, done.stderr
    assert ("already injects into the same pods; uninstall it, or set namespaceSelector" in done.stderr) is refused


def test_without_the_right_to_list_webhook_configurations_the_error_says_what_to_set() -> None:
    """Templates cannot catch the error of a lookup, so the name of the template in it says what to do."""
    with lookup_server(None) as url:
        server = ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", url)
        done = helm("template", "first", CHART, "--namespace", NAMESPACE, *server)
        unchecked = helm(
            "template", "first", CHART, "--namespace", NAMESPACE, *server, "--set=checkOtherReleases=false"
        )

    assert unchecked.returncode == 0, unchecked.stderr
    assert done.returncode != 0
    assert DENIED in done.stderr
    assert "set checkOtherReleases=false if you may not list webhook configurations" in done.stderr


def test_it_can_be_part_of_another_chart(tmp_path: Path) -> None:
    """The schema accepts a parent chart's condition and global values; if the condition is false, nothing is rendered."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts/keeper-injector").symlink_to(CHART)
    dependency = {"name": "keeper-injector", "version": VERSIONS["version"], "condition": "keeper-injector.enabled"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [dependency]}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(chart))

    for enabled, kinds in ((True, {"Deployment", "MutatingWebhookConfiguration"}), (False, set())):
        values = {"global": {"region": "eu"}, "keeper-injector": {"enabled": enabled}}
        (tmp_path / "values.yaml").write_text(json.dumps(values))
        done = helm("template", "platform", tmp_path)
        assert done.returncode == 0, done.stderr
        assert kinds <= {item["kind"] for item in yaml.safe_load_all(done.stdout) if item}
        assert bool(done.stdout.strip()) is enabled


@pytest.mark.parametrize("ci", CI)
def test_helm_lint_has_nothing_to_say(ci: str) -> None:
    """`helm lint --strict` reports neither an error nor a warning."""
    done = helm("lint", "--strict", CHART, "--values", CI[ci])

    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout
