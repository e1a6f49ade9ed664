"""Keeper's official SDKs and its command line, unmodified, agree on one table of expectations: ``sdks/expectations.json``.

Each driver is built in ``~/.cache/keeper-injector/sdks``. The Rust SDK and External Secrets' provider each take two
minutes of compilation, so they are tested on request: ``LOCAL_KEEPER_SDKS=rust pytest tools/local_keeper/tests/test_sdks.py`` (a
comma-separated list of folders of ``sdks``).
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_keeper import LocalKeeper
from local_keeper.cli import STATE

SOURCES = Path(__file__).parent / "sdks"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "keeper-injector/sdks"
CHOSEN = os.environ.get("LOCAL_KEEPER_SDKS", "python,javascript,go,java,ksm,external-secrets").split(",")
KSM = Path(__file__).parents[1] / "ksm.py"
KSM_KEY = 10
"""The only key of a server that ksm can use."""
HTTPS = 443


def _steps(sdk: str) -> list[dict[str, Any]]:
    """Return the operations and results of a driver: its own table, or the one that all SDKs agree on."""
    own = SOURCES / sdk / "expectations.json"
    table = own if own.exists() else SOURCES / "expectations.json"
    steps: list[dict[str, Any]] = json.loads(table.read_text(encoding="utf-8"))
    return [step for step in steps if sdk not in step.get("except", ())]


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


def _ksm(folder: Path) -> list[str]:
    """Install ``ksm`` into its own environment: it needs packages that this repository does not."""
    version = (folder / "requirements.txt").read_bytes()
    installed = folder / "venv/installed"
    if not installed.exists() or installed.read_bytes() != version:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "venv"], check=True)
        _fetch(str(folder / "venv/bin/pip"), "install", "--quiet", "--no-deps", "-r", "requirements.txt", folder=folder)
        installed.write_bytes(version)
    return [str(folder / "venv/bin/python"), str(folder / "driver.py"), str(KSM)]


BUILD: dict[str, Callable[[Path], list[str]]] = {
    "python": _python,
    "javascript": _javascript,
    "go": _go,
    "external-secrets": _go,
    "external-secrets-provider": _go,
    "java": _java,
    "rust": _rust,
    "ksm": _ksm,
}


@pytest.fixture(name="sdk", params=BUILD, scope="module")
def _sdk(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(name="driver", scope="module")
def _driver(sdk: str) -> list[str]:
    if sdk not in CHOSEN:
        pytest.skip(f"on request only: LOCAL_KEEPER_SDKS={sdk}")
    return _built(sdk)


def _built(sdk: str) -> list[str]:
    """Copy the sources into the cache and build there, one process at a time."""
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
def test_an_sdk_meets_the_expectations(sdk: str, driver: list[str], bound: bool, tmp_path: Path) -> None:
    """Reading, writing, folders, transactions and files work as with any other SDK."""
    steps = _steps(sdk)
    lines = "".join("\t".join(step["do"]) + "\n" for step in steps)
    port, key = (HTTPS if sdk == "rust" else 0), (KSM_KEY if sdk == "ksm" else 99)
    try:
        keeper = LocalKeeper.start(directory=tmp_path, port=port, key_id=key)
    except OSError as error:
        pytest.skip(f"the Rust SDK removes the port from the host name, and port {HTTPS} is not free: {error}")
    with keeper:
        config = keeper.config() if bound else _unbound(keeper)
        environment = {**os.environ, **_trust(keeper.ca_file, tmp_path), "KSM_CONFIG": config}
        environment["FOLDER"] = keeper.vault.find_folder("Production").uid
        environment.pop("SSL_CERT_DIR", None)
        done = subprocess.run(
            driver, input=lines, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100
        )
    assert done.returncode == 0, done.stderr
    results = done.stdout.splitlines()
    different = [
        f"{' '.join(step['do'])}: {result!r}, expected {step['expect']!r}"
        for step, result in zip(steps, results, strict=False)
        if result.split("\t")[0] != step["expect"]
    ]
    assert (different, len(results)) == ([], len(steps)), done.stderr


@pytest.fixture(name="ksm", scope="module")
def _launcher() -> list[str]:
    """Return the documented command, in the environment of ksm's driver."""
    if "ksm" not in CHOSEN:
        pytest.skip("on request only: LOCAL_KEEPER_SDKS=ksm")
    return [_built("ksm")[0], str(KSM)]


def test_ksm_runs_from_a_shell(ksm: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person starts with a one-time token, and then lists, reads, changes and reads again; each command is a process."""
    monkeypatch.delenv("KSM_CONFIG", raising=False)
    with LocalKeeper.start(directory=tmp_path / "state", key_id=KSM_KEY) as keeper:
        (tmp_path / "state/config").write_text(keeper.config(), encoding="ascii")
        variables = {"LOCAL_KEEPER_STATE": str(tmp_path / "state"), "REQUESTS_CA_BUNDLE": str(keeper.ca_file)}

        def shell(*arguments: str) -> str:
            done = _run(*ksm, *arguments, folder=tmp_path, HOME=str(tmp_path), **variables)
            assert done.returncode == 0, done.stderr
            return done.stdout

        at = ("--ini-file", "keeper.ini")
        shell("profile", "init", *at, "--hostname", keeper.hostname, "--token", keeper.token())
        assert (tmp_path / "keeper.ini").stat().st_mode & 0o777 == 0o600
        assert "production-db-password" in shell(*at, "secret", "list")
        uid = json.loads(shell(*at, "secret", "get", "--title", "api-keys", "--json"))["uid"]
        assert uid == keeper.uid("api-keys")
        shell(*at, "secret", "update", "--uid", uid, "--field", "password=from-a-shell")
        assert shell(*at, "secret", "notation", f"keeper://{uid}/field/password") == "from-a-shell"


@pytest.mark.parametrize(
    ("key_id", "text", "message"),
    [
        (99, None, "ksm knows key 10, and the server has key 99; run: local-keeper serve --key-id 10"),
        (KSM_KEY, "", "no server left"),
        (KSM_KEY, "nonsense", "KSM_CONFIG is not a configuration of local Keeper"),
    ],
    ids=["another key", "no configuration", "not a configuration"],
)
def test_the_ksm_launcher_says_what_to_do(
    ksm: list[str], tmp_path: Path, key_id: int, text: str | None, message: str
) -> None:
    """One line on standard error, and an exit code."""
    with LocalKeeper.start(directory=tmp_path, key_id=key_id) as keeper:
        variables = {"KSM_CONFIG": keeper.config() if text is None else text, "LOCAL_KEEPER_STATE": str(tmp_path)}
    done = _run(*ksm, "secret", "list", folder=tmp_path, **variables)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (64, "", 1)
    assert message in done.stderr


def test_the_ksm_launcher_looks_where_the_server_leaves_its_configuration() -> None:
    """The launcher runs without local Keeper's package, so the place is written in both."""
    assert runpy.run_path(str(KSM))["STATE"] == STATE
