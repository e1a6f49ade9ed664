"""Images have Python, our programs and what both need; `./tools/run images` checks each image that it builds."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import check_platforms
import images.__main__ as program
from images import builders, contents, minimal_root
from images.builders import Builder
from images.catalogue import IMAGES, VERSION, Image
from images.contents import File
from images.errors import BuildError

ROOT = Path(__file__).parents[3]
DOCKERFILES = sorted(ROOT.glob("packages/*/Dockerfile"))
ALL_DOCKERFILES = [*DOCKERFILES, ROOT / "tools/local_keeper/Dockerfile", *ROOT.glob("integration-tests/**/Dockerfile")]
SCRIPT = ROOT / "tools/development/images/minimal_root.py"
APP = "keeper-injector"


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.parent.name))
def test_the_last_stage_starts_empty(path: Path) -> None:
    """It has the files of the minimal root and nothing else, and it can run nothing while it is built."""
    *_, last = path.read_text(encoding="utf-8").split("\nFROM ")

    assert last.startswith("scratch\n")
    assert re.findall(r"^(?:COPY|ADD|RUN) .*", last, re.MULTILINE) == ["COPY --from=build /image /"]
    assert re.findall(r"^USER (.*)", last, re.MULTILINE) == ["65532:65532"]
    assert not re.search(r"^(?:ENTRYPOINT|CMD) [^\[]", last, re.MULTILINE)  # the form without brackets needs a shell


@pytest.mark.parametrize("path", ALL_DOCKERFILES, ids=lambda path: str(path.parent.name))
def test_bases_have_a_digest(path: Path) -> None:
    """The same tag may name another image tomorrow. All Dockerfiles have the same base."""
    text = path.read_text(encoding="utf-8")
    [base] = re.findall(r"^ARG BASE_IMAGE=(.*)", text, re.MULTILINE)

    assert re.fullmatch(r"docker\.io/library/python:3\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert {path.read_text(encoding="utf-8").count(base) for path in ALL_DOCKERFILES} == {1}
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) <= {"${BASE_IMAGE}", "scratch"}


OWN_LINE = re.compile(r"keeper-injector|Keeper Injector|image\.description=|^ARG REQUIREMENTS=|^# What is installed")
"""What differs between images: names, the description, the dependencies."""


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.parent.name))
def test_dockerfiles_have_the_same_steps(path: Path) -> None:
    """Dockerfiles cannot include others, so a change of one step must be made in each of them."""
    common = (ROOT / "packages/keeper-injector-common/Dockerfile").read_text(encoding="utf-8").splitlines()
    steps = [line for line in common if not OWN_LINE.search(line)]
    lines = iter(path.read_text(encoding="utf-8").splitlines())

    assert len(steps) > 25
    assert [step for step in steps if step not in lines] == []  # all, and in this order


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.parent.name))
def test_dockerfiles_name_no_architecture(path: Path) -> None:
    """The same recipe builds for amd64 and arm64."""
    assert not re.search(
        r"x86.64|amd64|aarch64|arm64", path.read_text(encoding="utf-8") + SCRIPT.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (File("bin/sh", 0o777), "/bin/sh: a program that is not needed"),
        (File("usr/sbin/ldconfig", 0o755), "/usr/sbin/ldconfig: a program that is not needed"),
        (
            File("opt/keeper-injector/bin/hypercorn", 0o755),
            "/opt/keeper-injector/bin/hypercorn: a program that is not needed",
        ),
        (File("usr/bin/python3.11-config", 0o755), "/usr/bin/python3.11-config: a program that is not needed"),
        (File("a/site-packages/pip/__main__.py", 0o644), "/a/site-packages/pip/__main__.py: part of a package manager"),
        (File("var/lib/dpkg/status", 0o644), "/var/lib/dpkg/status: part of a package manager"),
        (File("opt/mount", 0o4755), "/opt/mount: changes the user or group when it runs"),
        (File("opt/write", 0o2755), "/opt/write: changes the user or group when it runs"),
    ],
)
def test_what_an_attacker_could_use_is_found(file: File, said: str) -> None:
    """Each program, installer and set-user-ID file is named."""
    assert contents.problems([file]) == [said]


@pytest.mark.parametrize(
    "path",
    [
        *("usr/bin/python3.13", "opt/keeper-injector/bin/python3", "opt/keeper-injector/bin/keeper-injector-agent"),
        *("var/lib/dpkg/status.d/libc6", "opt/keeper-injector/lib/python3.11/site-packages/pipeline.py"),
        "opt/keeper-injector/lib/python3.11/site-packages/keeper_injector_agent/exec/keeper-exec",
    ],
)
def test_what_the_image_needs_is_accepted(path: str) -> None:
    """Python, our programs, and the list of packages for scanners."""
    assert contents.problems([File(path, 0o755)]) == []


_NAMES = st.sampled_from(["bin", "sh", "a", "b.so"])


@settings(max_examples=30)
@given(st.dictionaries(st.lists(_NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=9), max_size=6))
def test_a_folder_and_its_export_have_the_same_files(files: dict[str, bytes]) -> None:
    """buildah shows a folder, docker and podman an archive of it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "root")
        root.mkdir()
        for number, (name, content) in enumerate(files.items()):
            path = root / name
            if not any(parent.is_file() for parent in (path, *path.parents)) and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                path.chmod((0o755, 0o4755, 0o644)[number % 3])
        (root / "link").symlink_to("bin")
        with tarfile.open(Path(folder, "root.tar"), "w") as archive:
            archive.add(root, ".")

        found = contents.of_folder(root)

        assert found == contents.of_tar(Path(folder, "root.tar"))
        assert contents.size(found) == sum(
            path.stat().st_size for path in root.rglob("*") if path.is_file() and path.name != "link"
        )


def test_an_image_with_a_shell_fails_the_build(capsys: pytest.CaptureFixture[str]) -> None:
    """Only images that are minimal are checked: those for tests have a shell."""
    files = [File("bin/sh", 0o755, 3 * 2**20)]

    assert program._told([(Image("local-keeper", "Dockerfile"), files)]) == 0
    assert program._told([(Image("agent", "Dockerfile", most=2), files)]) == 1
    assert program._told([(Image("agent", "Dockerfile", minimal=True), files)]) == 1
    said = capsys.readouterr()
    assert said.err == f"images: localhost/keeper-injector-agent:{VERSION}: /bin/sh: a program that is not needed\n"
    assert "3.0 MiB       1 files   TOO LARGE (at most 2 MiB)" in said.out


def test_all_images_for_users_are_minimal() -> None:
    """Those for tests stand in for applications."""
    assert {image.name for image in IMAGES if not image.minimal} == {"local-keeper", "applications"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the minimal root of a virtual environment of this machine's Python with one program."""
    folder = tmp_path_factory.mktemp("minimal")
    environment, output = folder / "environment", folder / "image"
    base = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    subprocess.run([base, "-m", "venv", "--without-pip", environment], check=True)
    for name in (APP, "hypercorn"):
        script = environment / "bin" / name
        script.write_text(f"#!{environment}/bin/python3\nprint('works')\n", encoding="utf-8")
        script.chmod(0o755)
    subprocess.run([base, "-I", SCRIPT, output, environment, APP], check=True)
    return output


def test_the_root_has_one_program_and_python(root: Path, tmp_path: Path) -> None:
    """No activation script, no program of a dependency, no set-user-ID bit, no file that others may write."""
    files = contents.of_folder(root)

    assert contents.problems(files) == []
    programs = {Path(file.path).name for file in files if re.search(r"(?:^|/)bin/", file.path)}
    assert programs == {APP, "python3", Path(sys.executable).resolve().name}
    assert [file.path for file in files if file.mode & stat.S_IWOTH and not root.joinpath(file.path).is_symlink()] == []
    folders = {path.name for path in root.rglob("*") if path.is_dir()}
    assert not folders & (minimal_root.UNUSED - {"__pycache__", "site-packages"})


def test_python_in_the_root_is_not_readable(root: Path) -> None:
    """Therefore, Linux lets no process inspect it, even one of the same user."""
    [interpreter] = [path for path in root.rglob("bin/python3.*") if not path.is_symlink()]

    assert stat.S_IMODE(interpreter.stat().st_mode) == 0o111


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_the_root_is_complete(root: Path) -> None:
    """In it, the program runs; TLS has CAs, names are resolved, and the compiled standard library is used."""
    [environment] = [path.parent for path in root.rglob("pyvenv.cfg")]
    inside = Path("/") / environment.relative_to(root)
    code = (
        "import asyncio, ctypes, decimal, json, lzma, ssl, socket, pwd, os, uuid, zlib, importlib.util as u\n"
        "assert len(ssl.create_default_context().get_ca_certs()) > 50\n"
        "assert pwd.getpwuid(65532).pw_dir == '/'\n"
        "assert socket.gethostbyname('localhost') == '127.0.0.1'\n"
        "assert os.path.exists(u.cache_from_source(json.__file__))\n"
        "assert not os.path.exists('/bin/sh') and os.system('true') != 0\n"
    )
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n", encoding="utf-8")
    for command in ([inside / "bin" / APP], [inside / "bin/python3", "-I", "-c", code]):
        done = subprocess.run(["chroot", root, *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    """An image without it would fail at its first import."""
    source = tmp_path / "gone.c"
    source.write_text("int gone(void) { return 1; }\n", encoding="utf-8")
    subprocess.run(["cc", "-shared", "-o", tmp_path / "libgone.so", source], check=True)
    main = tmp_path / "main.c"
    main.write_text("int gone(void);\nint main(void) { return gone(); }\n", encoding="utf-8")
    subprocess.run(["cc", "-o", tmp_path / "main", main, f"-L{tmp_path}", "-lgone"], check=True)
    (tmp_path / "libgone.so").unlink()

    with pytest.raises(SystemExit, match=r"missing in the base image: .*/main needs libgone\.so"):
        minimal_root.libraries_of([tmp_path / "main"])


def test_packages_of_copied_files_are_described(tmp_path: Path) -> None:
    """A file belongs to its package under either of its paths, with or without /usr; others are not listed."""
    (tmp_path / "info").mkdir()
    paragraphs = []
    for name, file in {
        "libc6:amd64": "/lib/libc.so.6",
        "libssl3": "/usr/lib/libssl.so.3",
        "perl-base": "/usr/bin/perl",
    }.items():
        (tmp_path / "info" / f"{name}.list").write_text(f"/.\n{file}\n", encoding="utf-8")
        paragraphs.append(f"Package: {name.partition(':')[0]}\nStatus: install ok installed\nVersion: 1\n")
    (tmp_path / "status").write_text("\n".join(paragraphs), encoding="utf-8")

    found = minimal_root.descriptions([Path("/usr/lib/libc.so.6"), Path("/lib/libssl.so.3")], tmp_path)

    assert found == {
        name: f"Package: {name}\nStatus: install ok installed\nVersion: 1\n" for name in ("libc6", "libssl3")
    }
    assert minimal_root.descriptions([], tmp_path / "none") == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_a_module_that_is_left_out_and_used_fails_the_build(tmp_path: Path) -> None:
    """Even if a function imports it later. An extra that is not installed is accepted."""
    environment, output = tmp_path / "environment", tmp_path / "image"
    base = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    subprocess.run([base, "-m", "venv", "--without-pip", environment], check=True)
    [site] = environment.glob("lib/python3*/site-packages")
    (site / "keeper_injector_x").mkdir()
    source = "def later():\n    import not_installed_at_all\n    from sqlite3 import connect\n"
    (site / "keeper_injector_x/__init__.py").write_text(source, encoding="utf-8")

    done = subprocess.run([base, "-I", SCRIPT, output, environment], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "minimal_root: sqlite3 imports sqlite3, which is left out of the image; remove it from UNUSED" in done.stderr


def test_the_checked_python_is_that_of_the_base() -> None:
    """Wheels for arm64 are looked up for the version that the image has."""
    text = DOCKERFILES[0].read_text(encoding="utf-8")

    assert f"/python:{check_platforms.python_version(text)}." in text


EXEC = ROOT / "packages/keeper-injector-agent/src/keeper_injector_agent/exec"
CROSS = "aarch64-linux-gnu-gcc"


@pytest.mark.skipif(
    not shutil.which(CROSS), reason=f"no {CROSS}; apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
)
def test_keeper_exec_compiles_for_arm64(tmp_path: Path) -> None:
    """The recipe has no flag for one architecture, and the result is static. If there is an emulator, it runs."""
    output = tmp_path / "keeper-exec"
    environment = {**os.environ, "CC": CROSS, "VERSION": "9.9"}
    subprocess.run(["sh", EXEC / "build.sh", output], env=environment, check=True)

    machine = output.read_bytes()[18:20]  # e_machine in elf(5)
    assert int.from_bytes(machine, "little") == 183  # EM_AARCH64
    if emulator := shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static"):
        done = subprocess.run([emulator, output, "--version"], capture_output=True, text=True, check=True)
        assert "9.9" in done.stdout


def test_another_platform_has_its_own_names() -> None:
    """An image for arm64 never replaces that of this machine."""
    for image in IMAGES:
        other = attrs.evolve(image, architecture="arm64")
        assert other.tag == f"{image.tag}-arm64"
        assert other.archive == image.archive.replace(VERSION, f"{VERSION}-arm64")
    assert Builder("buildah", platform="linux/arm64").debian_tag == f"{Builder('buildah').debian_tag}-arm64"


@pytest.mark.parametrize("platform", builders.PLATFORMS)
def test_a_platform_without_an_emulator_is_refused(tmp_path: Path, platform: str) -> None:
    """Otherwise the first program of the build would fail with `exec format error`."""
    machine = builders.PLATFORMS[platform]
    if machine == os.uname().machine:
        builders.check_platform(platform, tmp_path)
        return
    with pytest.raises(BuildError, match=f"{platform}: this machine cannot run its programs; install qemu-user-static"):
        builders.check_platform(platform, tmp_path)

    (tmp_path / f"qemu-{machine}").touch()
    builders.check_platform(platform, tmp_path)


def test_the_platform_reaches_the_builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The image, and the base that is built here, are for the same platform."""
    log = tmp_path / "log"
    program = tmp_path / "buildah"
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    builder = Builder("buildah", platform="linux/arm64")

    builder.build(IMAGES[0], "")
    builder.debian(program)

    lines = log.read_text(encoding="utf-8").splitlines()
    assert [("--platform=linux/arm64" in line.split()) for line in lines] == [True, True]
