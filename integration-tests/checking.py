"""Runs the two commands ``check`` and keeps what they found, and shows them another cluster than the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import attrs
from pods import Json, Pod, run

NOTHING = "labelSelector=injector%3Dof-no-release"
"""A query for objects with a label that nothing has."""


@attrs.frozen
class Checked:
    """What a command found, without the releases of other tests."""

    findings: list[Json]

    @property
    def code(self) -> int:
        """The exit code that the command has for these findings."""
        return _code(self.findings)

    def of(self, check: str) -> list[Json]:
        """Return the findings of one check."""
        return [item for item in self.findings if item["check"] == check]

    def failed(self) -> dict[str, str]:
        """Return what was found, of the checks that failed."""
        return {item["check"]: item["found"] for item in self.findings if item["status"] == "failed"}

    def all_help(self) -> bool:
        """Return whether each failure says what to do."""
        return all(item["fix"] for item in self.findings if item["status"] == "failed")


def check(*arguments: str) -> Checked:
    """Run ``keeper-injector check``, and leave out releases of other tests."""
    done = checked(*arguments, "-o", "json")
    assert done.returncode in {0, 1}, done.stderr
    assert "Traceback" not in done.stderr
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == _code(findings)
    return Checked([item for item in findings if not _of_another_release(item["group"])])


def checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``keeper-injector check`` without judging how it ends."""
    command = [sys.executable, "-m", "keeper_injector_common.cli", "check", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def check_from(pod: Pod) -> Checked:
    """Run ``keeper-injector-agent check`` in the sidecar of *pod*, with the plan of the pod."""
    command = ("keeper-injector-agent", "check", "-o", "json")
    text = pod.run(*command, container="keeper-injector-sidecar", check=False)
    findings = json.JSONDecoder().raw_decode(text)[0]["findings"]
    return Checked(findings)


def _code(findings: list[Json]) -> int:
    """Return the exit code that is documented for *findings*: 1 if one of them is a failure."""
    return int(any(item["status"] == "failed" for item in findings))


def _of_another_release(group: str) -> bool:
    """Return whether *group* is about a release that another test may be installing or removing at this moment."""
    about, _, namespace = group.partition(" in namespace ")
    return about in {"webhook", "relay"} and namespace not in {"", "keeper-injector-check"}


def kubeconfig(folder: Path, server: str = "", **user: str) -> Path:
    """Write a kubeconfig for the cluster, with another *server* or another *user* if they are set; return its path."""
    config = json.loads(run("kubectl", "config", "view", "--raw", "--minify", "--output=json").stdout)
    if server:
        config["clusters"][0]["cluster"] = {"server": server}
    if user:
        config["users"][0]["user"] = user
    file = folder / "config"
    file.write_text(json.dumps(config), encoding="utf-8")
    return file


@contextmanager
def without_releases(folder: Path) -> Iterator[Path]:
    """Yield a kubeconfig through which the real API server lists no webhook configuration.

    Other tests have releases in this cluster at the same time. The API server itself answers, to a query for no release.
    """
    command = ["kubectl", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        behind = f"http://{process.stdout.readline().rpartition(' ')[2].strip()}"

        class Handler(BaseHTTPRequestHandler):
            """Forwards what the command reads."""

            def do_GET(self) -> None:
                query = f"&{NOTHING}" if "/mutatingwebhookconfigurations?" in self.path else ""
                with urllib.request.urlopen(f"{behind}{self.path}{query}", timeout=30) as answer:
                    content = answer.read()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield kubeconfig(folder, f"http://127.0.0.1:{server.server_port}")
            finally:
                server.shutdown()
                process.terminate()
