"""Progress of a refresh: what is reused, kept and reported."""

from __future__ import annotations

import attrs
import pytest
from agent_pods import VOLUME, AgentPod

from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.delivery.progress import PendingFile, Progress, record_digest
from keeper_injector_agent.errors import PermanentVaultError, WriteError
from keeper_injector_agent.state import State
from keeper_injector_common.errors import FormatError, RecordGoneError
from keeper_injector_common.records import Attachment, Field, Record
from local_keeper import LocalKeeper


def test_unchanged_records_are_not_written_or_downloaded(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Five refreshes without a change leave one generation and take one download."""
    pod.wants({"x": "api-keys[login]", "pem": "keeper://TLS Certs/file/server.pem"})
    assert pod.run("init").returncode == 0
    before = pod.at(f"{VOLUME}/..data").readlink()
    for _ in range(5):
        assert pod.run("once").returncode == 0
    assert pod.at(f"{VOLUME}/..data").readlink() == before
    assert keeper.requests == {"get_secret": 6, "file_download": 1}


def record(password: str) -> Record:
    """Return a record with this password."""
    return Record("uid", "title", "login", (Field("password", "password", "", (password,), custom=False),), "")


def pending(content: str) -> PendingFile:
    """Return a file that is rendered from a record with this content as its password."""
    return PendingFile("/keeper/volumes/0/x", 0o400, "raw", [record(content)], content.encode)


def test_a_file_is_reused_while_its_input_is_the_same() -> None:
    """The previous file is returned without rendering; another input renders a new one."""
    state, previous = State(), File(b"previous", 0o400)
    first = Progress(state, remove_gone=False)
    assert first.reuse_or_render(pending("a"), None) == File(b"a", 0o400)
    first.commit()
    second = Progress(state, remove_gone=False)
    assert second.reuse_or_render(pending("a"), previous) is previous
    assert second.reuse_or_render(pending("b"), previous) == File(b"b", 0o400)


OTHER = {
    "uid": "other",
    "title": "other",
    "type": "databaseCredentials",
    "fields": (Field("password", "password", "", ("other",)),),
    "notes": "other",
    "attachments": (Attachment("uid", "name"),),
    "unreadable_attachments": ("uid",),
}
"""Another value of everything of a record that a file can show."""


@pytest.mark.parametrize("attribute", sorted(attrs.fields_dict(Record)))
def test_everything_that_a_file_can_show_is_part_of_its_input(attribute: str) -> None:
    """A change of any of it renders the file again. Folders and links are never its content."""
    if attribute not in OTHER:
        assert attribute in {"folders", "links"}
        return
    changed = attrs.evolve(record("a"), **{attribute: OTHER[attribute]})
    assert record_digest(changed) != record_digest(record("a"))


def test_a_file_follows_the_type_of_its_record(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A changed record type reaches files with the type."""
    pod.wants({"type": "api-keys/type"})
    assert (pod.run("init").returncode, pod.file("type")) == (0, "login")
    keeper.vault.find("api-keys").data["type"] = "databaseCredentials"
    assert (pod.run("once").returncode, pod.file("type")) == (0, "databaseCredentials")


@pytest.mark.parametrize(
    ("error", "remove_gone", "result"),
    [
        (RecordGoneError("gone"), False, "kept"),
        (RecordGoneError("gone"), True, "gone"),
        (FormatError("no"), True, "kept"),
        (PermanentVaultError("no"), True, "kept"),
    ],
    ids=["gone, kept", "gone, removed", "format", "vault"],
)
def test_only_a_gone_record_removes_its_file(error: Exception, result: str, *, remove_gone: bool) -> None:
    """Every problem is reported; the previous file stays unless its record is gone and the plan says ``remove``."""

    def fail() -> str:
        raise error

    progress = Progress(State(), remove_gone=remove_gone)
    assert progress.deliver_or_keep("/app/x", fail, kept="kept", gone="gone") == result
    assert progress.problems == [f"/app/x: {error}"]
    assert not progress.write_failed


def test_a_delivery_error_is_a_failed_write() -> None:
    """A full volume or a Secret that cannot be written is not a mistake in Keeper."""
    progress = Progress(State(), remove_gone=False)
    progress.report("/app", WriteError("full"))
    assert progress.write_failed
