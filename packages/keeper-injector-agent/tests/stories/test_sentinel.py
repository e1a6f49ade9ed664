"""Sentinels: unique values take every path through the agent, and are searched for wherever no secret may be."""

from __future__ import annotations

import signal
import socket
import traceback
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from agent_pods import VOLUME, AgentPod, item, wait_for
from agent_pods import shown as of_process

from keeper_injector_agent.delivery.files import File
from keeper_injector_common.plan.delivery import Formatted, Templated
from keeper_injector_common.plan.model import (
    Directory,
    Environment,
    FileItem,
    FolderItem,
    RecordVariablesItem,
    VariableItem,
)
from keeper_injector_common.plan.paths import STATE_PATH
from keeper_injector_common.records import Attachment, Field, Library, Record
from keeper_injector_common.records.formats import RecordContent
from keeper_injector_common.references import RecordName, WholeRecord, parse_reference
from local_keeper import Fault, LocalKeeper

MARK = "SENTINEL"
VARIABLES = "/keeper/volumes/1"
RECORD = {
    "title": "everything",
    "type": "login",
    "fields": {
        "login": f"{MARK}-login",
        "password": f"{MARK}-password",
        "url": [f"https://{MARK}-url", f"https://{MARK}-url2"],
        "oneTimeCode": "otpauth://totp/x?secret=ONSWG4TFORZWK3TUNFXGK3A&digits=8&period=30",
        "name": {"first": f"{MARK}-first", "last": f"{MARK}-last"},
        "address": {"street1": f"{MARK}-street"},
        "host": {"hostName": f"{MARK}-host", "port": "1"},
        "keyPair": {"publicKey": f"{MARK}-public", "privateKey": f"{MARK}-private"},
        "paymentCard": {"cardNumber": f"{MARK}-card", "cardSecurityCode": f"{MARK}-cvv"},
        "bankAccount": {"accountNumber": f"{MARK}-account"},
        "securityQuestion": [{"question": f"{MARK}-question", "answer": f"{MARK}-answer"}],
        "pinCode": f"{MARK}-pin",
        "note": f"{MARK}-note",
        "multiline": f"{MARK}-multi\n{MARK}-line",
    },
    "custom": {"my secret": f"{MARK}-custom"},
    "notes": f"{MARK}-notes",
    "files": {"cert.pem": f"{MARK}-file"},
}
SEED = "ONSWG4TFORZWK3TUNFXGK3A"


def everything(pod: AgentPod, keeper: LocalKeeper, port: int) -> None:
    """Give the pod a plan with the record in every format, as template, file, folder and variables; some of them fail."""
    (folder,) = [folder.uid for folder in keeper.vault.folders.values() if folder.name == "Production"]
    keeper.add_record(RECORD, folder)
    whole = parse_reference("everything")
    formats = ["json", "env", "properties", "yaml", "toml", "shell", "ini"]
    files = [
        *(FileItem(f"all.{form}", (whole,), Formatted(form), 0o400) for form in formats),
        item("one", "everything[password]"),
        item("notes", "keeper://everything/notes"),
        item("pem", "keeper://everything/file/cert.pem"),
        item("missing", "everything[nothing]"),
        FileItem("bad.p12", (whole,), Formatted("pkcs12"), 0o400),
        FileItem("bad.docker", (whole,), Formatted("dockerconfigjson"), 0o400),
        FileItem("good.txt", (whole,), Templated("{{ .password }} {{ .notes }} {{ .oneTimeCode }}"), 0o400),
        FileItem("bad.txt", (whole,), Templated("{{ .password | atoi | add 1 }}{{ fail .password }}"), 0o400),
        FileItem("worse.txt", (whole,), Templated("{{ index .url 99 }}{{ .password.first }}"), 0o400),
    ]
    pod.at(VARIABLES).mkdir()
    pod.plan(
        directories=(
            Directory(
                VOLUME,
                "/app",
                tuple(files),
                (FolderItem(RecordName(("Production",)), 0o400, recursive=True, below="f"),),
            ),
        ),
        environments=(
            Environment(
                *(VARIABLES, "exec", 0o400),
                (VariableItem("ONE", parse_reference("everything[password]")),),
                (RecordVariablesItem(WholeRecord(RecordName(("everything",))), "P_"),),
            ),
        ),
        fail_on_error=False,
        metrics_port=port,
    )


def test_no_output_contains_a_value(pod: AgentPod, keeper: LocalKeeper) -> None:
    """Logs, stdout, status, metrics, termination message, state, command line and environment contain no value."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    everything(pod, keeper, port)
    first = pod.run("init", "--log-level", "debug")
    delivered = b"".join(path.read_bytes() for path in pod.at("/keeper/volumes").rglob("*") if path.is_file())
    values = [
        text for text in _texts([RECORD["fields"], RECORD["custom"], RECORD["notes"], RECORD["files"]]) if MARK in text
    ]
    absent = [value for value in values if value.splitlines()[0].encode() not in delivered]
    assert absent == [], first.stderr
    shown = [first.stdout, first.stderr, pod.termination_message()]
    process = pod.start("sidecar", "--log-level", "debug")
    try:
        wait_for(lambda: pod.run("ready").returncode == 0)
        for number, fault in enumerate([Fault.truncate(), Fault.corrupt(), Fault.http(500)], 1):
            keeper.fault(fault, "get_secret", None)
            keeper.set_field("everything", "password", f"{MARK}-next-{number}")
            process.send_signal(signal.SIGHUP)
            wait_for(partial(asked_more_than, keeper, number))
            keeper.clear_faults()
        shown.append(requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text)
        shown.append(of_process(process.pid).decode())
        shown += [pod.run(*command).stdout for command in (["status"], ["status", "-o", "json"], ["once"])]
    finally:
        process.terminate()
        shown.append(process.communicate(timeout=10)[1])
    shown += [path.read_text(encoding="utf-8") for path in pod.at(STATE_PATH).rglob("*") if path.is_file()]
    secrets = [MARK, SEED, *(value for value in keeper.config_dict().values() if len(value) > 20)]
    found = [(secret[:12], text[:80]) for text in shown for secret in secrets if secret in text]
    assert found == []


def asked_more_than(keeper: LocalKeeper, count: int) -> bool:
    """Return whether there were more requests for records than *count*."""
    return keeper.requests["get_secret"] > count


def _texts(value: Any) -> list[str]:
    """Return every text in a nested value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [text for item in inner for text in _texts(item)]


FIELD = Field("password", "password", "", (MARK,), custom=False)
HOLDERS = [
    FIELD,
    Record("uid", "title", "login", (FIELD,), MARK, (Attachment("uid", "name", "title", 1, "1"),)),
    Library((Record("uid", "title", "login", (FIELD,), MARK),)),
    File(MARK.encode(), 0o400),
    RecordContent("title", {"password": MARK}, {"file": MARK.encode()}),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_types_refuse_to_print_values(holder: object) -> None:
    """Neither ``repr`` nor a traceback with local variables shows the value that an object holds."""

    def crash(local: object) -> None:
        raise RuntimeError(f"a bug with {local}")

    try:
        crash(holder)
    except RuntimeError as error:
        lines = list(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert any("local = " in line for line in lines)
    assert MARK not in "".join(lines).replace("MARK", "")
    assert MARK not in f"{holder!r} {holder}"


def test_init_prints_no_value_at_any_log_level(pod: AgentPod, keeper: LocalKeeper, tmp_path: Path) -> None:
    """Log, state and termination message contain no value, even at log level debug."""
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
