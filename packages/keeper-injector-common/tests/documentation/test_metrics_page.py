"""The page of metrics and log events has every name of the sources, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keeper_injector_agent.freshness import Target
from keeper_injector_agent.relay.application import Application
from keeper_injector_agent.relay.metrics import as_prometheus as relay_series
from keeper_injector_agent.state import State
from keeper_injector_agent.telemetry import as_prometheus
from keeper_injector_webhook.metrics import Metrics

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "packages/keeper-injector-common/docs/metrics.md").read_text(encoding="utf-8")
LOGGED = re.compile(
    r'\blog\.(?P<level>debug|info|warning|error|exception)\(\s*"(?P<event>[\w.]+)"'
    r'(?: if .+ \w+ "(?P<other>[\w.]+)")?'
    r'|\blog_event\(\s*"(?P<fast_level>\w+)",\s*"(?P<fast_event>[\w.]+)"'
)


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one."""
    (found,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def agent_series() -> str:
    """Return the agent's metrics with one target."""
    state = State()
    state.freshness.targets["/app"] = Target()
    return as_prometheus(state)


def relayed_series() -> str:
    """Return the relay's metrics with one application."""
    return relay_series([Application("shop", ROOT, ROOT, requests={"ok": 1})])


def exported(text: str) -> dict[str, tuple[str, str, str]]:
    """Return type, labels and help text of each metric in Prometheus' text format, by name."""
    found = {}
    helps = dict(re.findall(r"^# HELP (\w+) (.+)$", text, re.MULTILINE))
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        if name.endswith("_created"):
            continue  # of the library: when a series began
        labels = re.search(rf"^{name}(?:_bucket)?{{([^}}]*)}}", text, re.MULTILINE)
        names = re.findall(r"(\w+)=", labels[1]) if labels else []
        found[name] = (kind, ", ".join(f"`{label}`" for label in names if label != "le"), helps[name])
    return found


def shown(heading: str) -> dict[str, tuple[str, str, str]]:
    """Return the rows of the table below a heading."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", section(heading), re.MULTILINE)
    return {name: (kind, labels, meaning) for name, kind, labels, meaning in rows}


def events(package: str) -> set[tuple[str, str]]:
    """Return each event that a package logs, with its level."""
    found = set()
    for path in (ROOT / f"packages/keeper-injector-{package}/src").rglob("*.py"):
        for match in LOGGED.finditer(path.read_text(encoding="utf-8")):
            level = (match["level"] or match["fast_level"]).replace("exception", "error")
            found |= {(name, level) for name in (match["event"], match["other"], match["fast_event"]) if name}
    return found


@pytest.mark.parametrize(
    ("heading", "text"),
    [
        ("Webhook metrics", Metrics().text().decode()),
        ("Agent metrics", agent_series()),
        ("Relay metrics", relayed_series()),
    ],
    ids=["webhook", "agent", "relay"],
)
def test_every_metric_is_described(heading: str, text: str) -> None:
    """Each table has the name, type, labels and help text of each metric."""
    assert len(exported(text)) > 4
    assert shown(heading) == exported(text)


@pytest.mark.parametrize("package", ["agent", "webhook"])
def test_every_log_event_is_described(package: str) -> None:
    """Each table has every event of the sources with its level."""
    rows = re.findall(r"^\| (`[^|]+`) \| (\w+) \|", section(f"Log events of the {package}"), re.MULTILINE)
    described = [(name, level) for names, level in rows for name in re.findall(r"`([\w.]+)`", names)]
    assert len(described) == len(set(described))
    assert set(described) == events(package)
