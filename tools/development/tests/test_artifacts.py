"""What is shipped: the same commit gives the same bytes, and a user can verify where they come from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

import artifacts.__main__ as program
from artifacts import building
from artifacts.chart_signature import sign_chart
from artifacts.checksums import sign_sums
from artifacts.commits import Commit
from artifacts.errors import ArtifactError
from artifacts.image_content import Found, packages_of
from artifacts.pins import read_pins
from artifacts.sbom import image_sbom
from cluster import programs
from images import builders

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "packages/keeper-injector-common/docs/versioning.md"
PACKAGES = ("common", "agent", "webhook")

pytestmark = pytest.mark.skipif(programs.kept_helm() is None, reason="no helm; run ./tools/run cluster helm version")


def _clone(folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{ROOT}", folder], check=True)
    return folder


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new key without a passphrase."""
    path = tmp_path_factory.mktemp("key") / "release-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "release", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of the last commit."""
    return _clone(tmp_path_factory.mktemp("clone") / "repository")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, clone: Path, key: Path) -> Path:
    """Return the folder of a signed release without images."""
    output = tmp_path_factory.mktemp("released") / "files"
    arguments = ["--images", "none", "--output", str(output), "--repository", str(clone), "--sign", str(key)]
    assert program.main(arguments) == 0
    return output


@pytest.fixture
def downloaded(released: Path, key: Path, tmp_path: Path) -> Path:
    """Return a copy of the release with the file that says who may sign."""
    folder = tmp_path / "downloaded"
    shutil.copytree(released, folder)
    public = key.with_suffix(".pub").read_text(encoding="utf-8")
    (folder / "allowed_signers").write_text(f"release@keeper-injector {public}", encoding="utf-8")
    return folder


def _documented() -> str:
    """Return the commands under "Verify a release"."""
    section = DOCUMENT.read_text(encoding="utf-8").partition("\n## Verify a release\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)
    return "set -e\n" + "\n".join(line.removeprefix("$ ") for line in block.splitlines())


def _verify(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", _documented()], cwd=folder, capture_output=True, text=True, check=False)


def test_a_user_verifies_a_release(downloaded: Path) -> None:
    """The documented commands accept the files and name each of them."""
    done = _verify(downloaded)

    assert done.returncode == 0, done.stderr
    assert 'Good "keeper-injector-release" signature for release@keeper-injector' in done.stdout
    others = {path.name for path in downloaded.iterdir()} - {"SHA256SUMS", "SHA256SUMS.sig", "allowed_signers"}
    assert {line.removesuffix(": OK") for line in done.stdout.splitlines() if line.endswith(": OK")} == others


@pytest.mark.parametrize(
    "pattern", ["*agent*.whl", "*.tar.gz", "*.tgz", "*.cdx.json", "provenance*", "SHA256SUMS", "*.sig"]
)
def test_a_changed_file_is_refused(downloaded: Path, pattern: str) -> None:
    """One changed byte in any file is enough."""
    changed = min(downloaded.glob(pattern))
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)

    assert _verify(downloaded).returncode != 0


def test_the_digests_of_an_attacker_are_refused(downloaded: Path, tmp_path: Path) -> None:
    """A file, its digest and a signature by another key do not make a release, nor does a signature for another purpose."""
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    sign_sums(downloaded, other)

    assert "Could not verify signature" in _verify(downloaded).stdout + _verify(downloaded).stderr
    assert _verify(downloaded).returncode != 0


def test_a_signature_for_another_purpose_is_refused(downloaded: Path, key: Path) -> None:
    """The release key may have signed something else with the same content, such as a commit."""
    (downloaded / "SHA256SUMS.sig").unlink()
    command = ["ssh-keygen", "-Y", "sign", "-q", "-f", str(key), "-n", "git", str(downloaded / "SHA256SUMS")]
    subprocess.run(command, check=True, capture_output=True)

    assert _verify(downloaded).returncode != 0


def test_the_same_commit_gives_the_same_bytes(
    released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: Path
) -> None:
    """Folder, time zone, umask, and files that are not committed make no difference."""
    other = _clone(tmp_path / "another folder")
    (other / "packages/keeper-injector-common/src/keeper_injector_common/extra.py").write_text("", encoding="utf-8")
    (other / "charts/keeper-injector/values.yaml").write_text("changed: true\n", encoding="utf-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        arguments = ["--images", "none", "--output", str(tmp_path / "again"), "--repository", str(other)]
        assert program.main([*arguments, "--sign", str(key)]) == 0
    finally:
        os.umask(before)

    names = sorted(path.name for path in released.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "again").iterdir())
    different = [name for name in names if (released / name).read_bytes() != (tmp_path / "again" / name).read_bytes()]
    assert different == []  # even the signature: Ed25519 has no random numbers


@pytest.mark.parametrize("package", PACKAGES)
def test_a_wheels_sbom_has_what_is_pinned_for_it(released: Path, package: str) -> None:
    """It is valid, and its required and optional components are those that uv resolves without and with all extras."""
    [path] = released.glob(f"keeper_injector_{package}-*.whl.cdx.json")
    text = path.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = {item["name"]: item for item in json.loads(text)["components"]}
    pins = read_pins(ROOT / "tools/constraints.txt")

    resolved = {"common": "common", "agent": "agent-cloud", "webhook": "webhook"}[package]
    names = set(components) - {"keeper-injector-common"}
    assert set(read_pins(ROOT / f"tools/image-requirements/{resolved}.txt")) <= names
    if package == "agent":
        required = {name for name in names if components[name]["scope"] == "required"}
        assert required >= set(read_pins(ROOT / "tools/image-requirements/agent.txt"))
        assert not required & {"boto3", "azure-identity", "google-cloud-secret-manager"}
    for name in names:
        [reference] = components[name]["externalReferences"]
        assert components[name]["version"] == pins[name].version
        assert {item["content"] for item in reference["hashes"]} == set(pins[name].hashes)


def test_the_provenance_names_the_commit_and_every_file(released: Path, clone: Path) -> None:
    """Its subjects are what was built, and its materials have the digests of the commit's files."""
    statement = json.loads((released / "provenance.intoto.json").read_text(encoding="utf-8"))
    revision = subprocess.check_output(["git", "-C", clone, "rev-parse", "HEAD"], text=True).strip()
    lines = (released / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}

    subjects = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
    built = {name for name in sums if name.endswith((".whl", ".tar.gz", ".tgz"))}
    assert subjects == {name: sums[name] for name in built}
    assert len(built) == 2 * len(PACKAGES) + 1
    definition = statement["predicate"]["buildDefinition"]
    source, *materials = definition["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": revision}
    for material in materials:
        path = material["uri"].partition(f"/blob/{revision}/")[2]
        content = subprocess.run(["git", "-C", clone, "show", f"{revision}:{path}"], capture_output=True, check=True)
        digest = subprocess.run(["sha256sum"], input=content.stdout, capture_output=True, check=True)
        assert material["digest"]["sha256"] == digest.stdout.decode().split()[0]
    assert "tools/image-requirements/agent.txt" in str(materials)


def test_helm_reads_the_chart(released: Path, clone: Path) -> None:
    """The package renders the same objects as the folder."""
    [package] = released.glob("keeper-injector-*.tgz")
    rendered = [
        subprocess.check_output(
            [str(programs.kept_helm()), "template", "release", chart, "--namespace", "n"], text=True
        )
        for chart in (package, clone / "charts/keeper-injector")
    ]

    assert rendered[0] == rendered[1]
    assert "\nkind: Deployment\n" in rendered[0]


@pytest.fixture
def for_helm(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the chart's package, signed for Helm by a new OpenPGP key, and the public key."""
    if shutil.which("gpg") is None:
        pytest.skip("no gpg; apt install gpg gpg-agent")
    folder, home = tmp_path / "chart", Path(tempfile.mkdtemp(prefix="gpg-"))  # sockets need a short path
    folder.mkdir()
    monkeypatch.setenv("GNUPGHOME", str(home))
    [package] = released.glob("keeper-injector-*.tgz")
    shutil.copy(package, folder)
    unattended = ("gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    subprocess.run(
        [*unattended, "--quick-generate-key", "release@keeper-injector", "rsa3072", "sign", "never"], check=True
    )
    try:
        sign_chart(folder / package.name, "release@keeper-injector")
        with (folder / "release.asc").open("wb") as public:
            subprocess.run(["gpg", "--batch", "--armor", "--export"], stdout=public, check=True)
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], check=False)
        shutil.rmtree(home)
    return folder


def _verify_with_helm(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the commands under "Verify the chart with Helm"."""
    section = (
        DOCUMENT.read_text(encoding="utf-8").partition("\n## Verify the chart with Helm\n")[2].partition("\n## ")[0]
    )
    [block] = re.findall(r"```console\n(.*?)```", section, flags=re.DOTALL)
    commands = "set -e\n" + "\n".join(line.removeprefix("$ ") for line in block.splitlines())
    helm = programs.kept_helm()
    assert helm is not None
    environment = {**os.environ, "PATH": f"{helm.parent}{os.pathsep}{os.environ['PATH']}", "GNUPGHOME": str(folder)}
    return subprocess.run(
        ["bash", "-c", commands], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )


def test_helm_verifies_the_chart(for_helm: Path) -> None:
    """The documented commands print who signed it, and the digest of the package."""
    done = _verify_with_helm(for_helm)
    [package] = for_helm.glob("*.tgz")

    assert done.returncode == 0, done.stderr
    assert "release@keeper-injector" in done.stdout
    assert hashlib.sha256(package.read_bytes()).hexdigest() in done.stdout


@pytest.mark.parametrize("pattern", ["*.tgz", "*.prov"])
def test_helm_refuses_a_changed_chart(for_helm: Path, pattern: str) -> None:
    """One changed byte in the package, or in what is signed, is enough."""
    [changed] = for_helm.glob(pattern)
    content = bytearray(changed.read_bytes())
    content[len(content) // 3] ^= 1
    changed.write_bytes(content)

    assert _verify_with_helm(for_helm).returncode != 0


def test_files_of_another_build_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise they would get into SHA256SUMS."""
    (tmp_path / "old.whl").touch()

    assert program.main(["--images", "none", "--output", str(tmp_path)]) == os.EX_DATAERR
    assert capsys.readouterr().err == f"release: {tmp_path}: not empty; remove it, or set --output\n"


@pytest.mark.parametrize("base", ["docker.io/library/python:3.13-slim-bookworm", "python", "registry.example/a:1"])
def test_a_base_image_without_a_digest_is_refused(
    tmp_path: Path, base: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its tag may name another image tomorrow. Nothing is built."""
    assert program.main(["--output", str(tmp_path / "new"), "--base", base]) == os.EX_DATAERR

    assert "has no digest; write --base NAME@sha256:…" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("base", ["", "debian", "localhost/base:1", f"docker.io/library/python@sha256:{'a' * 64}"])
def test_a_base_image_with_a_digest_is_accepted(base: str) -> None:
    """The Dockerfiles' own base has one. Images of this machine need none, because no registry can replace them."""
    building.check_base(base)


WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob(".github/workflows/*.yaml")])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_use_actions_by_commit(path: Path) -> None:
    """No tag of an action decides what runs. The version is beside the commit, for people and update tools."""
    lines = re.findall(r"^.*\buses: *(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]

    assert len(lines) == sum("uses" in step for job in jobs.values() for step in [job, *job.get("steps", [])])
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_may_only_read_by_default(path: Path) -> None:
    """A job that needs more says so itself."""
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {"contents": "read"}


def test_the_release_workflow_uses_options_that_exist() -> None:
    """The command line in the workflow is one that the program accepts."""
    text = (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = re.findall(r"\./tools/run release (.*)", text)

    options = program._parser().parse_args(shlex.split(line))

    assert options.base == ""  # that of the commit's Dockerfiles
    assert options.builder.startswith("https://github.com/")


Layers = list[dict[str, str | None]]
"""For each layer, the names of distributions with their versions; None deletes one."""


def _archive(path: Path, layers: Layers) -> Path:
    """Write an OCI archive with these distributions in its layers."""
    blobs = []
    for layer in layers:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as content:
            for name, version in layer.items():
                folder = f"opt/site-packages/{name}.dist-info"
                if version is None:
                    _add(content, f"opt/site-packages/.wh.{name}.dist-info", b"")
                else:
                    _add(content, f"{folder}/METADATA", f"Name: {name}\nVersion: {version}\n\nText\n".encode())
        blobs.append(buffer.getvalue())
    with tarfile.open(path, "w") as archive:
        for number, blob in enumerate(blobs):
            _add(archive, f"blobs/sha256/{number}", blob)
        manifest = {"layers": [{"digest": f"sha256:{number}"} for number in range(len(blobs))]}
        _add(archive, f"blobs/sha256/{'a' * 64}", json.dumps(manifest).encode())
        _add(archive, "index.json", json.dumps({"manifests": [{"digest": f"sha256:{'a' * 64}"}]}).encode())
    return path


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


_LAYER = st.dictionaries(
    st.sampled_from(["attrs", "PyYAML", "h11", "six"]), st.none() | st.sampled_from(["1.0", "2.0"])
)


@given(st.lists(_LAYER, min_size=1, max_size=5))
def test_an_image_has_what_its_last_layers_left(layers: Layers) -> None:
    """A later layer replaces and deletes what an earlier one has."""
    expected: dict[str, str] = {}
    for layer in layers:
        for name, version in layer.items():
            expected.pop(name, None)
            if version is not None:
                expected[name] = version
    with tempfile.TemporaryDirectory() as folder:
        _, found = packages_of(_archive(Path(folder, "image.oci.tar"), layers))

    assert found == sorted(Found("pypi", canonicalize_name(name), version) for name, version in expected.items())


@pytest.mark.parametrize("version", ["1.2.0", "1.2.0-rc.1", "1.2.0-cloud"])
def test_an_images_sbom_is_valid(tmp_path: Path, version: str) -> None:
    """It names the image by its digest, and each distribution by its package URL."""
    path = _archive(tmp_path / f"keeper-injector-agent-{version}.oci.tar", [{"attrs": "1.0", "PyYAML": "2.0"}])

    text = image_sbom(path, Commit("0" * 40, 0, tmp_path))

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    assert {item["purl"] for item in sbom["components"]} == {"pkg:pypi/attrs@1.0", "pkg:pypi/pyyaml@2.0"}
    assert sbom["metadata"]["component"]["name"] == "keeper-injector-agent"
    assert sbom["metadata"]["component"]["version"] == version


@pytest.mark.parametrize("content", [{}, {"manifests": []}, {"manifests": [{"digest": "a"}, {"digest": "b"}]}])
def test_another_archive_is_refused(tmp_path: Path, content: object) -> None:
    """An SBOM of nothing would look like an image without packages."""
    path = tmp_path / "image.oci.tar"
    with tarfile.open(path, "w") as archive:
        _add(archive, "index.json", json.dumps(content).encode())

    with pytest.raises(ArtifactError, match="not an OCI archive with one image"):
        packages_of(path)


DOCKERFILES = [*sorted(ROOT.glob("packages/*/Dockerfile")), ROOT / "tools/local_keeper/Dockerfile"]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.parent.name))
def test_images_install_only_what_has_a_known_hash(path: Path) -> None:
    """Each use of pip either verifies hashes or has no index, and dependencies come before sources."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    uses = [use for use in re.split(r"&&|\n", text) if re.search(r"-m pip .*(install|wheel|download)\b", use)]

    assert uses
    assert [use for use in uses if "--require-hashes" not in use and "--no-index" not in use] == []
    assert [use for use in uses if "--no-deps" not in use] == []
    stage = text.partition(" AS build\n")[2]
    sources = re.search(r"^COPY (packages|tools/local_keeper)", stage, re.MULTILINE)
    assert sources
    assert stage.index("--require-hashes") < sources.start()


@pytest.mark.parametrize("path", DOCKERFILES[:-1], ids=lambda path: str(path.parent.name))
def test_images_say_what_they_are(path: Path) -> None:
    """The labels that registries and scanners read are there, after everything that takes long to build."""
    *_, last = path.read_text(encoding="utf-8").split("\nARG VERSION")
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", last))

    assert labels == {"title", "description", "licenses", "source", "created", "revision", "version"}
    assert "\nCOPY " not in last
    assert "\nRUN " not in last


def test_an_archive_has_the_same_bytes_for_the_same_layout(tmp_path: Path) -> None:
    """Times, modes and the order of creation make no difference."""
    for number, names in enumerate((["index.json", "blobs/b", "blobs/a"], ["blobs/a", "blobs/b", "index.json"])):
        for name in names:
            file = tmp_path / str(number) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name, encoding="utf-8")
            file.chmod(0o600 if number else 0o666)
            os.utime(file, (number, number))
        builders.write_tar(tmp_path / str(number), tmp_path / f"{number}.tar", 1_790_000_000)

    assert (tmp_path / "0.tar").read_bytes() == (tmp_path / "1.tar").read_bytes()
