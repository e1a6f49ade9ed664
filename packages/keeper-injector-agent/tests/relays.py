"""A relay for tests: the real process beside local Keeper, and Debian's nginx, or Python's web server where it is missing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
from agent_pods import AgentPod, wait_for
from sidecars import free_port

from keeper_injector_agent.errors import VaultError
from keeper_injector_agent.relay.application import Application, RelayLimits
from keeper_injector_agent.relay.commands import PODS_HALF, RELAY_HALF
from keeper_injector_common.plan.paths import CREDENTIALS_PATH
from local_keeper import LocalKeeper

PATIENCE = 30.0
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@attrs.frozen
class Web:
    """A web server over a directory."""

    root: Path
    port: int

    @property
    def url(self) -> str:
        """The URL for ``split``."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web_server(root: Path, state: Path) -> Iterator[Web]:
    """Serve *root*; *state* is a directory for the server's own files."""
    root.mkdir(parents=True, exist_ok=True)
    state.mkdir(parents=True, exist_ok=True)
    port = free_port()
    with subprocess.Popen(_server_command(root, state, port), stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: _accepts(port), PATIENCE)
            yield Web(root, port)
        finally:
            process.terminate()


def _server_command(root: Path, state: Path, port: int) -> list[str]:
    if NGINX is None:
        return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(root), str(port)]
    temporary = "".join(
        f"{name}_temp_path {state}/{name}; " for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.getuid() == 0 else ""
    (state / "nginx.conf").write_text(
        f"{user}daemon off; pid {state}/pid; error_log stderr crit; worker_processes 1; events {{ worker_connections 20000; }} "
        f"http {{ access_log off; {temporary} server {{ listen 127.0.0.1:{port}; root {root}; autoindex off; }} }}",
        encoding="utf-8",
    )
    return [NGINX, "-e", "stderr", "-p", str(state), "-c", str(state / "nginx.conf")]


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def split(keeper: LocalKeeper, url: str, directory: Path, *options: str) -> tuple[Path, Path]:
    """Split the configuration of *keeper* by the command; return the files of the relay's half and of the pods' half."""
    directory.mkdir(parents=True, exist_ok=True)
    config = directory / "ksm-config"
    config.write_text(keeper.config(), encoding="utf-8")
    command = [sys.executable, "-m", "keeper_injector_agent", "split", "--config", str(config), "--relay", url]
    subprocess.run([*command, "--output", str(directory), *options], check=True, capture_output=True)
    return directory / RELAY_HALF, directory / PODS_HALF


def application(half: Path, root: Path, keeper: LocalKeeper, **limits: int) -> Application:
    """Return an application that is relayed in this process."""
    return Application("shop", half, root, keeper.ca_file, RelayLimits(**limits))


class RelayedPod(AgentPod):
    """A pod behind a relay, which asks Keeper before every command of the agent."""

    def __init__(self, root: Path, keeper: LocalKeeper, application: Application, half: Path) -> None:
        super().__init__(root, keeper)
        self._application = application
        self.put(CREDENTIALS_PATH, half.read_text(encoding="utf-8"))

    def command(self, command: str, *options: str) -> list[str]:
        """Let the relay publish what Keeper has now, and return the command line of a command of the agent."""
        if command in {"init", "once", "sidecar", "refresh"}:
            with suppress(VaultError):
                self._application.poll(frozen=False)
        return super().command(command, *options)


@attrs.frozen
class Relayed:
    """Keeper, a relay with one application, a web server, and a pod that has the pods' half."""

    pod: AgentPod
    application: Application
    web: Web
    keeper: LocalKeeper
    halves: tuple[Path, Path]

    def poll(self) -> None:
        """Let the relay ask Keeper, and publish."""
        self.application.poll(frozen=False)

    @property
    def published(self) -> Path:
        """The directory of the application."""
        (head,) = (self.web.root / "v1").glob("*/head.json")
        return head.parent


def head_of(root: Path) -> dict[str, object]:
    """Return the head that is published."""
    (path,) = (root / "v1").glob("*/head.json")
    found: dict[str, object] = json.loads(path.read_bytes())
    return found
