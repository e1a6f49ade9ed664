"""Sidecars and supervisors as processes, their logs and their metrics, for tests."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from agent_pods import AgentPod, wait_for
from prometheus_client.parser import text_string_to_metric_families

from keeper_injector_agent.cli import supervisor_command
from keeper_injector_common.plan.paths import PLAN_PATH

IDLE_DESCRIPTORS = 6
"""Those of an idle supervisor: standard streams, the two ends of the wake-up pipe, and the pipe for requests."""


@contextmanager
def sidecar(pod: AgentPod, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the sidecar. It must end after SIGTERM with exit code 0, long before a worker that hangs."""
    process = pod.start("sidecar", *options)
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        yield process
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


@contextmanager
def supervised(folder: Path, deadline: float, worker: str) -> Iterator[subprocess.Popen[str]]:
    """Run a supervisor whose worker is a module with this source; it starts the first one at once."""
    (folder / "some_worker.py").write_text(worker, encoding="utf-8")
    path = ":".join([str(folder), *sys.path])
    command = [*supervisor_command(), str(folder), "3600", str(deadline), "0", path, "some_worker"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


_REFRESH = """
import sys
from keeper_injector_agent.sidecar import main
code = main(["--plan", sys.argv[1], "--root", sys.argv[2], *"--run supervisor --log-level error --deadline 60 --throttle-fd 2".split()])
print(code, *sys.modules)
"""
UNUSED = frozenset(
    [
        *("argparse", "attr", "calendar", "dataclasses", "email.header", "encodings.idna", "inspect", "ipaddress"),
        *("keeper_injector_common.plan.wire", "keeper_injector_common.records", "requests", "shutil", "subprocess"),
        *("tenacity", "traceback", "urllib3"),
    ]
)
"""Modules that no refresh imports if nothing has changed."""


def imported_by_refresh(pod: AgentPod) -> set[str]:
    """Refresh as a worker of the sidecar does, in a new process, and return the names of the modules that it imports."""
    line = [sys.executable, "-S", "-c", _REFRESH, str(pod.at(PLAN_PATH)), str(pod.root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    code, *imported = subprocess.check_output(line, text=True, env=environment).split()
    assert code == "0"
    return set(imported)


def logged_event(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
    """Return the next line of the log with this *event*."""
    for line in process.stderr or ():
        found: dict[str, Any] = json.loads(line)
        if found["event"] == event:
            return found
    raise AssertionError(f"{event} was not logged")


def children(process: int) -> list[str]:
    """Return the children of a process."""
    return Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()


@contextmanager
def listening() -> Iterator[int]:
    """Occupy a port and yield it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def free_port() -> int:
    """Return a port that is not in use."""
    with listening() as port:
        return port


def scrape(port: int) -> dict[str, float]:
    """Return the metrics of the sidecar, parsed by Prometheus' own parser."""
    response = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
    assert response.status_code == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
