"""What ``keeper-injector check`` prints, without a cluster; ``integration-tests/test_check.py`` runs it against one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.cli.findings import as_json, as_text, failed, ok, printable, warning
from keeper_injector_webhook.cluster_check.before import api_server, kubelets, minor
from keeper_injector_webhook.cluster_check.configurations import selects
from keeper_injector_webhook.cluster_check.features import OLDEST

PACKAGES = Path(__file__).parents[3]
DOCS = PACKAGES / "keeper-injector-common/docs"
SOURCES = PACKAGES / "keeper-injector-webhook/src/keeper_injector_webhook/cluster_check"


def test_a_failure_says_what_to_do_and_where_to_read_more() -> None:
    """Without a terminal there are no colours."""
    text = as_text(failed("ca-bundle", "the caBundle is empty", "helm upgrade", "production.md#upgrades"))
    first, second, third = text.splitlines()
    assert first == "✗ the caBundle is empty"
    assert second == "    do:  helm upgrade"
    assert third.endswith("/docs/production.md#upgrades")


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    """The command ends with 2, and one sentence that says what to do."""
    config = {
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "somebody"}}],
        "users": [{"name": "somebody", "user": {"token": "x"}}],
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config), encoding="utf-8")
    command = [sys.executable, "-m", "keeper_injector_common.cli", "check", "--kubeconfig", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("keeper-injector: the API server https://127.0.0.1:1 does not answer: ")
    assert done.stderr.endswith("; check the server in the kubeconfig, and the network to it\n")


def test_programs_get_every_finding() -> None:
    """One document with the group of each finding."""
    groups = [("webhook", [ok("dry-run", "injected", 0.0123), warning("kubelets", "unknown")])]
    content = json.loads(as_json(groups))
    assert [(item["group"], item["check"], item["status"]) for item in content["findings"]] == [
        ("webhook", "dry-run", "ok"),
        ("webhook", "kubelets", "warning"),
    ]
    assert content["findings"][0]["seconds"] == 0.012
    assert "seconds" not in content["findings"][1]


@given(st.text())
def test_no_text_from_a_cluster_controls_a_terminal(text: str) -> None:
    """Termination messages and names are written by others."""
    assert printable(text).isprintable()


def test_links_lead_to_headings() -> None:
    """Every page and heading that a finding names exists."""
    named = set()
    for source in SOURCES.glob("*.py"):
        named |= set(re.findall(r'"([a-z]+\.md)(?:#([\w-]+))?"', source.read_text(encoding="utf-8")))
    assert len(named) > 5
    for page, anchor in named:
        headings = re.findall(r"^#+ (.+)$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in anchors, f"{page}#{anchor}"


@pytest.mark.parametrize(
    ("text", "version"),
    [("v1.37.2", (1, 37)), ("v1.29.0-gke.100", (1, 29)), ("1.33", (1, 33)), ("v1.31+", (1, 31)), ("None", (0, 0))],
)
def test_versions_of_vendors(text: str, version: tuple[int, int]) -> None:
    """Vendors append their own suffix."""
    assert minor(text) == version


BEFORE = (OLDEST[0], OLDEST[1] - 1)


@pytest.mark.parametrize(
    ("version", "status"), [((0, 0), "failed"), (BEFORE, "failed"), (OLDEST, "ok"), ((1, 99), "ok")]
)
def test_an_api_server_before_the_charts_versions_fails(version: tuple[int, int], status: str) -> None:
    """Helm would refuse to install the chart; the finding says from which version it installs."""
    found = api_server("v{}.{}.4-gke.1".format(*version), "https://cluster.example")
    assert found.status.name.lower() == status
    assert "{}.{} or newer".format(*OLDEST) in found.found


@pytest.mark.parametrize(
    ("oldest", "status", "words"),
    [
        ((1, 28), "failed", "has no native sidecars"),
        (BEFORE, "warning", "the oldest tested version is {}.{}".format(*OLDEST)),
        (OLDEST, "ok", "of 1 node is {}.{}".format(*OLDEST)),
    ],
    ids=["no sidecars", "not tested", "tested"],
)
def test_a_kubelet_may_be_older_than_the_api_server(oldest: tuple[int, int], status: str, words: str) -> None:
    """A kubelet without native sidecars fails; one that was only never tested is a warning."""
    found = kubelets(oldest, 1)
    assert (found.status.name.lower(), words in found.found) == (status, True)


@pytest.mark.parametrize(
    ("selector", "labels", "is_selected"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]}, {"a": "2"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {"a": "1"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
        ({"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]}, {"a": "1"}, False),
    ],
)
def test_selectors(selector: dict[str, object], labels: dict[str, str], is_selected: bool) -> None:
    """Label selectors as API servers evaluate them (apimachinery, pkg/labels)."""
    assert selects(selector, labels) is is_selected
