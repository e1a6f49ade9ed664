"""Attachments of one name: the newest one is delivered, whatever the order in which Keeper sends them."""

from __future__ import annotations

import os

import attrs
import pytest
from agent_pods import VOLUME, AgentPod, item

from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.model import Directory, FileItem
from keeper_injector_common.references import parse_reference
from local_keeper import LocalKeeper
from local_keeper.vault import File

pytestmark = pytest.mark.both_ways


@pytest.mark.parametrize("position", [0, 2], ids=["sent first", "sent last"])
def test_the_newest_attachment_is_delivered_everywhere(pod: AgentPod, keeper: LocalKeeper, position: int) -> None:
    """A file and a template contain the newest attachment, with a warning; with strict-lookup that is a problem."""
    files = (
        item("server.pem", "keeper://TLS Certs/file/server.pem"),
        FileItem("copy", (parse_reference("TLS Certs"),), Templated('{{ index .files "server.pem" }}'), 0o400),
        item("other", "keeper://TLS Certs/file/server.key"),
    )
    pod.plan(directories=(Directory(VOLUME, "/app", files),))
    assert pod.run("init").returncode == 0
    record = keeper.vault.find("TLS Certs")
    old = record.files[0]
    record.files.insert(position, File("server.pem", b"renewed\n", modified=old.modified + 1))
    result = pod.run("once")
    assert result.returncode == 0
    assert (pod.file("server.pem"), pod.file("copy"), pod.file("other")) == ("renewed\n", "renewed\n", "made-up key\n")
    assert result.stderr.count("2 attached files are named 'server.pem', and the newest is used") == 1, "for both files"
    pod.plan(directories=(Directory(VOLUME, "/app", files),), strict_lookup=True)
    pod.at(VOLUME).joinpath("..data").unlink()
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "/app/server.pem: record 'TLS Certs' (" in pod.termination_message()
    assert old.uid in pod.termination_message()
    by_uid = attrs.evolve(files[0], sources=(parse_reference(f"keeper://TLS Certs/file/{old.uid}"),))
    pod.plan(directories=(Directory(VOLUME, "/app", (by_uid,)),), strict_lookup=True)
    assert pod.run("init").returncode == 0
    assert pod.file("server.pem") == "made-up certificate\n"


@pytest.mark.parametrize(
    "template",
    [
        "{{ range $name, $content := .files }}{{ $name }}{{ end }}",
        "{{ toJson .files }}",
        '{{ with index .files "server.key" }}{{ . }}{{ end }}',
        '{{ index .files "server.pem" }}{{ range .files }}{{ . }}{{ end }}',
        '{{ with index . "files" }}{{ len . }}{{ end }}',
    ],
)
def test_a_template_does_not_lose_an_attachment_silently(pod: AgentPod, keeper: LocalKeeper, template: str) -> None:
    """If an attachment cannot be read, a template that may show it has a problem; one that shows another is rendered."""
    only_other = '{{ index .files "server.pem" }}'
    pod.plan(
        directories=(
            Directory(
                VOLUME,
                "/app",
                tuple(
                    FileItem(name, (parse_reference("TLS Certs"),), Templated(text), 0o400)
                    for name, text in {"all": template, "one": only_other}.items()
                ),
            ),
        )
    )
    assert pod.run("init").returncode == 0
    before = pod.file("all")
    record = keeper.vault.find("TLS Certs")
    (damaged,) = [file for file in record.files if file.name == "server.key"]
    damaged.corrupt = "key"
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert f"/app/all: record 'TLS Certs': 1 attached to it cannot be read ({damaged.uid})" in result.stderr
    assert "/app/one" not in result.stderr
    assert (pod.file("all"), pod.file("one")) == (before, "made-up certificate\n")
