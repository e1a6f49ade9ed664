"""One refresh: how records are fetched, and in which order things happen."""

from __future__ import annotations

import os

import pytest
from agent_pods import VOLUME, AgentPod, events

from keeper_injector_common.plan.delivery import Formatted
from keeper_injector_common.plan.model import Directory, FileItem
from keeper_injector_common.references import parse_reference
from local_keeper import LocalKeeper


def test_all_secrets_take_one_request(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Ten files of two records take one request; folders take one more."""
    pod.wants({f"file-{number}": f"{title}[login]" for number, title in enumerate(["api-keys", "two-factor"] * 5)})
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 1}
    pod.wants({"x": "Production/Databases/mysql/field/login"})
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 2, "get_folders": 1}


@pytest.mark.parametrize("strict", [False, True])
def test_a_title_that_looks_like_a_uid(pod: AgentPod, keeper: LocalKeeper, *, strict: bool) -> None:
    """Such a title takes a second request, because the filter finds nothing. With strict-lookup, only its UID means a record."""
    uid = keeper.uid("api-keys")
    keeper.remove_record("api-keys")
    keeper.add_record({"title": uid, "fields": {"password": "of another record"}})
    pod.wants({"x": f"{uid}[password]"}, strict_lookup=strict)
    result = pod.run("init")
    assert (result.returncode, pod.files()) == ((os.EX_DATAERR, []) if strict else (0, ["x"]))
    assert keeper.requests == {"get_secret": 1 if strict else 2}


def test_the_log_names_all_records_of_an_ambiguous_name(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Without strict-lookup, one record is chosen, and the log has its UID and those of the others."""
    fake = keeper.add_record({"title": "Production/Databases/mysql", "fields": {"password": "of another record"}})
    pod.wants({"x": "Production/Databases/mysql[password]"})
    result = pod.run("init")
    assert (result.returncode, pod.file("x")) == (0, "mysql-of-production")
    (line,) = [line for line in events(result.stderr) if line["event"] == "record.ambiguous"]
    assert line["others"] == [fake]
    assert keeper.vault.records[line["uid"]].folder == keeper.vault.find("redis").folder
    pod.wants({"x": "Production/Databases/mysql[password]"}, strict_lookup=True)
    result = pod.run("once")
    assert (result.returncode, pod.file("x")) == (os.EX_DATAERR, "mysql-of-production")
    assert f"{line['uid']} is in this folder, {fake} has this title" in result.stderr


def test_fields_reach_the_file_under_the_names_of_the_plan(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The names may have dots, other names make the next refresh write the file again, and a wrong one keeps it."""
    keeper.set_field("api-keys", "password", r"p\a:ss#=")

    def run_with(keys: dict[str, str]) -> tuple[int, str]:
        content = Formatted("properties", keys=keys)
        file = FileItem("app.properties", (parse_reference("api-keys"),), content, 0o400)
        pod.plan(directories=(Directory(VOLUME, "/app", (file,)),))
        result = pod.run("once")
        return result.returncode, pod.file("app.properties")

    escaped = r"p\\a:ss#="
    assert run_with({"password": "app.key", "login": "app.user"}) == (0, f"app.key={escaped}\napp.user=billing\n")
    assert run_with({"password": "app.secret"}) == (0, f"app.secret={escaped}\n")
    assert run_with({"pasword": "app.secret"}) == (os.EX_DATAERR, f"app.secret={escaped}\n")
