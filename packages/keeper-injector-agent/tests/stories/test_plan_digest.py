"""A plan that is not the one that the webhook admitted: nothing is fetched, and the files stay as they are."""

from __future__ import annotations

import os
import signal

import pytest
from agent_pods import AgentPod, events, wait_for
from sidecars import free_port, logged_event, scrape, sidecar

from keeper_injector_common.plan.paths import PLAN_PATH
from keeper_injector_common.plan.wire import digest
from local_keeper import LocalKeeper


def admitted(pod: AgentPod, **more: int) -> tuple[str, str]:
    """Give the agent a plan, and return the options that bind the agent to it."""
    pod.wants({"x": "api-keys[login]"}, **more)
    return "--plan-digest", digest(pod.at(PLAN_PATH).read_text(encoding="utf-8"))


def change_plan(pod: AgentPod, **more: int) -> None:
    """Change the plan as somebody may who is allowed to patch pods: it asks for another record in the same file."""
    pod.wants({"x": "database-credentials[password]"}, **more)


@pytest.mark.parametrize("command", ["init", "once", "sidecar"])
def test_a_changed_plan_is_refused_at_the_start(pod: AgentPod, keeper: LocalKeeper, command: str) -> None:
    """Each command ends with the exit code of a plan error and sends no request; the message says what to do."""
    bound = admitted(pod)
    assert pod.run("init", *bound).returncode == 0
    change_plan(pod)
    result = pod.run(command, *bound)
    assert result.returncode == os.EX_CONFIG
    assert "plan.changed" in [line["event"] for line in events(result.stderr)]
    if command != "once":
        assert "annotation keeper.security/plan of the pod has been changed" in pod.termination_message()
    assert keeper.requests == {"get_secret": 1}
    assert pod.file("x") == "billing"


def test_a_copy_without_annotations_says_how_to_copy_them(pod: AgentPod) -> None:
    """`kubectl debug --copy-to` drops annotations. The kubelet then writes an empty plan, and the message names the option."""
    bound = admitted(pod)
    pod.put(PLAN_PATH, "")
    assert pod.run("init", *bound).returncode == os.EX_CONFIG
    assert "if kubectl debug --copy-to made the pod, add --keep-annotations" in pod.termination_message()


def test_a_plan_that_changes_later_is_refused_and_counted(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A refresh with a changed plan is logged and counted, files stay; with the admitted plan the sidecar carries on."""
    port = free_port()
    bound = admitted(pod, metrics_port=port)
    original = pod.at(PLAN_PATH).read_text(encoding="utf-8")
    assert pod.run("init", *bound).returncode == 0
    with sidecar(pod, *bound) as process:
        change_plan(pod, metrics_port=port)
        process.send_signal(signal.SIGHUP)
        assert logged_event(process, "plan.changed")["level"] == "error"
        wait_for(lambda: scrape(port).get("keeper_injector_agent_refreshes_total[refused]") == 1)
        assert scrape(port)["keeper_injector_agent_consecutive_failures"] == 1
        assert pod.file("x") == "billing"
        assert keeper.requests == {"get_secret": 1}
        pod.put(PLAN_PATH, original)
        keeper.set_field("api-keys", "login", "new")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: pod.file("x") == "new")


@pytest.mark.parametrize("change", [" ", "\n", "x", "{}"], ids=["space", "line break", "letter", "object"])
def test_every_byte_of_the_plan_counts(pod: AgentPod, change: str) -> None:
    """Also a change that leaves the meaning of the JSON as it is, or that makes it invalid, is a change."""
    bound = admitted(pod)
    pod.put(PLAN_PATH, pod.at(PLAN_PATH).read_text(encoding="utf-8") + change)
    result = pod.run("init", *bound)
    assert (result.returncode, pod.files()) == (os.EX_CONFIG, [])
    assert "has been changed" in pod.termination_message()


def test_without_a_digest_any_plan_is_used(pod: AgentPod) -> None:
    """Outside Kubernetes nobody admits plans."""
    admitted(pod)
    change_plan(pod)
    assert pod.run("once").returncode == 0
    assert pod.file("x") == "correct-horse-battery"


def test_a_plan_that_is_too_large_is_refused(pod: AgentPod) -> None:
    """A file beyond 1 MiB is not read as a whole."""
    pod.put(PLAN_PATH, " " * (1 << 20) + "{}")
    assert pod.run("init").returncode == os.EX_CONFIG
    assert "larger than 1 MiB" in pod.termination_message()
