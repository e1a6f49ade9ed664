"""Checks that built wheels, and the source folders, work when pip installs them into an empty environment.

Usage: python -m check_distributions DIST
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

from check_workflow import check_workflow
from local_keeper import LocalKeeper

ROOT = Path(__file__).parents[2]
PACKAGES = ("keeper-injector-common", "keeper-injector-agent", "keeper-injector-webhook")
ASK = """
import sys
from importlib import import_module
from importlib.metadata import distribution
from importlib.resources import files
for name in sys.argv[1:]:
    module = name.replace("-", "_")
    found = distribution(name).metadata
    assert found["License-Expression"] == "MIT", f"{name}: licence is {found['License-Expression']}"
    assert found["Requires-Python"] == ">=3.11", f"{name}: needs Python {found['Requires-Python']}"
    assert files(module).joinpath("py.typed").is_file(), f"{name}: py.typed is missing"
    assert import_module(module).__version__ == found["Version"], f"{name}: __version__ is not the metadata's"
    print(*(script.name for script in distribution(name).entry_points.select(group="console_scripts")))
"""
"""What an environment is asked about *packages*: fails, or prints the names of their console scripts."""


def main(arguments: Sequence[str]) -> int:
    """Check each way of installing in a separate environment; a failure exits with the command and its output."""
    wheels = [_wheel(Path(arguments[0]), package) for package in PACKAGES]
    for wheel in wheels:
        _check_content(wheel)
    _check("built wheels", [str(wheel) for wheel in wheels], PACKAGES)
    _check("common and agent from the tree", [f"./packages/{package}" for package in PACKAGES[:2]], PACKAGES[:2])
    _check("common alone", [str(wheels[0])], PACKAGES[:1])
    _fetch_once(wheels[:2])
    check_workflow(Path(arguments[0]))
    return 0


def _wheel(dist: Path, package: str) -> Path:
    """Return the wheel of a package; there must be one wheel and one sdist."""
    [_sdist] = dist.glob(f"{package.replace('-', '_')}-*.tar.gz")
    [wheel] = dist.glob(f"{package.replace('-', '_')}-*.whl")
    return wheel.absolute()


def _check_content(wheel: Path) -> None:
    """Check that the wheel has only the package and its metadata, including the licence."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    module = wheel.name.partition("-")[0]
    strangers = [name for name in names if not name.startswith((f"{module}/", f"{module}-"))]
    if strangers or not any(name.endswith("licenses/LICENSE") for name in names):
        sys.exit(f"{wheel.name}: {strangers or 'LICENSE is missing'}")
    print(f"  {wheel.name}: {len(names)} files, {wheel.stat().st_size / 1024:.0f} KiB")


def _check(what: str, requirements: Sequence[str], packages: Sequence[str]) -> None:
    """Install with pip into an empty environment; check the metadata and run each console script."""
    with tempfile.TemporaryDirectory() as folder:
        run("uv", "venv", "--quiet", "--seed", folder)
        environment = Path(folder, "bin")
        run(str(environment / "python"), "-m", "pip", "install", "--quiet", *requirements)
        run(str(environment / "python"), "-m", "pip", "check")
        scripts = run(str(environment / "python"), "-I", "-c", ASK, *packages).split()
        for script in scripts:
            run(str(environment / script), "--help")
        if "keeper-injector-webhook" in packages:
            # The entry point is in the metadata of another package.
            run(str(environment / "keeper-injector"), "preview", "--help")
    print(f"  {what}: installed, typed, runs ({', '.join(scripts) or 'no console script'})")


def _fetch_once(wheels: Sequence[Path]) -> None:
    """Run the example of the agent's README with the built wheels: fetch a secret from local Keeper, without Kubernetes."""
    readme = (ROOT / "packages/keeper-injector-agent/README.md").read_text(encoding="utf-8")
    plan = json.loads(readme.partition("```json\n")[2].partition("```")[0])
    with tempfile.TemporaryDirectory() as folder, LocalKeeper.start() as keeper:
        run("uv", "venv", "--quiet", "--seed", f"{folder}/venv")
        run(f"{folder}/venv/bin/python", "-m", "pip", "install", "--quiet", *map(str, wheels))
        root = Path(folder, "out")
        for path in ("keeper/credentials", "keeper/state", "app"):
            (root / path).mkdir(parents=True)
        (root / "keeper/credentials/config").write_text(keeper.config(), encoding="utf-8")
        (root / "keeper/ca.crt").write_bytes(keeper.ca_file.read_bytes())
        # The README's plan is for the real Keeper, whose certificate is trusted by default.
        Path(folder, "plan.json").write_text(json.dumps({**plan, "caFile": "/keeper/ca.crt"}), encoding="utf-8")
        run(f"{folder}/venv/bin/keeper-injector-agent", "once", "--plan", f"{folder}/plan.json", "--root", str(root))
        found = (root / "app/password").read_text(encoding="utf-8")
    if found != "correct-horse-battery":
        sys.exit("keeper-injector-agent once: the file has another password than local Keeper's record")
    print("  built wheels: keeper-injector-agent once wrote the README's file from local Keeper")


def run(*command: str) -> str:
    """Run *command* in the repository and return its output; if it fails, print the output and exit."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
