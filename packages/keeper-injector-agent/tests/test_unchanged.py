"""A refresh that ends early has the same result as a whole one."""

from __future__ import annotations

import logging
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_pods import VOLUME, AgentPod, item, plan_folder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sidecars import UNUSED, imported_by_refresh, logged_event, sidecar

from keeper_injector_agent.state import load_state
from keeper_injector_agent.unchanged import Shortcut
from keeper_injector_agent.worker import run_refresh
from keeper_injector_common.plan.delivery import Templated
from keeper_injector_common.plan.model import Directory, Environment, FileItem, RecordVariablesItem
from keeper_injector_common.plan.paths import CREDENTIALS_PATH, PLAN_PATH, STATE_NAME, STATE_PATH
from keeper_injector_common.references import RecordName, WholeRecord, parse_reference
from local_keeper import Fault, LocalKeeper


class _Log(logging.Handler):
    """The events of a refresh, without what differs between any two refreshes."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        data = {key: getattr(record, key, None) for key in ("files", "bytes", "changed", "problem", "uid", "exit_code")}
        self.events.append((record.getMessage(), str(data)))


@contextmanager
def _logged() -> Iterator[list[tuple[str, str]]]:
    log = _Log()
    root = logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.INFO)
    try:
        yield log.events
    finally:
        root.removeHandler(log)
        root.setLevel(level)


def refresh(pod: AgentPod, run: str = "supervisor") -> tuple[bool, int]:
    """Refresh as a worker of the sidecar does; return whether it ended early, and its exit code."""
    shortcut = Shortcut(run)
    plan = pod.at(PLAN_PATH)
    with shortcut.resources:
        if shortcut.take(plan, pod.root, deadline=60):
            return True, os.EX_OK
        return False, run_refresh(plan, root=pod.root, deadline=60, initial=False, shortcut=shortcut)


def wants_two(pod: AgentPod) -> None:
    """Give the agent a plan for two ordinary files."""
    pod.wants({"a": "api-keys[login]", "b": "database-credentials"})


def test_a_refresh_ends_early_if_nothing_has_changed(pod: AgentPod, keeper: LocalKeeper) -> None:
    """It sends the same request, and reports the same; a change is found with one request as well."""
    wants_two(pod)
    assert refresh(pod) == (False, 0)
    keeper.reset_requests()
    with _logged() as events:
        assert refresh(pod) == (True, 0)
    assert [event for event, _ in events] == ["secrets.unchanged"]
    keeper.set_field("api-keys", "login", "new")
    assert refresh(pod) == (False, 0)
    assert pod.file("a") == "new"
    assert refresh(pod) == (True, 0)
    assert keeper.requests == {"get_secret": 3}
    state = load_state(pod.at(STATE_PATH))
    assert state.counts["refreshes_ok"] == state.counts["requests_ok"] == 4


def test_an_unchanged_refresh_imports_little(pod: AgentPod) -> None:
    """Every module costs CPU time at each refresh of each pod: attrs a fifth, what the SDK does not use more than half."""
    wants_two(pod)
    refresh(pod)
    imported = imported_by_refresh(pod)
    assert load_state(pod.at(STATE_PATH)).counts["refreshes_ok"] == 2
    assert "keeper_secrets_manager_core" in imported
    assert not imported & UNUSED


def test_attachments_and_folders_do_not_prevent_that(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The URLs of attachments are new in each answer, and mean nothing."""
    plan_folder(pod, item("pem", "keeper://TLS Certs/file/server.pem"))
    assert [refresh(pod)[0] for _ in range(3)] == [False, True, True]
    keeper.set_file("TLS Certs", "server.pem", b"new")
    assert refresh(pod) == (False, 0)
    assert pod.file("pem") == "new"


def test_a_folder_with_a_one_time_code_is_always_rendered(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The file of a record in it contains the current code."""
    plan_folder(pod)
    url = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"
    keeper.add_record({"title": "codes", "type": "login", "fields": {"oneTimeCode": url}}, "Databases")
    assert [refresh(pod)[0] for _ in range(2)] == [False, False]


@pytest.mark.parametrize(
    ("source", "early"),
    [
        ("two-factor[login]", True),
        ("two-factor", False),
        ("two-factor[oneTimeCode]", False),
        ("keeper://two-factor/title", True),
    ],
)
def test_a_file_with_a_one_time_code_is_always_rendered(pod: AgentPod, source: str, *, early: bool) -> None:
    """Its content depends on the time; other fields of such a record do not."""
    pod.wants({"file": source})
    assert [refresh(pod)[0] for _ in range(2)] == [False, early]


def test_a_new_supervisor_refreshes_wholly(pod: AgentPod) -> None:
    """After a restart, the agent may have another version, which renders differently."""
    wants_two(pod)
    assert [refresh(pod, run)[0] for run in ("first", "first", "second", "second")] == [False, True, False, True]


def test_init_and_once_refresh_wholly(pod: AgentPod) -> None:
    """They leave no receipt either."""
    wants_two(pod)
    refresh(pod)
    assert pod.run("once").returncode == 0
    assert refresh(pod)[0] is False


def test_a_warning_is_repeated_at_each_refresh(pod: AgentPod, keeper: LocalKeeper) -> None:
    """A refresh that ended early would not log it."""
    wants_two(pod)
    keeper.add_record({"title": "api-keys", "type": "login", "fields": {"login": "second"}})
    for _ in range(3):
        with _logged() as events:
            assert refresh(pod)[0] is False
        assert "record.ambiguous" in dict(events)


@pytest.mark.parametrize(
    ("fault", "code"), [(Fault.throttled(), os.EX_TEMPFAIL), (Fault.revoked(), os.EX_NOPERM), (Fault.http(404), None)]
)
def test_an_error_is_reported_without_a_second_request(
    pod: AgentPod, keeper: LocalKeeper, fault: Fault, code: int | None
) -> None:
    """In particular when Keeper throttles: each request extends the wait."""
    wants_two(pod)
    refresh(pod)
    keeper.reset_requests()
    keeper.fault(fault, times=None)
    early, found = refresh(pod)
    assert (early, found) == (False, code if code is not None else found)
    assert found != 0
    if code is not None:
        assert keeper.requests == {"get_secret": 1}
        state = load_state(pod.at(STATE_PATH))
        assert (state.counts["refreshes_failed"], state.failures) == (1, 1)


def test_templates_are_rendered_by_a_process_without_secrets(pod: AgentPod, keeper: LocalKeeper) -> None:
    """The server is forked before Keeper is asked, also by a refresh that hopes to end early."""
    reference = parse_reference("api-keys")
    file = FileItem("f", (reference,), Templated("{{ .login }}!"), 0o400)
    pod.plan(directories=(Directory(VOLUME, "/app", (file,)),))
    with sidecar(pod, "--log-level", "debug") as process:
        logged_event(process, "secrets.refreshed")
        for _ in range(2):
            process.send_signal(signal.SIGHUP)
            logged_event(process, "secrets.unchanged")
        assert load_state(pod.at(STATE_PATH)).receipt["templates"] is True
        keeper.set_field("api-keys", "login", "new")
        process.send_signal(signal.SIGHUP)
        logged_event(process, "secrets.refreshed")
    assert pod.file("f") == "new!"


# The property: a pod that may take the shortcut, and one that never does.

_PLANS: dict[str, Callable[[AgentPod], object]] = {
    "titles": lambda pod: pod.wants({"a": "api-keys[login]", "d/b": "database-credentials", "t": "two-factor[login]"}),
    "uids": lambda pod: pod.wants({"a": f"{pod.keeper.uid('deploy-key')}[login]"}),
    "removal": lambda pod: pod.wants(
        {"a": "api-keys", "pem": "keeper://TLS Certs/file/server.pem"}, on_removal="remove"
    ),
    "folder": lambda pod: plan_folder(pod, item("a", "api-keys[login]")),
    "folder-removal": lambda pod: plan_folder(pod, on_removal="remove"),
    "strict": lambda pod: pod.wants({"a": "api-keys[login]", "t": "two-factor"}, strict_lookup=True),
    "variables": lambda pod: pod.plan(
        environments=(
            Environment(
                VOLUME, "file-ref", 0o400, records=(RecordVariablesItem(WholeRecord(RecordName(("api-keys",)))),)
            ),
        )
    ),
}


def _in_keeper(change: Callable[[LocalKeeper], object]) -> Callable[[LocalKeeper, list[AgentPod]], None]:
    def action(keeper: LocalKeeper, _pods: list[AgentPod]) -> None:
        with suppress_missing():
            change(keeper)

    return action


def _on_disk(change: Callable[[Path], object]) -> Callable[[LocalKeeper, list[AgentPod]], None]:
    def action(_keeper: LocalKeeper, pods: list[AgentPod]) -> None:
        for pod in pods:
            with suppress_missing():
                change(pod.at(VOLUME))

    return action


@contextmanager
def suppress_missing() -> Iterator[None]:
    """Do nothing if what is to be changed does not exist (any more)."""
    try:
        yield
    except (OSError, LookupError, ValueError):
        return


def _first(volume: Path) -> Path:
    return min(path for path in (volume / "..data").rglob("*") if path.is_file())


def _planned(name: str) -> Callable[[LocalKeeper, list[AgentPod]], None]:
    def action(_keeper: LocalKeeper, pods: list[AgentPod]) -> None:
        for pod in pods:
            _PLANS[name](pod)

    return action


def _each(change: Callable[[AgentPod], object]) -> Callable[[LocalKeeper, list[AgentPod]], None]:
    def action(_keeper: LocalKeeper, pods: list[AgentPod]) -> None:
        for pod in pods:
            with suppress_missing():
                change(pod)

    return action


def _overwrite(volume: Path) -> None:
    path = _first(volume)
    path.chmod(0o600)
    path.write_bytes(b"overwritten")


_LOGIN = {"type": "login", "fields": {"login": "added"}}
_ACTIONS: dict[str, Callable[[LocalKeeper, list[AgentPod]], None]] = {
    "nothing": lambda _keeper, _pods: None,
    "field": _in_keeper(lambda keeper: keeper.set_field("api-keys", "login", "new")),
    "field back": _in_keeper(lambda keeper: keeper.set_field("api-keys", "login", "billing")),
    "other field": _in_keeper(lambda keeper: keeper.set_field("deploy-key", "login", "new")),
    "two-factor": _in_keeper(lambda keeper: keeper.set_field("two-factor", "login", "new")),
    "notes": _in_keeper(lambda keeper: keeper.set_notes("database-credentials", "new")),
    "file": _in_keeper(lambda keeper: keeper.set_file("TLS Certs", "server.pem", b"new")),
    "second": _in_keeper(lambda keeper: keeper.add_record({"title": "api-keys", **_LOGIN})),
    "in folder": _in_keeper(lambda keeper: keeper.add_record({"title": "added", **_LOGIN}, "Databases")),
    "remove": _in_keeper(lambda keeper: keeper.remove_record("api-keys")),
    "remove redis": _in_keeper(lambda keeper: keeper.remove_record("redis")),
    "corrupt": _in_keeper(lambda keeper: keeper.corrupt_record("redis")),
    "revoked": _in_keeper(lambda keeper: keeper.fault(Fault.revoked(), times=None)),
    "folders denied": _in_keeper(lambda keeper: keeper.fault(Fault.revoked(), "get_folders", times=None)),
    "allowed": _in_keeper(lambda keeper: keeper.clear_faults()),
    "server key": _in_keeper(lambda keeper: keeper.rotate_server_key()),
    "link": _on_disk(lambda volume: min(volume.glob("[a-z]*")).unlink()),
    "all": _on_disk(lambda volume: (volume / "..data").unlink()),
    "content": _on_disk(_overwrite),
    "mode": _on_disk(lambda volume: _first(volume).chmod(0o644)),
    "deleted": _on_disk(lambda volume: _first(volume).unlink()),
    "left over": _on_disk(lambda volume: (volume / "..2020_left_over").mkdir()),
    "half renamed": _on_disk(lambda volume: (volume / "..data_tmp").symlink_to("nowhere")),
    "own link": _on_disk(lambda volume: (volume / "zzz").symlink_to("..data/zzz")),
    "foreign": _on_disk(lambda volume: (volume / "foreign").write_text("of the application", encoding="utf-8")),
    "extra": _on_disk(lambda volume: (volume / "..data/extra").write_text("unknown", encoding="utf-8")),
    "no state": _each(lambda pod: pod.at(f"{STATE_PATH}/{STATE_NAME}").unlink()),
    "bad configuration": _each(lambda pod: pod.put(CREDENTIALS_PATH, "bad")),
    "good configuration": _each(lambda pod: pod.put(CREDENTIALS_PATH, pod.keeper.config())),
    **{f"plan {name}": _planned(name) for name in _PLANS},
}


def _volume(pod: AgentPod) -> dict[str, Any]:
    """Return everything in the volume. The names of generations contain the time, so they are numbered instead."""
    volume = pod.at(VOLUME)
    generations = {path.name: f"GENERATION {number}" for number, path in enumerate(sorted(volume.glob("..[0-9]*")))}

    def named(text: str) -> str:
        return re.sub(r"\.\.\d[\w.]+", lambda found: generations.get(found[0], "MISSING"), text)

    found: dict[str, Any] = {}
    for path in sorted(volume.rglob("*")):
        target = named(str(path.readlink())) if path.is_symlink() else None
        content = path.read_bytes() if path.is_file() else None
        found[named(str(path.relative_to(volume)))] = target, content, path.lstat().st_mode
    return found


def _known(pod: AgentPod) -> dict[str, Any]:
    state = load_state(pod.at(STATE_PATH))
    return {
        "inputs": sorted(state.inputs),
        "origins": state.origins,
        "counts": state.counts,
        "files": (state.files, state.size),
        "failures": (state.failures, state.last_error),
        "server key": state.server_key_id,
    }


@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(st.just("nothing"), st.sampled_from(sorted(_ACTIONS))), min_size=2, max_size=8))
@example(["bad configuration", "all"])
def test_a_sequence_of_changes_has_the_same_result_with_and_without_the_shortcut(names: list[str]) -> None:
    """Files, links, modes, leftovers, exit codes, log lines, counters and the state are equal after each refresh."""
    with LocalKeeper.start() as keeper:
        keeper.throttle_rule(None)
        directory = Path(tempfile.mkdtemp())
        try:
            quick, whole = AgentPod(directory / "quick", keeper), AgentPod(directory / "whole", keeper)
            for pod in (quick, whole):
                _PLANS["titles"](pod)
            for name in ["nothing", "nothing", *names]:
                _ACTIONS[name](keeper, [quick, whole])
                with _logged() as events:
                    _, code = refresh(quick)
                with _logged() as expected:
                    expected_code = run_refresh(whole.at(PLAN_PATH), root=whole.root, deadline=60, initial=False)
                assert (code, _redacted(events, quick)) == (expected_code, _redacted(expected, whole))
                assert _volume(quick) == _volume(whole)
                assert _known_text(quick) == _known_text(whole)
        finally:
            shutil.rmtree(directory)


def _redacted(events: list[tuple[str, str]], pod: AgentPod) -> list[tuple[str, str]]:
    return [(event, data.replace(str(pod.root), "ROOT")) for event, data in events]


def _known_text(pod: AgentPod) -> str:
    return str(_known(pod)).replace(str(pod.root), "ROOT")
