"""Many pods at once: all admitted, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pods import FIGURES, SYSTEM, Namespace, container, pod, run, wait_for

pytestmark = pytest.mark.alone
MANY = 200
RESIDENT = "print(next(line for line in open('/proc/1/status') if line.startswith('VmRSS')).split()[1])"


def test_two_hundred_pods_at_once(space: Namespace) -> None:
    """All are admitted and injected. They find no node, as one node of tests cannot start so many; fifty that start are above."""
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
    bound = quantile(counts, 0.99)
    FIGURES.append(f"{total:.0f} pods admitted at once: p99 {bound * 1000:.0f} ms by the API server's own count")
    assert total >= MANY
    assert space.kubectl("get", "events", "--output=name", "--field-selector=reason=FailedCreate") == ""
    assert bound <= 1.0
    names = Namespace(SYSTEM).kubectl("get", "pods", "--selector=app.kubernetes.io/component=webhook", "--output=name")
    sizes = [
        run("kubectl", "--namespace", SYSTEM, "exec", name, "--", "python3", "-c", RESIDENT).stdout
        for name in names.split()
    ]
    FIGURES.append("webhook in its pods: " + ", ".join(f"{int(size) / 1024:.0f} MiB" for size in sizes) + " resident")
    assert all(int(size) < 128 * 1024 for size in sizes)


def quantile(counts: Mapping[str, float], share: float) -> float:
    """Return the quantile of a histogram in seconds, interpolated within its bucket as Prometheus does it."""
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
