"""Alerts and dashboard in a real Prometheus, which scrapes a webhook, agents and a relay as the chart's monitors say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import relays
import webhook_server
from admission_reviews import body, injected
from admission_reviews import pod as manifest
from agent_pods import AgentPod, wait_for
from prometheus_server import Prometheus, Target, needs_prometheus, prometheus
from rendered_chart import CHART, NAME, NAMESPACE, needs_helm, one, render
from sidecars import free_port, sidecar

from keeper_injector_webhook.settings import parse_settings
from local_keeper import Fault, LocalKeeper

pytestmark = [needs_helm, needs_prometheus]

DASHBOARD = json.loads((CHART / "monitoring/dashboard.json").read_text(encoding="utf-8"))
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"] if panel["type"] != "row"}
OF_API_SERVERS = {"apiserver_admission_webhook_rejection_count", "apiserver_admission_webhook_fail_open_count"}
"""Metrics of API servers. A test on a cluster reads the first one there."""
PATIENCE = 60.0


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped everything twice, and has evaluated all rules since."""
    folder = tmp_path_factory.mktemp("monitoring")
    objects = render("monitoring", relay__enabled=True, relay__applications=["shop"])
    with ExitStack() as stack:
        targets = {
            "webhook": stack.enter_context(_webhook(folder / "webhook", objects)),
            "incomplete": stack.enter_context(_incomplete(folder / "incomplete", objects)),
            "throttled": stack.enter_context(_throttled(folder / "throttled", objects)),
            "relay": stack.enter_context(_relay(folder / "relay", objects)),
        }
        groups = one(objects, "PrometheusRule")["spec"]["groups"]
        server = stack.enter_context(prometheus(folder / "prometheus", groups, targets))
        wait_for(lambda: _scraped_twice(server, len(targets)), PATIENCE)
        yield server


def _scraped_twice(server: Prometheus, targets: int) -> bool:
    """Return whether ``rate`` has two points of each target. Raises AssertionError for a target that cannot be scraped."""
    for target in server.targets():
        assert target["lastError"] == "", target
    return len(server.series("count_over_time(up[5m]) >= 2")) == targets


def _endpoint(objects: list[Any], kind: str, name: str) -> Any:
    (found,) = [item["spec"] for item in objects if (item["kind"], item["metadata"]["name"]) == (kind, name)]
    (endpoint,) = found.get("endpoints") or found["podMetricsEndpoints"]
    return endpoint


@contextmanager
def _webhook(folder: Path, objects: list[Any]) -> Iterator[Target]:
    """A webhook that has injected, denied, and rejected what is not a review."""
    folder.mkdir()
    asked = {"inject": "true", "secret": "database-credentials"}
    for server in webhook_server.running(folder):
        for asked_for in (asked, {**asked, "unknown": "x"}, {**asked, "refresh-interval": "5x"}):
            webhook_server.review(server, body(manifest(annotations=asked_for)))
        assert server.request("POST", "/mutate", b"{}")[0] == 400
        labels = {"namespace": NAMESPACE, "service": NAME, "pod": "webhook-1"}
        yield Target(server.port, labels, _endpoint(objects, "ServiceMonitor", NAME))


@contextmanager
def _incomplete(folder: Path, objects: list[Any]) -> Iterator[Target]:
    """An agent whose pod started without one of its secrets; another one has changed since."""
    with LocalKeeper.start() as keeper:
        pod, port = AgentPod(folder, keeper), free_port()
        wanted = {"password": "database-credentials[password]", "missing": "no-such-record[password]"}
        pod.wants(wanted, fail_on_error=False, metrics_port=port)
        assert pod.run("init").returncode == 0
        with sidecar(pod):
            keeper.set_field("database-credentials", "password", "next")
            pod.run("refresh")
            yield _agent(objects, port, "web-1")


@contextmanager
def _throttled(folder: Path, objects: list[Any]) -> Iterator[Target]:
    """An agent that Keeper throttles after a complete start."""
    with LocalKeeper.start() as keeper:
        pod, port = AgentPod(folder, keeper), free_port()
        pod.wants({"login": "api-keys[login]"}, metrics_port=port)
        assert pod.run("init").returncode == 0
        with sidecar(pod):
            keeper.fault(Fault.throttled(403, 600), "get_secret", None)
            assert pod.run("refresh").returncode == 1
            yield _agent(objects, port, "web-2")


def _agent(objects: list[Any], port: int, name: str) -> Target:
    labels = {"namespace": "shop", "pod": name, "container": "keeper-injector-sidecar"}
    return Target(port, labels, _endpoint(objects, "PodMonitor", f"{NAME}-agents"))


@contextmanager
def _relay(folder: Path, objects: list[Any]) -> Iterator[Target]:
    """A relay that has published, and the web server beside it."""
    with LocalKeeper.start() as keeper, relays.web_server(folder / "published", folder / "web") as web:
        half, _ = relays.split(keeper, web.url, folder / "halves")
        place = folder / "applications/shop"
        place.mkdir(parents=True)
        half.rename(place / "config")
        command = [sys.executable, "-m", "keeper_injector_agent", "relay", "--applications", str(place.parent)]
        command += ["--output", str(web.root), "--interval", "15", "--ca-file", str(keeper.ca_file)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for((web.root / "ready").exists, PATIENCE)
                labels = {"namespace": NAMESPACE, "service": f"{NAME}-relay", "pod": "relay-1"}
                yield Target(web.port, labels, _endpoint(objects, "ServiceMonitor", f"{NAME}-relay"))
            finally:
                process.terminate()


def test_every_rule_is_evaluated_without_an_error(server: Prometheus) -> None:
    """All alerts of the chart are there, and the ones whose fault was made are about to fire."""
    wait_for(lambda: all(rule["health"] != "unknown" for rule in server.rules().values()), PATIENCE)
    rules = server.rules()
    assert {name: rule.get("lastError", "") for name, rule in rules.items() if rule["health"] != "ok"} == {}
    expected = set(re.findall(r"alert: (\w+)", (CHART / "monitoring/alerts.yaml").read_text(encoding="utf-8")))
    assert set(rules) == expected
    wait_for(lambda: {name for name, rule in server.rules().items() if rule["state"] != "inactive"} == TRUE, PATIENCE)
    (alert,) = server.rules()["KeeperSecretsMissing"]["alerts"]
    assert (alert["labels"]["namespace"], alert["labels"]["pod"]) == ("shop", "web-1")
    assert alert["annotations"]["summary"].startswith("Pod shop/web-1 started without some of its secrets")


FILE = "settings.yaml"
"""The key of the webhook's settings in its ConfigMap."""
TRUE = {"KeeperSecretsMissing"}
"""The alerts whose expression is true here. Each waits some minutes before it fires, except for counters that grow."""


def test_rules_and_panels_ask_for_what_is_exported(server: Prometheus) -> None:
    """Each metric that an alert, a panel or a variable of the dashboard names was scraped from the real programs."""
    rules = [rule["query"] for rule in server.rules().values()]
    queries = [target["expr"] for panel in PANELS.values() for target in panel["targets"]]
    variables = [item["query"] for item in DASHBOARD["templating"]["list"]]
    asked = set(re.findall(r"\b(?:keeper_injector|apiserver)_\w+", "\n".join([*rules, *queries, *variables])))
    assert asked - server.names() == OF_API_SERVERS


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_shows_something(server: Prometheus, title: str) -> None:
    """Prometheus understands each query of the panel, as Grafana sends it, and has series for it."""
    for target in PANELS[title]["targets"]:
        query = as_sent(target["expr"], {"release_namespace": NAMESPACE, "service": NAME, "namespace": "shop"})
        wait_for(lambda query=query: server.series(query), PATIENCE)
        shown = server.series(query)
        assert shown, query
        for name in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert all(name in item["metric"] for item in shown), f"{query}: no label {name}"


@pytest.mark.parametrize("name", [item["name"] for item in DASHBOARD["templating"]["list"] if item["type"] == "query"])
def test_a_variable_of_the_dashboard_has_a_choice(server: Prometheus, name: str) -> None:
    """Each list of the dashboard contains what the real programs export; `All` is a regular expression."""
    (variable,) = [item for item in DASHBOARD["templating"]["list"] if item["name"] == name]
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
    assert found is not None
    selector, label = as_sent(found[1], {"release_namespace": variable["allValue"]}), found[2]
    expected = {"release_namespace": [NAMESPACE], "service": [NAME], "namespace": ["shop"]}[name]
    assert server.get(f"label/{label}/values", **{"match[]": selector}) == expected


def test_the_agents_of_a_whole_fleet_are_found() -> None:
    """With `metrics-port` as a default of the chart, every injected pod has the port that the PodMonitor names.

    Kubernetes lists the ports of native sidecars with the init containers. Debian's Prometheus cannot read pods from an API server.
    """
    objects = render("monitoring", defaults={"metrics-port": "9470"})
    (configured,) = [item["data"][FILE] for item in objects if FILE in item.get("data", ())]
    asked = manifest(annotations={"inject": "true", "secret": "api-keys"})
    wanted = _endpoint(objects, "PodMonitor", f"{NAME}-agents")["port"]
    for item, expected in ((injected(asked, parse_settings(configured, "chart")), [9470]), (manifest(), [])):
        containers = [*item["spec"].get("initContainers", ()), *item["spec"]["containers"]]
        ports = [port for container in containers for port in container.get("ports", ())]
        assert [port["containerPort"] for port in ports if port["name"] == wanted] == expected


def as_sent(query: str, chosen: dict[str, str]) -> str:
    """Return a query of the dashboard as Grafana sends it: with what was chosen in its lists, and an interval."""
    for name, value in {**chosen, "__rate_interval": "1m"}.items():
        query = query.replace(f"${name}", value)
    assert "$" not in query
    return query
