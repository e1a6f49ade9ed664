"""Releases of the chart: one that all tests share, and others for tests that change, replace or stop theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import attrs
from pods import CHART, IMAGES, Json, Namespace, run, wait_for

DIVIDES = "injector"
"""The label of namespaces that have a release of their own, and whose."""


@attrs.frozen
class Release:
    """A release of the chart, in a namespace that is named as it is."""

    name: str
    selector: tuple[str, ...]
    labels: dict[str, str] = attrs.field(factory=dict)
    """What namespaces of this release's pods are labelled with."""

    @property
    def system(self) -> Namespace:
        """Where the webhook runs."""
        return Namespace(self.name)

    @property
    def configuration(self) -> str:
        """The webhook's configuration, as kubectl names it."""
        return f"mutatingwebhookconfiguration/keeper-injector-{self.name}"

    def install(self, *values: str) -> None:
        """Install or upgrade with our images, and wait until it serves, and nobody else."""
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
        """Wait until no webhook of before is left: one that is replaced answers for a while after the next is ready."""
        wait_for(
            lambda: not any("deletionTimestamp" in item["metadata"] for item in self.webhooks()),
            "the end of webhooks of before",
        )

    def webhooks(self) -> list[Json]:
        """Return the webhook's pods."""
        listing = ("get", "pods", "--selector=app.kubernetes.io/component=webhook", "--output=json")
        items: list[Json] = json.loads(self.system.kubectl(*listing))["items"]
        return items

    def uninstall(self) -> None:
        """Take it away with its namespace; what it leaves behind is told by the tests of the chart."""
        helm = ("helm", "uninstall", "keeper-injector", "--namespace", self.name, "--wait", "--ignore-not-found")
        run(*helm, check=False)
        self.system.remove(check=False)


SHARED = Release(
    "keeper-injector",
    tuple(f"namespaceSelector.matchExpressions[0].{part}" for part in (f"key={DIVIDES}", "operator=DoesNotExist")),
)
"""For all namespaces that are nobody else's."""


@contextmanager
def own_release(name: str, *values: str) -> Iterator[Release]:
    """Install a release for the namespaces of one file of tests, and take it away in the end."""
    release = Release(f"keeper-injector-{name}", (f"namespaceSelector.matchLabels.{DIVIDES}={name}",), {DIVIDES: name})
    release.install(*values)
    yield release
    release.uninstall()
