"""The pods of the webhook and of `helm test`: their security, images, arguments, settings and end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
import webhook_server
import yaml
from rendered_chart import (
    CHART,
    NAME,
    NAMESPACE,
    SELECTED,
    VERSIONS,
    for_each_ci,
    helm,
    needs_helm,
    one,
    pod_of,
    render,
)

from keeper_injector_webhook import cli
from keeper_injector_webhook.settings import Agent, Amounts, Image, Settings, read_settings, read_values

pytestmark = needs_helm


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
    assert pod["spec"]["enableServiceLinks"]
    assert "kind: Pod\n" not in helm("template", NAME, CHART, "--set=tests.enabled=false").stdout


@pytest.mark.parametrize("ready", [True, False])
def test_helm_test_succeeds_exactly_if_the_webhook_is_ready(tmp_path: Path, *, ready: bool) -> None:
    """The program of the pod asks a real webhook, and a port on which nothing listens, by the variables that kubelets set."""
    done = helm("template", NAME, CHART, "--namespace", NAMESPACE)
    pod = one([item for item in yaml.safe_load_all(done.stdout) if item], "Pod")
    (container,) = pod["spec"]["containers"]
    assert container["command"] == ["python3", "-c"]
    port = webhook_server.free_port()
    for server in webhook_server.running(tmp_path) if ready else [None]:
        port = server.port if server else port
        service = {"KEEPER_INJECTOR_SERVICE_HOST": "127.0.0.1", "KEEPER_INJECTOR_SERVICE_PORT": str(port)}
        command = [sys.executable, "-c", container["args"][0]]
        asked = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **service}
        )

        assert (asked.returncode == 0) is ready, asked.stderr
        assert asked.stdout == (f"https://127.0.0.1:{port}/readyz 200\n" if ready else "")


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
