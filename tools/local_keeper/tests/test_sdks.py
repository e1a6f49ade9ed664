"""Keeper's official SDKs, unmodified, agree on one table of expectations: ``sdks/expectations.json``.

Each driver is built in ``~/.cache/keeper-injector/sdks``. The Rust SDK takes two minutes of compilation, so it is tested on request:
``LOCAL_KEEPER_SDKS=rust pytest tools/local_keeper/tests/test_sdks.py`` (a comma-separated list of folders of ``sdks``).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local_keeper import LocalKeeper

SOURCES = Path(__file__).parent / "sdks"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "keeper-injector/sdks"
CHOSEN = os.environ.get("LOCAL_KEEPER_SDKS", "python,javascript,go,java").split(",")
HTTPS = 443
TABLE = json.loads((SOURCES / "expectations.json").read_text(encoding="utf-8"))


def _run(*command: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run(
        command, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600
    )


def _fetch(*command: str, folder: Path, **environment: str) -> None:
    """Download dependencies, or skip the test: the registry may be unreachable."""
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = _run(*command, folder=folder, **environment)
    if done.returncode:
        pytest.skip(f"{' '.join(command[:2])} failed: {(done.stderr + done.stdout).strip()[-300:]}")


def _compile(*command: str, folder: Path, **environment: str) -> None:
    done = _run(*command, folder=folder, **environment)
    assert done.returncode == 0, done.stderr + done.stdout


def _python(_folder: Path) -> list[str]:
    return [sys.executable, str(SOURCES / "python/driver.py")]


def _javascript(folder: Path) -> list[str]:
    version = (folder / "package.json").read_bytes()
    installed = folder / "node_modules/installed"
    if not installed.exists() or installed.read_bytes() != version:
        _fetch("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", folder=folder)
        installed.write_bytes(version)
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    return ["node", str(folder / "driver.js")]


def _go(folder: Path) -> list[str]:
    _fetch("go", "mod", "download", folder=folder, GOFLAGS="-mod=mod")
    _compile("go", "build", "-o", "driver", ".", folder=folder)
    return [str(folder / "driver")]


def _java(folder: Path) -> list[str]:
    version = (folder / "pom.xml").read_bytes()
    installed = folder / "jars/installed"
    if not installed.exists() or installed.read_bytes() != version:
        _fetch("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars", folder=folder)
        installed.write_bytes(version)
    if not shutil.which("javac"):
        pytest.skip("javac is not installed")
    _compile("javac", "-cp", "jars/*", "-d", "classes", "Driver.java", folder=folder)
    return ["java", "-cp", f"{folder}/classes:{folder}/jars/*", "-Djavax.net.ssl.trustStorePassword=changeit", "Driver"]


def _rust(folder: Path) -> list[str]:
    _fetch("cargo", "fetch", "--locked", folder=folder)
    _compile("cargo", "build", "--locked", "--offline", "-j2", folder=folder)
    return [str(folder / "target/debug/driver")]


BUILD: dict[str, Callable[[Path], list[str]]] = {
    "python": _python,
    "javascript": _javascript,
    "go": _go,
    "java": _java,
    "rust": _rust,
}


@pytest.fixture(name="driver", params=BUILD, scope="module")
def _driver(request: pytest.FixtureRequest) -> list[str]:
    """Copy the sources into the cache and build there, one process at a time."""
    sdk: str = request.param
    if sdk not in CHOSEN:
        pytest.skip(f"on request only: LOCAL_KEEPER_SDKS={sdk}")
    folder = CACHE / sdk
    folder.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{sdk}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.copytree(SOURCES / sdk, folder, dirs_exist_ok=True)
        return BUILD[sdk](folder)


def _unbound(keeper: LocalKeeper) -> str:
    """Return a configuration with a one-time token that no client has used."""
    names = ("hostname", "serverPublicKeyId", "serverPublicKey")
    config = {name: value for name, value in keeper.config_dict().items() if name in names}
    config["clientKey"] = keeper.token()
    return base64.b64encode(json.dumps(config).encode()).decode()


def _trust(ca: Path, folder: Path) -> dict[str, str]:
    """Return the variables that make each SDK trust this CA. Java needs a key store."""
    trust = {"REQUESTS_CA_BUNDLE": str(ca), "NODE_EXTRA_CA_CERTS": str(ca), "SSL_CERT_FILE": str(ca)}
    if shutil.which("keytool"):
        store = folder / "trust.p12"
        command = ("keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", str(ca), "-keystore", str(store))
        _compile(*command, "-storetype", "PKCS12", "-storepass", "changeit", folder=folder)
        trust["JAVA_TOOL_OPTIONS"] = f"-Djavax.net.ssl.trustStore={store}"
    return trust


@pytest.mark.timeout(600)
@pytest.mark.parametrize("bound", [True, False], ids=["bound", "one-time token"])
def test_an_sdk_meets_the_expectations(driver: list[str], bound: bool, tmp_path: Path) -> None:
    """Reading, writing, folders, transactions and files work as with any other SDK."""
    lines = "".join("\t".join(step["do"]) + "\n" for step in TABLE)
    try:
        keeper = LocalKeeper.start(directory=tmp_path, port=HTTPS if driver[0].endswith("target/debug/driver") else 0)
    except OSError as error:
        pytest.skip(f"the Rust SDK removes the port from the host name, and port {HTTPS} is not free: {error}")
    with keeper:
        config = keeper.config() if bound else _unbound(keeper)
        environment = {**os.environ, **_trust(keeper.ca_file, tmp_path), "KSM_CONFIG": config}
        environment.pop("SSL_CERT_DIR", None)
        done = subprocess.run(
            driver, input=lines, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
        )
    assert done.returncode == 0, done.stderr
    results = done.stdout.splitlines()
    different = [
        f"{' '.join(step['do'])}: {result!r}, expected {step['expect']!r}"
        for step, result in zip(TABLE, results, strict=False)
        if result.split("\t")[0] != step["expect"]
    ]
    assert (different, len(results)) == ([], len(TABLE)), done.stderr
