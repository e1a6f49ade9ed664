"""No review waits for an import: everything that a review may need is loaded when the application is created."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml
from admission_reviews import body, pod
from slow_reviews import FAMILIES

GOLDEN = sorted((Path(__file__).parents[1] / "data/golden").glob("*.yaml"))
LARGE = 64
SERVE = """
import asyncio, json, sys
from keeper_injector_webhook.metrics import Metrics
from keeper_injector_webhook.serving.server import create_app
from keeper_injector_webhook.settings import Settings

app = create_app(Settings(), Metrics(), lambda: True)
bodies = [text.encode() for text in json.load(open(sys.argv[1]))]

async def ask(method, path, body):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}
    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])
    scope = {"type": "http", "method": method, "path": path, "scheme": "https", "headers": [], "query_string": b""}
    await app(scope, receive, send)

async def main():
    for body in bodies:
        await ask("POST", "/mutate", body)
    for path in ("/healthz", "/readyz", "/metrics", "/mutate", "/other"):
        await ask("GET", path, b"")

statuses = []
loaded = set(sys.modules)
asyncio.run(main())
print(json.dumps([len(statuses), sorted(set(sys.modules) - loaded)]))
"""


def test_no_review_imports_a_module(tmp_path: Path) -> None:
    """The pods of all golden files, large ones and bodies that are not reviews are answered with the modules of the start."""
    cases = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in GOLDEN]
    bodies = [body(pod(annotations=case.get("annotations"), **case["spec"])).decode() for case in cases]
    bodies += [family(LARGE).decode() for family in FAMILIES.values()]
    template = "{{ range .a }}{{ . | b64enc | toYaml }}{{ end }}"
    config = json.dumps({"secrets": [{"record": "a", "path": "/app/x", "template": template}]})
    bodies += [body(pod(annotations={"inject": "true", "config": config})).decode(), "{}", "not JSON", "[" * 100_000]
    path = tmp_path / "bodies.json"
    path.write_text(json.dumps(bodies), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "-c", SERVE, str(path)], capture_output=True, text=True, timeout=110, check=False
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == [len(bodies) + 5, []]
