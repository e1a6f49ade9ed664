"""``python -m linters``: render the chart with each file of ci/, and let other projects' programs judge it and the examples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cluster import versions
from cluster.errors import ClusterError
from cluster.programs import helm
from linters import alerts, checkov_report, panels, programs, schemas

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/keeper-injector"
MANIFESTS = (
    *sorted(CHART.glob("examples/*.yaml")),
    ROOT / "tools/local_keeper/kubernetes.yaml",
    ROOT / "tools/demo/deployment.yaml",
)
"""Files that people apply as they are."""
FOREIGN = "argoproj.io/v1alpha1/Application"
"""Kinds without a schema here: Argo CD's module is 100 times as large as the object in the example."""
ACCEPTED = {
    "container-image-pull-policy": "tags are versions or digests, so Always would only make starts depend on the registry",
    "container-ephemeral-storage-request-and-limit": "only logs use it, and the kubelet would evict the webhook for them",
    "deployment-has-host-podantiaffinity": "topologySpreadConstraints spread the replicas, and do not block a small cluster",
    "deployment-replicas": "ci/minimal-values.yaml has one replica on purpose",
    "pod-networkpolicy": "off by default, because the API servers' addresses differ between clusters (values.yaml)",
}
"""Checks of kube-score that do not fit, with the reason."""


def main() -> int:
    """Run all linters, and return 1 if one found something. A linter that is unavailable is reported; on CI that is an error."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            rendered = render(Path(folder))
        except ClusterError as error:
            return _unavailable("helm", error)
        return max(_linted(name, lint, rendered) for name, lint in LINTERS.items())


def render(folder: Path) -> list[Path]:
    """Write what the chart renders with each set of values to a file. Raises ClusterError if one fails."""
    program = helm(_say)
    made = []
    for values in (*sorted(CHART.glob("ci/*-values.yaml")), CHART / "values-production.yaml"):
        path = folder / values.name
        base = (program, "template", "keeper-injector", CHART, "--namespace", "keeper-injector", "--values", values)
        done = subprocess.run(base, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClusterError(f"helm template --values {values.name}: {done.stderr.strip()}")
        path.write_text(done.stdout, encoding="utf-8")
        made.append(path)
    return made


def kubeconform(rendered: Sequence[Path]) -> Iterator[str]:
    """Yield the objects that do not match the schemas of the API."""
    location = f"{schemas.folder(_say)}/{schemas.LOCATION}"
    command = [str(programs.from_go(_say) / "kubeconform"), "-strict", "-schema-location", location, "-skip", FOREIGN]
    done = subprocess.run([*command, *rendered, *MANIFESTS], capture_output=True, text=True, check=False)
    if done.returncode:
        yield from (done.stdout + done.stderr).splitlines()


def kube_score(rendered: Sequence[Path]) -> Iterator[str]:
    """Yield what kube-score recommends. CPU has no limit, because it would delay reviews."""
    release = f"v{versions.newest().minor}"
    command = [
        str(programs.from_go(_say) / "kube-score"),
        "score",
        "--kubernetes-version",
        release,
        "--output-format",
        "ci",
    ]
    options = ["--exit-one-on-warning", "--ignore-container-cpu-limit", "--ignore-test", ",".join(ACCEPTED)]
    for path in rendered:
        # One file is one release. The same names in several files would look like conflicts.
        done = subprocess.run([*command, *options, path], capture_output=True, text=True, check=False)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line.startswith(("[WARNING]", "[CRITICAL]"))]
            yield from (f"{path.name}: {line}" for line in lines or [done.stderr.strip()])


def promtool(rendered: Sequence[Path]) -> Iterator[str]:
    """Yield rules that Prometheus refuses, and rule tests that fail."""
    [path] = [path for path in rendered if path.name == "monitoring-values.yaml"]
    yield from alerts.problems(programs.prometheus(_say) / "promtool", path, CHART / "tests/alerts.test.yaml")


def dashboard(_: Sequence[Path]) -> Iterator[str]:
    """Yield what in the dashboard Grafana's schema does not have: unknown fields, wrong types, missing fields and values.

    Then yield what does not follow Grafana's recommendations.
    """
    path = CHART / "monitoring/dashboard.json"
    yield from judged_dashboard(path)
    yield from panels.broken_rules(json.loads(path.read_text(encoding="utf-8")))


def judged_dashboard(path: Path) -> Iterator[str]:
    """Yield what is wrong in the dashboard in a file."""
    done = subprocess.run([programs.from_go(_say) / "dashboard", path], capture_output=True, text=True, check=False)
    if done.returncode:
        yield from (done.stdout + done.stderr).splitlines()


def checkov(rendered: Sequence[Path]) -> Iterator[str]:
    """Yield what checkov recommends, without what does not fit."""
    yield from checkov_report.problems(programs.checkov(_say), rendered)


LINTERS: dict[str, Callable[[Sequence[Path]], Iterator[str]]] = {
    "kubeconform": kubeconform,
    "kube-score": kube_score,
    "promtool": promtool,
    "dashboard": dashboard,
    "checkov": checkov,
}


def _linted(name: str, lint: Callable[[Sequence[Path]], Iterator[str]], rendered: Sequence[Path]) -> int:
    try:
        found = list(lint(rendered))
    except ClusterError as error:
        return _unavailable(name, error)
    for line in found:
        print(f"{name}: {line}", file=sys.stderr)
    result = f"{len(found)} problems" if found else "ok"
    print(f"{name}: {result}")
    return 1 if found else 0


def _unavailable(name: str, error: ClusterError) -> int:
    """Report why a linter cannot run. CI must not pass without it; a person's machine may lack Go."""
    print(f"{name}: not run: {error}", file=sys.stderr)
    return 1 if os.environ.get("CI") else 0


def _say(text: str) -> None:
    print(f"linters: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
