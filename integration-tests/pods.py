"""What the tests need on a cluster: the injector installed, a Keeper to inject from, and pods to look into."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import yaml

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
CHART = str(ROOT / "charts/keeper-injector")
LOCAL_KEEPER = ROOT / "tools/local_keeper/kubernetes.yaml"
IMAGES = os.environ.get("KEEPER_INJECTOR_IMAGES", "")
"""Registry or prefix and tag of the images that the cluster has: ``localhost:0.1.0``."""
SYSTEM = "keeper-injector"
PREFIX = "keeper.security/"
FIGURES: list[str] = []
"""What was measured; told at the end."""
PATIENCE = 150.0
"""Seconds for a pod to become what it shall."""


def image(name: str) -> str:
    """Return the full name of one of our images."""
    prefix, _, tag = IMAGES.rpartition(":")
    return f"{prefix}/keeper-injector-{name}:{tag}"


def run(*command: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program; a failure shows what it said."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=240)
    assert not check or done.returncode == 0, f"{' '.join(command[:8])}: {done.stderr}{done.stdout}"
    return done


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Wait until *condition* returns something true, and return that."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.3)


@attrs.frozen
class Namespace:
    """A namespace of a cluster."""

    name: str

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        """Run kubectl in the namespace; returns what it prints, errors included when they are not checked."""
        done = run("kubectl", "--namespace", self.name, *arguments, text=text, check=check)
        return done.stdout if check else done.stdout + done.stderr

    def get(self, what: str) -> Json:
        """Return an object."""
        found: Json = json.loads(self.kubectl("get", what, "--output=json"))
        return found

    def apply(self, *objects: Json, check: bool = True) -> str:
        """Apply objects; returns what kubectl says."""
        return self.kubectl("apply", "--filename=-", text=yaml.safe_dump_all(objects), check=check)

    def pod(self, name: str, secrets: Mapping[str, str], **spec: Any) -> Pod:
        """Make an annotated pod; *secrets* are annotations without prefix, *spec* changes the pod's."""
        self.apply(pod(name, secrets, **spec))
        return Pod(self, name)

    def story(self) -> str:
        """Return what happened in it: pods, events, and the logs of all containers, those of before too."""
        pods = self.kubectl("get", "pods", "--output=name", check=False).split()
        parts = [self.kubectl("get", "pods", check=False), self.kubectl("events", check=False)[-4000:]]
        for name in pods[:8]:
            logs = ("logs", name, "--all-containers", "--prefix")
            before = self.kubectl(*logs, "--previous", "--tail=15", check=False)
            parts += [text[-6000:] for text in (before, self.kubectl(*logs, "--tail=40", check=False))]
        return "\n----\n".join(parts)

    def refused(self, item: Json) -> str:
        """Try to make an object that must be refused; returns the reason as a person sees it."""
        said = self.apply(item, check=False)
        assert "denied the request" in said, said
        return said


@attrs.frozen
class Pod:
    """A pod that runs or shall run."""

    namespace: Namespace
    name: str

    @property
    def object(self) -> Json:
        """The pod as the API server has it."""
        return self.namespace.get(f"pod/{self.name}")

    def is_ready(self) -> bool:
        """Say whether it is ready."""
        conditions = self.object["status"].get("conditions", [])
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    def ready_since(self) -> str:
        """Say since when it has been ready without a break; fails when it is not."""
        (ready,) = [item for item in self.object["status"]["conditions"] if item["type"] == "Ready"]
        assert ready["status"] == "True", ready
        return str(ready["lastTransitionTime"])

    def ready(self) -> Pod:
        """Wait until it is ready."""
        wait_for(self.is_ready, f"pod {self.name} ready")
        return self

    def succeeded(self) -> Pod:
        """Wait until it has ended well."""
        wait_for(lambda: self.object["status"].get("phase") == "Succeeded", f"pod {self.name} succeeded")
        return self

    def last_words(self) -> str:
        """Return the termination message of the agent's init container."""
        state = self.status("keeper-injector-init")
        ended = state.get("state", {}).get("terminated") or state.get("lastState", {}).get("terminated") or {}
        return str(ended.get("message", ""))

    def run(self, *command: str, container: str = "app", check: bool = True) -> str:
        """Run a command in a container; returns what it prints."""
        return self.namespace.kubectl("exec", self.name, f"--container={container}", "--", *command, check=check)

    def read(self, path: str, container: str = "app") -> str:
        """Return a file of a container."""
        return self.run("cat", path, container=container)

    def log(self, container: str = "app") -> str:
        """Return a container's log."""
        return self.namespace.kubectl("logs", self.name, f"--container={container}", check=False)

    def status(self, container: str) -> Json:
        """Return the status of a container, of whatever kind."""
        status = self.object["status"]
        found = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
        return next((item for item in found if item["name"] == container), {})


def pod(name: str, secrets: Mapping[str, str], *, labels: Mapping[str, str] | None = None, **spec: Any) -> Json:
    """Return a pod that asks for *secrets* and sleeps."""
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
    """Return a container that runs a shell script, with everything that Pod Security `restricted` asks for."""
    security = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        **more.pop("security", {}),
    }
    command = more.pop("command", ["sh", "-c", script])
    own = {"name": name, "image": image("agent"), "imagePullPolicy": "Never", "command": command}
    return {**own, "securityContext": {key: value for key, value in security.items() if value is not None}, **more}


@attrs.frozen
class Keeper:
    """Local Keeper in the cluster."""

    namespace: Namespace
    address: str

    def order(self, *arguments: str) -> Any:
        """Give it an order; returns the answer."""
        command = ("python3", "-m", "local_keeper", "--state", "/state", "--output", "json", *arguments)
        answer = self.namespace.kubectl("exec", "deployment/local-keeper", "--", *command)
        return json.loads(answer) if answer.strip() else None

    def set(self, record: str, field: str, value: str) -> None:
        """Change a field."""
        self.order("set", record, field, value)

    @property
    def requests(self) -> int:
        """How often records were asked for."""
        return int((self.order("stats") or {}).get("get_secret", 0))

    @contextmanager
    def failing(self, *fault: str) -> Iterator[None]:
        """Fail all requests within."""
        self.order("fault", *fault, "--always")
        try:
            yield
        finally:
            self.order("clear")

    def share_with(self, namespace: Namespace) -> None:
        """Make the configuration Secret and the CA in a namespace, as its owners do once."""
        config = self.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/config")
        ca = self.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/ca.crt")
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keeper-credentials"}}
        authority = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "local-keeper-ca"},
            "data": {"ca.crt": ca},
        }
        namespace.apply({**secret, "data": {"config": base64.b64encode(config.encode()).decode()}}, authority)


def start_keeper(namespace: Namespace) -> Keeper:
    """Start local Keeper in *namespace*."""
    service, deployment = yaml.safe_load_all(LOCAL_KEEPER.read_text(encoding="utf-8"))
    deployment["spec"]["template"]["spec"]["containers"][0].update(image=image("local-keeper"), imagePullPolicy="Never")
    namespace.apply(service, deployment)
    address = namespace.get("service/local-keeper")["spec"]["clusterIP"]
    namespace.kubectl("rollout", "status", "deployment/local-keeper", "--timeout=120s")
    return Keeper(namespace, address)


def install(*values: str) -> None:
    """Install the chart with our images, and wait until it serves, and nobody else: replaced pods answer for a while yet."""
    prefix, _, tag = IMAGES.rpartition(":")
    settings = {
        "image.repository": f"{prefix}/keeper-injector-webhook",
        "image.tag": tag,
        "image.pullPolicy": "Never",
        "agent.image.repository": f"{prefix}/keeper-injector-agent",
        "agent.image.tag": tag,
        "agent.image.pullPolicy": "Never",
        "defaults.ca-cert-configmap": "local-keeper-ca",
    }
    options = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    options += [part for value in values for part in ("--set", value)]
    run(
        *("helm", "upgrade", "--install", "keeper-injector", CHART, "--namespace", SYSTEM, "--create-namespace"),
        *("--wait", "--timeout", "3m", *options),
    )
    settled()


def settled() -> None:
    """Wait until no webhook of before is left: one that is replaced answers for a while after the next is ready."""
    wait_for(lambda: not _leaving(), "the end of webhooks of before")


def _leaving() -> list[str]:
    """Return the webhook's pods that are about to end."""
    pods = json.loads(run("kubectl", "--namespace", SYSTEM, "get", "pods", "--output=json").stdout)["items"]
    return [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" in pod["metadata"]]
