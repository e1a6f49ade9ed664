"""A small API server: one Secret and one webhook configuration, with the real rules for versions and patches."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import attrs
import jsonpatch

from keeper_injector_common.json_values import Json

SECRET = "/api/v1/namespaces/injector/secrets/webhook-tls"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/webhook"


@attrs.define
class ApiServer:
    """The server's objects by path, and the failures that it simulates."""

    url: str = ""
    objects: dict[str, Json] = attrs.field(factory=dict)
    version: int = 0
    away: bool = False
    """Whether every request gets status 503."""
    status: int = 0
    """The status of every response, unless 0."""
    failed_test: str = "the server rejected our request due to an error in our request"
    """What the API server says of a JSON patch whose test fails. Versions before 1.37 name the path of the test."""
    managers: set[str] = attrs.field(factory=set)
    """The field managers of all patches."""
    refuses_configuration: bool = False
    """Whether a policy refuses every patch of the configuration."""
    races: list[str] = attrs.field(factory=list)
    """Paths of objects that another client changes just before the next patch."""

    def install(self) -> None:
        """Create what the chart creates: an empty Secret, and a configuration without caBundle."""
        self.store(SECRET, {"metadata": {"name": "webhook-tls", "namespace": "injector"}, "type": "Opaque"})
        self.store(CONFIGURATION, {"metadata": {"name": "webhook"}, "webhooks": [webhook("pods.keeper.security")]})

    def store(self, path: str, content: Json) -> Json:
        """Store an object with a new resourceVersion."""
        self.version += 1
        self.objects[path] = {**content, "metadata": {**content["metadata"], "resourceVersion": str(self.version)}}
        return self.objects[path]

    def bundle(self, index: int = 0) -> bytes:
        """Return the caBundle of a webhook."""
        client = self.objects[CONFIGURATION]["webhooks"][index]["clientConfig"]
        return base64.b64decode(client.get("caBundle", ""))

    def answer(self, method: str, path: str, content_type: str, body: bytes) -> tuple[int, Json]:
        """Answer one request."""
        path, _, query = path.partition("?")
        if self.away or self.status:
            return (self.status or 503), {"message": "no"}
        present = self.objects.get(path)
        if present is None:
            return 404, {"reason": "NotFound"}
        if method == "GET":
            return 200, present
        self.managers.add(query)
        if self.refuses_configuration and path == CONFIGURATION:
            return 422, {"reason": "Invalid", "message": "denied by a policy"}
        if path in self.races:
            self.races.remove(path)
            present = self.store(path, present)
        given = json.loads(body)
        if content_type == "application/json-patch+json":
            try:
                return 200, self.store(path, jsonpatch.apply_patch(present, given))
            except jsonpatch.JsonPatchTestFailed:
                return 422, {"reason": "Invalid", "message": self.failed_test}
        if (
            given["metadata"].get("resourceVersion", present["metadata"]["resourceVersion"])
            != present["metadata"]["resourceVersion"]
        ):
            return 409, {"reason": "Conflict"}
        return 200, self.store(path, {**present, "data": {**present.get("data", {}), **given["data"]}})


def webhook(name: str, **client: str) -> Json:
    """Return an entry of a webhook configuration."""
    service = {"service": {"name": "webhook", "namespace": "injector"}}
    return {"name": name, "clientConfig": client or service, "sideEffects": "None", "admissionReviewVersions": ["v1"]}


@contextmanager
def api_server() -> Iterator[ApiServer]:
    """Run an API server that has the objects of the chart."""
    server = ApiServer()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment: Nagle's algorithm would delay the second one by 40 ms

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                status, content = server.answer(self.command, self.path, self.headers.get("Content-Type", ""), body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    for method in ("GET", "PATCH"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    server.url = f"http://127.0.0.1:{listener.server_port}"
    server.install()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()


def kubeconfig(server: ApiServer, directory: Path) -> Path:
    """Write a kubeconfig for *server*."""
    path = directory / "kubeconfig"
    named = {"cluster": {"server": server.url}, "user": {"token": "t"}, "context": {"cluster": "c", "user": "c"}}
    content = {f"{kind}s": [{"name": "c", kind: value}] for kind, value in named.items()}
    path.write_text(
        json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "c", **content}), encoding="utf-8"
    )
    return path
