"""The command line: which state directory ``ready`` and ``status`` use, and what ``ready`` imports."""

from __future__ import annotations

import gc
import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest
from agent_pods import AgentPod
from hypothesis import example, given
from hypothesis import strategies as st
from sidecars import sidecar

from keeper_injector_agent.cli import main
from keeper_injector_agent.options import OPTIONS, read_options
from keeper_injector_agent.parser import build_parser
from keeper_injector_common.plan.paths import PLAN_PATH, READY_NAME, STATE_PATH

OTHER_STATE = "/elsewhere/state"


def test_ready_and_status_use_the_state_directory_of_the_plan(pod: AgentPod) -> None:
    """A plan can set another state directory, where ``ready`` and ``status`` then look."""
    pod.wants({"x": "api-keys[login]"}, state=OTHER_STATE)
    pod.put(f"{STATE_PATH}/{READY_NAME}", "")
    assert pod.run("ready", "--wait", "0").returncode == 1
    pod.put(f"{OTHER_STATE}/{READY_NAME}", "")
    assert pod.run("ready").returncode == 0
    assert pod.run("status").returncode == 1
    assert pod.run("init").returncode == 0
    status = pod.run("status", "-o", "json")
    assert (status.returncode, json.loads(status.stdout)["files"]) == (0, 1)


@pytest.mark.parametrize("plan", [None, "{", "[]", '{"version": 1}'], ids=["missing", "damaged", "array", "no state"])
def test_ready_uses_the_default_state_directory_without_a_plan(pod: AgentPod, plan: str | None) -> None:
    """The probe must not fail with a traceback before the plan can be read."""
    if plan is not None:
        pod.put(PLAN_PATH, plan)
    assert pod.run("ready", "--wait", "0").returncode == 1
    pod.put(f"{STATE_PATH}/{READY_NAME}", "")
    assert pod.run("ready").returncode == 0


def test_ready_waits_for_the_sidecar(pod: AgentPod) -> None:
    """A probe that starts before the sidecar succeeds as soon as the sidecar runs, so a healthy start has no event."""
    pod.wants({"x": "api-keys[login]"})
    with pod.start("ready", "--wait", "60") as probe, sidecar(pod):
        assert probe.wait(30) == 0


def test_a_failed_probe_says_why(pod: AgentPod) -> None:
    """The kubelet shows the output of a failed probe in an event."""
    failed = pod.run("ready", "--wait", "0.1")
    assert (failed.returncode, failed.stderr) == (1, "")
    assert failed.stdout == (
        f"the sidecar has not started after 0.1 s: {pod.at(STATE_PATH)}/ready does not exist; its log has the reason\n"
    )


def test_ready_imports_little(pod: AgentPod) -> None:
    """The start of a pod waits for the probe, so it must not import attrs or the reader of plans."""
    pod.wants({"x": "api-keys[login]"})
    result = pod.run("ready", "--wait", "0", python_options=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "json" in imported
    assert not imported & {"argparse", "attr", "logging", "requests", "typing", "keeper_injector_common.plan.wire"}


BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_output_that_cannot_be_written_is_reported(pod: AgentPod) -> None:
    """The process ends without the interpreter's clean-up, except that this reports it."""
    with Path("/dev/full").open("w", encoding="ascii") as full:
        line = pod.command("status")
        result = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=BUFFERED)
    assert (result.returncode, "No space left on device" in result.stderr) == (120, True)


def test_buffered_output_arrives(pod: AgentPod) -> None:
    """Standard output is buffered if it is not a terminal; it may also be closed."""
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("once").returncode == 0
    shown = subprocess.run(pod.command("status", "-o", "json"), stdout=subprocess.PIPE, check=True, env=BUFFERED)
    assert json.loads(shown.stdout)["files"] == 1
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *pod.command("status")]
    assert subprocess.run(closed, check=False, env=BUFFERED).returncode == 0


def test_the_relay_collects_its_garbage(tmp_path: Path) -> None:
    """It runs for months; the other commands end within seconds, and start without the collector."""
    gc.disable()
    try:
        assert main(["relay", "--applications", str(tmp_path), "--output", str(tmp_path)]) == os.EX_NOINPUT
        assert gc.isenabled()
    finally:
        gc.enable()


_COMMANDS = st.sampled_from(["init", "sidecar", "once", "refresh", "status", "ready", "check", "bind", "nothing"])
_NAMES = st.sampled_from([name for option in OPTIONS for name in option.names])
_VALUES = st.sampled_from(
    [
        "",
        "/x",
        "x y",
        "-",
        "-1",
        "--",
        "1.5",
        "1e3",
        "nan",
        "info",
        "INFO",
        "json",
        "sha256:0",
        "--root=/x",
        "--ro",
        "-h",
    ]
)
_LINES = st.builds(
    lambda command, words: [command, *itertools.chain.from_iterable(words)],
    _COMMANDS,
    st.lists(st.one_of(st.tuples(_NAMES, _VALUES), st.tuples(_NAMES), st.tuples(_VALUES)), max_size=4),
)


@given(_LINES)
@example([])
@example(["init", "--no-restart", "--plan-digest", "sha256:0"])
@example(["status", "-o", "json", "--root", "/x"])
def test_a_line_that_is_read_without_argparse_means_the_same(line: list[str]) -> None:
    """Everything else is left to argparse, which also explains mistakes."""
    found = read_options(line)
    if found is not None:
        expected = build_parser().parse_args(line)
        assert {name: repr(value) for name, value in vars(found).items()} == {
            name: repr(value) for name, value in vars(expected).items()
        }  # as text, because nan is not equal to itself


def test_the_lines_of_pods_are_read_without_argparse() -> None:
    """These are what the webhook writes, and what people see in its documentation."""
    for line in (
        ["init", "--no-restart", "--plan-digest", "sha256:0"],
        ["sidecar", "--log-level", "debug", "--plan-digest", "sha256:0"],
        ["once", "--plan", "plan.json", "--root", "./out", "--deadline", "5"],
        ["ready"],
        ["ready", "--wait", "0"],
        ["status", "-o", "json"],
        ["refresh", "--output", "json"],
    ):
        assert read_options(line) is not None


@pytest.mark.parametrize("command", build_parser().commands)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` works for every command, and has examples that can be read: argparse formats the help texts only then."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    text = capsys.readouterr().out
    assert (ended.value.code, text.startswith(f"usage: keeper-injector-agent {command} ")) == (0, True)
    for line in text.partition("examples:\n")[2].splitlines():
        _, words = line.split("keeper-injector-agent ") if "keeper-injector-agent " in line else ("", "")
        given = words.split("  ")[0].partition(" <")[0].split()
        assert not given or build_parser().parse_args(given).command
    assert f"keeper-injector-agent {command}" in text.partition("examples:\n")[2]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "",
            "keeper-injector-agent: error: the following arguments are required: COMMAND; see keeper-injector-agent --help",
        ),
        ("refersh", "error: unknown command 'refersh'; did you mean 'refresh'?"),
        ("xyz", "error: unknown command 'xyz'; write one of bind, check, init, once, "),
        ("init --dedline 5", "keeper-injector-agent init: error: unknown option --dedline; did you mean --deadline?"),
        ("init --deadl=5", "unknown option --deadl; did you mean --deadline?"),
        ("init --plan-", "unknown option --plan-; did you mean --plan-digest?"),
        ("bind --outptu x", "unknown option --outptu; did you mean --output?"),
        (
            "ready --x --waitt 5",
            "unknown option --x; write one of --deadline, --help, --log-level, --plan, --root, --wait; unknown",
        ),
        ("once extra", "keeper-injector-agent once: error: unexpected: extra; remove it"),
        ("init --deadline", "argument --deadline: expected one argument; see keeper-injector-agent init --help"),
        ("init --deadline soon", "'soon' is not a number of seconds; write one from 0 to 86400, such as 30"),
        ("ready --wait nan", "'nan' is not a number of seconds"),
        ("ready --wait inf", "'inf' is not a number of seconds"),
        ("refresh --timeout=-1", "'-1' is not a number of seconds"),
        ("bind --output x --deadline inf", "'inf' is not a number of seconds"),
        ("init --plan=", "argument --plan: the path is empty; write one, or leave the option out"),
        ("status -o yaml", "invalid choice: 'yaml' (choose from"),
        ("sidecar --log-level trace", "invalid choice: 'trace' (choose from"),
        ("init --no-restart=1", "argument --no-restart: ignored explicit argument '1'"),
    ],
)
def test_a_mistake_is_explained(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names what is wrong, what was probably meant, and where the help is."""
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    printed = capsys.readouterr().err
    assert (ended.value.code, printed.startswith("usage: keeper-injector-agent")) == (2, True)
    assert message in printed
    assert printed.endswith(" --help\n")
