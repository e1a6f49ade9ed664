"""Releases of the chart: one that tests share, and separate ones for tests that change, replace or stop a release."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from pods import CHART, IMAGES, Json, Namespace, run, wait_for

DIVIDES = "injector"
"""The label of namespaces that use a separate release; its value names the release."""


@attrs.frozen
class Release:
    """A release of the chart in a namespace of the same name."""

    name: str
    selector: tuple[str, ...]
    labels: dict[str, str] = attrs.field(factory=dict)
    """The label of the namespaces that this release serves."""

    @property
    def system(self) -> Namespace:
        """The namespace of the webhook."""
        return Namespace(self.name)

    @property
    def configuration(self) -> str:
        """The webhook configuration as an argument of kubectl."""
        return f"mutatingwebhookconfiguration/keeper-injector-{self.name}"

    def install(self, *values: str) -> None:
        """Install or upgrade with our images, and wait until only the new webhook serves."""
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
        options = [f"--set={key}={value}" for key, value in settings.items()]
        options += [f"--set={value}" for value in (*self.selector, *values)]
        run(
            *("helm", "upgrade", "--install", "keeper-injector", CHART, "--namespace", self.name, "--create-namespace"),
            *("--wait", "--timeout=3m", *options),
        )
        self.settled()

    def settled(self) -> None:
        """Wait until the Deployment's own pods are ready and no others are left.

        Helm's ``--wait`` can end on the state before its own change, and a pod that is replaced keeps answering for a
        while after the next one is ready.
        """
        wait_for(self._is_settled, "the webhook's own replicas, and no others")

    def _is_settled(self) -> bool:
        deployment = self.system.get("deployment/keeper-injector")
        wanted, status, pods = deployment["spec"]["replicas"], deployment["status"], self.webhooks()
        return (
            status.get("observedGeneration") == deployment["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == status.get("readyReplicas", 0) == wanted
            and len(pods) == wanted
            and not any("deletionTimestamp" in pod["metadata"] for pod in pods)
        )

    def webhooks(self) -> list[Json]:
        """Return the webhook's pods."""
        listing = ("get", "pods", "--selector=app.kubernetes.io/component=webhook", "--output=json")
        items: list[Json] = json.loads(self.system.kubectl(*listing))["items"]
        return items

    def uninstall(self) -> None:
        """Uninstall the release and delete its namespace; the tests of the chart check that nothing is left."""
        helm = ("helm", "uninstall", "keeper-injector", "--namespace", self.name, "--wait", "--ignore-not-found")
        run(*helm, check=False)
        self.system.remove(check=False)


SHARED = Release(
    "keeper-injector",
    tuple(f"namespaceSelector.matchExpressions[0].{part}" for part in (f"key={DIVIDES}", "operator=DoesNotExist")),
)
"""The release for all namespaces without a separate one."""


@contextmanager
def own_release(name: str, *values: str) -> Iterator[Release]:
    """Install a release for the namespaces of one test file, and remove it at the end."""
    release = Release(f"keeper-injector-{name}", (f"namespaceSelector.matchLabels.{DIVIDES}={name}",), {DIVIDES: name})
    release.install(*values)
    yield release
    release.uninstall()
