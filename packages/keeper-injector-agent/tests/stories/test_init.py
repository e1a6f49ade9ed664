"""The init container against local Keeper: what is delivered, what is asked of Keeper, what a failure says."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from agent_pods import VOLUME, AgentPod, events

from keeper_injector_agent import worker
from keeper_injector_agent.delivery import refresh
from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.plan.paths import CREDENTIALS_PATH, PLAN_PATH
from keeper_injector_common.references import RecordName
from local_keeper import Fault, LocalKeeper


def test_every_kind_of_secret(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Records, fields, notes, files, folders and codes are delivered, with the mode asked for."""
    pod.wants(
        {
            "db.json": "database-credentials",
            "by-uid.json": keeper.uid("database-credentials"),
            "password": "database-credentials[password]",
            "port": "database-credentials[host][port]",
            "notation": "keeper://database-credentials/field/password",
            "custom": "keeper://database-credentials/custom_field/Environment",
            "second": "api-keys[region_2]",
            "all-urls": "api-keys[url]",
            "notes": "keeper://database-credentials/notes",
            "uid-like-title": "production-db-password[password]",
            "in-folder": "Production/Databases/mysql/field/password",
            "server.pem": "keeper://TLS Certs/file/server.pem",
            "code": "two-factor[oneTimeCode]",
        }
    )
    result = pod.run("init")
    assert result.returncode == 0, result.stderr
    assert json.loads(pod.file("db.json"))["host"] == {"hostName": "db.example.com", "port": "5432"}
    assert pod.file("by-uid.json") == pod.file("db.json")
    assert pod.file("password") == pod.file("notation") == "correct-horse-battery"
    assert pod.file("port") == "5432"
    assert pod.file("custom") == "production"
    assert pod.file("second") == "us"
    assert json.loads(pod.file("all-urls")) == ["https://api.example.com", "https://api2.example.com"]
    assert pod.file("notes").startswith("Rotated on")
    assert pod.file("uid-like-title") == "twenty-two-characters"
    assert pod.file("in-folder") == "mysql-of-production"
    assert pod.file("server.pem") == "made-up certificate\n"
    assert pod.file("code").isdigit()
    assert stat.S_IMODE(pod.at(f"{VOLUME}/password").stat().st_mode) == 0o400


def test_one_request_however_many_secrets(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Ten files of four records cost one request; folders cost one more."""
    pod.wants({f"file-{number}": f"{title}[login]" for number, title in enumerate(["api-keys", "two-factor"] * 5)})
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 1}
    pod.wants({"x": "Production/Databases/mysql/field/login"})
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 2, "get_folders": 1}


def test_folders(pod: AgentPod) -> None:
    """A folder is one JSON file for each record, sub-folders too when asked for."""
    folder = RecordName(("Production",))
    pod.plan(directories=(Directory(VOLUME, "/app", folders=(FolderItem(folder, 0o440),)),))
    assert pod.run("init").returncode == 0
    assert pod.files() == ["shared-token.json"]
    pod.plan(directories=(Directory(VOLUME, "/app", folders=(FolderItem(folder, 0o440, recursive=True),)),))
    assert pod.run("init").returncode == 0
    assert pod.files() == ["mysql.json", "redis.json", "shared-token.json"]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "database-credential",
            "record 'database-credential': not shared with this application; did you mean 'database-credentials'",
        ),
        ("api-keys[pasword]", "field 'pasword': the record has no such field; did you mean 'password'?"),
        ("keeper://TLS Certs/file/server.crt", "no file 'server.crt' is attached; did you mean 'server.pem'"),
        ("Staging/Databases/mysq[login]", "record 'Staging/Databases/mysq': not shared"),
        ("api-keys[url][7]", "index 7 of 2 values"),
        ("database-credentials[host][name]", "has no property 'name'; did you mean 'hostName'"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(pod: AgentPod, reference: str, message: str) -> None:
    """The pod does not start, its termination message says why, and the other secrets are delivered."""
    pod.wants({"missing": reference, "good": "api-keys[login]"})
    result = pod.run("init")
    assert result.returncode == os.EX_DATAERR
    assert message in pod.termination_message()
    assert pod.files() == ["good"]
    assert "billing" not in result.stderr + pod.termination_message()


def test_the_pod_may_start_without(pod: AgentPod) -> None:
    """``fail-on-error: false``: what can be had is there, what cannot is said."""
    pod.wants({"missing": "nothing[x]", "good": "api-keys[login]"}, fail_on_error=False)
    result = pod.run("init")
    assert result.returncode == 0
    assert pod.files() == ["good"]
    assert any(line["event"] == "secret.failed" for line in events(result.stderr))


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        (Fault.revoked(), os.EX_NOPERM, "access denied"),
        (Fault.throttled(403, 7), os.EX_TEMPFAIL, "throttled; no request for 7 s"),
        (Fault.throttled(429, 9), os.EX_TEMPFAIL, "throttled; no request for 9 s"),
        (Fault.throttled(), os.EX_TEMPFAIL, "throttled; no request for 30 s"),
    ],
    ids=["revoked", "throttled 403", "throttled 429", "throttled without a hint"],
)
def test_failures_that_are_not_tried_again(
    pod: AgentPod, keeper: LocalKeeper, fault: Fault, code: int, message: str
) -> None:
    """Asking again would not help or would make it worse: one request, one sentence."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(fault, "get_secret", None)
    result = pod.run("init")
    assert result.returncode == code
    assert message in pod.termination_message()
    assert keeper.requests == {"get_secret": 1}


@pytest.mark.parametrize(
    "fault",
    [Fault.cut(), Fault.truncate(), Fault.corrupt(), Fault.empty(), Fault.api_error("internal", status=503)],
    ids=lambda fault: str(fault.kind),
)
def test_failures_that_pass(pod: AgentPod, keeper: LocalKeeper, fault: Fault) -> None:
    """A transient failure is tried again, each time with one line in the log."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(fault, "get_secret", 1)
    result = pod.run("init")
    assert result.returncode == 0, result.stderr
    assert pod.file("x") == "billing"
    assert [line["event"] for line in events(result.stderr)] == ["retry.scheduled", "secrets.refreshed"]


def test_a_hang_ends_at_the_deadline(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Nothing waits for ever."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    result = pod.run("init", "--deadline", "2")
    assert result.returncode == os.EX_TEMPFAIL
    assert "did not answer in time" in pod.termination_message()


def test_the_quiet_window_outlives_the_process(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A restarted container does not ask before the time that Keeper named."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.throttled(403, 30), "get_secret", 1)
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert keeper.requests == {"get_secret": 1}


def test_a_restarted_pod_survives_an_outage(pod: AgentPod, keeper: LocalKeeper) -> None:
    """All files are there from before: the init container lets the pod start with them."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.revoked(), "get_secret", None)
    result = pod.run("init")
    assert result.returncode == 0
    assert pod.file("x") == "billing"
    assert "init.kept_files" in result.stderr


def test_one_unreadable_record_harms_no_other(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The SDK drops the whole folder; the agent delivers the others and names the bad one."""
    uid = keeper.uid("redis")
    keeper.corrupt_record("redis")
    pod.wants({"good": "shared-token[password]", "bad": f"{uid}[password]"})
    result = pod.run("init")
    assert result.returncode == os.EX_DATAERR
    assert pod.files() == ["good"]
    assert f"record '{uid}': Keeper sent it, but it cannot be decrypted" in pod.termination_message()


def test_a_defect_is_said(pod: AgentPod, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Of ours or of a library: which and where, never its text; the init container ends with a message."""
    pod.wants({"x": "api-keys[login]"})

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of a value")

    monkeypatch.setattr(refresh, "deliver_records", broken)
    code = worker.run_refresh(pod.at(PLAN_PATH), root=pod.root, deadline=10.0, initial=True)
    assert code == os.EX_IOERR
    assert "internal error: ZeroDivisionError in test_init.py, line" in pod.termination_message()
    assert "of a value" not in pod.termination_message() + caplog.text


def test_a_changed_server_key_id_is_followed_once(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Keeper's servers ask for another key: the agent follows, remembers, and does not loop."""
    pod.wants({"x": "api-keys[login]"})
    keeper.rotate_server_key()
    assert pod.run("init").returncode == 0
    assert keeper.requests == {"get_secret": 2}
    assert pod.run("once").returncode == 0
    assert keeper.requests == {"get_secret": 3}


@pytest.mark.parametrize("form", ["base64", "padding lost", "url alphabet", "line break", "JSON"])
def test_every_form_of_the_configuration(pod: AgentPod, keeper: LocalKeeper, form: str) -> None:
    """People paste the configuration in many ways."""
    text = base64.b64decode(keeper.config())
    forms = {
        "base64": keeper.config(),
        "padding lost": keeper.config().rstrip("="),
        "url alphabet": base64.urlsafe_b64encode(text).decode(),
        "line break": keeper.config() + "\n",
        "JSON": text.decode() + "\n",
    }
    pod.put(CREDENTIALS_PATH, forms[form])
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; store the KSM configuration there"),
        ("garbage", "neither JSON nor base64 of JSON"),
        ("US:" + "a" * 43, "a one-time token"),
        ('{"clientId": "x"}', "privateKey, appKey missing in the KSM configuration"),
    ],
)
def test_a_configuration_that_is_none(pod: AgentPod, content: str, message: str) -> None:
    """The sentence says what is wrong with it, without showing it."""
    pod.put(CREDENTIALS_PATH, content)
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == os.EX_NOPERM
    assert message in pod.termination_message()


def test_a_missing_configuration(pod: AgentPod) -> None:
    """The Secret's key is named."""
    pod.at(CREDENTIALS_PATH).unlink()
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == os.EX_NOPERM
    assert "needs the key 'config'" in pod.termination_message()


@pytest.mark.parametrize(
    ("plan", "message"), [("{", "not JSON"), ('{"version": 9}', "use an agent image as new as the webhook")]
)
def test_a_plan_that_is_none(pod: AgentPod, plan: str, message: str) -> None:
    """A damaged or newer plan is an error before anything else."""
    pod.put(PLAN_PATH, plan)
    assert pod.run("init").returncode == os.EX_CONFIG
    assert message in pod.termination_message()
    assert pod.run("sidecar").returncode == os.EX_CONFIG


def test_damaged_state_begins_afresh(pod: AgentPod) -> None:
    """It is said, and the refresh goes on."""
    pod.put("/keeper/state/state.json", "{")
    pod.wants({"x": "api-keys[login]"})
    result = pod.run("init")
    assert result.returncode == 0
    assert "state.invalid" in result.stderr


def test_an_untrusted_certificate(pod: AgentPod) -> None:
    """Checks are never turned off; the sentence names the annotation that helps."""
    pod.wants({"x": "api-keys[login]"})
    plan = json.loads(pod.at(PLAN_PATH).read_text(encoding="utf-8"))
    del plan["caFile"]
    pod.put(PLAN_PATH, json.dumps(plan))
    assert pod.run("init", "--deadline", "6").returncode == os.EX_TEMPFAIL
    assert "set keeper.security/ca-cert-configmap" in pod.termination_message()


def test_secrets_are_in_no_output(pod: AgentPod, keeper: LocalKeeper, tmp_path: Path) -> None:
    """Neither the log nor the state nor the termination message has a value, at any level."""
    sentinel = "sentinel-4f1c"
    for field in ("login", "password", "webhook key"):
        keeper.set_field("api-keys", field, f"{sentinel}-{field}")
    pod.wants({"all.json": "api-keys", "bad": "api-keys[nothing]", "one": "api-keys[password]"})
    result = pod.run("init", "--log-level", "debug")
    outputs = [
        result.stdout,
        result.stderr,
        pod.termination_message(),
        pod.at("/keeper/state/state.json").read_text(encoding="utf-8"),
    ]
    assert sentinel in pod.file("all.json")
    assert all(sentinel not in output for output in outputs)
