"""A release with a relay, for the tests of fleets: pods of two applications behind it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
from keeper import Keeper
from pods import IMAGES, Json, Namespace, run, wait_for
from releases import Release

RELAY = "keeper-injector-relay"
PORT = 8080
LONG = "1h"
"""A refresh interval after which no test waits: what arrives earlier came because the relay had something new."""
AS_1000 = {"security": {"runAsUser": 1000}}
FROZEN = """
import json, pathlib
found = {}
for config in pathlib.Path("/relay/applications").glob("*/config"):
    head = pathlib.Path("/relay/published/v1", json.loads(config.read_text())["application"], "head.json")
    found[config.parent.name] = json.loads(head.read_text())["frozen"]
print(json.dumps(found))
"""
"""Prints for each application whether what a replica publishes is frozen."""


@attrs.frozen
class Fleet:
    """A release with a relay, and the pods' half of each application."""

    release: Release
    values: tuple[str, ...]
    """Values of the chart that turn the relay on."""
    halves: dict[str, str]

    def freeze(self, *applications: str) -> None:
        """Freeze *applications*, and no others, as the documentation says, and wait until the relay knows."""
        frozen = [f"relay.frozen={{{','.join(applications)}}}"] if applications else []
        self.release.install(*self.values, *frozen)
        wanted = {name: name in applications for name in self.halves}
        # The kubelet renews a mounted ConfigMap at the next change of the pod.
        for name in self.relays():
            self.release.system.kubectl("annotate", name, f"changed-at={time.time()}", "--overwrite")
        wait_for(lambda: all(self._frozen(name) == wanted for name in self.relays()), "all replicas to know", 180)

    def _frozen(self, relay: str) -> dict[str, bool]:
        return dict(json.loads(self.in_relay(relay, FROZEN)))

    def relays(self) -> list[str]:
        """Return the relay's pods as ``pod/NAME``."""
        listing = ("get", "pods", "--selector=app.kubernetes.io/component=relay", "--output=name")
        return self.release.system.kubectl(*listing).split()

    def in_relay(self, relay: str, program: str, *arguments: str, text: str = "") -> str:
        """Run a Python program in the relay container of a pod, as somebody who has taken it over can."""
        command = ("exec", "--stdin", relay, "--container=relay", "--", "python3", "-c", program, *arguments)
        return self.release.system.kubectl(*command, text=text)

    def space(self, name: str, application: str, keeper: Keeper) -> Namespace:
        """Create a namespace whose pods use the relay for *application*."""
        space = Namespace(f"fleet-{name}-{os.urandom(2).hex()}")
        labels = {"pod-security.kubernetes.io/enforce": "restricted", **self.release.labels}
        space.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space.name, "labels": labels}})
        keeper.share_with(space)
        space.apply(secret("keeper-credentials", self.halves[application]))
        return space


def secret(name: str, config: str) -> Json:
    """Return a Secret with a configuration."""
    data = {"config": base64.b64encode(config.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}


def split(keeper: Keeper, url: str) -> tuple[str, str]:
    """Return the relay's half and the pods' half of the configuration of *keeper*."""
    config = keeper.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/config")
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "keeper_injector_agent", "split", "--config", "-", "--relay", url]
        subprocess.run([*command, "--output", directory], input=config, text=True, check=True, capture_output=True)
        return tuple((Path(directory) / name).read_text() for name in ("relay-half.json", "pods-half.json"))  # type: ignore[return-value]


@contextmanager
def install_fleet(keepers: Mapping[str, Keeper]) -> Iterator[Fleet]:
    """Install a release with a relay for the application of each of *keepers*, and remove it at the end."""
    release = Release("keeper-injector-fleet", ("namespaceSelector.matchLabels.injector=fleet",), {"injector": "fleet"})
    system = release.system
    run("kubectl", "create", "namespace", system.name)
    authorities = []
    for name, one in keepers.items():
        system.apply(secret(name, split(one, "http://to.be.replaced")[0]))
        authorities.append(one.namespace.kubectl("exec", "deployment/local-keeper", "--", "cat", "/state/ca.crt"))
    metadata = {"name": "keepers-ca"}
    system.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": "\n".join(authorities)}}
    )
    prefix, _, tag = IMAGES.rpartition(":")
    server = {"repository": f"{prefix}/keeper-injector-applications", "tag": tag, "pullPolicy": "Never"}
    values = (
        *(f"relay.webServer.{key}={value}" for key, value in server.items()),
        *("relay.enabled=true", f"relay.applications={{{','.join(keepers)}}}", "relay.caConfigMap=keepers-ca"),
        "relay.networkPolicy.ports={8443}",
    )
    release.install(*values)
    address = system.get(f"service/{RELAY}")["spec"]["clusterIP"]
    halves = {name: split(one, f"http://{address}:{PORT}")[1] for name, one in keepers.items()}
    yield Fleet(release, values, halves)
    release.uninstall()
