"""The chart's examples, changed to run without pulling images: substitutes contain the same programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pods import APPLICATION, Namespace, image

Json = dict[str, Any]
EXAMPLES = Path(__file__).parents[1] / "charts/keeper-injector/examples"
STAND_INS = {
    "python:3.13-slim": APPLICATION,
    "gcr.io/distroless/static-debian12": "distroless",
    "nginxinc/nginx-unprivileged:1.29": "applications",
    "eclipse-temurin:21-jre": "applications",
    "postgres:17": "applications",
}


def example(name: str) -> list[Json]:
    """Return the objects of the example called *name*, without its number."""
    (path,) = EXAMPLES.glob(f"[0-9][0-9]-{name}.yaml")
    return documents(path)


def documents(path: Path) -> list[Json]:
    """Return the objects of an example, changed to use images that the cluster has."""
    found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    for item in found:
        spec = item.get("spec", {})
        template = (
            spec.get("jobTemplate", {}).get("spec", spec).get("template", item if item["kind"] == "Pod" else None)
        )
        if template is None:
            continue
        template["spec"]["terminationGracePeriodSeconds"] = 1
        for container in [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]:
            if container["image"] in STAND_INS:
                container.update(image=image(STAND_INS[container["image"]]), imagePullPolicy="Never")
    return found


def baseline(space: Namespace) -> None:
    """Relax Pod Security for the examples' own containers, which do not satisfy `restricted`."""
    space.kubectl("label", f"namespace/{space.name}", "pod-security.kubernetes.io/enforce=baseline", "--overwrite")
