"""Each event that the documentation explains is logged in the situation that it explains."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_pods import AgentPod, events, plan_folder, wait_for
from sidecars import IDLE_DESCRIPTORS, children, free_port, listening, logged_event, sidecar, supervised

from keeper_injector_common.plan.delivery import Notify
from keeper_injector_common.plan.paths import STATE_NAME, STATE_PATH
from local_keeper import Fault, LocalKeeper

TESTS = Path(__file__).parents[1]
PAGE = Path(__file__).parents[3] / "keeper-injector-common/docs/troubleshooting.md"
SECRETS = {"x": "api-keys[login]", "y": "two-factor[login]"}
Scene = tuple[AgentPod, LocalKeeper]
Strike = Callable[[AgentPod, LocalKeeper], object]


def init(strike: Strike, **more: object) -> Callable[[Scene], str]:
    """Return a situation: an init container after *strike*. Returns its log."""

    def situation(scene: Scene) -> str:
        pod, keeper = scene
        pod.wants(SECRETS, **more)
        strike(pod, keeper)
        return pod.run("init").stderr

    return situation


def refresh(strike: Strike, command: str = "once", *options: str, **more: object) -> Callable[[Scene], str]:
    """Return a situation: a *command* after *strike* in a pod that has started. Returns its log."""

    def situation(scene: Scene) -> str:
        pod, keeper = scene
        init(nothing, **more)(scene)
        strike(pod, keeper)
        return pod.run(command, *options).stderr

    return situation


def folder(strike: Strike) -> Callable[[Scene], str]:
    """Return a situation: an init container with a folder after *strike*. Returns its log."""

    def situation(scene: Scene) -> str:
        plan_folder(scene[0])
        strike(*scene)
        return scene[0].run("init").stderr

    return situation


def nothing(_pod: AgentPod, _keeper: LocalKeeper) -> None:
    """Leave everything as it is."""


def fails(fault: Fault, times: int | None = None) -> Strike:
    """Make Keeper fail."""
    return lambda _pod, keeper: keeper.fault(fault, "get_secret", times)


def replaced_by_file(pod: AgentPod, _keeper: LocalKeeper) -> None:
    """Put a file in the place of the state directory."""
    for path in pod.at(STATE_PATH).iterdir():
        path.unlink()
    pod.at(STATE_PATH).rmdir()
    pod.put(STATE_PATH, "")


def unwritable_message(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Put a directory in the place of the termination message."""
    pod.at("/dev/termination-log").unlink()
    pod.at("/dev/termination-log").mkdir()
    keeper.revoke()


def second_record(_pod: AgentPod, keeper: LocalKeeper) -> None:
    """Give a title to two records."""
    keeper.add_record({"title": "api-keys", "type": "login", "fields": {"login": "another"}})


def replaced_record(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Remove a record, and add another one of its title."""
    keeper.remove_record("api-keys")
    second_record(pod, keeper)


def second_name(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Ask for a path that is the title of a record."""
    keeper.add_record({"title": "No/such/folder", "fields": {"login": "another"}})
    pod.wants({"x": "No/such/folder[login]"})


def bad_attachment(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Damage an attachment."""
    for file in keeper.vault.find("TLS Certs").files:
        file.corrupt = "key"
    pod.wants({"x": "TLS Certs[login]"})


def two_of_one_title(_pod: AgentPod, keeper: LocalKeeper) -> None:
    """Add a record of the same title to the folder."""
    keeper.add_record({"title": "redis", "type": "login", "fields": {}}, keeper.vault.find("redis").folder)


def numbers_of_sidecar(pod: AgentPod, act: Callable[[subprocess.Popen[str], int], object], event: str) -> str:
    """Return the event of a sidecar with a metrics port after *act*."""
    port = free_port()
    pod.wants(SECRETS, metrics_port=port)
    with sidecar(pod) as process:
        act(process, port)
        return str(logged_event(process, event)["event"])


def silent_client(_process: object, port: int) -> None:
    """Connect to the metrics port, and send nothing until it gives up."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.recv(1)


def taken_port(scene: Scene) -> str:
    """Return the event of a sidecar whose metrics port another program uses."""
    with listening() as port:
        scene[0].wants(SECRETS, metrics_port=port)
        with sidecar(scene[0]) as process:
            return str(logged_event(process, "metrics.unavailable")["event"])


def of_supervisor(event: str, worker: str, act: Callable[[subprocess.Popen[str]], object]) -> Callable[[Scene], str]:
    """Return a situation: a supervisor with this worker after *act*. Returns the event."""

    def situation(scene: Scene) -> str:
        with supervised(scene[0].root, 1.0, worker) as process:
            act(process)
            return str(logged_event(process, event)["event"])

    return situation


def without_descriptors(process: subprocess.Popen[str]) -> None:
    """Leave no descriptor for the pipe of a worker."""
    logged_event(process, "sidecar.started")
    opened = Path(f"/proc/{process.pid}/fd")
    wait_for(lambda: not children(process.pid) and len(list(opened.iterdir())) == IDLE_DESCRIPTORS)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (IDLE_DESCRIPTORS, IDLE_DESCRIPTORS))
    process.send_signal(signal.SIGHUP)


def refresh_without_restarts(scene: Scene) -> str:
    """Return the log of an init container that nothing repeats, and that Keeper throttles for a second."""
    scene[0].wants(SECRETS)
    scene[1].fault(Fault.throttled(429, 1), "get_secret", 1)
    return scene[0].run("init", "--no-restart").stderr


HANGS = "import time; main = lambda _: time.sleep(60)"
SITUATIONS: dict[str, Callable[[Scene], str]] = {
    "secrets.refreshed": init(nothing),
    "secrets.unchanged": refresh(nothing),
    "secret.failed": refresh(lambda _pod, keeper: keeper.remove_record("two-factor")),
    "secrets.partially_refreshed": refresh(lambda _pod, keeper: keeper.remove_record("two-factor")),
    "refresh.failed": refresh(fails(Fault.revoked())),
    "plan.changed": refresh(nothing, "once", "--plan-digest", "sha256:0"),
    "retry.scheduled": init(fails(Fault.http(503), times=1)),
    "agent.failed": init(fails(Fault.revoked())),
    "init.started_without_secrets": init(fails(Fault.revoked()), fail_on_error=False),
    "init.kept_files": refresh(fails(Fault.revoked()), "init"),
    "init.throttled": refresh_without_restarts,
    "record.ambiguous": init(second_record),
    "reference.changed": refresh(replaced_record),
    "reference.by_title": init(second_name),
    "secret.ambiguous": folder(two_of_one_title),
    "record.malformed": init(lambda _pod, keeper: keeper.vault.find("two-factor").data["fields"].append(None)),
    "records.unreadable": folder(lambda _pod, keeper: keeper.corrupt_record("redis")),
    "attachment.unreadable": init(bad_attachment),
    "keeper.warning": init(lambda _pod, keeper: keeper.vault.warnings.append("maintenance on Sunday")),
    "keeper.folder_unreadable": folder(lambda _pod, keeper: keeper.damage_folder("Staging", "name")),
    "notify.failed": refresh(
        lambda _pod, keeper: keeper.set_field("api-keys", "login", "new"),
        notify=Notify(signal="SIGHUP", process="no-such-process"),
    ),
    "worker.killed": of_supervisor("worker.killed", HANGS, lambda _: None),
    "worker.deadline_exceeded": of_supervisor("worker.deadline_exceeded", HANGS, lambda _: None),
    "worker.spawn_failed": of_supervisor("worker.spawn_failed", "main = lambda _: 0", without_descriptors),
    "metrics.unavailable": taken_port,
    "metrics.request_failed": lambda scene: numbers_of_sidecar(scene[0], silent_client, "metrics.request_failed"),
    "state.invalid": init(lambda pod, _keeper: pod.put(f"{STATE_PATH}/{STATE_NAME}", "{")),
    "state.write_failed": init(replaced_by_file),
    "termination_log.write_failed": init(unwritable_message),
}


ELSEWHERE = {
    **dict.fromkeys(
        (
            *("relay.poll_failed", "relay.throttled", "relay.write_failed", "relay.editable"),
            *("relay.attachment_too_large", "relay.attachment_missing"),
        ),
        "relay/test_relay_process.py",
    ),
    "relay.reencrypted": "relay/test_reencryption.py",
    "record.identity_changed": "relay/test_relayed_pod.py",
    "restart.scheduled": "delivery/test_restart.py",
    "restart.failed": "delivery/test_restart.py",
    "restart_all.scheduled": "delivery/test_restart_all.py",
    "restart_all.started": "delivery/test_restart_all.py",
    "restart_all.failed": "delivery/test_restart_all.py",
    "restart_all.skipped": "delivery/test_restart_all.py",
}
"""Events of a relay, and others whose situations need more than a pod: the file of their test."""


@pytest.mark.parametrize("event", SITUATIONS)
def test_a_situation_has_its_event(pod: AgentPod, keeper: LocalKeeper, event: str) -> None:
    """The log has the event in the situation that the documentation explains."""
    log = SITUATIONS[event]((pod, keeper))
    assert event in ([line["event"] for line in events(log)] if log.startswith("{") else [log])


def test_every_documented_event_has_a_situation() -> None:
    """The table of the documentation and the situations above name the same events."""
    section = PAGE.read_text(encoding="utf-8").partition("## What the agent logs")[2].partition("\n## ")[0]
    rows = " ".join(re.findall(r"^\| (`[^|]+)\|", section, re.MULTILINE))
    assert set(re.findall(r"`([\w.]+)`", rows)) == set(SITUATIONS) | set(ELSEWHERE)


@pytest.mark.parametrize("event", ELSEWHERE)
def test_the_others_have_tests(event: str) -> None:
    assert f'"{event}"' in (TESTS / ELSEWHERE[event]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("gone", "event", "counted"),
    [
        (["two-factor"], "secrets.partially_refreshed", "partial"),
        (["two-factor", "api-keys"], "refresh.failed", "failed"),
    ],
)
def test_a_refresh_without_any_result_has_failed(
    pod: AgentPod, keeper: LocalKeeper, gone: list[str], event: str, counted: str
) -> None:
    """If Keeper answers but has none of the records, nothing is up to date, and files stay; one record makes the difference."""
    log = refresh(lambda _pod, keeper: [keeper.remove_record(title) for title in gone])((pod, keeper))
    names = [line["event"] for line in events(log)]
    assert names == [*["secret.failed"] * len(gone), event]
    assert f"1 {counted}" in pod.run("status").stdout
    assert pod.files() == ["x", "y"]


def test_a_pod_that_starts_without_any_secret_says_so(pod: AgentPod, keeper: LocalKeeper) -> None:
    """With ``fail-on-error: false``, the event of the init container tells a start with some secrets from one without any."""
    pod.wants({"x": "nothing[x]", "y": "two-factor[login]"}, fail_on_error=False)
    assert [line["event"] for line in events(pod.run("init").stderr)][-1] == "secrets.partially_refreshed"
    keeper.remove_record("two-factor")
    pod.at("/keeper/volumes/0").rename(pod.at("/keeper/volumes/old"))
    pod.at("/keeper/volumes/0").mkdir()
    done = pod.run("init")
    assert done.returncode == os.EX_OK
    assert [line["event"] for line in events(done.stderr)][-1] == "init.started_without_secrets"
