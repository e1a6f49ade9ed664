"""The chart's objects, as helm renders them with each of ci/*-values.yaml."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import attrs
import pytest
import webhook_server
import yaml
from lookup_server import lookup_server
from rendered_chart import (
    CHART,
    CI,
    COMPONENT,
    NAME,
    NAMESPACE,
    VERSIONS,
    for_each_ci,
    helm,
    needs_helm,
    one,
    pod_of,
    render,
    rights,
)

from chart_values import read_values as values_of_chart
from keeper_injector_webhook import cli
from keeper_injector_webhook.admission.names import METRICS_PORT
from keeper_injector_webhook.settings import Agent, Amounts, Image, Settings, read_settings, read_values

pytestmark = needs_helm

SELECTED = {
    "app.kubernetes.io/name": "keeper-injector",
    "app.kubernetes.io/instance": NAME,
    "app.kubernetes.io/component": "webhook",
}
"""The selector of a Deployment is immutable, so these labels must be the same in every later version."""
WEBHOOK = ["ConfigMap", "Deployment", "MutatingWebhookConfiguration", "Service", "ServiceAccount"]
POLICY = ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"]
OWN = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Secret", *POLICY]
SERVED = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
CONFIGURATIONS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
RIGHTS_OF_OWN = [
    f"keeper/{{0}}: get, patch {CONFIGURATIONS} {{0}}-keeper",
    "keeper/{0}: get, patch secrets keeper/{0}-tls",
]
NO_NAMESPACE = {"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", *POLICY}


@pytest.mark.parametrize(
    ("ci", "more"),
    [
        ("default", ["PodDisruptionBudget", *OWN]),
        ("minimal", OWN),
        ("cert-manager", ["Certificate", "Certificate", "Issuer", "Issuer", "PodDisruptionBudget"]),
        ("given-secret", ["PodDisruptionBudget"]),
        ("monitoring", ["ConfigMap", "PodDisruptionBudget", "PodMonitor", "PrometheusRule", "ServiceMonitor", *OWN]),
        (
            "relay",
            [
                *("ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"),
                *("PodDisruptionBudget", "PodDisruptionBudget", "ServiceMonitor", "ServiceMonitor", *OWN),
            ],
        ),
        (
            "hardened",
            [
                *("Certificate", "HorizontalPodAutoscaler", "NetworkPolicy", "PodDisruptionBudget"),
                *("Role", "RoleBinding"),
            ],
        ),
    ],
)
def test_nothing_else_is_rendered(ci: str, more: list[str]) -> None:
    """The chart renders the objects that the webhook needs and those that a value enables, and no others."""
    assert sorted(item["kind"] for item in render(ci)) == sorted(WEBHOOK + more)


@pytest.mark.parametrize(
    ("ci", "granted"),
    [
        ("default", [line.format("keeper-injector") for line in RIGHTS_OF_OWN]),
        ("minimal", [line.format("injector") for line in RIGHTS_OF_OWN]),
        ("monitoring", [line.format("keeper-injector") for line in RIGHTS_OF_OWN]),
        ("cert-manager", []),
        ("given-secret", []),
        (
            "hardened",
            [
                "shop/shop: create secrets shop/*",
                "shop/shop: get, update secrets shop/database",
            ],
        ),
    ],
)
def test_every_right_is_listed_here(ci: str, granted: list[str]) -> None:
    """The webhook has access to two objects by name, or to none."""
    assert rights(render(ci)) == granted


def test_only_named_service_accounts_write_secrets() -> None:
    """The chart gives the permission to service accounts by name, in each namespace, and to no group."""
    names = {"kubernetesSecrets__namespaces": ["shop", "till"], "kubernetesSecrets__serviceAccounts": ["a", "b"]}
    objects = render("cert-manager", **names)

    assert rights(objects) == [
        f"{namespace}/{account}: create, get, update secrets {namespace}/*"
        for namespace in ("shop", "till")
        for account in ("a", "b")
    ]
    subjects = [subject for item in objects if item["kind"].endswith("Binding") for subject in item["subjects"]]
    assert {subject["kind"] for subject in subjects} == {"ServiceAccount"}


@pytest.mark.parametrize(
    ("options", "is_there"),
    [
        (("--kube-version", "1.33.0-gke.1"), True),
        (("--kube-version", "1.37.1", "--api-versions", "v1/Pod"), False),
        (("--api-versions", f"v1/Pod,{SERVED}"), True),
        (("--set", "admissionPolicy.enabled=false"), False),
        (("--set", "tls.mode=cert-manager"), False),
    ],
    ids=["1.33", "API disabled", "API served", "switched off", "no rights"],
)
def test_a_policy_restricts_the_webhooks_account_where_there_are_policies(
    options: tuple[str, ...], is_there: bool
) -> None:
    """The policy and its binding are rendered if the cluster serves them and the account has rights to restrict."""
    kinds = {item["kind"] for item in render("default", *options)}

    assert set(POLICY) & kinds == (set(POLICY) if is_there else set())


@pytest.mark.parametrize("ci", ["default", "minimal"])
def test_the_policy_is_about_the_account_and_the_object_of_the_role(ci: str) -> None:
    """The policy applies to the configuration that the role grants, and to the account to which it is bound."""
    objects = render(ci)
    policy, role = one(objects, POLICY[0])["spec"], one(objects, "ClusterRole")
    (subject,) = one(objects, "ClusterRoleBinding")["subjects"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    (condition,) = policy["matchConditions"]

    assert (rule["resources"], rule["resourceNames"]) == (
        role["rules"][0]["resources"],
        role["rules"][0]["resourceNames"],
    )
    assert f"'system:serviceaccount:{subject['namespace']}:{subject['name']}'" in condition["expression"]
    assert policy["failurePolicy"] == "Fail"
    assert one(objects, POLICY[1])["spec"] == {"policyName": role["metadata"]["name"], "validationActions": ["Deny"]}


README = re.findall(r"^```yaml\n(.*?)^```", (CHART / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", [text for text in README if "kind:" not in text], ids=lambda text: text.split()[0])
def test_the_examples_of_the_readme_are_values(example: str, tmp_path: Path) -> None:
    """The schema and the templates accept each example."""
    (tmp_path / "values.yaml").write_text(example)
    done = helm("template", NAME, CHART, "--values", tmp_path / "values.yaml")

    assert done.returncode == 0, done.stderr


def test_the_readme_lists_every_alert() -> None:
    """The README's table has each alert with its severity."""
    groups = yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    rows = re.findall(r"^\| `(Keeper\w+)` \| (\w+) \|", (CHART / "README.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert rows == [(rule["alert"], rule["labels"]["severity"]) for group in groups for rule in group["rules"]]


def test_the_readme_lists_the_rights() -> None:
    """The README lists the permissions exactly as helm renders them."""
    for line in rights(render("default")):
        assert f"\n{line}\n" in (CHART / "README.md").read_text(encoding="utf-8")


@for_each_ci
def test_every_object_is_labelled_and_has_its_place(ci: str) -> None:
    """Every object has the recommended labels, a namespace if its kind has one, and a valid name."""
    for item in render(ci):
        metadata = item["metadata"]
        component = metadata["labels"][COMPONENT]
        assert component in {"webhook", "relay", "agent"}
        assert metadata["labels"].items() >= {**SELECTED, COMPONENT: component}.items()
        assert metadata["labels"].items() >= {
            ("app.kubernetes.io/version", VERSIONS["appVersion"]),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("app.kubernetes.io/part-of", "keeper-injector"),
            ("helm.sh/chart", f"keeper-injector-{VERSIONS['version']}"),
        }
        assert ("namespace" in metadata) is (item["kind"] not in NO_NAMESPACE)
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", metadata["name"])
    assert len({(item["kind"], item["metadata"]["name"]) for item in render(ci)}) == len(render(ci))


def test_common_labels_do_not_replace_ours() -> None:
    """Common labels are added to every object, but not to selectors."""
    ours = {"team": "platform", "app.kubernetes.io/name": "mine", "app.kubernetes.io/part-of": "mine"}
    objects = render("monitoring", commonLabels=ours, networkPolicy__enabled=True)

    for item in objects:
        component = item["metadata"]["labels"][COMPONENT]
        assert item["metadata"]["labels"].items() >= {**SELECTED, COMPONENT: component, "team": "platform"}.items()
        assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "keeper-injector"
    assert pod_of(objects)["metadata"]["labels"]["team"] == "platform"
    assert selectors(objects) == [SELECTED] * 7


YAML_WORDS = ["123", "on", "0x10", "1e3", "null", "12:30:00"]
"""Texts that are numbers, booleans or other things in YAML, if they are not in quotes."""


@pytest.mark.parametrize("word", YAML_WORDS)
@for_each_ci
def test_names_that_yaml_reads_as_something_else_stay_texts(ci: str, word: str) -> None:
    """Namespaces, releases and accounts may be called `123` or `on`: the objects are those with another name in its place."""

    def rendered(name: str) -> Any:
        named = {"fullnameOverride": name, "serviceAccount__name": name, "priorityClassName": name}
        rights = {"kubernetesSecrets__namespaces": [name], "kubernetesSecrets__serviceAccounts": [name]}
        monitors = {"monitoring__serviceMonitor__enabled": True, "monitoring__prometheusRule__enabled": True}
        more = {**named, **(rights if re.fullmatch("[a-z0-9]+", name) else {}), **monitors}
        found = render(ci, "--namespace", name, release=name if name.isalnum() else "x", **more)
        return sorted(found, key=lambda item: (item["kind"], json.dumps(item["metadata"]["name"])))

    assert rendered(word) == replaced(rendered("placeholder" if word.isalnum() else "place:holder"), word)


def replaced(value: Any, word: str) -> Any:
    """Return *value* with *word* in place of the placeholder, in all texts and keys."""
    if isinstance(value, dict):
        return {key: replaced(item, word) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, word) for item in value]
    return re.sub("place:?holder", word, value) if isinstance(value, str) else value


@pytest.mark.parametrize("values", [{}, {"nameOverride": "other"}, {"fullnameOverride": "other"}])
def test_no_value_changes_a_selector(values: dict[str, Any]) -> None:
    """Selectors are immutable, so an upgrade may not change them."""
    objects = render("monitoring", networkPolicy__enabled=True, commonLabels={"a": "b"}, podLabels={"c": "d"}, **values)

    assert selectors(objects) == [SELECTED] * 7


def selectors(objects: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Return all that select the webhook's pods: Deployment, budget, policy, spreads, monitor, Service."""
    specs = {item["kind"]: item["spec"] for item in objects if "spec" in item}
    pod = specs["Deployment"]["template"]["spec"]
    return [
        specs["Deployment"]["selector"]["matchLabels"],
        specs["PodDisruptionBudget"]["selector"]["matchLabels"],
        specs["NetworkPolicy"]["podSelector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod["topologySpreadConstraints"]),
        specs["ServiceMonitor"]["selector"]["matchLabels"],
        specs["Service"]["selector"],
    ]


def test_selectors_do_not_change_with_the_version(tmp_path: Path) -> None:
    """A later version of the chart selects the pods of this version."""
    done = helm("package", CHART, "--version", "9.9.9", "--app-version", "9.9.9", "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    objects = render("monitoring", chart=tmp_path / "keeper-injector-9.9.9.tgz", networkPolicy__enabled=True)

    assert selectors(objects) == [SELECTED] * 7
    assert pod_of(objects)["metadata"]["labels"]["app.kubernetes.io/version"] == "9.9.9"


def test_a_packaged_chart_has_no_tests(tmp_path: Path) -> None:
    """The archive contains only files that an installation needs."""
    assert helm("package", CHART, "--destination", tmp_path).returncode == 0
    with tarfile.open(tmp_path / f"keeper-injector-{VERSIONS['version']}.tgz") as archive:
        names = {name.removeprefix("keeper-injector/").split("/")[0] for name in archive.getnames()}

    assert names == {
        "Chart.yaml",
        "LICENSE",
        "README.md",
        "monitoring",
        "templates",
        "values-production.yaml",
        "values.schema.json",
        "values.yaml",
    }


@pytest.mark.parametrize("release", ["keeper-injector", "a", "a" * 53, f"{'b' * 49}-cd"])
def test_names_fit(release: str) -> None:
    """However long a release's name is, no name is too long, and none ends in a dash."""
    objects = render("monitoring", release=release) + render("cert-manager", release=release)

    for item in objects:
        limit = 253 if item["kind"] in NO_NAMESPACE else 63
        assert len(item["metadata"]["name"]) <= limit
        assert not item["metadata"]["name"].endswith("-")


@for_each_ci
def test_the_webhooks_pods_satisfy_restricted(ci: str) -> None:
    """Each rule of the Pod Security standard `restricted`, and a read-only root."""
    spec = pod_of(render(ci))["spec"]
    allowed = {"configMap", "emptyDir", "projected", "secret"}

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(spec)
    assert all(set(volume) - {"name"} <= allowed for volume in spec["volumes"])
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not any("hostPort" in port for port in container["ports"])
        assert not any("host" in container[probe]["httpGet"] for probe in container if probe.endswith("Probe"))


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


def test_helm_test_asks_the_service() -> None:
    """The pod of `helm test` runs the webhook's image under `restricted`, and the Service does not select it."""
    done = helm("template", NAME, CHART, "--namespace", NAMESPACE)
    pod = one([item for item in yaml.safe_load_all(done.stdout) if item], "Pod")
    (container,) = pod["spec"]["containers"]
    webhook = pod_of(render("default"))["spec"]

    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    assert not SELECTED.items() <= pod["metadata"]["labels"].items()
    assert container["image"] == webhook["containers"][0]["image"]
    assert container["securityContext"] == webhook["containers"][0]["securityContext"]
    assert pod["spec"]["securityContext"] == webhook["securityContext"]
    assert f"https://{NAME}.{NAMESPACE}.svc/readyz" in container["args"][0]
    compile(container["args"][0], "test", "exec")
    assert "kind: Pod\n" not in helm("template", NAME, CHART, "--set=tests.enabled=false").stdout


def test_without_rbac_nothing_is_granted() -> None:
    """The platform team grants the permissions; everything else is rendered."""
    kinds = {item["kind"] for item in render("default", rbac__create=False)}

    assert not {kind for kind in kinds if "Role" in kind}
    assert {*WEBHOOK, *POLICY, "Secret"} <= kinds


def test_the_names_for_people_from_other_charts_are_values() -> None:
    """Each name in the right column of the README's table is a value or a section of values."""
    table = (CHART / "README.md").read_text(encoding="utf-8").partition("| elsewhere | here |")[2].partition("\n\n")[0]
    names = {name for row in table.splitlines()[2:] for name in re.findall(r"`([\w.]+)`", row.split("|")[2])}
    known = {value.name for value in values_of_chart((CHART / "values.yaml").read_text(encoding="utf-8"))}

    assert len(names) >= 8
    assert [name for name in names if not any(f"{value}.".startswith(f"{name}.") for value in known)] == []


@pytest.mark.parametrize("ready", [True, False])
def test_helm_test_succeeds_exactly_if_the_webhook_is_ready(tmp_path: Path, *, ready: bool) -> None:
    """The program of the pod asks a real webhook, and a port on which nothing listens."""
    done = helm("template", NAME, CHART, "--namespace", NAMESPACE)
    pod = one([item for item in yaml.safe_load_all(done.stdout) if item], "Pod")
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python3", "-c"]
    port = webhook_server.free_port()
    for server in webhook_server.running(tmp_path) if ready else [None]:
        host = f"127.0.0.1:{server.port if server else port}"
        program = container["args"][0].replace(f"{NAME}.{NAMESPACE}.svc", host)
        asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

        assert (asked.returncode == 0) is ready, asked.stderr
        assert asked.stdout == (f"https://{host}/readyz 200\n" if ready else "")


@pytest.mark.parametrize(
    ("repository", "mirrored"),
    [
        ("ghcr.io/keeper-security/a", "mirror.example/x/keeper-security/a"),
        ("localhost/a", "mirror.example/x/a"),
        ("registry:5000/a/b", "mirror.example/x/a/b"),
        ("team/a", "mirror.example/x/team/a"),
        ("a", "mirror.example/x/a"),
    ],
)
@pytest.mark.parametrize("registry", ["mirror.example/x", "mirror.example/x/"])
def test_a_global_registry_is_that_of_every_image(repository: str, mirrored: str, registry: str) -> None:
    """The registry replaces the host of the webhook's image and of the agent's, and its Secrets are added once."""
    secrets = {"global__imagePullSecrets": [{"name": "a"}, {"name": "b"}], "imagePullSecrets": [{"name": "a"}]}
    images = {"image__repository": repository, "agent__image__repository": repository}
    objects = render("default", global__imageRegistry=registry, **secrets, **images)
    spec = pod_of(objects)["spec"]
    settings = yaml.safe_load(one(objects, "ConfigMap")["data"]["settings.yaml"])

    assert spec["containers"][0]["image"] == f"{mirrored}:{VERSIONS['appVersion']}"
    assert settings["agent"]["image"]["repository"] == mirrored
    assert spec["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_the_namespace_can_be_another_one() -> None:
    """Every object, and all that refers to it, is in `namespaceOverride`, as if the release were there."""
    for ci in CI:
        moved = render(ci, namespaceOverride="elsewhere")
        assert moved == render(ci, "--namespace", "elsewhere"), ci


def test_extra_objects_may_be_templates() -> None:
    """A mapping and a text are rendered, with the release's names."""
    given = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "{{ .Release.Name }}-a"}}
    text = "apiVersion: v1\nkind: Service\nmetadata: { name: '{{ include \"keeper-injector.fullname\" . }}-b' }"
    objects = render("default", extraObjects=[given, text])

    assert {f"{NAME}-a", f"{NAME}-b"} <= {item["metadata"]["name"] for item in objects if item["kind"] == "Service"}


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


def test_openshift_may_choose_the_user() -> None:
    """`null` takes a number away."""
    done = helm(
        "template",
        "x",
        CHART,
        "--skip-tests",
        *(f"--set=podSecurityContext.{key}=null" for key in ("runAsUser", "runAsGroup", "fsGroup")),
    )
    (context,) = re.findall(r"\n {6}securityContext:\n((?: {8}.*\n)+)", done.stdout)

    assert yaml.safe_load(context) == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


@for_each_ci
def test_the_webhook_drains_before_it_is_killed(ci: str) -> None:
    """Serving on after SIGTERM and reviews in flight fit into the grace period, and no shell is needed for either."""
    spec = pod_of(render(ci))["spec"]
    serving_on = cli.build_parser().parse_args(["serve", "--certificates", "/tls"]).drain
    in_flight = 5 + 1

    assert spec["terminationGracePeriodSeconds"] > serving_on + in_flight
    assert "lifecycle" not in spec["containers"][0]


@for_each_ci
def test_the_webhook_understands_its_arguments(ci: str) -> None:
    """The webhook of this version accepts the arguments that the chart writes."""
    (container,) = pod_of(render(ci))["spec"]["containers"]
    if "--tls=own" in container["args"] and "--tls" not in Path(cli.__file__).read_text(encoding="utf-8"):
        pytest.skip("this webhook cannot issue its own certificate yet")
    options = cli.build_parser().parse_args(container["args"])

    assert options.command == "serve"
    assert options.port == container["ports"][0]["containerPort"]
    assert str(options.settings) == "/settings/settings.yaml"


@for_each_ci
def test_the_webhook_understands_its_settings(ci: str, tmp_path: Path) -> None:
    """The webhook of this version reads the settings that the chart writes without a problem."""
    content = next(item["data"]["settings.yaml"] for item in render(ci) if "settings.yaml" in item.get("data", {}))
    (tmp_path / "settings.yaml").write_text(content)
    settings = read_settings(tmp_path / "settings.yaml")
    agent = settings.agent

    if ci == "hardened":
        assert agent.image.reference() == f"registry.example/keeper-injector-agent@sha256:{'2' * 64}"
        assert agent.image.reference(cloud=True) == f"registry.example/keeper-injector-agent@sha256:{'3' * 64}"
        assert settings.defaults.within("shop") == {
            "refresh-interval": "10m",
            "strict-lookup": "true",
            "ksm-config": "shop-keeper",
        }
        assert agent.resources.limits == Amounts(cpu="500m", memory="128Mi")
        assert (agent.https_proxy, agent.no_proxy) == ("http://proxy.example:3128", ".example.com,10.0.0.0/8")
    elif ci == "production":
        image = Image(repository="registry.example/keeper-injector-agent", tag=VERSIONS["appVersion"])
        assert agent == Agent(image=image)
        assert settings.defaults.within("shop") == {"refresh-interval": "15m", "strict-lookup": "true"}
    else:
        assert agent == Agent(image=Image(tag=VERSIONS["appVersion"]))


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
    ("version", "possible"), [("1.33.0", "false"), ("1.35.9", "false"), ("1.36.0-rc.1", "true"), ("1.37.2", "true")]
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


@pytest.mark.parametrize(
    "agent",
    [
        "{resources: {requests: {cpu: 20m}, limits: {cpu: '1'}}}",
        "{resources: {requests: {memory: null}}}",
        "{resources: {limits: null}}",
        "{image: {digest: 'sha256:" + "1" * 64 + "', tag: x}}",
        "{httpsProxy: 'http://proxy.example:3128'}",
    ],
)
def test_values_mean_what_helm_makes_of_them(tmp_path: Path, agent: str) -> None:
    """The settings that helm writes for a values file are those that the commands read from that file."""
    values = tmp_path / "values.yaml"
    values.write_text(f"agent: {agent}\n", encoding="utf-8")
    done = helm("template", "x", CHART, "--values", values, "--show-only", "templates/webhook-configmap.yaml")
    assert done.returncode == 0, done.stderr
    written = tmp_path / "settings.yaml"
    written.write_text(yaml.safe_load(done.stdout)["data"]["settings.yaml"], encoding="utf-8")
    installed = read_settings(written).agent
    read = read_values(yaml.safe_load(values.read_text(encoding="utf-8")), "values.yaml", Settings()).agent
    assert attrs.evolve(read, image=installed.image) == installed
    assert (read.image.digest, read.image.repository) == (installed.image.digest, installed.image.repository)


def test_new_settings_are_new_pods() -> None:
    """A change of the settings replaces the pods, because the webhook reads its settings once."""
    before = pod_of(render("default"))["metadata"]["annotations"]

    assert pod_of(render("default"))["metadata"]["annotations"] == before
    assert pod_of(render("default", defaults={"init-only": True}))["metadata"]["annotations"] != before


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


@pytest.mark.parametrize(
    ("given", "budget", "replicas"),
    [
        ({}, True, 2),
        ({"replicas": 1}, False, 1),
        ({"podDisruptionBudget__enabled": False}, False, 2),
        ({"replicas": 1, "autoscaling__enabled": True}, True, None),
        ({"autoscaling__enabled": True, "autoscaling__minReplicas": 1}, False, None),
    ],
)
def test_a_drain_never_waits_for_the_only_pod(given: dict[str, Any], budget: bool, replicas: int | None) -> None:
    """There is a budget where there is a second pod; an autoscaler's number is not fought over."""
    objects = render("default", **given)

    assert ("PodDisruptionBudget" in {item["kind"] for item in objects}) is budget
    assert one(objects, "Deployment")["spec"].get("replicas") == replicas


def test_alerts_are_about_this_release() -> None:
    """No placeholder is left, Prometheus' own braces are."""
    rules = one(render("monitoring"), "PrometheusRule")["spec"]["groups"]
    text = yaml.safe_dump(rules, width=10_000)

    assert "$(" not in text
    assert 'absent(keeper_injector_build_info{namespace="keeper", service="keeper-injector"})' in text
    assert "last_success_timestamp_seconds > 0) > 1800 unless time()" in text
    assert "{{ $labels.namespace }}/{{ $labels.pod }}" in text


@for_each_ci
def test_notes_have_one_next_step(ci: str) -> None:
    """Short, with the Secret and the two annotations, and what stays behind after an uninstall."""
    with lookup_server([]) as url:
        server = ("--kube-apiserver", url, "--disable-openapi-validation", "--dry-run=client")
        done = helm("install", NAME, CHART, "--namespace", NAMESPACE, "--values", CI[ci], *server)
    assert done.returncode == 0, done.stderr
    notes = done.stdout.partition("\nNOTES:\n")[2]

    assert len(notes.splitlines()) <= 18
    assert "kubectl create secret generic keeper-credentials" in notes
    assert 'keeper.security/inject: "true"' in notes
    assert ("helm uninstall does not delete" in notes) is (ci in {"cert-manager", "hardened"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([], "set agent.image.repository and image.repository:"),
        (["image.repository=registry.example/webhook"], "set agent.image.repository:"),
        (["image.repository=registry.example/webhook", "agent.image.repository=registry.example/agent"], ""),
        (["global.imageRegistry=registry.example"], ""),
    ],
)
def test_notes_say_that_images_are_not_published(values: list[str], named: str) -> None:
    """As long as the documentation says so: pods with the default images would wait for them without a reason in sight."""
    page = CHART.parents[1] / "packages/keeper-injector-common/docs/installation.md"
    assert "No images are published yet." in page.read_text(encoding="utf-8")
    with lookup_server([]) as url:
        server = ("--kube-apiserver", url, "--disable-openapi-validation", "--dry-run=client")
        done = helm("install", NAME, CHART, "--namespace", NAMESPACE, *server, *(f"--set={value}" for value in values))

    assert done.returncode == 0, done.stderr
    assert ("No images are published at ghcr.io/keeper-security yet" in done.stdout) is bool(named)
    assert named in done.stdout
