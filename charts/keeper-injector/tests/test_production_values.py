"""The values for production keep what the page about production promises."""

from __future__ import annotations

from pathlib import Path

import yaml
from rendered_chart import CI, needs_helm, one, pod_of, render

from keeper_injector_common.cli import main

VALUES = yaml.safe_load(CI["production"].read_text(encoding="utf-8"))


@needs_helm
def test_the_values_render() -> None:
    """Three replicas with a disruption budget, a network policy, both images, and the policy in the webhook's settings."""
    objects = render("production")
    assert one(objects, "Deployment")["spec"]["replicas"] == 3
    assert {"PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "PrometheusRule"} <= {
        item["kind"] for item in objects
    }
    (container,) = pod_of(objects)["spec"]["containers"]
    assert container["image"].startswith("registry.example/")
    (settings,) = one(objects, "ConfigMap")["data"].values()
    content = yaml.safe_load(settings)
    assert content["policy"]["minRefreshInterval"] == VALUES["policy"]["minRefreshInterval"]
    assert content["defaults"]["refresh-interval"] == VALUES["defaults"]["refresh-interval"]


def test_lint_reads_the_values(tmp_path: Path) -> None:
    """Lint accepts a pod with these values, and rejects what their policy locks."""
    pod = """\
apiVersion: v1
kind: Pod
metadata:
  name: shop
  annotations: {{ keeper.security/inject: "true", keeper.security/secret: db, keeper.security/{} }}
spec: {{ containers: [{{ name: app, image: app }}] }}
"""
    for annotation, code in (("refresh-interval: 10m", 0), ("refresh-interval: 1m", 1), ("agent-image: other", 1)):
        manifest = tmp_path / "pod.yaml"
        manifest.write_text(pod.format(annotation), encoding="utf-8")
        assert main(["lint", "--strict", "--defaults", str(CI["production"]), str(manifest)]) == code
