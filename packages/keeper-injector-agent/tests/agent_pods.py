"""The agent's side of a pod for tests: its volumes below a directory, and its commands as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keeper_injector_common.annotations.request import format_for
from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.plan.model import Directory, FileItem, FolderItem, Plan
from keeper_injector_common.plan.paths import CA_PATH, CREDENTIALS_PATH, PLAN_PATH, STATE_PATH, below_root
from keeper_injector_common.plan.wire import dumps
from keeper_injector_common.references import RecordName, parse_reference
from local_keeper import LocalKeeper

VOLUME = "/keeper/volumes/0"


class AgentPod:
    """A pod's volumes, as the webhook mounts them into the agent."""

    def __init__(self, root: Path, keeper: LocalKeeper) -> None:
        self.root = root
        self.keeper = keeper
        for path in (VOLUME, STATE_PATH, "/dev"):
            self.at(path).mkdir(parents=True)
        self.put(CREDENTIALS_PATH, keeper.config())
        self.put(CA_PATH, keeper.ca_file.read_text(encoding="utf-8"))
        self.put("/dev/termination-log", "")

    def at(self, path: str) -> Path:
        """Return the path here of a *path* in the pod."""
        return below_root(self.root, path)

    def put(self, path: str, text: str) -> None:
        """Write a file of the pod."""
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).write_text(text, encoding="utf-8")

    def plan(self, *, directories: tuple[Directory, ...] | None = None, **more: Any) -> Plan:
        """Give the agent a plan with *directories* and with *more* as its other fields."""
        defaults = {"ca_file": CA_PATH, "refresh_interval": 3600.0, "fail_on_error": True, "volume_size": 2**24}
        plan = Plan(directories=directories or (), **(defaults | more))
        self.put(PLAN_PATH, dumps(plan))
        return plan

    def wants(self, secrets: dict[str, str], **more: Any) -> Plan:
        """Give the agent a plan for one directory, with files by name and their references."""
        return self.plan(
            directories=(Directory(VOLUME, "/app", tuple(item(*pair) for pair in secrets.items())),), **more
        )

    def run(
        self, command: str, *options: str, python_options: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the agent and wait for its end."""
        interpreter, *rest = self.command(command, *options)
        line = [interpreter, *python_options, *rest]
        return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)

    def run_into_deadline(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command while Keeper hangs. On a slow machine the deadline may pass before the request; then it is raised."""
        for deadline in ("2", "8", "25"):
            result = self.run(command, "--deadline", deadline)
            if self.keeper.requests:
                return result
        raise AssertionError("no request within 25 s")

    def start(self, command: str, *options: str) -> subprocess.Popen[str]:
        """Start a command of the agent."""
        return subprocess.Popen(self.command(command, *options), stderr=subprocess.PIPE, text=True)

    def command(self, command: str, *options: str) -> list[str]:
        """Return the command line of a command of the agent."""
        return [sys.executable, "-m", "keeper_injector_agent", command, "--root", str(self.root), *options]

    def file(self, name: str) -> str:
        """Return the content of a file as the application reads it."""
        return self.at(f"{VOLUME}/{name}").read_text(encoding="utf-8")

    def files(self) -> list[str]:
        """Return the names of the files that the application sees."""
        return sorted(path.name for path in self.at(VOLUME).iterdir() if not path.name.startswith(".."))

    def termination_message(self) -> str:
        """Return the message that ``kubectl describe pod`` would show."""
        return self.at("/dev/termination-log").read_text(encoding="utf-8")


def shown(process: int) -> bytes:
    """Return the command line of a process and, for root, its environment."""
    names = ("cmdline", "environ") if os.geteuid() == 0 else ("cmdline",)
    return b"".join(Path(f"/proc/{process}/{name}").read_bytes() for name in names)


def item(name: str, reference: str) -> FileItem:
    """Return a file of a plan with its default format."""
    source = parse_reference(reference)
    return FileItem(name, (source,), Formatted(format_for(name, source)), 0o400)


def plan_folder(pod: AgentPod, *files: FileItem, **more: Any) -> Plan:
    """Give the agent a plan for the folder ``Production/Databases``, with *files* in the same directory."""
    folder = FolderItem(RecordName(("Production", "Databases")), 0o440)
    return pod.plan(directories=(Directory(VOLUME, "/app", files, (folder,)),), **more)


def events(log: str) -> list[dict[str, Any]]:
    """Return the lines of a JSON log."""
    return [json.loads(line) for line in log.splitlines()]


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    """Wait until *condition* holds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.02)
