"""Helpers to create and inspect namespaces and pods of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import yaml
from kubernetes import client, config

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
CHART = str(ROOT / "charts/keeper-injector")
IMAGES = os.environ.get("KEEPER_INJECTOR_IMAGES", "")
"""Registry or prefix and tag of the images that the cluster has: ``localhost:0.1.0``."""
APPLICATION = "local-keeper"
"""Our image that stands in for applications: it has a shell and Python's programs. What is injected has neither."""
STAYS = not os.environ.get("KEEPER_INJECTOR_CLUSTER")
"""Whether the cluster is kept: then tests wait until what they created is removed, so that the next run can begin."""
PREFIX = "keeper.security/"
FIGURES: list[str] = []
"""Measurements, printed at the end."""
FIND_SUPERVISOR = """
import os, pathlib, signal
found = [
    entry for entry in pathlib.Path("/proc").glob("[0-9]*")
    if (entry / "cmdline").read_bytes().split(b"\\0")[1:3] == [b"-I", b"-S"]
]
process = min(found, key=lambda entry: int(entry.name))
"""
"""Use the first one, because a worker that is just starting looks the same for a moment."""
PAUSE = 0.5
"""Seconds between two polls."""
PATIENCE = 150.0
"""Seconds for a pod to reach the expected state."""


def image(name: str) -> str:
    """Return the full name of one of our images."""
    prefix, _, tag = IMAGES.rpartition(":")
    return f"{prefix}/keeper-injector-{name}:{tag}"


def run(
    *command: str, text: str | None = None, check: bool = True, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run a program; a failure shows its output."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=timeout)
    assert not check or done.returncode == 0, f"{' '.join(command[:8])}: {done.stderr}{done.stdout}"
    return done


@cache
def api() -> client.CoreV1Api:
    """Return a client for kubectl's current context: polling with it needs no process for each request."""
    config.load_kube_config()
    return client.CoreV1Api()


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until *condition* returns a true value, and return it."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(PAUSE)


@attrs.frozen
class Namespace:
    """A namespace of a cluster."""

    name: str

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Run kubectl in the namespace and return its output; without *check*, including errors."""
        done = run("kubectl", "--namespace", self.name, *arguments, text=text, check=check)
        return done.stdout if check else done.stdout + done.stderr

    def get(self, what: str) -> Json:
        """Return an object."""
        found: Json = json.loads(self.kubectl("get", what, "--output=json"))
        return found

    def apply(self, *objects: Json, check: bool = True) -> str:
        """Apply objects and return kubectl's output."""
        return self.kubectl("apply", "--filename=-", text=yaml.safe_dump_all(objects), check=check)

    def pod(self, name: str, secrets: Mapping[str, str], **spec: Any) -> Pod:
        """Create an annotated pod; *secrets* are annotations without prefix, *spec* overrides the pod's spec."""
        self.apply(pod(name, secrets, **spec))
        return Pod(self, name)

    def story(self) -> str:
        """Return what happened in the namespace: pods, events, and the logs of all containers, including previous ones.

        It is used for a test that has already failed: if the cluster does not answer, the text says so, and no exception is raised.
        """
        parts: list[str] = []
        try:
            parts.extend(self._chapters())
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            parts.append(f"not available: {error}")
        return "\n----\n".join(parts)

    def _chapters(self) -> Iterator[str]:
        said = self._told("get", "pods", "--output=name", check=True).split()
        names = [name for name in said if name.startswith("pod/")]
        yield self._told("get", "pods")
        yield self._told("events")[-4000:]
        for name in names[:8]:
            logs = ("logs", name, "--all-containers", "--prefix")
            yield self._told(*logs, "--previous", "--tail=15")[-6000:]
            yield self._told(*logs, "--tail=40")[-6000:]

    def _told(self, *arguments: str, check: bool = False) -> str:
        command = ("kubectl", "--namespace", self.name, "--request-timeout=20s", *arguments)
        done = run(*command, check=check, timeout=60)
        return done.stdout + done.stderr

    def remove(self, *, check: bool = True) -> None:
        """Delete the namespace. If the cluster is kept, wait until it is removed, because the name is used again."""
        options = ("--ignore-not-found", f"--wait={str(STAYS).lower()}", "--timeout=200s")
        run("kubectl", "delete", "namespace", self.name, *options, check=check)

    def refused(self, item: Json) -> str:
        """Try to create an object that must be rejected; return the reason as a person sees it."""
        said = self.apply(item, check=False)
        assert "denied the request" in said, said
        return said


@attrs.frozen
class Pod:
    """A pod that is running or will run."""

    namespace: Namespace
    name: str

    @property
    def object(self) -> Json:
        """The pod as stored by the API server."""
        answer = api().read_namespaced_pod(self.name, self.namespace.name, _preload_content=False)
        found: Json = json.loads(answer.data)
        return found

    def is_ready(self) -> bool:
        """Return whether the pod is ready."""
        conditions = self.object["status"].get("conditions", [])
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def ready_since(self) -> str:
        """Return since when the pod has been ready without interruption; fails if it is not ready."""
        (ready,) = [item for item in self.object["status"]["conditions"] if item["type"] == "Ready"]
        assert ready["status"] == "True", ready
        return str(ready["lastTransitionTime"])

    def ready(self) -> Pod:
        """Wait until the pod is ready."""
        wait_for(self.is_ready, f"pod {self.name} ready")
        return self

    def succeeded(self) -> Pod:
        """Wait until the pod has succeeded."""
        wait_for(lambda: self.object["status"].get("phase") == "Succeeded", f"pod {self.name} succeeded")
        return self

    def last_words(self) -> str:
        """Return the termination message of the agent's init container."""
        state = self.status("keeper-injector-init")
        ended = state.get("state", {}).get("terminated") or state.get("lastState", {}).get("terminated") or {}
        return str(ended.get("message", ""))

    def run(self, *command: str, container: str = "app", check: bool = True) -> str:
        """Run a command in a container and return its output."""
        return self.namespace.kubectl("exec", self.name, f"--container={container}", "--", *command, check=check)

    def of_supervisor(self, program: str) -> str:
        """Run a Python program in the application; *process* is the folder in /proc of the supervisor.

        In a pod whose containers share a process namespace; that process is known by its options.
        """
        return self.run("python3", "-c", FIND_SUPERVISOR + program)

    def read(self, path: str, container: str = "app") -> str:
        """Return the content of a file in a container."""
        return self.run("cat", path, container=container)

    def log(self, container: str = "app") -> str:
        """Return a container's log."""
        return self.namespace.kubectl("logs", self.name, f"--container={container}", check=False)

    def status(self, container: str) -> Json:
        """Return the status of a container of any kind."""
        status = self.object["status"]
        found = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
        return next((item for item in found if item["name"] == container), {})


def pod(name: str, secrets: Mapping[str, str], *, labels: Mapping[str, str] | None = None, **spec: Any) -> Json:
    """Return a pod with the annotations *secrets* that sleeps."""
    annotations = {"inject": "true", **secrets} if secrets else {}
    containers = spec.pop("containers", [container()])
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": dict(labels or {"app": name}),
            "annotations": {PREFIX + key: value for key, value in annotations.items()},
        },
        "spec": {"terminationGracePeriodSeconds": 1, "containers": containers, **spec},
    }


def container(name: str = "app", script: str = "exec sleep 3600", **more: Any) -> Json:
    """Return a container that runs a shell script, with everything that Pod Security `restricted` requires."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **more.pop("security", {}),
    }
    command = more.pop("command", ["sh", "-c", script])
    own = {"name": name, "image": image(APPLICATION), "imagePullPolicy": "Never", "command": command}
    return {**own, "securityContext": {key: value for key, value in security.items() if value is not None}, **more}
