"""A refresh that is killed: the log, the state and the termination message say why, although the process itself cannot."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_pods import AgentPod, wait_for
from sidecars import children, logged_event, sidecar

from keeper_injector_common.plan.paths import METRICS_NAME, STATE_PATH
from local_keeper import Fault, LocalKeeper

GROUPS = Path("/sys/fs/cgroup/memory")
"""Control groups of version 1, or of the first hierarchy if both versions are mounted."""
MIB = 2**20


def last_error(pod: AgentPod) -> str:
    """Return the last error that ``status`` shows."""
    return str(json.loads(pod.run("status", "-o", "json").stdout)["lastError"] or "")


def kills(pod: AgentPod) -> dict[str, int]:
    """Return how many refreshes were killed, by cause, as Prometheus sees it."""
    text = pod.at(f"{STATE_PATH}/{METRICS_NAME}").read_text(encoding="utf-8")
    found = re.findall(r'^keeper_injector_agent_kills_total{cause="(\w+)"} (\d+)$', text, re.MULTILINE)
    return {cause: int(count) for cause, count in found if count != "0"}


@pytest.fixture(name="group")
def _group() -> Iterator[Path]:
    """An empty control group, which counts the memory of its processes."""
    group = GROUPS / f"keeper-injector-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("this machine does not let us create a control group of version 1")
    yield group
    wait_for(lambda: not (group / "cgroup.procs").read_text(encoding="ascii"))
    group.rmdir()


def inside(group: Path, line: list[str]) -> list[str]:
    """Return a command line that runs *line* in *group*, which it sees as a container sees its own."""
    script = f'echo $$ > {group}/cgroup.procs && mount --bind {group} {GROUPS} && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, "sh", *line]


def test_a_worker_that_runs_out_of_memory_is_reported(pod: AgentPod, keeper: LocalKeeper, group: Path) -> None:
    """The kernel kills the worker; the supervisor finds out why, and the next worker reports it with what to do."""
    keeper.add_record({"title": "images", "files": {f"{number}.img": b"small" for number in range(12)}})
    pod.wants({f"{number}.img": f"keeper://images/file/{number}.img" for number in range(12)}, volume_size=256 * MIB)
    assert pod.run("init").returncode == 0
    process = subprocess.Popen(inside(group, pod.command("sidecar")), stderr=subprocess.PIPE, text=True)
    try:
        logged_event(process, "sidecar.started")
        for number in range(12):
            keeper.set_file("images", f"{number}.img", os.urandom(4 * MIB - 4096))
        used = int((group / "memory.usage_in_bytes").read_text(encoding="ascii"))
        (group / "memory.limit_in_bytes").write_text(str(used + 48 * MIB), encoding="ascii")
        process.send_signal(signal.SIGHUP)
        killed = logged_event(process, "worker.killed")
        assert (killed["signal"], killed["out_of_memory"]) == (signal.SIGKILL, 1)
        cause = logged_event(process, "refresh.failed")["cause"]
        assert cause == "the refresh was killed: it ran out of memory; raise keeper.security/agent-limits-memory"
        wait_for(lambda: last_error(pod) == cause)
        assert {pod.file(name) for name in pod.files()} == {"small"}
        wait_for(lambda: kills(pod) == {"memory": 1})
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_a_worker_that_another_process_kills_is_reported(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A signal without a reason is reported as it is, and counts as a failure."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    with sidecar(pod) as process:
        keeper.fault(Fault.hang(), "get_secret", None)
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: keeper.requests["get_secret"] == 2)
        (worker,) = children(process.pid)
        os.kill(int(worker), signal.SIGKILL)
        assert logged_event(process, "worker.killed")["out_of_memory"] == 0
        assert (
            logged_event(process, "refresh.failed")["cause"] == "the refresh was killed: signal 9 from another process"
        )
        wait_for(lambda: "signal 9" in last_error(pod))
        wait_for(lambda: kills(pod) == {"signal": 1})


def test_a_container_that_ends_during_a_refresh_is_reported(pod: AgentPod, keeper: LocalKeeper) -> None:
    """With the default of Kubernetes, the kernel kills the supervisor too: the next one reports that, and only once."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.hang(), "get_secret", None)
    process = pod.start("sidecar")
    logged_event(process, "sidecar.started")
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: keeper.requests["get_secret"] == 2)
    processes = [*map(int, children(process.pid)), process.pid]
    for number in processes:
        os.kill(number, signal.SIGKILL)
    process.communicate(timeout=20)
    keeper.clear_faults()
    with sidecar(pod) as again:
        assert "shows the reason OOMKilled, raise" in logged_event(again, "refresh.failed")["cause"]
        wait_for(lambda: "OOMKilled" in last_error(pod))
        again.send_signal(signal.SIGHUP)
        logged_event(again, "secrets.unchanged")
        wait_for(lambda: not last_error(pod))
        assert kills(pod) == {"container": 1}
    third = pod.start("sidecar")
    logged_event(third, "sidecar.started")
    third.terminate()
    assert "refresh.failed" not in third.communicate(timeout=20)[1]


def test_an_init_container_that_is_killed_leaves_a_message(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The message is there before the end, because a killed process cannot write it; a success removes it."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    process = pod.start("init")
    wait_for(lambda: keeper.requests.get("get_secret"))
    process.kill()
    process.communicate(timeout=20)
    assert "If the reason is OOMKilled, raise keeper.security/agent-limits-memory" in pod.termination_message()
    keeper.clear_faults()
    assert pod.run("init").returncode == 0
    assert pod.termination_message() == ""
