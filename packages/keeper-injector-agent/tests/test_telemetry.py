"""Telemetry: the metrics port and ``status``, for machines and for people."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
from pathlib import Path

import requests
from agent_pods import VOLUME, AgentPod, item, plan_folder, wait_for
from prometheus_client.parser import text_string_to_metric_families
from sidecars import free_port, scrape

import keeper_injector_agent
from keeper_injector_agent.errors import KilledError
from keeper_injector_agent.freshness import Freshness, Target
from keeper_injector_agent.state import State
from keeper_injector_agent.telemetry import as_prometheus
from keeper_injector_common.plan.model import Directory
from local_keeper import Fault, LocalKeeper

SOURCES = Path(keeper_injector_agent.__file__).parent


def test_metrics_are_served_without_names_or_values(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Freshness, refreshes, requests and changes are served before and after a refresh, without records or values."""
    port = free_port()
    pod.wants({"x": "api-keys[login]"}, metrics_port=port)
    assert pod.run("init").returncode == 0
    process = pod.start("sidecar")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        first = scrape(port)
        assert first["keeper_injector_agent_refreshes_total[ok]"] == 1
        assert first["keeper_injector_agent_requests_total[ok]"] == 1
        assert first["keeper_injector_agent_changes_total"] == 0
        assert first["keeper_injector_agent_last_change_timestamp_seconds[/app]"] == 0
        assert first["keeper_injector_agent_up_to_date_timestamp_seconds[/app]"] > 0
        assert first["keeper_injector_agent_stale_items[/app]"] == 0
        assert first["keeper_injector_agent_files"] == 1
        assert first["keeper_injector_agent_bytes"] == len("billing")
        keeper.fault(Fault.revoked(), "get_secret", None)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: scrape(port)["keeper_injector_agent_consecutive_failures"] == 1)
        last = scrape(port)
        assert last["keeper_injector_agent_refreshes_total[failed]"] == 1
        same = "keeper_injector_agent_last_success_timestamp_seconds"
        assert last[same] == first[same]
        keeper.clear_faults()
        keeper.set_field("api-keys", "login", "new")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: scrape(port)["keeper_injector_agent_changes_total"] == 1)
        assert scrape(port)["keeper_injector_agent_last_change_timestamp_seconds[/app]"] > first[same]
        assert requests.get(f"http://127.0.0.1:{port}/other", timeout=5).status_code == 404
        text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        assert "billing" not in text
        assert "api-keys" not in text
    finally:
        process.terminate()
        log = process.communicate(timeout=5)[0]
    assert log is None
    assert process.returncode == 0


def counted() -> set[str]:
    """Return the names under which the agent's sources count something."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(SOURCES.rglob("*.py"))]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    texts = [
        (getattr(call.func, "attr", ""), argument.value)
        for call in calls
        for argument in call.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    found = {text for method, text in texts if method == "count"}
    requests_made = {text for method, text in texts if method == "_count"}
    results = re.findall(r"return \"(\w+)\"", (SOURCES / "keeper/responses.py").read_text(encoding="utf-8"))
    kills = {f"kills_{cause}" for cause in KilledError.CAUSES}
    return found | kills | {f"requests_{result}" for result in {*requests_made, *results}}


def test_every_counter_starts_at_zero() -> None:
    """A pod that has done nothing shows each counter, with the results that the sources count."""
    lines = [line for line in as_prometheus(State()).splitlines() if "_total" in line and not line.startswith("#")]
    assert all(line.endswith(" 0") for line in lines)
    shown = {
        re.sub(r'keeper_injector_agent_(\w+)_total(?:\{(?:result|cause)="(\w+)"\})? 0', r"\1_\2", line)
        for line in lines
    }
    assert {name.rstrip("_") for name in shown} == counted()


def test_a_result_that_is_not_known_is_shown_once_it_happens() -> None:
    """Statuses of HTTP are added to the known results, whose counts stay."""
    state = State()
    state.count("requests_http_503")
    state.count("requests_ok", 2)
    text = as_prometheus(state)
    assert 'keeper_injector_agent_requests_total{result="http_503"} 1\n' in text
    assert 'keeper_injector_agent_requests_total{result="ok"} 2\n' in text
    assert text.count('result="ok"') == 3


def test_status_shows_freshness_and_the_last_error(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Status is never, then fresh, then stale with the reason; as text and as JSON."""
    pod.wants({"x": "api-keys[login]"})
    nothing = pod.run("status")
    assert nothing.returncode == 1
    assert "last success  never" in nothing.stdout
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.throttled(403, 60), "get_secret", None)
    pod.run("once")
    text = pod.run("status")
    assert text.returncode == 0
    assert "refreshes     1 failed, 1 ok" in text.stdout
    assert "throttled     no request for" in text.stdout
    status = json.loads(pod.run("status", "-o", "json").stdout)
    assert status["failures"] == 1
    assert status["refreshes"] == {"failed": 1, "ok": 1}
    assert status["requests"]["ok"] == 1
    assert 0 < status["throttledForSeconds"] <= 60
    assert "throttled" in status["lastError"]
    assert "billing" not in text.stdout + json.dumps(status)


def test_an_item_without_its_record_ages(pod: AgentPod, keeper: LocalKeeper) -> None:
    """If a record is gone and its file is kept, only its directory ages, and ``status`` says which file is stale and why."""
    other = Directory("/keeper/volumes/1", "/other", (item("y", "two-factor[login]"),))
    pod.at(other.path).mkdir()
    pod.plan(directories=(Directory(VOLUME, "/app", (item("x", "api-keys[login]"),)), other))
    assert pod.run("init").returncode == 0
    keeper.remove_record("two-factor")
    assert pod.run("once").returncode == os.EX_DATAERR

    def ages() -> bool:
        """Refresh again, and return whether the times, which are shown in whole seconds, differ."""
        assert pod.run("once").returncode == os.EX_DATAERR
        app, aged = json.loads(pod.run("status", "-o", "json").stdout)["targets"]
        return bool(app["upToDate"] > aged["upToDate"])

    wait_for(ages)
    app, aged = json.loads(pod.run("status", "-o", "json").stdout)["targets"]
    assert (app["target"], aged["target"]) == ("/app", "/other")
    assert json.loads(pod.run("status", "-o", "json").stdout)["lastFetch"] == app["upToDate"]
    (stale,) = aged["stale"]
    assert (stale["item"], stale["upToDate"]) == ("/other/y", aged["upToDate"])
    assert "record 'two-factor': not shared with this application" in stale["problem"]
    assert f"stale since {stale['upToDate']}: /other/y: record 'two-factor'" in pod.run("status").stdout
    keeper.add_record({"title": "two-factor", "type": "login", "fields": {"login": "again"}})
    assert pod.run("once").returncode == 0
    assert "stale" not in pod.run("status").stdout


def test_a_restart_does_not_renew_a_stale_file(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A file of a folder whose record has gone stays as old as it is, although the init container starts the pod with it."""
    plan_folder(pod, on_removal="keep")
    assert pod.run("init").returncode == 0
    keeper.remove_record("redis")
    pod.run("once")
    before = stale_items(pod)
    assert [found["item"] for found in before] == ["/app/redis.json"]
    assert pod.run("init").returncode == 0
    pod.run("once")
    assert stale_items(pod) == before


def stale_items(pod: AgentPod) -> list[dict[str, str]]:
    """Return what ``status`` shows as stale."""
    targets = json.loads(pod.run("status", "-o", "json").stdout)["targets"]
    return [found for target in targets for found in target["stale"]]


def test_labels_are_escaped() -> None:
    """A path may contain any character; Prometheus' own parser reads it back."""
    name = 'a "b" \\ c\nd'
    state = State()
    state.freshness = Freshness(1.0, {name: Target()})
    families = text_string_to_metric_families(as_prometheus(state))
    found = [sample.labels["target"] for family in families for sample in family.samples if "target" in sample.labels]
    assert found == [name] * 3
