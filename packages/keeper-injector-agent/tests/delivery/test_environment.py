"""Environment variables: written by the agent, read by the real keeper-exec."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

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
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "PASSWORD" in pod.termination_message()
    assert "it's" not in pod.termination_message()
    assert pod.at(f"{VOLUME}/variables").read_text(encoding="utf-8") == "PASSWORD='correct-horse-battery'\n"


def test_a_field_cannot_take_over_the_process(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Anyone who may edit a record must not be able to run code in a pod with it."""
    keeper.set_field("api-keys", "node_options", "--require /evil.js")
    wants(pod, Environment(VOLUME, "exec", 0o400, (), (RecordVariablesItem(WholeRecord(RecordName(("api-keys",)))),)))
    assert pod.run("init").returncode == os.EX_DATAERR
    assert "is not an ordinary field of Keeper" in pod.termination_message()


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
