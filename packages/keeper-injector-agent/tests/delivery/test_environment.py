"""Environment variables: written by the agent, read by the real keeper-exec."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Literal

import attrs
import pytest
from agent_pods import AgentPod

from keeper_injector_agent import exec as exec_package
from keeper_injector_agent.exec import keeper_exec_path
from keeper_injector_common.plan.model import Environment, RecordVariablesItem, VariableItem
from keeper_injector_common.references import RecordName, WholeRecord, parse_reference
from local_keeper import LocalKeeper

VOLUME = "/keeper/volumes/env"
PASSWORD = VariableItem("PASSWORD", parse_reference("database-credentials[password]"))


@pytest.fixture(name="built", autouse=True)
def _built() -> None:
    """Build keeper-exec if it is missing."""
    try:
        keeper_exec_path()
    except FileNotFoundError:
        if not shutil.which("cc"):
            pytest.skip("no C compiler")
        subprocess.run(["sh", str(Path(exec_package.__file__).with_name("build.sh"))], check=True)


def wants(pod: AgentPod, environment: Environment) -> None:
    """Give the agent a plan for variables."""
    pod.at(VOLUME).mkdir(exist_ok=True)
    pod.plan(environments=(environment,))


def test_a_process_gets_its_variables(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A process gets named variables and those of a record, with any characters, and none on its command line."""
    keeper.set_field("api-keys", "webhook key", "line one\nline 'two' $X")
    record = RecordVariablesItem(WholeRecord(RecordName(("api-keys",))), "API_", ("login", "webhook key"))
    wants(pod, Environment(VOLUME, "exec", 0o400, (PASSWORD,), (record,)))
    assert pod.run("init").returncode == 0
    program = pod.at(f"{VOLUME}/keeper-exec")
    assert stat.S_IMODE(program.stat().st_mode) == 0o555
    command = [str(program), "--file", str(pod.at(f"{VOLUME}/variables")), "--", "env", "-0"]
    output = subprocess.check_output(command, env={"PATH": os.environ["PATH"]}, text=True)
    assert dict(entry.split("=", 1) for entry in output.rstrip("\0").split("\0")) == {
        "PATH": os.environ["PATH"],
        "PASSWORD": "correct-horse-battery",
        "API_LOGIN": "billing",
        "API_WEBHOOK_KEY": "line one\nline 'two' $X",
    }


def test_variables_for_the_kubelet(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The kubelet's file has one variable per line in single quotes; a value with a single quote is rejected."""
    wants(pod, Environment(VOLUME, "file-ref", 0o444, (PASSWORD,)))
    assert pod.run("init").returncode == 0
    assert pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8") == "PASSWORD='correct-horse-battery'\n"
    keeper.set_field("database-credentials", "password", "it's")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert "variable PASSWORD: contains a single quote" in result.stderr
    assert "it's" not in result.stderr
    assert pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8") == "PASSWORD='correct-horse-battery'\n"


def test_a_field_cannot_take_over_the_process(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Anyone who may edit a record must not be able to run code in a pod with it."""
    keeper.set_field("api-keys", "node_options", "--require /evil.js")
    wants(pod, Environment(VOLUME, "exec", 0o400, (), (RecordVariablesItem(WholeRecord(RecordName(("api-keys",)))),)))
    assert pod.run("init").returncode == os.EX_DATAERR
    message = pod.termination_message()
    assert "'region_2', 'node_options': are not ordinary fields of Keeper" in message, "all problems at once"


def wanted(**sources: str) -> tuple[VariableItem, ...]:
    """Return variables by name and reference."""
    return tuple(VariableItem(name, parse_reference(source)) for name, source in sources.items())


def variables(pod: AgentPod) -> dict[str, str]:
    """Return the variables that a process of the pod would get."""
    entries = pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8").split("\0")[:-1]
    return dict(entry.split("=", 1) for entry in entries)


def whole(title: str, prefix: str = "", *fields: str) -> RecordVariablesItem:
    """Return the variables of a record."""
    return RecordVariablesItem(WholeRecord(RecordName((title,))), prefix, fields)


def test_the_init_container_names_every_problem(pod: AgentPod) -> None:
    """A program never starts with some of its variables, unless the pod may start without secrets; then the others are there."""
    items = wanted(A="api-keys[login]", B="nothing[x]", C="api-keys[no]", D="database-credentials[password]")
    environment = Environment(VOLUME, "exec", 0o400, items, (whole("two-factor"), whole("missing", "M_")))
    wants(pod, environment)
    assert pod.run("init").returncode == os.EX_DATAERR
    for part in ("variable B: record 'nothing'", "variable C: record 'api-keys', field 'no'", "variables of missing: "):
        assert part in pod.termination_message()
    assert not pod.at(f"{VOLUME}/variables").exists()
    pod.plan(environments=(environment,), fail_on_error=False)
    assert pod.run("init").returncode == 0
    assert variables(pod).keys() >= {"A", "D", "LOGIN"}
    assert variables(pod).keys().isdisjoint({"B", "C"})


@pytest.mark.parametrize("style", ["exec", "file-ref"])
def test_a_variable_that_fails_keeps_its_value_and_the_others_change(
    pod: AgentPod, keeper: LocalKeeper, style: Literal["exec", "file-ref"]
) -> None:
    """In a refresh, the good variables of other items change, and the bad ones keep the value that they had."""
    items = wanted(A="api-keys[login]", B="database-credentials[password]")
    wants(pod, Environment(VOLUME, style, 0o400, items, (whole("two-factor", "T_", "login"),)))
    assert pod.run("init").returncode == 0
    keeper.set_field("api-keys", "login", "changed")
    keeper.remove_record("database-credentials")
    keeper.remove_record("two-factor")
    for _ in range(2):
        result = pod.run("once")
        assert result.returncode == os.EX_DATAERR
        assert "variable B: record 'database-credentials': not shared" in result.stderr
        assert "variables of two-factor: " in result.stderr
        content = pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8")
        parts = ["T_LOGIN=robot\0", "A=changed\0", "B=correct-horse-battery\0"]
        if style == "file-ref":
            parts = ["T_LOGIN='robot'\n", "A='changed'\n", "B='correct-horse-battery'\n"]
        assert content == "".join(parts)


def test_the_variables_of_a_removed_record_go_if_the_pod_wants_that(pod: AgentPod, keeper: LocalKeeper) -> None:
    """With ``on-removal: remove``, no variable of a record that is gone stays; that is reported at every refresh."""
    items = wanted(A="api-keys[login]", B="database-credentials[password]", C="shop[no]")
    environment = Environment(VOLUME, "exec", 0o400, items, (whole("two-factor", "T_", "login"),))
    keeper.add_record({"title": "shop", "custom": {"no": "7"}})
    wants(pod, environment)
    pod.plan(environments=(environment,), on_removal="remove")
    assert pod.run("init").returncode == 0
    keeper.remove_record("database-credentials")
    keeper.remove_record("two-factor")
    keeper.vault.find("shop").data["custom"] = []
    for _ in range(2):
        result = pod.run("once")
        assert result.returncode == os.EX_DATAERR
        assert "variable B: record 'database-credentials': not shared" in result.stderr
        assert "variables of two-factor: " in result.stderr
        assert variables(pod) == {"A": "billing", "C": "7"}, "a field that is missing keeps its value"
    assert pod.run("init").returncode == os.EX_DATAERR, "a program never starts with some of its variables"


def test_an_undecryptable_record_keeps_its_variables(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A record that Keeper sends but that cannot be decrypted is not gone."""
    environment = Environment(VOLUME, "exec", 0o400, (PASSWORD,), (whole("two-factor", "T_", "login"),))
    wants(pod, environment)
    pod.plan(environments=(environment,), on_removal="remove")
    assert pod.run("init").returncode == 0
    for title in ("two-factor", "database-credentials"):
        keeper.corrupt_record(title)
    assert pod.run("once").returncode == os.EX_DATAERR
    assert variables(pod) == {"T_LOGIN": "robot", "PASSWORD": "correct-horse-battery"}


def test_a_variable_never_gets_the_value_of_another_item(pod: AgentPod, keeper: LocalKeeper) -> None:
    """While a record is unavailable, another record that has a field of the same name does not provide its variables."""
    wants(pod, Environment(VOLUME, "exec", 0o400, (), (whole("two-factor", "", "login"), whole("shop"))))
    keeper.add_record({"title": "shop", "type": "login", "fields": {"password": "of-shop"}})
    assert pod.run("init").returncode == 0
    keeper.remove_record("two-factor")
    keeper.vault.find("shop").data["fields"].append({"type": "login", "value": ["of-shop"]})
    keeper.set_field("shop", "password", "new")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert variables(pod) == {"LOGIN": "robot", "PASSWORD": "new"}
    assert "variable LOGIN: " in result.stderr


def test_two_records_with_the_same_field_need_prefixes(pod: AgentPod) -> None:
    """The init container ends with both records in its message, and with a prefix for each it succeeds."""
    titles = ("production-db-password", "two-factor")
    items = [RecordVariablesItem(WholeRecord(RecordName((title,))), "", ("login",)) for title in titles]
    wants(pod, Environment(VOLUME, "exec", 0o400, (), tuple(items)))
    assert pod.run("init").returncode == os.EX_DATAERR
    message = pod.termination_message()
    assert "variable LOGIN: field 'login' of record 'production-db-password' (" in message
    assert "field 'login' of record 'two-factor' (" in message
    assert "keeper.security/env-prefix-<name>" in message
    wants(pod, Environment(VOLUME, "exec", 0o400, (), (items[0], attrs.evolve(items[1], prefix="ROBOT_"))))
    assert pod.run("init").returncode == 0
    assert pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8") == "LOGIN=root\0ROBOT_LOGIN=robot\0"


@pytest.mark.parametrize("title", ["production-db-password", "two-factor", "deploy-key", "shop-certificate"])
def test_ordinary_records_need_no_list_of_fields(pod: AgentPod, title: str) -> None:
    """With ``inject-env-vars`` alone, as for Keeper's Go injector, all fields of Keeper's own record types are variables."""
    wants(pod, Environment(VOLUME, "exec", 0o400, (), (RecordVariablesItem(WholeRecord(RecordName((title,)))),)))
    assert pod.run("init").returncode == 0, pod.termination_message()
    names = {entry.split("=")[0] for entry in pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8").split("\0")}
    assert names & {"LOGIN", "PASSWORD", "ONETIMECODE", "KEYPAIR_PRIVATEKEY"}
