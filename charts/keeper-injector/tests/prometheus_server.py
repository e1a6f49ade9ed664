"""A real Prometheus on loopback, with the chart's rules, for tests."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests
import yaml
from agent_pods import wait_for

from linters import programs

Json = dict[str, Any]
FOLDER = programs.kept_prometheus()
needs_prometheus = pytest.mark.skipif(
    FOLDER is None, reason="Prometheus is not installed; ./tools/run lint downloads it"
)
INTERVAL = "1s"
"""Of scrapes and of the rules' evaluation, so that a test sees two of each soon."""


@attrs.frozen
class Target:
    """What Prometheus scrapes, with the labels that the Prometheus operator gives to it."""

    port: int
    labels: Mapping[str, str]
    endpoint: Mapping[str, Any]
    """The endpoint of a ServiceMonitor or PodMonitor."""

    def as_job(self, name: str) -> Json:
        """Return a job of Prometheus' configuration."""
        return {
            "job_name": name,
            "scheme": self.endpoint.get("scheme", "http"),
            "metrics_path": self.endpoint.get("path", "/metrics"),
            "tls_config": {_snake(key): value for key, value in self.endpoint.get("tlsConfig", {}).items()},
            "static_configs": [{"targets": [f"127.0.0.1:{self.port}"], "labels": dict(self.labels)}],
        }


def _snake(name: str) -> str:
    """Return the name of Prometheus for a field of the operator."""
    return re.sub(r"([A-Z])", lambda found: f"_{found[0].lower()}", name)


@attrs.frozen
class Prometheus:
    """A running Prometheus."""

    port: int

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API. Raises AssertionError with Prometheus' own words if it is an error."""
        answer = requests.get(f"http://127.0.0.1:{self.port}/api/v1/{path}", parameters, timeout=10).json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]

    def series(self, query: str) -> list[Json]:
        """Return the series that a query has now."""
        found: list[Json] = self.get("query", query=query)["result"]
        return found

    def names(self) -> set[str]:
        """Return the names of all metrics that it has scraped."""
        return set(self.get("label/__name__/values"))

    def rules(self) -> dict[str, Json]:
        """Return the alerts by name, with their health and their state."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}

    def targets(self) -> list[Json]:
        """Return what it scrapes, with the last error of each target."""
        found: list[Json] = self.get("targets", state="active")["activeTargets"]
        return found


@contextmanager
def prometheus(folder: Path, groups: Sequence[Json], targets: Mapping[str, Target]) -> Iterator[Prometheus]:
    """Run Prometheus with these groups of rules and these targets by the name of their job; *folder* is for its files."""
    assert FOLDER is not None
    folder.mkdir()
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": list(groups)}), encoding="utf-8")
    configuration = {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [target.as_job(name) for name, target in targets.items()],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [
        *(str(FOLDER / "prometheus"), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for(lambda: process.poll() is not None or _is_ready(port), 60)
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            yield Prometheus(port)
        finally:
            process.terminate()


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/-/ready", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False
