"""Many pods at once are admitted, and the costs are measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from keeper import Keeper
from pods import FIGURES, Namespace, container, pod, run, wait_for
from releases import Release

pytestmark = pytest.mark.alone
MANY = 200
RESIDENT = "print(next(line for line in open('/proc/1/status') if line.startswith('VmRSS')).split()[1])"


def test_two_hundred_pods_at_once(space: Namespace, webhook: Release) -> None:
    """All pods are admitted and injected. They are not scheduled, because one node cannot start so many; the next test starts fifty."""
    template = pod("many", {"secret": "api-keys"}, containers=[container(security={"runAsUser": 1000})])
    del template["metadata"]["name"]
    template["spec"]["nodeSelector"] = {"of": "nobody"}
    spec = {"replicas": MANY, "selector": {"matchLabels": {"app": "many"}}, "template": template}
    del template["apiVersion"], template["kind"]
    before = histogram()
    space.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}, "spec": spec})
    wait_for(lambda: len(space.get("pods")["items"]) == MANY, f"{MANY} pods", 120)
    made = space.get("pods")["items"]
    assert all(item["spec"]["initContainers"][1]["name"] == "keeper-injector-sidecar" for item in made)
    space.kubectl("delete", "deployment/many", "--wait=false")
    after = histogram()
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = counts["+Inf"]
    # The duration is printed, not checked: it depends on the machine too.
    FIGURES.append(f"{total:.0f} pods admitted at once: p99 {told(counts)} by the API server's own count")
    FIGURES.append(f"{after['+Inf']:.0f} admissions in all tests: p99 {told(after)}")
    assert total >= MANY
    assert space.kubectl("get", "events", "--output=name", "--field-selector=reason=FailedCreate") == ""
    names = [item["metadata"]["name"] for item in webhook.webhooks()]
    sizes = [webhook.system.kubectl("exec", name, "--", "python3", "-c", RESIDENT) for name in names]
    FIGURES.append("webhook in its pods: " + ", ".join(f"{int(size) / 1024:.0f} MiB" for size in sizes) + " resident")
    assert all(int(size) < 128 * 1024 for size in sizes)


def test_a_scale_of_fifty(space: Namespace, keeper: Keeper) -> None:
    """Fifty pods that are created at once are admitted, and each sends one request to Keeper at its start."""
    asked = keeper.requests
    template = pod(
        "many", {"secret": "api-keys", "init-only": "true"}, containers=[container(security={"runAsUser": 1000})]
    )
    del template["metadata"]["name"]
    spec = {"replicas": 50, "selector": {"matchLabels": {"app": "many"}}}
    template["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1m", "memory": "1Mi"}}
    wanted = {"metadata": template["metadata"], "spec": template["spec"]}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}}
    space.apply({**deployment, "spec": {**spec, "template": wanted}})
    space.kubectl("rollout", "status", "deployment/many", "--timeout=240s")
    assert space.kubectl("get", "events", "--output=name", "--field-selector=reason=FailedCreate") == ""
    assert keeper.requests - asked == 50


def told(counts: Mapping[str, float]) -> str:
    """Return the 99th percentile of a histogram as text, in milliseconds."""
    return f"{quantile(counts, 0.99) * 1000:.0f} ms"


def quantile(counts: Mapping[str, float], share: float) -> float:
    """Return the quantile of a histogram in seconds, interpolated within its bucket as in Prometheus."""
    below, lower = 0.0, 0.0
    for upper, count in sorted((float(key), count) for key, count in counts.items()):
        if count >= counts["+Inf"] * share:
            return lower + (upper - lower) * (counts["+Inf"] * share - below) / (count - below)
        below, lower = count, upper
    return float("inf")


def histogram() -> dict[str, Any]:
    """Return the API server's histogram of calls to the webhook that admitted: seconds at most → count."""
    name = 'apiserver_admission_webhook_admission_duration_seconds_bucket{name="pods.keeper.security"'
    counts: dict[str, Any] = {}
    for line in run("kubectl", "get", "--raw", "/metrics").stdout.splitlines():
        if line.startswith(name) and 'rejected="false"' in line:
            bound = line.split('le="')[1].split('"')[0]
            counts[bound] = counts.get(bound, 0.0) + float(line.rsplit(" ", 1)[1])
    return counts
