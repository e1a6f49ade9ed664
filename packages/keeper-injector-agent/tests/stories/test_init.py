"""The init container with local Keeper: what it delivers, and how it reports failures."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Callable

import pytest
from agent_pods import VOLUME, AgentPod, events

from keeper_injector_agent.retry import FIRST_START
from keeper_injector_common.plan.paths import CREDENTIALS_PATH, PLAN_PATH
from local_keeper import Fault, LocalKeeper

Strike = Callable[[AgentPod, LocalKeeper], object]


def refused(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Let no server listen where the configuration says."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        hostname = f"localhost:{server.getsockname()[1]}"
    pod.put(CREDENTIALS_PATH, json.dumps({**keeper.config_dict(), "hostname": hostname}))


def untrusted(pod: AgentPod, _keeper: LocalKeeper) -> None:
    """Remove Keeper's CA from the plan."""
    plan = json.loads(pod.at(PLAN_PATH).read_text(encoding="utf-8"))
    del plan["caFile"]
    pod.put(PLAN_PATH, json.dumps(plan))


def test_every_kind_of_secret(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Records, fields, notes, files, folders and one-time codes are delivered with the requested mode."""
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
def test_a_missing_secret_is_reported_with_suggestions(pod: AgentPod, reference: str, message: str) -> None:
    """The pod does not start, its termination message says why, and the other secrets are delivered."""
    pod.wants({"missing": reference, "good": "api-keys[login]"})
    result = pod.run("init")
    assert result.returncode == os.EX_DATAERR
    assert message in pod.termination_message()
    assert pod.files() == ["good"]
    assert "billing" not in result.stderr + pod.termination_message()


def test_the_pod_may_start_without_a_secret(pod: AgentPod) -> None:
    """With ``fail-on-error: false`` the pod starts with the available secrets, and the missing ones are logged."""
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
def test_permanent_failures_are_not_retried(
    pod: AgentPod, keeper: LocalKeeper, fault: Fault, code: int, message: str
) -> None:
    """A failure that a retry cannot fix, or would make worse, takes one request and is reported in one sentence."""
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
def test_transient_failures_are_retried(pod: AgentPod, keeper: LocalKeeper, fault: Fault) -> None:
    """The agent retries a transient failure and logs every retry in one line."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(fault, "get_secret", 1)
    result = pod.run("init")
    assert result.returncode == 0, result.stderr
    assert pod.file("x") == "billing"
    assert [line["event"] for line in events(result.stderr)] == ["retry.scheduled", "secrets.refreshed"]


@pytest.mark.parametrize(
    ("strike", "code", "message"),
    [
        (refused, os.EX_TEMPFAIL, "no connection to localhost"),
        (untrusted, os.EX_NOPERM, "set keeper.security/ca-cert-configmap"),
        (lambda _, keeper: keeper.fault(Fault.revoked(), "get_secret", None), os.EX_NOPERM, "access denied"),
        (lambda pod, _: pod.wants({"x": "nothing[x]"}), os.EX_DATAERR, "not shared with this application"),
        (lambda pod, _: pod.wants({"x": "api-keys[x]"}), os.EX_DATAERR, "no such field"),
        (lambda _, keeper: keeper.fault(Fault.http(503), "get_secret", None), os.EX_TEMPFAIL, "HTTP 503"),
        (lambda _, keeper: keeper.fault(Fault.throttled(), "get_secret", None), os.EX_TEMPFAIL, "throttled"),
    ],
    ids=["refused", "untrusted", "denied", "unknown record", "missing field", "HTTP 503", "throttled"],
)
def test_a_first_start_soon_says_why_it_failed(
    pod: AgentPod, keeper: LocalKeeper, strike: Strike, code: int, message: str
) -> None:
    """Nobody sees the termination message before the container has ended. No retry begins later than the limit allows."""
    pod.wants({"x": "api-keys[login]"})
    strike(pod, keeper)
    result = pod.run("init")
    assert (result.returncode, message in pod.termination_message()) == (code, True)
    waits = [line["wait_seconds"] for line in events(result.stderr) if line["event"] == "retry.scheduled"]
    assert sum(waits) <= FIRST_START.seconds
    assert bool(waits) == (code == os.EX_TEMPFAIL and message != "throttled")


def test_a_first_start_does_not_wait_long_for_an_answer(pod: AgentPod, keeper: LocalKeeper) -> None:
    """If Keeper hangs, the first start ends at its own limit, with one request, and not at the deadline of four minutes."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert "did not answer in time" in pod.termination_message()
    assert keeper.requests == {"get_secret": 1}


def test_a_slow_answer_is_waited_for_by_the_second_start(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Keeper may need longer than the patience of a first start; the next start has more."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.slow(FIRST_START.patience + 4), "get_secret", None)
    assert pod.run("init").returncode == os.EX_TEMPFAIL
    assert pod.run("init").returncode == 0


def test_a_pod_without_restarts_tries_longer(pod: AgentPod, keeper: LocalKeeper) -> None:
    """With ``restartPolicy: Never`` the kubelet repeats nothing, so the webhook tells the agent to go on for a minute."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.http(503), "get_secret", FIRST_START.attempts + 1)
    result = pod.run("init", "--no-restart")
    assert result.returncode == 0, result.stderr
    assert keeper.requests == {"get_secret": FIRST_START.attempts + 2}


def test_a_hang_ends_at_the_deadline(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The init container does not wait longer than its deadline for a Keeper that hangs."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.hang(), "get_secret", None)
    result = pod.run_into_deadline("init")
    assert result.returncode == os.EX_TEMPFAIL
    assert "did not answer in time" in pod.termination_message()


@pytest.mark.parametrize("options", [(), ("--no-restart",)], ids=["", "no restarts"])
@pytest.mark.parametrize(
    "strike",
    [
        lambda keeper: keeper.fault(Fault.http(503), "get_secret", None),
        lambda keeper: keeper.fault(Fault.hang(), "get_secret", None),
        lambda keeper: keeper.fault(Fault.throttled(), "get_secret", None),
        lambda keeper: keeper.remove_record("api-keys"),
    ],
    ids=["503", "hang", "throttled", "record is gone"],
)
def test_a_restarted_pod_starts_with_what_it_has(
    pod: AgentPod, keeper: LocalKeeper, strike: Callable[[LocalKeeper], object], options: tuple[str, ...]
) -> None:
    """If everything exists from an earlier run, one attempt is enough, also for a problem of one item; a warning says why."""
    pod.wants({"x": "api-keys[login]", "y": "two-factor[login]"})
    assert pod.run("init").returncode == 0
    strike(keeper)
    keeper.set_field("two-factor", "login", "changed")
    result = pod.run("init", *options)
    assert result.returncode == 0
    assert pod.file("x") == "billing"
    assert pod.file("y") == (
        "robot" if "warning: content of an earlier run is kept: Keeper: " in pod.termination_message() else "changed"
    )
    assert [line["event"] for line in events(result.stderr) if line["level"] == "warning"][-1] == "init.kept_files"
    assert pod.termination_message().startswith("warning: content of an earlier run is kept: ")
    assert keeper.requests == {"get_secret": 2}


def test_the_content_of_another_plan_is_not_enough(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Files that exist are accepted only if this plan was delivered, and nothing of it is missing."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0
    keeper.fault(Fault.revoked(), "get_secret", None)
    pod.wants({"x": "two-factor[login]"})
    assert pod.run("init").returncode == os.EX_NOPERM
    assert "access denied" in pod.termination_message()


def test_a_pod_without_restarts_waits_while_keeper_throttles(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Nothing repeats its init container, so it asks again after the throttle window, if that ends before the deadline."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.throttled(429, 1), "get_secret", 2)
    result = pod.run("init", "--no-restart")
    assert (result.returncode, pod.file("x")) == (0, "billing"), result.stderr
    assert [line["event"] for line in events(result.stderr)] == [*["init.throttled"] * 2, "secrets.refreshed"]
    assert keeper.requests == {"get_secret": 3}


def test_a_throttle_window_beyond_the_deadline_is_not_waited_for(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The init container ends at once with the reason, instead of being killed later without one."""
    pod.wants({"x": "api-keys[login]"})
    keeper.fault(Fault.throttled(429, 600), "get_secret", None)
    result = pod.run("init", "--no-restart")
    assert result.returncode == os.EX_TEMPFAIL
    assert "throttled; no request for 600 s" in pod.termination_message()
    assert keeper.requests == {"get_secret": 1}
