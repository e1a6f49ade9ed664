"""The documented commands copy an image to a registry, sign it with a local key and verify it; no network is needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from artifacts import image_digests, signing_programs
from artifacts.image_content import manifest_digest

ROOT = Path(__file__).parents[3]
SIGNING = (ROOT / ".github/CONTRIBUTING.md", "### Sign images")
VERIFYING = (ROOT / "packages/keeper-injector-common/docs/versioning.md", "## Verify images")
ARCHIVE = "keeper-injector-agent-0.1.0.oci.tar"
needs_programs = pytest.mark.skipif(
    not signing_programs.kept().exists() or shutil.which("skopeo") is None,
    reason="no cosign or skopeo; run ./tools/run release --build-cosign (four minutes) and apt install skopeo",
)


def documented(section: tuple[Path, str]) -> list[str]:
    """Return the commands in the console blocks of a section."""
    path, heading = section
    text = path.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    blocks = re.findall(r"```console\n(.*?)```", re.split(r"\n#+ ", text)[0], flags=re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def image(path: Path, content: bytes) -> Path:
    """Write the OCI archive of an image with one file."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    blobs: dict[str, bytes] = {}

    def blob(kind: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(data)}

    root = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer.getvalue()).hexdigest()}"]}
    config = blob(
        "config.v1+json", json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}).encode()
    )
    layers = [blob("layer.v1.tar+gzip", gzip.compress(layer.getvalue(), mtime=0))]
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    entry = blob("manifest.v1+json", json.dumps({**manifest, "config": config, "layers": layers}).encode())
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'} | blobs
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Run an empty registry and return its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [signing_programs.kept() / "registry", "-port", str(port)], stderr=subprocess.DEVNULL
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    assert process.poll() is None
                    time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


class Shell:
    """Runs documented commands in one folder, against one registry."""

    def __init__(self, folder: Path, registry: str) -> None:
        self.folder, self.registry = folder, registry
        settings = folder / ".config/containers/registries.conf"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n', encoding="utf-8")
        path = f"{signing_programs.kept()}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            **os.environ,
            "PATH": path,
            "HOME": str(folder),
            "REGISTRY": registry,
            "COSIGN_PASSWORD": "a passphrase",
        }

    def run(self, *commands: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", "\n".join(["set -e", *commands])],
            cwd=self.folder,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def signed(tmp_path: Path, registry: str) -> Shell:
    """Return a shell in a folder with a release's files, whose image is in the registry and is signed."""
    release = tmp_path / "dist/release"
    release.mkdir(parents=True)
    digest = manifest_digest(image(release / ARCHIVE, b"content"))
    shutil.copy(release / ARCHIVE, tmp_path)
    (tmp_path / image_digests.FILE).write_text(image_digests.as_values({"agent": digest}), encoding="utf-8")
    shell = Shell(tmp_path, registry)
    shell.environment["DIGEST"] = f"sha256:{digest}"
    done = shell.run(*documented(SIGNING))
    assert done.returncode == 0, done.stderr
    return shell


@needs_programs
def test_the_documented_commands_verify_an_image(signed: Shell) -> None:
    """They print the chart's value with the digest, and what was signed."""
    done = signed.run(*documented(VERIFYING))

    assert done.returncode == 0, done.stderr
    digest = signed.environment["DIGEST"]
    assert f'agent: {{ image: {{ digest: "{digest}" }} }}' in done.stdout
    assert f'"docker-manifest-digest":"{digest}"' in done.stdout
    assert "The signatures were verified against the specified public key" in done.stderr


@needs_programs
def test_another_key_is_refused(signed: Shell) -> None:
    """A signature by somebody else does not count."""
    made = signed.run("cosign generate-key-pair --output-key-prefix other && mv other.pub cosign.pub")
    assert made.returncode == 0, made.stderr
    done = signed.run(documented(VERIFYING)[-1])

    assert done.returncode != 0
    assert "failed to verify signature" in done.stderr


@needs_programs
def test_an_image_without_a_signature_is_refused(signed: Shell) -> None:
    """Also if it replaced a signed one under the same tag; its digest is not one of the release's either."""
    copy, inspect, verify = documented(VERIFYING)
    image(signed.folder / ARCHIVE, b"other content")
    assert signed.run(copy).returncode == 0
    other = f"sha256:{manifest_digest(signed.folder / ARCHIVE)}"

    assert signed.run(inspect).returncode == 1
    done = signed.run(verify, DIGEST=other)
    assert done.returncode != 0
    assert "no signatures found" in done.stderr


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (
            ["agent", "agent-cloud", "common", "webhook"],
            {"image": {"digest": "webhook"}, "agent": {"image": {"digest": "agent", "cloudDigest": "agent-cloud"}}},
        ),
        (["agent-cloud"], {"agent": {"image": {"cloudDigest": "agent-cloud"}}}),
        (["webhook"], {"image": {"digest": "webhook"}}),
        (["common"], None),
    ],
)
def test_digests_are_values_of_the_chart(names: list[str], values: object) -> None:
    """Each image that the chart uses has its value, and others are comments."""
    text = image_digests.as_values({name: hashlib.sha256(name.encode()).hexdigest() for name in names})

    for name in names:
        digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
        assert text.count(digest) == 1
        text = text.replace(digest, name)
    assert yaml.safe_load(text) == values


def test_the_documented_command_moves_every_dockerfile_to_a_new_base(tmp_path: Path) -> None:
    """The three commands find all Dockerfiles with a pinned base."""
    dockerfiles = [path for path in ROOT.glob("*/**/Dockerfile") if ".venv" not in path.parts]
    for path in dockerfiles:
        copied = tmp_path / path.relative_to(ROOT)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    (tmp_path / "skopeo").write_text("#!/bin/sh\nprintf list\n", encoding="utf-8")
    (tmp_path / "skopeo").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    commands = documented((ROOT / ".github/CONTRIBUTING.md", "### Images and their base"))
    subprocess.run(["bash", "-ec", "\n".join(commands)], cwd=tmp_path, env=environment, check=True)

    digest = hashlib.sha256(b"list").hexdigest()
    assert len(dockerfiles) == 5
    for path in dockerfiles:
        assert f"-slim-bookworm@sha256:{digest}\n" in (tmp_path / path.relative_to(ROOT)).read_text(encoding="utf-8")
