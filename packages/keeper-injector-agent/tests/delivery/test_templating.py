"""Templates in their child process, and what that process cannot do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from agent_pods import VOLUME, AgentPod

from keeper_injector_agent.delivery import templating
from keeper_injector_common.errors import TemplateError
from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.model import Directory, FileItem
from keeper_injector_common.references import parse_reference
from local_keeper import LocalKeeper


def template(source: str, *references: str) -> FileItem:
    """Return a file of a plan that is made by a template."""
    return FileItem("rendered", tuple(map(parse_reference, references)), Templated(source), 0o400)


def test_a_template_of_a_record(pod: AgentPod) -> None:
    """Fields, structured ones, notes and files by name."""
    source = "{{ .login }}@{{ .host.hostName }}:{{ .host.port | int }} {{ .title | upper }}"
    pod.plan(directories=(Directory(VOLUME, "/app", (template(source, "database-credentials"),)),))
    result = pod.run("init")
    assert result.returncode == 0, result.stderr
    assert pod.file("rendered") == "app@db.example.com:5432 DATABASE-CREDENTIALS"


def test_a_template_of_several_records(pod: AgentPod) -> None:
    """Each under its title."""
    source = '{{ (index . "api-keys").login }} {{ (index . "deploy-key").login }}'
    pod.plan(directories=(Directory(VOLUME, "/app", (template(source, "api-keys", "deploy-key"),)),))
    assert pod.run("init").returncode == 0
    assert pod.file("rendered") == "billing git"


def test_files_in_templates(pod: AgentPod) -> None:
    """A template that speaks of files gets their content."""
    source = '{{ index .files "server.pem" }}'
    pod.plan(directories=(Directory(VOLUME, "/app", (template(source, "TLS Certs"),)),))
    assert pod.run("init").returncode == 0
    assert pod.file("rendered") == "made-up certificate\n"


def test_an_error_names_record_line_and_no_value(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A missing field keeps the pod from starting, with a sentence."""
    keeper.set_field("api-keys", "password", "sentinel-77")
    pod.plan(directories=(Directory(VOLUME, "/app", (template("x\n{{ .pasword }}", "api-keys"),)),))
    assert pod.run("init").returncode == os.EX_DATAERR
    message = pod.termination_message()
    assert "record 'api-keys': template, rendering line 2" in message
    assert "sentinel-77" not in message


@pytest.mark.parametrize(
    "source", ['{{ range until 100000 }}{{ range until 100000 }}{{ "x" | upper }}{{ end }}{{ end }}'], ids=["time"]
)
def test_a_template_without_bounds_ends(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It costs its own process, never the agent's."""
    monkeypatch.setattr(templating, "DEADLINE", 5.0)
    with pytest.raises(TemplateError, match=r"simplify it|more than|budget|limit"):
        templating.render_in_child(source, {})


TRY = """
import os, socket, sys
from keeper_injector_agent.delivery import templating
templating.restrict_process()
for attempt in (lambda: open("/etc/hostname"), socket.socket, os.fork, lambda: os.open("/tmp/x", os.O_CREAT)):
    try:
        attempt()
    except OSError:
        continue
    os.write(1, b"opened")
os.write(1, b"done")
"""


@pytest.mark.skipif(os.geteuid() == 0, reason="root is not bound by RLIMIT_NPROC; the other doors are tested below")
def test_every_door_is_closed() -> None:
    """No file, no socket, no process."""
    assert subprocess.check_output([sys.executable, "-c", TRY]) == b"done"


def test_files_and_sockets_are_closed_to_root_too() -> None:
    """Descriptors cannot be had by anyone."""
    assert subprocess.check_output([sys.executable, "-c", TRY.replace("os.fork, ", "")]) == b"done"


def test_nobody_looks_into_the_child() -> None:
    """It has no core, whatever the machine does with cores, and its memory is root's alone."""
    ask = "import ctypes, resource; from keeper_injector_agent.delivery import templating; prctl = ctypes.CDLL(None).prctl\n"
    ask += "templating.restrict_process(); print(prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    assert subprocess.check_output([sys.executable, "-c", ask], text=True).strip() == "0 (0, 0)"
