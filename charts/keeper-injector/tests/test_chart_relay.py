"""The relay's objects: two containers, of which only one has an identity, and a web server that serves nothing but snapshots."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from rendered_chart import CHART, COMPONENT, NAMESPACE, helm, needs_helm, one, pod_of, render

from chart_values import read_values
from keeper_injector_agent.parser import build_parser

pytestmark = needs_helm

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
RELAY = "relay"
EFFECTS: dict[str, Any] = {
    "enabled": False,
    "applications": ["billing"],
    "frozen": ["shop"],
    "replicas": 3,
    "largestAttachment": 20,
    "volumeSize": "128Mi",
    "caConfigMap": "other-ca",
    "tls.secretName": "relay-tls",
    "tls.certManager.issuerRef": {"name": "internal"},
    "resources": {"limits": {"memory": "1Gi"}},
    "webServer.repository": "registry.example/nginx",
    "webServer.tag": "9.9.9",
    "webServer.digest": f"sha256:{'1' * 64}",
    "webServer.pullPolicy": "Always",
    "webServer.resources": {"limits": {"memory": "1Gi"}},
    "networkPolicy.enabled": False,
    "networkPolicy.from": [{"podSelector": {}}],
    "networkPolicy.to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}],
    "networkPolicy.ports": [3128],
    "nodeSelector": {"zone": "a"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "priorityClassName": "high",
    "podLabels": {"a": "b"},
    "podAnnotations": {"sidecar.istio.io/inject": "false"},
}
"""Another value for each value of the section."""
VALUES = [
    value.name.removeprefix("relay.")
    for value in read_values((CHART / "values.yaml").read_text(encoding="utf-8"))
    if value.name.startswith("relay.")
]


def container(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return a container of the relay's pods."""
    found: dict[str, Any]
    (found,) = [item for item in pod_of(objects, RELAY)["spec"]["containers"] if item["name"] == name]
    return found


@pytest.mark.parametrize("name", VALUES)
def test_every_value_has_an_effect(name: str) -> None:
    changed = render("relay", **{"relay__frozen": [], f"relay.{name}".replace(".", "__"): EFFECTS[name]})
    assert changed != render("relay", relay__frozen=[])


def test_nothing_is_rendered_without_it() -> None:
    assert all(item["metadata"]["labels"][COMPONENT] != RELAY for item in render("monitoring"))


def test_only_one_container_has_an_identity() -> None:
    """The web server sees what is published, read-only, and its own settings."""
    objects = render("relay", relay__tls__secretName="relay-tls")
    volumes = {volume["name"]: volume for volume in pod_of(objects, RELAY)["spec"]["volumes"]}
    mounts = {mount["name"]: mount for mount in container(objects, "web-server")["volumeMounts"]}
    assert mounts["published"]["readOnly"] is True
    assert [name for name in mounts if "secret" in volumes[name]] == ["tls"]
    assert not [name for name in volumes if name.startswith("application-") and name in mounts]
    assert {volumes[name]["secret"]["secretName"] for name in volumes if name.startswith("application-")} == {
        *("shop", "billing")
    }
    assert pod_of(objects, RELAY)["spec"]["automountServiceAccountToken"] is False
    assert one(objects, "ServiceAccount", RELAY)["automountServiceAccountToken"] is False
    assert volumes["published"]["emptyDir"]["medium"] == "Memory"


def test_the_pods_satisfy_restricted() -> None:
    spec = pod_of(render("relay"), RELAY)["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"} & set(spec)
    for item in spec["containers"]:
        assert item["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize(("replicas", "interval"), [(1, 15.0), (2, 30.0), (5, 75.0)])
def test_the_agent_understands_its_arguments(replicas: int, interval: float) -> None:
    """All replicas together ask four times a minute for each application; folders cost at most two more."""
    arguments = container(render("relay", relay__replicas=replicas), "relay")["args"]
    options = build_parser().parse_args(arguments)
    assert options.command == "relay"
    assert options.interval == interval
    assert replicas * 60 / options.interval == 4


def test_a_freeze_does_not_replace_the_pods() -> None:
    """The memory volume with what is published would be lost."""
    frozen, free = render("relay"), render("relay", relay__frozen=[])
    assert one(frozen, "ConfigMap", RELAY)["data"]["frozen"] == "billing\n"
    assert one(free, "ConfigMap", RELAY)["data"]["frozen"] == ""
    assert one(frozen, "Deployment", RELAY) == one(free, "Deployment", RELAY)


def test_services_and_monitors_do_not_mix() -> None:
    """Each ServiceMonitor, Service and PodDisruptionBudget selects the pods or the Service of its own component."""
    objects = render("relay")
    for kind in ("Service", "ServiceMonitor", "PodDisruptionBudget"):
        for component in ("webhook", RELAY):
            spec = one(objects, kind, component)["spec"]
            selector = spec["selector"].get("matchLabels", spec["selector"])
            assert selector[COMPONENT] == component


def test_cert_manager_issues_the_certificate() -> None:
    """For the names by which agents reach the relay, into the Secret that the web server mounts, and nothing without an issuer."""
    issuer = {"name": "internal", "kind": "ClusterIssuer"}
    objects = render("relay", relay__tls__certManager__issuerRef=issuer)
    certificate = one(objects, "Certificate", RELAY)["spec"]
    service = one(objects, "Service", RELAY)["metadata"]
    host = f"{service['name']}.{NAMESPACE}.svc"
    assert certificate["dnsNames"] == [host, f"{host}.cluster.local"]
    assert certificate["issuerRef"] == issuer
    volumes = {volume["name"]: volume for volume in pod_of(objects, RELAY)["spec"]["volumes"]}
    assert volumes["tls"]["secret"]["secretName"] == certificate["secretName"]
    assert container(objects, "web-server")["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    assert not [item for item in render("relay") if item["kind"] == "Certificate"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"relay.applications": "[]"}, "relay.applications: empty, but relay.enabled is true"),
        ({"relay.frozen": '["shpo"]'}, "relay.frozen: shpo is not in relay.applications"),
        ({"relay.applications": '["a/b"]'}, "relay/applications/0"),
        ({"relay.replicas": "0"}, "relay/replicas"),
        (
            {"relay.tls.secretName": '"mine"', "relay.tls.certManager.issuerRef": '{"name": "internal"}'},
            "relay.tls.secretName: set, but relay.tls.certManager.issuerRef is set too",
        ),
    ],
)
def test_refusals(values: dict[str, str], words: str) -> None:
    settings = [word for name, value in values.items() for word in ("--set-json", f"{name}={value}")]
    done = helm("template", "x", CHART, "--values", CHART / "ci/relay-values.yaml", "--namespace", NAMESPACE, *settings)
    assert done.returncode != 0
    assert words in done.stderr.replace("'", "")


APPLICATION, DIGEST = "a" * 64, "b" * 64
SERVED = {
    f"v1/{APPLICATION}/head.json": True,
    f"v1/{APPLICATION}/index-{DIGEST}": True,
    f"v1/{APPLICATION}/r/{DIGEST}": True,
    f"v1/{APPLICATION}/f/{DIGEST}": True,
    "readyz": True,
    "": False,
    "v1/": False,
    f"v1/{APPLICATION}": False,
    f"v1/{APPLICATION}/": False,
    f"v1/{APPLICATION}/r/": False,
    f"v1/{APPLICATION}/.head.json.tmp": False,
    "metrics": False,
    "ready": False,
    "../settings/nginx.conf": False,
    f"v1/{APPLICATION}/..%2f..%2fready": False,
}


@pytest.fixture(name="ports")
def _ports() -> tuple[int, int]:
    return _free_port(), _free_port()


@contextmanager
def nginx(folder: Path, ports: tuple[int, int], **values: Any) -> Iterator[None]:
    """Run Debian's nginx with the configuration that the chart writes, and with *folder* instead of the container's directories."""
    text = one(render("relay", **values), "ConfigMap", RELAY)["data"]["nginx.conf"]
    for old, new in {
        "/tmp/": f"{folder}/",
        " /tls/": f" {folder}/tls/",
        "/relay/": f"{folder}/relay/",
        "listen 8080": f"listen 127.0.0.1:{ports[0]}",
        "listen 9113": f"listen 127.0.0.1:{ports[1]}",
    }.items():
        text = text.replace(old, new)
    (folder / "nginx.conf").write_text(("user root;\n" if os.getuid() == 0 else "") + text, encoding="utf-8")
    command = [str(NGINX), "-e", "stderr", "-c", str(folder / "nginx.conf")]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_uses_a_renewed_certificate(tmp_path: Path, ports: tuple[int, int]) -> None:
    """The kubelet replaces the files of the Secret; no process has to restart."""
    (tmp_path / "relay/published").mkdir(parents=True)
    (tmp_path / "relay/published/ready").write_text("ok", encoding="utf-8")
    (tmp_path / "tls").mkdir()
    host = f"relay.{NAMESPACE}.svc"

    def renew() -> str:
        authority = trustme.CA()
        issued = authority.issue_cert(host)
        issued.cert_chain_pems[0].write_to_path(tmp_path / "tls/tls.crt")
        issued.private_key_pem.write_to_path(tmp_path / "tls/tls.key")
        authority.cert_pem.write_to_path(tmp_path / "ca.crt")
        curl = ("curl", "--silent", "--cacert", str(tmp_path / "ca.crt"), "--resolve", f"{host}:{ports[0]}:127.0.0.1")
        return _run(
            *curl, "--retry", "20", "--retry-connrefused", "--retry-delay", "1", f"https://{host}:{ports[0]}/readyz"
        )

    with nginx(tmp_path, ports, relay__tls__secretName="relay-tls"):
        renewed = [renew() for _ in range(3)]
    assert renewed == ["ok"] * 3


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_serves_snapshots_and_nothing_else(tmp_path: Path, ports: tuple[int, int]) -> None:
    """The configuration that the chart writes, with Debian's nginx: no listing, no other file, no other method."""
    published = tmp_path / "relay/published"
    for name in [name for name, served in SERVED.items() if served and name != "readyz"]:
        (published / name).parent.mkdir(parents=True, exist_ok=True)
        (published / name).write_text("content", encoding="utf-8")
    (published / f"v1/{APPLICATION}/.head.json.tmp").write_text("half", encoding="utf-8")
    (published / "ready").write_text("ok", encoding="utf-8")
    (published / "metrics").write_text("up 1\n", encoding="utf-8")
    with nginx(tmp_path, ports):
        curl = ("curl", "--silent", "--path-as-is", "--retry", "20", "--retry-connrefused", "--retry-delay", "1")
        assert _run(*curl, f"http://127.0.0.1:{ports[1]}/metrics") == "up 1\n"
        status = (*curl, "--output", "/dev/null", "--write-out", "%{http_code}")
        found = {name: _run(*status, f"http://127.0.0.1:{ports[0]}/{name}") == "200" for name in SERVED}
        assert found == SERVED
        head = f"http://127.0.0.1:{ports[0]}/v1/{APPLICATION}/head.json"
        for method in ("POST", "PUT", "DELETE"):
            assert _run(*status, "--request", method, "--data", "x", head)[0] == "4"


def _run(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout


def _free_port() -> int:
    import socket

    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        return int(chosen.getsockname()[1])
