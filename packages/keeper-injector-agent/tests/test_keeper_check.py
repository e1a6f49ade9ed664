"""``keeper-injector-agent check``: each failure on the way to Keeper is made for real, and no value is ever shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from agent_pods import VOLUME, AgentPod, item
from proxies import proxy

from keeper_injector_common.plan.model import Directory, FolderItem
from keeper_injector_common.plan.paths import CA_PATH, CREDENTIALS_PATH
from keeper_injector_common.references import RecordName
from local_keeper import Fault, LocalKeeper

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t which, struct timespec *now) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(which, now);
    if (which == CLOCK_REALTIME) now->tv_sec += 600;
    return result;
}
"""
"""A library that makes the clock of one process ten minutes fast."""


@attrs.frozen
class Checked:
    """What the command printed, and its exit code."""

    code: int
    findings: list[dict[str, Any]]

    def of(self, check: str) -> list[dict[str, Any]]:
        """Return the findings of one check."""
        return [finding for finding in self.findings if finding["check"] == check]

    def only_failure(self) -> dict[str, Any]:
        """Return the failure, which is the only one and says what to do."""
        assert self.code == 1
        (found,) = [finding for finding in self.findings if finding["status"] == "failed"]
        assert found["fix"]
        return found


def check(pod: AgentPod, *options: str, config: bool = True, **variables: str) -> Checked:
    """Run the command, by default without a plan."""
    named = ("--config", str(pod.at(CREDENTIALS_PATH)), "--ca-file", str(pod.at(CA_PATH))) if config else ()
    command = [sys.executable, "-m", "keeper_injector_agent", "check", *named, "-o", "json", *options]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr
    return Checked(done.returncode, json.loads(done.stdout)["findings"])


def test_what_an_application_shares(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Every record with the names and types of its fields, and no value of any field."""
    found = check(pod)
    assert found.code == 0
    assert [finding["status"] for finding in found.of("keeper-host") + found.of("keeper-access")] == ["ok", "ok"]
    records = [finding["found"] for finding in found.of("record")]
    assert any("'api-keys'" in record and "login" in record for record in records)
    shown = json.dumps(found.findings)
    values = [
        str(value)
        for record in keeper.vault.records.values()
        for key in ("fields", "custom")
        for field in record.data.get(key, ())
        for value in field.get("value", ())
        if field["type"] in {"password", "secret", "oneTimeCode", "pinCode"}
    ]
    assert values
    assert [value for value in values if value in shown] == []


def test_a_plan(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Each item of a plan is found or has its own problem, with what to do."""
    files = (item("good", "api-keys[login]"), item("field", "api-keys[logn]"), item("record", "no-such-record"))
    folder = FolderItem(RecordName(("No", "Folder")), mode=0o400)
    pod.plan(directories=(Directory(VOLUME, "/app", files, (folder,)),))
    found = check(pod, "--root", str(pod.root), config=False)
    states = {finding["found"].partition(":")[0]: finding["status"] for finding in found.of("plan-item")}
    assert states == {
        "file /app/good": "ok",
        "file /app/field": "failed",
        "file /app/record": "failed",
        "folder 'No/Folder' in /app": "failed",
    }
    advice = {finding["found"].partition(":")[0]: finding["fix"] for finding in found.of("plan-item")}
    assert advice["file /app/field"] == "did you mean 'login'?"
    for missing in ("file /app/record", "folder 'No/Folder' in /app"):
        assert advice[missing] == "share it with the application in Keeper, or correct the name in the annotation"
    assert found.code == 1
    assert keeper.requests.get("get_secret") == 1
    assert pod.files() == []


def test_ambiguous_and_unreadable_records(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Both are warnings with the UIDs."""
    content = {"title": "twice", "type": "login", "fields": []}
    uids = sorted(keeper.add_record(content) for _ in range(2))
    damaged = keeper.uid("api-keys")
    keeper.corrupt_record("api-keys")
    found = check(pod)
    assert found.code == 0
    (ambiguous,) = [finding for finding in found.of("ambiguous-title") if "'twice'" in finding["found"]]
    assert ambiguous["fix"].endswith(", ".join(uids))
    assert damaged in found.of("unreadable-record")[0]["found"]


def test_a_configuration_that_cannot_be_used(pod: AgentPod) -> None:
    """A one-time token is named as such, and is not shown."""
    token = "US:" + "k" * 43
    pod.put(CREDENTIALS_PATH, token)
    found = check(pod).only_failure()
    assert found["check"] == "ksm-configuration"
    assert "a one-time token" in found["found"]
    assert token not in json.dumps(found)


def test_a_revoked_key(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The host answers, but not to this device."""
    keeper.revoke()
    found = check(pod).only_failure()
    assert found["check"] == "keeper-access"
    assert "access denied" in found["found"]


def test_a_certificate_that_is_not_trusted(pod: AgentPod) -> None:
    """Without the additional CA, as behind an inspecting proxy."""
    found = check(pod, "--config", str(pod.at(CREDENTIALS_PATH)), config=False).only_failure()
    assert found["check"] == "keeper-certificate"
    assert "ca-cert-configmap" in found["fix"]


def test_a_ca_file_that_is_not_one(pod: AgentPod) -> None:
    """The additional CA itself is the failure."""
    pod.put(CA_PATH, "not a certificate")
    found = check(pod).only_failure()
    assert found["check"] == "keeper-certificate"
    assert "not a certificate in PEM format" in found["found"]


def test_throttling(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Keeper counts the requests of all pods with this device together."""
    keeper.fault(Fault.throttled(), times=None)
    found = check(pod).only_failure()
    assert found["check"] == "keeper-throttle"
    assert keeper.requests.get("get_secret", 0) == 1


def test_no_connection(pod: AgentPod, keeper: LocalKeeper) -> None:
    """No answer at the address of the configuration."""
    pod.put(CREDENTIALS_PATH, json.dumps({**keeper.config_dict(), "hostname": "localhost:1"}))
    found = check(pod).only_failure()
    assert found["check"] == "keeper-host"
    assert "without a proxy" in found["fix"]


def test_the_proxy_is_named(pod: AgentPod) -> None:
    """The check says through which proxy it went; a proxy that refuses is the failure."""
    with proxy({"localhost": 0}) as running:
        here = running.url.rpartition(":")[2]
    found = check(pod, HTTPS_PROXY=f"http://127.0.0.1:{here}", NO_PROXY="").only_failure()
    assert found["check"] == "proxy"
    with proxy(status="403 Forbidden") as refusing:
        found = check(pod, HTTPS_PROXY=refusing.url, NO_PROXY="").only_failure()
    assert found["check"] == "proxy"
    assert "allow this host" in found["fix"]


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_clock_that_is_wrong(pod: AgentPod, tmp_path: Path) -> None:
    """One-time codes depend on the clock."""
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(CLOCK, encoding="utf-8")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True, timeout=60)
    found = check(pod, LD_PRELOAD=str(library))
    (clock,) = found.of("clock")
    assert (found.code, clock["status"]) == (0, "warning")
    assert "ahead of" in clock["found"]


def test_text_for_people(pod: AgentPod) -> None:
    """Marks, headings and a summary; without colours if it is not a terminal."""
    command = ["check", "--config", str(pod.at(CREDENTIALS_PATH)), "--ca-file", str(pod.at(CA_PATH))]
    done = subprocess.run(
        [sys.executable, "-m", "keeper_injector_agent", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("way to Keeper\n✓ ")
    assert "\033" not in done.stdout
    assert done.stderr.endswith(" 0 failed\n")


def test_without_a_plan_or_a_configuration(pod: AgentPod) -> None:
    """Outside a pod, the configuration has to be named."""
    done = pod.run("check")
    assert done.returncode == os.EX_USAGE
    assert "--config" in done.stderr
