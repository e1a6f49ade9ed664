"""A certificate of the webhook's own: ten years of it, two replicas, and everything that others may do meanwhile."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
from api_server import CONFIGURATION, SECRET, ApiServer, api_server, kubeconfig, webhook
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from kubernetes import client

from keeper_injector_webhook.certificates import authority, reconcile
from keeper_injector_webhook.certificates.authority import Material
from keeper_injector_webhook.certificates.reconcile import Cluster, ClusterObjects
from keeper_injector_webhook.certificates.runner import CertificateJob
from keeper_injector_webhook.errors import ClusterError
from keeper_injector_webhook.metrics import Metrics

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OBJECTS = ClusterObjects("injector", "webhook-tls", "webhook", "webhook")
DAY = timedelta(days=1)


@pytest.fixture(name="server")
def _server() -> Iterator[ApiServer]:
    with api_server() as server:
        yield server


def reach(server: ApiServer) -> Cluster:
    """Return the API server as the program sees it."""
    configuration = client.Configuration(host=server.url)
    configuration.retries = False
    return Cluster(client.ApiClient(configuration), OBJECTS)


def verify(leaf: bytes, bundle: bytes, now: datetime) -> None:
    """Verify a certificate as an API server does that knows *bundle* at *now*."""
    authorities = [x509.load_pem_x509_certificate(block) for block in authority.split_pem(bundle)]
    verifier = (
        PolicyBuilder().store(Store(authorities)).time(now).build_server_verifier(x509.DNSName("webhook.injector.svc"))
    )
    verifier.verify(x509.load_pem_x509_certificate(leaf), [])


@attrs.define
class Replica:
    """A webhook pod: what it serves with, and when its program runs again."""

    cluster: Cluster
    directory: Path
    again: datetime

    @property
    def leaf(self) -> bytes | None:
        """The certificate it shows."""
        path = self.directory / "tls.crt"
        return path.read_bytes() if path.exists() else None


def test_ten_years(server: ApiServer, tmp_path: Path) -> None:
    """No handshake fails: through renewals, two CAs at a time, outages, a lost Secret, strangers, restarts."""
    chance = random.Random(5)
    replicas = [Replica(reach(server), tmp_path / str(number), NOW) for number in range(2)]
    for replica in replicas:
        replica.directory.mkdir()
    leaves: set[bytes] = set()
    bundles: set[bytes] = set()
    away_until = NOW
    now = NOW
    while now < NOW + 3653 * DAY:
        replica = min(replicas, key=lambda candidate: candidate.again)
        now = max(now, replica.again)
        server.away = now < away_until
        if chance.random() < 0.02:
            away_until = now + DAY * chance.random()
        if chance.random() < 0.3:
            server.races = [SECRET, CONFIGURATION]
        if chance.random() < 0.01:
            server.store(
                SECRET,
                {"metadata": server.objects[SECRET]["metadata"], "data": chance.choice([{}, {"tls.crt": "eA=="}])},
            )
        try:
            reconcile.run(replica.cluster, replica.directory, now, sleep=lambda _: None)
            # An hour in the true world; a week here lets the clock run faster.
            replica.again = now + 7 * DAY * chance.uniform(0.8, 1)
        except ClusterError:
            replica.again = now + timedelta(minutes=10)
        for other in replicas:
            if other.leaf is not None:
                verify(other.leaf, server.bundle(), now)
                leaves.add(other.leaf)
        bundles.add(server.bundle())
    assert len(leaves) > 60
    assert len(bundles) > 8


def test_no_change_is_no_write(server: ApiServer, tmp_path: Path) -> None:
    """What is right is left alone, by the second replica too."""
    directories = [tmp_path / "a", tmp_path / "b"]
    for directory in directories:
        directory.mkdir()
        reconcile.run(reach(server), directory, NOW, sleep=lambda _: None)
    version = server.version
    for hours in range(24):
        reconcile.run(reach(server), directories[hours % 2], NOW + timedelta(hours=hours), sleep=lambda _: None)
    assert server.version == version
    assert (directories[0] / "tls.crt").read_bytes() == (directories[1] / "tls.crt").read_bytes()


def test_a_certificate_is_shown_after_its_ca_is_known(server: ApiServer, tmp_path: Path) -> None:
    """The files come after the caBundle and the time that API servers take to see it."""
    seen: list[bool] = []
    reconcile.run(reach(server), tmp_path, NOW, sleep=lambda _: seen.append((tmp_path / "tls.crt").exists()))
    assert seen == [False]
    assert server.bundle()


def material(now: datetime = NOW) -> Material:
    """Return what is made at first."""
    return authority.renew_if_due(None, now, OBJECTS.names)


def test_the_steps_of_a_rotation() -> None:
    """Leaf at two thirds; CA at two thirds, trusted before it signs; the old one until it expires."""
    first = material()
    assert authority.renew_if_due(first, NOW + 59 * DAY, OBJECTS.names) is first
    second = authority.renew_if_due(first, NOW + 61 * DAY, OBJECTS.names)
    assert second.authorities == first.authorities
    assert second.leaf != first.leaf
    due = NOW + authority.CA_LIFE * 2 / 3
    third = authority.renew_if_due(second, due, OBJECTS.names)
    assert len(third.authorities) == 2
    verify(third.leaf.certificate, first.bundle, due)
    fourth = authority.renew_if_due(third, due + 61 * DAY, OBJECTS.names)
    verify(fourth.leaf.certificate, fourth.authorities[1].certificate, due + 61 * DAY)
    fifth = authority.renew_if_due(fourth, NOW + authority.CA_LIFE + DAY, OBJECTS.names)
    assert fifth.authorities == third.authorities[1:]


def test_another_name_is_another_certificate() -> None:
    """A release that is installed under another name does not serve with the old one."""
    first = material()
    other = authority.renew_if_due(first, NOW, ("other.injector.svc",))
    assert other.authorities == first.authorities
    assert other.leaf != first.leaf


def test_a_secret_is_read_back() -> None:
    """And a damaged or mixed one is not."""
    first, second = material(), material()
    data = authority.to_secret_data(first)
    assert authority.from_secret_data(data) == first
    for name in data:
        assert authority.from_secret_data({**data, name: "AA=="}) is None
        assert authority.from_secret_data({key: value for key, value in data.items() if key != name}) is None
    assert authority.from_secret_data({**data, "tls.key": authority.to_secret_data(second)["tls.key"]}) is None
    assert "PRIVATE" not in repr(first)


def test_what_others_trust_stays(server: ApiServer, tmp_path: Path) -> None:
    """Somebody else's CA in the bundle, and webhooks that are reached by another address."""
    theirs = material().bundle
    server.store(
        CONFIGURATION,
        {
            "metadata": {"name": "webhook"},
            "webhooks": [webhook("a"), webhook("b", url="https://elsewhere.example.com")],
        },
    )
    server.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(theirs).decode()
    reconcile.run(reach(server), tmp_path, NOW, sleep=lambda _: None)
    assert server.bundle().startswith(theirs)
    assert len(authority.split_pem(server.bundle())) == 2
    assert server.bundle(1) == b""


def test_cert_manager_is_not_fought_with(server: ApiServer, tmp_path: Path) -> None:
    """Who keeps the bundle already is named."""
    metadata = {"name": "webhook", "annotations": {reconcile.CERT_MANAGER: "injector/webhook"}}
    server.store(CONFIGURATION, {"metadata": metadata, "webhooks": [webhook("a")]})
    with pytest.raises(ClusterError, match=r"cert-manager manages its caBundle .*remove the annotation"):
        reconcile.run(reach(server), tmp_path, NOW, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "Secret webhook-tls: the webhook's service account may not read or patch it; the chart grants this"),
        (404, "Secret webhook-tls: does not exist; the chart creates it: run helm upgrade"),
        (500, "Secret webhook-tls: the API server answered 500"),
    ],
)
def test_failures_say_what_helps(server: ApiServer, tmp_path: Path, status: int, message: str) -> None:
    """Which object, and who can do something."""
    server.status = status
    with pytest.raises(ClusterError, match=message):
        reconcile.run(reach(server), tmp_path, NOW)


@attrs.frozen
class Running:
    """The server as a process, with a certificate of its own."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def get(self, path: str, bundle: bytes) -> int:
        """Ask as an API server that trusts *bundle*, by the Service's name; returns the status."""
        context = ssl.create_default_context(cadata=bundle.decode())
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="webhook.injector.svc") as secure,
        ):
            connection = http.client.HTTPConnection("webhook.injector.svc")
            connection.sock = secure
            connection.request("GET", path)
            return connection.getresponse().status


@pytest.fixture(name="running")
def _running(server: ApiServer, tmp_path: Path) -> Iterator[Running]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    directory = tmp_path / "tls"
    directory.mkdir()
    options = {
        "host": "127.0.0.1",
        "port": port,
        "tls": "own",
        "directory": directory,
        "namespace": "injector",
        "secret": "webhook-tls",
        "service": "webhook",
        "webhook-configuration": "webhook",
        "kubeconfig": kubeconfig(server, tmp_path),
        "drain": 0.2,
        "poll": 0.2,
    }
    command = [sys.executable, "-m", "keeper_injector_webhook.cli", "serve"]
    command += [f"--{name}={value}" for name, value in options.items()]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield Running(port, process, tmp_path / "log")
        finally:
            process.kill()
            process.wait()


def wait_for_https(running: Running, server: ApiServer) -> None:
    """Wait until it serves with what the API server trusts."""
    until = time.monotonic() + 30
    while True:
        try:
            assert running.get("/readyz", server.bundle()) == 200
        except (OSError, ValueError):
            assert time.monotonic() < until, running.log.read_text(encoding="utf-8")
            time.sleep(0.1)
        else:
            return


def test_it_serves_with_what_it_made(running: Running, server: ApiServer) -> None:
    """From an empty Secret to a verified connection, and out at SIGTERM."""
    wait_for_https(running, server)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0
    events = [json.loads(line)["event"] for line in running.log.read_text(encoding="utf-8").splitlines()]
    assert events[:2] == ["certificate.renewed", "certificate.trusted"]


def test_it_waits_for_the_api_server(running: Running, server: ApiServer) -> None:
    """It says what is missing, serves when it can, and stops when told to while it waits."""
    server.status = 403
    until = time.monotonic() + 20
    while "may not read or patch it" not in running.log.read_text(encoding="utf-8"):
        assert time.monotonic() < until
        time.sleep(0.1)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0


def test_a_program_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No process to be had: a run that failed and is tried again, not the end of all runs."""
    metrics = Metrics()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert asyncio.run(CertificateJob([], metrics, lambda: None).run_once()) is None
    assert b'runs_total{result="failed"} 1.0' in metrics.text()
