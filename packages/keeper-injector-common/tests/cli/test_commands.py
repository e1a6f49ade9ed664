"""Commands are imported when they are used, and the command of a missing or broken package harms no other command.

The tests run the program with ``python -S``, so that it sees only the packages that a test puts on its path.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from command_line import COMMAND, MANIFESTS, Result, run

SOURCES = Path(__file__).parents[2] / "src"
POD = "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n"


@pytest.fixture(name="libraries", scope="module")
def _libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the installed packages, as links, without the webhook and the agent."""
    directory = tmp_path_factory.mktemp("libraries")
    for item in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not any(name in item.name for name in ("keeper_injector_webhook", "keeper_injector_agent")):
            (directory / item.name).symlink_to(item)
    return directory


def run_with(*paths: Path, arguments: tuple[str, ...], text: str = "") -> Result:
    """Run ``keeper-injector`` with only *paths* and the standard library."""
    python, *module = COMMAND
    path = os.pathsep.join(map(str, (SOURCES, *paths)))
    done = subprocess.run(
        [python, "-S", *module, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path},
    )
    return Result(done.returncode, done.stdout, done.stderr)


def package(directory: Path, code: str) -> Path:
    """Write a package that registers the command ``preview`` with *code*; return the directory for the path."""
    metadata = directory / "keeper_injector_webhook-9.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: keeper-injector-webhook\nVersion: 9\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text("[keeper_injector.commands]\npreview = a_command\n", encoding="utf-8")
    (directory / "a_command.py").write_text(code, encoding="utf-8")
    return directory


def test_a_missing_package_is_named(libraries: Path) -> None:
    """A command whose package is not installed exits with 2 and says what to install."""
    found = run_with(libraries, arguments=("preview", "deployment.yaml"))
    assert (found.code, found.output) == (2, "")
    assert found.errors == (
        "keeper-injector: preview: this command is in a package that is not installed; "
        "run: pip install keeper-injector-webhook\n"
    )


def test_help_lists_the_command_of_a_missing_package(libraries: Path) -> None:
    """``--help`` lists ``preview`` whether or not the webhook package is installed."""
    assert "\n    preview " in run("--help").output
    assert run_with(libraries, arguments=("--help",)).output == run("--help").output


def test_completion_without_a_package(libraries: Path) -> None:
    """The completion script has all commands, even if one of them is not installed."""
    found = run_with(libraries, arguments=("completion", "bash"))
    assert (found.code, found.errors) == (0, "")
    assert "words='lint explain preview check render" in found.output


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("raise RuntimeError('oh')", "cannot import a_command: RuntimeError: oh; reinstall keeper-injector-webhook"),
        ("import not_there", "cannot import a_command: ModuleNotFoundError: No module named 'not_there'; reinstall"),
        ("DESCRIPTION = ''", "a_command is not a command; upgrade keeper-injector-webhook"),
    ],
    ids=["error", "import", "old"],
)
def test_a_broken_package_is_reported_by_its_command_alone(
    code: str, message: str, libraries: Path, tmp_path: Path
) -> None:
    """A package that cannot be imported makes its command exit with 2, with one line; other commands work."""
    broken = package(tmp_path, code)
    found = run_with(broken, libraries, arguments=("preview", "-"), text=POD)
    assert (found.code, found.output, found.errors.count("\n")) == (2, "", 1)
    assert found.errors.startswith(f"keeper-injector: preview: {message}")
    for arguments in (("lint", "-"), ("completion", "bash"), ("--help",)):
        other = run_with(broken, libraries, arguments=arguments, text=POD)
        assert (other.code, "a_command" in other.errors) == (0, False)


def test_a_registered_command_is_run(libraries: Path, tmp_path: Path) -> None:
    """The module of an entry point gets the arguments, and its result is the exit code."""
    code = """\
DESCRIPTION, EXAMPLES = "It counts.", "examples:"
def add_arguments(parser):
    parser.add_argument("words", nargs="+")
def run(options):
    print(len(options.words))
    return 1
"""
    found = run_with(package(tmp_path, code), libraries, arguments=("preview", "a", "b"))
    assert found == Result(1, "2\n", "")


def test_only_the_chosen_command_is_imported() -> None:
    """``lint`` imports no other command, and neither its patches nor its server from the webhook."""
    script = "import sys; from keeper_injector_common.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    command = [sys.executable, "-c", script, "lint", str(MANIFESTS / "rendered.yaml")]
    imported = set(subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).split())
    assert "keeper_injector_common.cli.lint" in imported
    others = {f"keeper_injector_common.cli.{name}" for name in ("completion", "explain", "migrate", "render", "schema")}
    assert not imported & {*others, "keeper_injector_webhook.preview", "starlette", "jsonpatch"}


def test_a_plugin_of_kubectl() -> None:
    """``kubectl keeper`` runs the program ``kubectl-keeper``, which names itself as it was called."""
    program = Path(sys.executable).with_name("kubectl-keeper")
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("usage: kubectl keeper ")
    again = subprocess.run(
        [program, "lint", str(MANIFESTS / "rendered.yaml")], capture_output=True, text=True, check=False
    )
    assert again.stdout == run("lint", str(MANIFESTS / "rendered.yaml")).output
