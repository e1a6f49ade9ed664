"""The certificate program: what it writes to the cluster, and what it says when it fails."""

from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from api_server import CONFIGURATION, SECRET, ApiServer, webhook
from certificate_cluster import NOW, material, reach

from keeper_injector_webhook.certificates import reconcile, stored
from keeper_injector_webhook.errors import ClusterError


def test_a_current_certificate_is_not_written(api: ApiServer, tmp_path: Path) -> None:
    """A second replica, or a later run, writes nothing while the certificate is current."""
    directories = [tmp_path / "a", tmp_path / "b"]
    for directory in directories:
        directory.mkdir()
        reconcile.run(reach(api), directory, NOW, sleep=lambda _: None)
    version = api.version
    for hours in range(24):
        reconcile.run(reach(api), directories[hours % 2], NOW + timedelta(hours=hours), sleep=lambda _: None)
    assert api.version == version
    assert (directories[0] / "tls.crt").read_bytes() == (directories[1] / "tls.crt").read_bytes()


def test_the_leaf_is_written_after_its_ca_is_trusted(api: ApiServer, tmp_path: Path) -> None:
    """The leaf is written after the caBundle has changed and had time to propagate."""
    seen: list[bool] = []
    reconcile.run(reach(api), tmp_path, NOW, sleep=lambda _: seen.append((tmp_path / "tls.crt").exists()))
    assert seen == [False]
    assert api.bundle()


def test_certificates_of_others_stay_in_the_bundle(api: ApiServer, tmp_path: Path) -> None:
    """Another CA in the caBundle stays, and webhooks with a URL are not changed."""
    theirs = material().bundle
    api.store(
        CONFIGURATION,
        {
            "metadata": {"name": "webhook"},
            "webhooks": [webhook("a"), webhook("b", url="https://elsewhere.example.com")],
        },
    )
    api.objects[CONFIGURATION]["webhooks"][0]["clientConfig"]["caBundle"] = base64.b64encode(theirs).decode()
    reconcile.run(reach(api), tmp_path, NOW, sleep=lambda _: None)
    assert api.bundle().startswith(theirs)
    assert len(stored.split_pem(api.bundle())) == 2
    assert api.bundle(1) == b""


def test_a_bundle_of_cert_manager_is_an_error(api: ApiServer, tmp_path: Path) -> None:
    """The program does not compete with cert-manager for the caBundle; it names the annotation to remove."""
    metadata = {"name": "webhook", "annotations": {reconcile.CERT_MANAGER: "injector/webhook"}}
    api.store(CONFIGURATION, {"metadata": metadata, "webhooks": [webhook("a")]})
    with pytest.raises(ClusterError, match=r"cert-manager manages its caBundle .*remove the annotation"):
        reconcile.run(reach(api), tmp_path, NOW, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "Secret webhook-tls: the webhook's service account may not read or patch it; the chart grants this"),
        (404, "Secret webhook-tls: does not exist; the chart creates it: run helm upgrade"),
        (500, "Secret webhook-tls: the API server answered 500"),
    ],
)
def test_a_failure_names_the_object_and_what_to_do(api: ApiServer, tmp_path: Path, status: int, message: str) -> None:
    """A failed request names the object and what to do."""
    api.status = status
    with pytest.raises(ClusterError, match=message):
        reconcile.run(reach(api), tmp_path, NOW)


@pytest.mark.parametrize(
    "said", ["the server rejected our request", "testing value /metadata/resourceVersion failed: test failed"]
)
@pytest.mark.parametrize("path", [SECRET, CONFIGURATION])
def test_a_lost_race_is_retried_at_once(api: ApiServer, tmp_path: Path, path: str, said: str) -> None:
    """Whatever the API server says of a failed test: reading the object again shows that another client changed it."""
    api.failed_test = said
    api.races = [path] * 3
    reconcile.run(reach(api), tmp_path, NOW, sleep=lambda _: None)

    assert not api.races
    assert api.bundle()
    assert api.managers == {"fieldManager=keeper-injector-webhook"}


def test_a_refused_patch_is_not_a_race(api: ApiServer, tmp_path: Path) -> None:
    """If nobody changed the object, the answer is an error, and the patch is not repeated."""
    api.refuses_configuration = True
    with pytest.raises(ClusterError, match="MutatingWebhookConfiguration webhook: the API server answered 422"):
        reconcile.run(reach(api), tmp_path, NOW, sleep=lambda _: None)
