"""The tasks of people and CI. `./tools/run` lists them and `./tools/run NAME` runs one.

All sessions share .venv, where editors find it. A session installs what it needs there once.
"""

import hashlib
import itertools
import logging
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
VENV = ROOT / ".venv"
PACKAGES = sorted(path.parent.relative_to(ROOT) for path in ROOT.glob("packages/*/pyproject.toml"))
SOURCES = ("packages", "charts", "integration-tests", "tools")
DOCUMENTATION_TESTS = "packages/keeper-injector-common/tests/documentation"
CONSTRAINTS = "tools/constraints.txt"
PINNED_BUILD = ("--build-constraints", CONSTRAINTS)
COMPILE = (
    *("compile", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--custom-compile-command", "./tools/run lock"),
)
IMAGE_REQUIREMENTS = {
    "common": ("packages/keeper-injector-common", "pkcs12"),
    "agent": ("packages/keeper-injector-agent", ""),
    "agent-cloud": ("packages/keeper-injector-agent", "aws,azure,gcp"),
    "webhook": ("packages/keeper-injector-webhook", "certificates"),
}
"""What each image installs: a package and its extras. `lock` pins it, with hashes, in tools/image-requirements."""
EXTRAS = {"keeper-injector-agent": "[aws,azure,gcp]", "keeper-injector-webhook": "[certificates]"}

PREFIX = "keeper-injector-"

Command = tuple[str, ...]

DEMO = ("demo",)
DEVELOPMENT = ("test", "lint", "docs", "release")
"""Groups of tools/pyproject.toml. With any group besides the demo's, the extras of the packages are installed too."""

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "test"]

# The programs report what they did. `nox --verbose` shows the commands.
if not {"-v", "--verbose"} & set(sys.argv):
    logging.getLogger("nox").setLevel(logging.WARNING)

TOOLS = (str(ROOT / "tools"), str(ROOT / "tools/development"))
sys.path[:0] = TOOLS
import pip_settings  # noqa: E402 (the import needs tools/development on the path)

os.environ["VIRTUAL_ENV"] = str(VENV)
os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = os.pathsep.join(TOOLS)


@nox.session
def demo(session: nox.Session) -> None:
    """Show how a secret gets from Keeper to a file in a pod, on this machine and without a cluster."""
    install(session, DEMO)
    # Ctrl-C ends `--keep`; the demo needs some seconds to stop what it started.
    session.run("python", "-m", "demo", *session.posargs, interrupt_timeout=10)


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests, or a part: common, agent, webhook, chart, docs, tools; pytest gets the other arguments."""
    install(session, DEVELOPMENT)
    folders = {short(package): str(package) for package in PACKAGES} | {
        "tools": "tools",
        "chart": "charts",
        "docs": DOCUMENTATION_TESTS,
    }
    # pytest's last line shows the result; nox would only repeat a failure.
    logging.getLogger("nox").setLevel(logging.CRITICAL)
    build_keeper_exec(session)
    session.run("python", "-m", "pytest", *(folders.get(argument, argument) for argument in session.posargs))


@nox.session(name="test-python")
def test_python(session: nox.Session) -> None:
    """Run unit tests with another Python version: `test-python 3.13 common`; default: common and webhook."""
    version, *arguments = session.posargs or ["3.14"]
    install(session, DEVELOPMENT)
    folders = {short(package): str(package) for package in PACKAGES}
    environment = ROOT / f".cache/python-{version}"
    python = environment / "bin/python"
    made = ("--quiet", "--allow-existing", "--no-python-downloads", "--python", version, str(environment))
    session.run("uv", "venv", *made)
    editables = [f"--editable={package}{EXTRAS.get(package.name, '')}" for package in PACKAGES]
    wanted = (*editables, *groups_of_tools(*DEVELOPMENT))
    uv(session, "install", "--python", python, "--constraints", CONSTRAINTS, *PINNED_BUILD, *wanted)
    chosen = [folders.get(argument, argument) for argument in arguments or ["common", "webhook"]]
    logging.getLogger("nox").setLevel(logging.CRITICAL)
    path = f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
    session.run(str(python), "-m", "pytest", *chosen, env={"VIRTUAL_ENV": str(environment), "PATH": path})


@nox.session
def lint(session: nox.Session) -> None:
    """Run all checks that are not tests: ruff, shellcheck, hadolint, mypy, import-linter, plain English, the chart's linters."""
    install(session, DEVELOPMENT)
    each(session, [*ruff(), *shell(), *dockerfiles(), *type_checks(), *import_contracts(), *english(), *linters()])


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with mypy in strict mode."""
    install(session, DEVELOPMENT)
    each(session, type_checks())


@nox.session
def imports(session: nox.Session) -> None:
    """Check the import contracts with import-linter."""
    install(session, DEVELOPMENT)
    each(session, import_contracts())


@nox.session
def docs(session: nox.Session) -> None:
    """Check generated pages; `--write` updates them, `--build` builds the site in build/site, `--serve` serves it."""
    install(session, DEVELOPMENT)
    if {"--serve", "--build"} & set(session.posargs):
        site(session)
        return
    arguments = [] if "--write" in session.posargs else ["--check"]
    generators = sorted(
        path.stem for path in ROOT.glob("tools/development/generators/[a-z]*.py") if path.stem != "output"
    )
    each(session, [("python", "-m", f"generators.{name}", *arguments) for name in generators])


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks and check their budgets: all, or those named, with their arguments: `bench admission`."""
    install(session, DEVELOPMENT)
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), session.posargs))
    arguments = session.posargs[len(names) :]
    each(session, [("python", script, *arguments) for script in scripts("bench", names)])


@nox.session
def soak(session: nox.Session) -> None:
    """Run soak tests under faults: all, or those named, with their arguments: `soak agent --refreshes 1000`."""
    install(session, DEVELOPMENT)
    names = list(itertools.takewhile(lambda argument: not argument.startswith("-"), session.posargs))
    arguments = session.posargs[len(names) :]
    each(session, [("python", script, *arguments) for script in scripts("soak", names)])


@nox.session
def integration(session: nox.Session) -> None:
    """Run the tests on a cluster: `--cluster local|kind|current-context`; pytest gets the other arguments."""
    install(session, DEVELOPMENT)
    logging.getLogger("nox").setLevel(logging.CRITICAL)
    session.run("python", "-m", "integration", *session.posargs, interrupt_timeout=30)


@nox.session
def cluster(session: nox.Session) -> None:
    """Manage a Kubernetes node that needs no Docker: up, down, load, kubectl."""
    install(session, DEVELOPMENT)
    session.run("python", "-m", "cluster", *session.posargs, interrupt_timeout=30)


@nox.session
def images(session: nox.Session) -> None:
    """Build the container images with docker, podman or buildah."""
    install(session, DEVELOPMENT)
    session.run("python", "-m", "images", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Pin all dependencies in tools/constraints.txt; `lock --upgrade` updates them."""
    # As a path, keeper-injector-common satisfies the ranges of the other packages even if no registry has it. It is not pinned.
    sibling = Path(session.create_tmp(), "sibling.txt")
    sibling.write_text(str(ROOT / "packages/keeper-injector-common"))
    sources = [sibling, *(package / "pyproject.toml" for package in PACKAGES)]
    groups = groups_of_tools("bootstrap", *DEVELOPMENT)
    to = ("--no-emit-package", "keeper-injector-common", "--output-file", CONSTRAINTS)
    uv(session, *COMPILE, *session.posargs, *sources, "--all-extras", *groups, *to)
    to = ("--constraints", CONSTRAINTS, "--output-file", "tools/bootstrap.txt")
    uv(session, *COMPILE, *groups_of_tools("bootstrap"), *to)
    pinned = ("--constraints", CONSTRAINTS, "--no-emit-package", "keeper-injector-common", "--output-file")
    folder = "tools/image-requirements"
    for name, (package, extras) in IMAGE_REQUIREMENTS.items():
        chosen = [f"--extra={extra}" for extra in extras.split(",") if extra]
        sources = [ROOT / package / "pyproject.toml", *([] if name == "common" else [sibling])]
        uv(session, *COMPILE, *sources, *chosen, *pinned, f"{folder}/{name}.txt")
    uv(session, *COMPILE, *groups_of_tools("image-build"), *pinned, f"{folder}/build.txt")
    uv(session, *COMPILE, *groups_of_tools("local-keeper"), *pinned, f"{folder}/local-keeper.txt")
    # checkov is installed elsewhere, because its dependencies contradict ours.
    linters = "tools/development/linters"
    uv(session, *COMPILE, *session.posargs, f"{linters}/checkov.in", "--output-file", f"{linters}/checkov.txt")


@nox.session
def release(session: nox.Session) -> None:
    """Build all that is shipped, with SBOMs and digests; with a package and a version, make its release first."""
    install(session, DEVELOPMENT)
    if not session.posargs or session.posargs[0].startswith("-"):
        session.run("python", "-m", "artifacts", *session.posargs)
        return
    build_keeper_exec(session)
    session.run("python", "-m", "release", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdists and wheels in dist/, try each in an empty environment, and check that images have wheels for amd64 and arm64."""
    install(session, DEVELOPMENT)
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    build_keeper_exec(session)
    for package in PACKAGES:
        # Build both from the tree: a wheel built from an sdist would lack keeper-exec.
        session.run("uv", "build", "--quiet", "--sdist", "--wheel", *PINNED_BUILD, "-o", "dist", str(package))
    session.run("python", "-m", "check_distributions", "dist")
    session.run("python", "-m", "check_platforms")


def install(session: nox.Session, groups: tuple[str, ...]) -> None:
    """Install the packages in place and the dependencies of *groups*, unless nothing has changed since the last time."""
    extras = {} if groups == DEMO else EXTRAS
    editables = [f"--editable={package}{extras.get(package.name, '')}" for package in PACKAGES]
    wanted = [*editables, *groups_of_tools(*groups)]
    declarations = [ROOT / CONSTRAINTS, ROOT / "tools/pyproject.toml", *(ROOT / p / "pyproject.toml" for p in PACKAGES)]
    state = hashlib.sha256(repr([wanted, *(path.read_bytes() for path in declarations)]).encode()).hexdigest()
    stamp = VENV / f"installed-{groups[0]}"
    if stamp.is_file() and stamp.read_text() == state:
        return
    print(f"installing the dependencies of {session.name} (once)", file=sys.stderr)
    # uv verifies each hash in the constraints and accepts the packages of the tree, which have no hash. pip refuses them.
    uv(session, "install", "--constraints", CONSTRAINTS, *PINNED_BUILD, *wanted)
    stamp.write_text(state)


def build_keeper_exec(session: nox.Session) -> None:
    """Compile keeper-exec into the tree if there is a compiler. Without it, its tests are skipped with a reason."""
    if sys.platform == "linux" and (shutil.which("musl-gcc") or shutil.which("cc")):
        session.run("sh", "packages/keeper-injector-agent/src/keeper_injector_agent/exec/build.sh")


def uv(session: nox.Session, *arguments: str | Path) -> None:
    """Run `uv pip` with the settings that this machine has for pip."""
    environment = pip_settings.for_uv(pip_settings.configured(), os.environ)
    session.run("uv", "pip", arguments[0], "--quiet", *arguments[1:], env=environment)


def groups_of_tools(*names: str) -> list[str]:
    """Return groups of tools/pyproject.toml as arguments of uv."""
    return [f"--group=tools/pyproject.toml:{name}" for name in names]


def each(session: nox.Session, commands: Iterable[Command]) -> None:
    """Run all *commands*, even if one fails, so that one run shows all problems."""
    commands = list(commands)
    if not commands:
        session.skip("nothing to check")
    failed = [command for command in commands if not succeeds(session, command)]
    if failed:
        session.error(f"{len(failed)} of {len(commands)} checks failed, see above")


def succeeds(session: nox.Session, command: Command) -> bool:
    """Run *command* and return whether it succeeded."""
    try:
        session.run(*command)
    except CommandFailed:
        return False
    return True


def site(session: nox.Session) -> None:
    """Build the documentation's site, or serve it on loopback until Ctrl-C and build it again when a file changes."""
    serving = "--serve" in session.posargs
    arguments = [argument for argument in session.posargs if argument not in {"--serve", "--build"}]
    command = ("serve", "--dev-addr", "127.0.0.1:8000") if serving else ("build",)
    configuration = "tools/development/docs_site/mkdocs.yml"
    # Without this, each build prints an announcement of the theme's successor.
    silent = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("python", "-m", "mkdocs", *command, "-f", configuration, *arguments, env=silent, interrupt_timeout=10)
    if not serving:
        print("built build/site")


def ruff() -> list[Command]:
    """Return the commands that check rules and formatting."""
    return [("ruff", "check", "--output-format=concise"), ("ruff", "format", "--check")]


def shell() -> list[Command]:
    """Return the command that checks shell scripts: three without a suffix, and every *.sh."""
    return [("shellcheck", "tools/run", "tools/development/cluster/bin/kind", ".ci/run", *sources_named("*.sh"))]


def dockerfiles() -> list[Command]:
    """Return the command that checks every Dockerfile."""
    found = sources_named("Dockerfile*")
    return [("hadolint", *found)] if found else []


def type_checks() -> list[Command]:
    """Return the commands that check the types of packages, tools and single scripts, including this file."""
    names = [package.name.replace("-", "_") for package in PACKAGES]
    names += sorted(path.parent.name for folder in TOOLS for path in Path(folder).glob("*/__init__.py"))
    scripts = ["noxfile.py", *sources_named("hatch_build.py"), *map(str, ROOT.glob("tools/development/*.py"))]
    return [("mypy", *(f"--package={name}" for name in names)), ("mypy", *scripts)]


def import_contracts() -> list[Command]:
    """Return the command that checks the contracts of .importlinter."""
    return [("lint-imports", "--no-logo", "--cache-dir", ".cache/import-linter")]


def english() -> list[Command]:
    """Return the command that finds the phrases forbidden by .github/STYLE.md."""
    return [("python", "-m", "english")]


def linters() -> list[Command]:
    """Return the command that runs kubeconform, kube-score, promtool, Grafana's schema and checkov on what the chart renders."""
    return [("python", "-m", "linters")]


def sources_named(pattern: str) -> list[str]:
    """Return the files with a name like *pattern* in the source folders."""
    return sorted(str(path.relative_to(ROOT)) for folder in SOURCES for path in ROOT.glob(f"{folder}/**/{pattern}"))


def scripts(kind: str, names: Sequence[str]) -> list[str]:
    """Return the scripts packages/*/bench/KIND_NAME.py: all, or those whose NAME is in *names*."""
    found = sorted(ROOT.glob(f"packages/*/bench/{kind}_*.py"))
    return [str(path.relative_to(ROOT)) for path in found if not names or path.stem.removeprefix(f"{kind}_") in names]


def short(package: Path) -> str:
    """Return the short name of *package*: `agent`."""
    return package.name.removeprefix(PREFIX)
