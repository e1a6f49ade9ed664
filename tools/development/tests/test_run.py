"""tools/run on machines with missing programs: PATH contains only scripts that replace Python and uv and record their calls."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import attrs
import pytest

TOOLS = Path(__file__).parents[2]
COREUTILS = ("cat", "cmp", "cp", "dirname", "mkdir", "sh", "uname")

PYTHON = """\
#!/bin/sh
case "$*" in
    --version) echo "Python {version}" ;;
    *version_info*) exit {too_old} ;;
    *ensurepip*) exit {without_venv} ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *) echo "python$(printf ' <%s>' "$@") SSL_CERT_FILE=$SSL_CERT_FILE UV_SYSTEM_CERTS=$UV_SYSTEM_CERTS" >>notes ;;
esac
"""
UV = """\
#!/bin/sh
echo "uv $*" >>notes
[ "$1" != venv ] || { mkdir -p .venv/bin && cp python-of-uv .venv/bin/python; }
"""


@attrs.frozen
class Machine:
    """A clone of the repository and the programs on PATH."""

    clone: Path
    path: Path

    def has_python(self, name: str = "python3", *, version: str = "3.12.4", venv: bool = True) -> None:
        """Put a Python on PATH."""
        _write(self.path / name, _python(version, venv=venv))

    def has_uv(self) -> None:
        """Put uv on PATH; it creates environments with its own Python."""
        _write(self.path / "uv", UV)
        _write(self.clone / "python-of-uv", _python("3.13.1", venv=True))

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Call tools/run from elsewhere."""
        return subprocess.run(
            [self.clone / "tools/run", *arguments],
            cwd=self.path,
            env={"PATH": str(self.path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def notes(self) -> str:
        """The recorded calls since the last time."""
        notes = self.clone / "notes"
        text = notes.read_text() if notes.exists() else ""
        notes.unlink(missing_ok=True)
        return text


def _python(version: str, *, venv: bool) -> str:
    too_old = tuple(map(int, version.split("."))) < (3, 11)
    return PYTHON.replace("{version}", version).format_map(
        {"version": version, "too_old": int(too_old), "without_venv": int(not venv)}
    )


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Machine:
    """A machine with a shell, and a clone in a folder whose name contains a space."""
    clone, path = tmp_path / "a clone", tmp_path / "bin"
    (clone / "tools/development").mkdir(parents=True)
    path.mkdir()
    for name in ("run", "bootstrap.txt", "development/show_sessions.py"):
        shutil.copy(TOOLS / name, clone / "tools" / name)
    for name in COREUTILS:
        found = shutil.which(name)
        assert found
        (path / name).symlink_to(found)
    return Machine(clone, path)


def test_first_start_installs_pinned_and_hashed(machine: Machine) -> None:
    """The first start makes .venv, installs what bootstrap.txt pins, says so on stderr, and runs the session."""
    machine.has_python()

    done = machine.run("test")

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "creating .venv with Python 3.12.4 (once" in done.stderr
    install, session = machine.notes().splitlines()
    assert "<pip> <install>" in install
    assert "<--require-hashes> <--requirement> <tools/bootstrap.txt>" in install
    assert session.startswith("python <-m> <nox> <--session> <test> <-->")


def test_second_start_only_hands_over(machine: Machine) -> None:
    """A second start installs nothing, prints nothing, and passes arguments on unchanged."""
    machine.has_python()
    machine.run("test")
    machine.notes()

    done = machine.run("test", "agent", "-k", "atomic or mode")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert machine.notes().startswith("python <-m> <nox> <--session> <test> <--> <agent> <-k> <atomic or mode> ")


def test_two_dashes_before_arguments_are_optional(machine: Machine) -> None:
    """`run test -- -x` is `run test -x`, for those who know nox."""
    machine.has_python()
    machine.run("test")
    machine.notes()

    machine.run("test", "--", "-x")

    assert machine.notes().startswith("python <-m> <nox> <--session> <test> <--> <-x> ")


@pytest.mark.parametrize("damage", ["pins moved", "interpreter gone"])
def test_a_stale_environment_is_recreated(machine: Machine, damage: str) -> None:
    """If the pins change or its Python is uninstalled, .venv is created again."""
    machine.has_python()
    machine.run("test")
    machine.notes()
    if damage == "pins moved":
        (machine.clone / "tools/bootstrap.txt").write_text("nox==1\n")
    else:
        (machine.clone / ".venv/bin/python").unlink()

    done = machine.run("test")

    assert "creating .venv" in done.stderr
    assert "<pip> <install>" in machine.notes()


def test_failed_installation_is_not_taken_for_complete(machine: Machine) -> None:
    """If pip fails, the start fails and names the settings to check; the next start retries."""
    machine.has_python()
    python = machine.path / "python3"
    good = python.read_text()
    _write(python, good.replace("    *) echo", '    *"pip install"*) exit 1 ;;\n    *) echo'))

    done = machine.run("test")

    assert done.returncode == 69
    assert "PIP_INDEX_URL, PIP_CERT and HTTPS_PROXY" in done.stderr
    _write(python, good)
    assert "creating .venv" in machine.run("test").stderr


def test_uv_alone_is_enough(machine: Machine) -> None:
    """Without any Python, uv finds one and installs the same pins."""
    machine.has_uv()

    done = machine.run("test")

    assert done.returncode == 0, done.stderr
    venv, install, session = machine.notes().splitlines()
    assert venv == "uv venv --quiet --clear --python >=3.11,<3.15 .venv"
    assert install.endswith("--require-hashes --requirement tools/bootstrap.txt")
    assert "<nox> <--session> <test>" in session


def test_uv_stands_in_for_a_missing_venv(machine: Machine) -> None:
    """A Python without venv is good enough when uv is there, and is the one that is used."""
    machine.has_python(venv=False)
    machine.has_uv()

    done = machine.run("test")

    assert done.returncode == 0, done.stderr
    assert machine.notes().startswith(f"uv venv --quiet --clear --python {machine.path}/python3 .venv\n")


@pytest.mark.parametrize(
    ("name", "version", "venv", "sentence"),
    [
        ("python3", "3.9.18", True, "Python 3.11 or newer is needed, found Python 3.9.18; run: "),
        ("python", "2.7.18", True, "Python 3.11 or newer is needed, found none; run: "),
        ("python3.11", "3.11.2", False, "cannot create virtual environments; run: apt install python3-venv"),
    ],
    ids=["too old", "too old and unversioned", "Debian without python3-venv"],
)
def test_what_is_missing_is_one_sentence(machine: Machine, name: str, version: str, venv: bool, sentence: str) -> None:
    """The sentence says what is needed, what was found, and the command that helps; nothing is left behind."""
    machine.has_python(name, version=version, venv=venv)

    done = machine.run("test")

    assert done.returncode == 69
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (machine.clone / ".venv").exists()


def test_the_newest_usable_python_is_taken(machine: Machine) -> None:
    """A shim that fails, as pyenv's do for versions not chosen, is passed over."""
    _write(machine.path / "python3.14", "#!/bin/sh\nexit 127\n")
    machine.has_python("python3.12", version="3.12.4")
    machine.has_python("python3", version="3.8.2")

    assert "creating .venv with Python 3.12.4" in machine.run("test").stderr


def test_python_may_be_chosen(machine: Machine) -> None:
    """PYTHON=… names the Python of the first start."""
    machine.has_python("python3.12", version="3.12.4")
    machine.has_python("my-python", version="3.11.9")

    assert "creating .venv with Python 3.11.9" in machine.run("test", PYTHON="my-python").stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"SSL_CERT_FILE": "/uv.pem", "PIP_CERT": "/pip.pem"}, "SSL_CERT_FILE=/uv.pem UV_SYSTEM_CERTS="),
        ({"PIP_CERT": "/pip.pem"}, "SSL_CERT_FILE=/pip.pem UV_SYSTEM_CERTS="),
        ({"REQUESTS_CA_BUNDLE": "/requests.pem"}, "SSL_CERT_FILE=/requests.pem UV_SYSTEM_CERTS="),
        ({"UV_SYSTEM_CERTS": "false"}, "SSL_CERT_FILE= UV_SYSTEM_CERTS=false"),
    ],
    ids=["uv's own", "pip's", "requests'", "system's store refused"],
)
def test_certificates_of_this_machine(machine: Machine, given: dict[str, str], told: str) -> None:
    """uv trusts the CA that is configured for pip, unless uv has its own setting."""
    machine.has_python()

    machine.run("test", **given)

    assert machine.notes().splitlines()[-1].endswith(told)


def test_without_session_the_sessions_are_shown(machine: Machine) -> None:
    """No argument, or a call for help, lists what there is."""
    machine.has_python()

    machine.run()

    assert "python <tools/development/show_sessions.py> " in machine.notes()
