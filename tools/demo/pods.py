"""A tiny pod runner: the containers of a pod as processes, their volumes as directories, in the kubelet's order.

Commands, environment, volumes and mounts come from the pod's spec and nowhere else. A container's root is a directory
with one link for each mount; the agent takes it as ``--root``, other programs find it in ``POD_ROOT``. Memory volumes are in
``/dev/shm`` if it exists. There is no isolation: this shows what a pod does, it does not protect one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from demo.console import StepFailedError

Json = dict[str, Any]
AGENT = "keeper-injector-agent"
START_TIMEOUT = 60.0
STOP_TIMEOUT = 5.0


@attrs.define
class Process:
    """A running container."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path


class PodRunner:
    """Runs one pod; :meth:`stop` leaves nothing behind."""

    def __init__(self, pod: Json, secrets: Mapping[str, Mapping[str, bytes]], images: Mapping[str, Path]) -> None:
        """Prepare *pod*. *secrets* stands for the Secrets and ConfigMaps of its namespace; *images* for their files."""
        self._spec: Json = pod["spec"]
        self._annotations: Mapping[str, str] = pod["metadata"].get("annotations", {})
        self._secrets = secrets
        self._images = images
        self.directory = Path(tempfile.mkdtemp(prefix="pod-"))
        memory = Path("/dev/shm")  # noqa: S108 - memory is the point
        self.memory = Path(tempfile.mkdtemp(prefix="pod-", dir=memory if os.access(memory, os.W_OK) else None))
        self._volumes = {volume["name"]: self._make_volume(volume) for volume in self._spec.get("volumes", [])}
        self.processes: list[Process] = []

    def start(self) -> None:
        """Run the init containers one after the other, leave native sidecars running, then start the containers."""
        for container in self._spec.get("initContainers", []):
            process = self._launch(container)
            if container.get("restartPolicy") == "Always":
                self.processes.append(process)
                self._await_startup(container, process)
            elif process.popen.wait(START_TIMEOUT) != 0:
                code = process.popen.returncode
                raise StepFailedError(f"init container {process.name} ended with {code}:\n{self.log(process.name)}")
        self.processes += [self._launch(container) for container in self._spec["containers"]]

    def root(self, name: str) -> Path:
        """Return the directory that container *name* has for its root."""
        return self.directory / "containers" / name

    def log(self, name: str) -> str:
        """Return the output of container *name* so far."""
        return (self.directory / f"{name}.log").read_text(encoding="utf-8")

    def process(self, name: str) -> Process:
        """Return a running container."""
        return next(process for process in self.processes if process.name == name)

    def stop(self) -> dict[str, int]:
        """End the containers, then the sidecars in reverse order, and remove the volumes; returns the exit codes."""
        codes = {}
        for process in reversed(self.processes):
            process.popen.terminate()
            try:
                codes[process.name] = process.popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                codes[process.name] = process.popen.wait()
        shutil.rmtree(self.memory)
        shutil.rmtree(self.directory)
        return codes

    def _make_volume(self, volume: Json) -> Path:
        if "emptyDir" in volume:
            parent = self.memory if volume["emptyDir"].get("medium") == "Memory" else self.directory
            path = parent / str(volume["name"])
            path.mkdir()
            return path
        path = self.directory / "volumes" / str(volume["name"])
        path.mkdir(parents=True)
        if "downwardAPI" in volume:
            for item in volume["downwardAPI"]["items"]:
                key = item["fieldRef"]["fieldPath"].removeprefix("metadata.annotations['").removesuffix("']")
                (path / item["path"]).write_text(self._annotations[key], encoding="utf-8")
            return path
        source = volume.get("secret") or volume["configMap"]
        data = self._secrets[source.get("secretName") or source["name"]]
        for item in source["items"]:
            (path / item["path"]).write_bytes(data[item["key"]])
        return path

    def _launch(self, container: Json) -> Process:
        name = container["name"]
        root = self.root(name)
        for mount in container.get("volumeMounts", []):
            link = root / mount["mountPath"].lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self._volumes[mount["name"]])
        termination_log = root / "dev/termination-log"
        termination_log.parent.mkdir(parents=True)
        termination_log.touch()
        log = self.directory / f"{name}.log"
        with log.open("wb") as stream:
            popen = subprocess.Popen(
                self._command(container["command"] + container.get("args", []), root),
                cwd=self._images.get(container["image"], root),
                env=self._environment(container, root),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        return Process(name, popen, log)

    def _command(self, command: list[str], root: Path) -> list[str]:
        program, *arguments = command
        if program == AGENT:
            subcommand, *more = arguments
            arguments = [subcommand, "--root", str(root), *more]
        # As in an image: programs come from its own bin directory, here that of this environment.
        own = Path(sys.executable).with_name(program)
        return [str(own) if own.exists() else program, *arguments]

    def _environment(self, container: Json, root: Path) -> dict[str, str]:
        own = {item["name"]: item["value"] for item in container.get("env", [])}
        return {"PATH": os.environ["PATH"], "POD_ROOT": str(root), **own}

    def _await_startup(self, container: Json, process: Process) -> None:
        probe = container["startupProbe"]["exec"]["command"]
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until:
            if process.popen.poll() is not None:
                break
            command = self._command(probe, self.root(process.name))
            if subprocess.run(command, check=False, capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        raise StepFailedError(f"sidecar {process.name} did not start:\n{self.log(process.name)}")
