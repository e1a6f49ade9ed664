"""Golden files: each file in data/golden has a comment, a pod, and the expected decision and result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from admission_reviews import injected, plan, pod, respond
from kubernetes.client import V1Pod

from keeper_injector_common.annotations.table import BY_NAME, FAMILIES, PLAN
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.wire import digest
from keeper_injector_webhook.settings import Settings, read_settings

GOLDEN = sorted((Path(__file__).parents[1] / "data/golden").glob("*.yaml"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_file(path: Path, tmp_path: Path) -> None:
    """The decision and the messages are the expected ones, and an injected pod matches and satisfies Kubernetes' schema."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# "), "each file starts with a comment that says what it shows"
    case = yaml.safe_load(text)
    expect = case.pop("expect")
    original = pod(annotations=case.get("annotations"), **case["spec"])
    V1Pod.model_validate(original)
    settings = settings_of(case, tmp_path)
    response = respond(original, settings, namespace=case.get("namespace", "shop"))
    assert decision_of(response) == expect.pop("decision")
    complaints = "\n".join([response.get("status", {}).get("message", ""), *response.get("warnings", [])])
    for part in [*expect.pop("messages", []), *(warnings := expect.pop("warnings", []))]:
        assert part in complaints
    assert bool(warnings) == ("warnings" in response), complaints
    if decision_of(response) != "inject":
        assert not expect
        return
    new = injected(original, settings, namespace=case.get("namespace", "shop"))
    V1Pod.model_validate(new)
    matches(new, expect.pop("pod", {}), "pod")
    matches(plan(new), expect.pop("plan", {}), "plan")
    assert_bound_to_its_plan(new)
    if "order" in expect:
        assert [item["name"] for item in new["spec"]["initContainers"]] == expect.pop("order")
    for name in expect.pop("absent", []):
        assert json.dumps(name) not in json.dumps(new["spec"])
    for name in expect.pop("same", []):
        assert item_named(new["spec"]["containers"], name) == item_named(original["spec"]["containers"], name)
    assert not expect, "every expectation must be checked"


def assert_bound_to_its_plan(new: Json) -> None:
    """Assert that each of the agent's containers has the digest of the pod's plan in its arguments."""
    agents = [
        item
        for item in [*new["spec"]["initContainers"], *new["spec"]["containers"]]
        if item.get("command", [""])[0] == "keeper-injector-agent"
    ]
    assert agents
    assert {tuple(item["args"]) for item in agents} == {("--plan-digest", digest(new["metadata"]["annotations"][PLAN]))}


def settings_of(case: Json, directory: Path) -> Settings:
    """Return the settings of a golden file, read as the webhook reads them. The tag does not change with a release."""
    path = directory / "settings.yaml"
    settings = {"agent": {"image": {"tag": "0.1.0"}}, **case.get("settings", {})}
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return read_settings(path)


def decision_of(response: Json) -> str:
    """Return the decision in a response."""
    if not response["allowed"]:
        return "deny"
    return "inject" if "patch" in response else "skip"


def item_named(items: list[Json], name: str) -> Json:
    """Return the item called *name*."""
    return next(item for item in items if item["name"] == name)


def matches(found: Any, expected: Any, where: str) -> None:
    """Assert that *found* contains *expected*: objects by key, lists of objects by name or otherwise by position."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in found, f"{where}.{key}"
            matches(found[key], value, f"{where}.{key}")
        assert expected or not found or where in {"pod", "plan"} or not where.endswith("resources"), where
    elif isinstance(expected, list) and all(isinstance(item, dict) for item in expected):
        for number, item in enumerate(expected):
            same = [other for other in found if "name" in item and other.get("name") == item["name"]]
            matches((same or found[number : number + 1] or [None])[0], item, f"{where}[{number}]")
    else:
        assert found == expected, where


def test_every_annotation_is_in_an_example() -> None:
    """Each annotation is used in a golden file."""
    shown = {key for path in GOLDEN for key in yaml.safe_load(path.read_text(encoding="utf-8"))["annotations"]}
    stems = tuple(FAMILIES)
    assert {item.name for item in BY_NAME.values()} - shown == set()
    assert {stem for stem in stems if not any(key.startswith(stem) for key in shown)} == set()
