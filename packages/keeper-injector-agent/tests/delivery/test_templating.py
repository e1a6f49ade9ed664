"""Templates in their child process, and what this process cannot do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from agent_pods import VOLUME, AgentPod
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.delivery import container_memory, templating
from keeper_injector_agent.delivery.container_memory import CONTROL_GROUPS, ControlGroup
from keeper_injector_common.errors import TemplateError
from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.model import Directory, FileItem
from keeper_injector_common.records.templates.quoting import QUOTING_FUNCTIONS
from keeper_injector_common.references import parse_reference
from local_keeper import LocalKeeper


def template(source: str, *references: str) -> FileItem:
    """Return a file of a plan that is rendered from a template."""
    return FileItem("rendered", tuple(map(parse_reference, references)), Templated(source), 0o400)


def test_a_template_of_a_record(pod: AgentPod) -> None:
    """A template can use fields, their properties, and functions."""
    source = "{{ .login }}@{{ .host.hostName }}:{{ .host.port | int }} {{ .title | upper }}"
    pod.plan(directories=(Directory(VOLUME, "/app", (template(source, "database-credentials"),)),))
    result = pod.run("init")
    assert result.returncode == 0, result.stderr
    assert pod.file("rendered") == "app@db.example.com:5432 DATABASE-CREDENTIALS"


def test_a_template_of_several_records(pod: AgentPod) -> None:
    """With several records, each is available under its title."""
    source = '{{ (index . "api-keys").login }} {{ (index . "deploy-key").login }}'
    pod.plan(directories=(Directory(VOLUME, "/app", (template(source, "api-keys", "deploy-key"),)),))
    assert pod.run("init").returncode == 0
    assert pod.file("rendered") == "billing git"


def test_a_template_can_use_attachments(pod: AgentPod) -> None:
    """A template that uses ``.files`` gets the contents of the attachments."""
    source = '{{ index .files "server.pem" }}'
    pod.plan(directories=(Directory(VOLUME, "/app", (template(source, "TLS Certs"),)),))
    assert pod.run("init").returncode == 0
    assert pod.file("rendered") == "made-up certificate\n"


def test_an_error_names_record_and_line_but_no_value(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A missing field prevents the start of the pod, and the message says where it is missing."""
    keeper.set_field("api-keys", "password", "sentinel-77")
    pod.plan(directories=(Directory(VOLUME, "/app", (template("x\n{{ .pasword }}", "api-keys"),)),))
    assert pod.run("init").returncode == os.EX_DATAERR
    message = pod.termination_message()
    assert "record 'api-keys': template, rendering line 2" in message
    assert "sentinel-77" not in message


@pytest.mark.parametrize(
    "source", ['{{ range until 100000 }}{{ range until 100000 }}{{ "x" | upper }}{{ end }}{{ end }}'], ids=["time"]
)
def test_an_endless_template_is_stopped(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless template uses up its own process, never the agent's."""
    monkeypatch.setattr(templating, "DEADLINE", 5.0)
    with templating.template_server() as render:
        with pytest.raises(TemplateError, match=r"simplify it|more than|budget|limit"):
            render(source, {})
        assert render("{{ .x }}", {"x": "still there"}) == "still there"


def test_every_function_that_quotes_works_without_files() -> None:
    """The child can open no file, so each format's writer has been imported before, and so has what it needs."""
    with templating.template_server() as render:
        written = {name: render(f"{{{{ .x | {name} }}}}", {"x": "it's=1e3"}) for name in QUOTING_FUNCTIONS}
        objects = [render(f"{{{{ .x | {name} }}}}", {"x": {"a": "08"}}) for name in ("toYaml", "toJson", "toToml")]
        with pytest.raises(TemplateError, match="function toEnv: the value has a '#'"):
            render("{{ .x | toEnv }}", {"x": "a#"})
    quoted = '"it\'s=1e3"'
    assert written == {
        **dict.fromkeys(("toJson", "toYaml", "toToml"), quoted),
        **dict.fromkeys(("toEnv", "toIni", "toProperties"), "it's=1e3"),
        "toShell": "'it'\\''s=1e3'",
    }
    assert objects == ['a: "08"', '{"a":"08"}', '{ a = "08" }']


@pytest.mark.parametrize("size", [1, 65536, 400_000])
def test_data_of_any_size_arrives(size: int) -> None:
    """Data larger than a pipe, with line breaks, arrives whole, and so does the output."""
    value = "x\n" * size
    with templating.template_server() as render:
        assert render("{{ .x }}", {"x": value}) == value


def test_too_much_output_is_an_error() -> None:
    """The output of a template has a limit."""
    with templating.template_server() as render, pytest.raises(TemplateError, match="more than"):
        render("{{ .x }}", {"x": "x" * (8 * 1024 * 1024 + 1)})


def test_too_much_memory_ends_only_the_template() -> None:
    """A template that needs more memory than its limit is an error, and the next one is rendered."""
    with templating.template_server() as render:
        with pytest.raises(TemplateError, match=r"simplify it|more than|budget|limit"):
            render('{{ repeat 1000000000 "x" }}', {})
        assert render("{{ .x }}", {"x": 1}) == "1"


def test_the_server_ends_with_its_refresh() -> None:
    """No process is left behind, and a request after the end is an error."""
    with templating.template_server() as render:
        assert render("x", {}) == "x"
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    with pytest.raises(TemplateError):
        render("x", {})


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


@pytest.mark.skipif(os.geteuid() == 0, reason="RLIMIT_NPROC does not apply to root; the next test checks the rest")
def test_the_child_cannot_open_anything() -> None:
    """The child can open no file and no socket, and start no process."""
    assert subprocess.check_output([sys.executable, "-c", TRY]) == b"done"


def test_the_child_cannot_open_files_and_sockets_as_root() -> None:
    """Even root gets no descriptors."""
    assert subprocess.check_output([sys.executable, "-c", TRY.replace("os.fork, ", "")]) == b"done"


def test_the_child_cannot_be_inspected() -> None:
    """The child dumps no core, whatever the machine does with cores, and only root can read its memory."""
    ask = "import ctypes, resource; from keeper_injector_agent.delivery import templating; prctl = ctypes.CDLL(None).prctl\n"
    ask += "templating.restrict_process(); print(prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))"
    assert subprocess.check_output([sys.executable, "-c", ask], text=True).strip() == "0 (0, 0)"


def _groups(folder: Path, version: int, limit: str, used: int, cached: int) -> ControlGroup:
    """Write the files of a container's control group."""
    names = {2: ("memory.max", "memory.current"), 1: ("memory.limit_in_bytes", "memory.usage_in_bytes")}[version]
    group = CONTROL_GROUPS[2 - version]
    assert (group.limit.name, group.usage.name) == names
    (folder / names[0]).write_text(f"{limit}\n", encoding="ascii")
    (folder / names[1]).write_text(f"{used}\n", encoding="ascii")
    statistics = f"cache {cached}\ninactive_file {cached}\ntotal_inactive_file {cached}\n"
    (folder / "memory.stat").write_text(statistics, encoding="ascii")
    return ControlGroup(folder / names[0], folder / names[1], folder / "memory.stat", group.reclaimable)


@given(
    version=st.sampled_from([1, 2]),
    limit=st.integers(0, 1 << 40),
    used=st.integers(0, 1 << 40),
    cached=st.integers(0, 1 << 40),
)
def test_a_child_gets_less_than_the_container_has_left(version: int, limit: int, used: int, cached: int) -> None:
    """Whatever the limit is, the child's share and the reserve fit below it, or the child gets nothing."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        group = _groups(Path(folder), version, str(limit), used, cached)
        patch.setattr(container_memory, "CONTROL_GROUPS", (group,))
        memory = templating._memory_of_child()
    assert 0 <= memory <= 512 << 20
    if memory:
        assert max(0, used - cached) + memory + (16 << 20) <= limit


@pytest.mark.parametrize(("version", "limit"), [(2, "max"), (1, "9223372036854771712"), (2, "broken")])
def test_a_container_without_a_limit(version: int, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child then has its own limit only."""
    monkeypatch.setattr(container_memory, "CONTROL_GROUPS", (_groups(tmp_path, version, limit, 50 << 20, 0),))
    assert templating._memory_of_child() == 512 << 20


def test_a_template_that_exceeds_the_containers_memory_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says how much it may use and what to raise; an ordinary template is rendered before and after."""
    monkeypatch.setattr(container_memory, "CONTROL_GROUPS", (_groups(tmp_path, 2, str(128 << 20), 92 << 20, 0),))
    with templating.template_server() as render:
        assert render("{{ .x }}", {"x": "small"}) == "small"
        with pytest.raises(TemplateError, match=r"more than 20 MiB .*agent-limits-memory"):
            # More than malloc keeps for later (mallopt(3), M_MMAP_THRESHOLD: at most 32 MiB), so that it must ask the kernel.
            render("{{ len .x }}", {"x": "y" * 60_000_000})
        assert render("{{ .x }}", {"x": "small"}) == "small"
