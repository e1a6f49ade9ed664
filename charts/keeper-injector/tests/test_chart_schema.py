"""What the chart's schema accepts, the webhook accepts: otherwise an upgrade succeeds whose pods do not start."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered_chart import CHART, helm, needs_helm

from chart_patterns import INTERVAL, VOLUME_SIZE, whole_numbers
from chart_values import read_values
from keeper_injector_common import parsers
from keeper_injector_common.limits import LARGEST_CONFIG_MAP
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_webhook.errors import SettingsError
from keeper_injector_webhook.settings import parse_settings

Json = dict[str, Any]
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
OURS = ("agent", "defaults", "namespaceDefaults", "policy")
"""The sections that the webhook reads."""


def valid(schema: Json) -> st.SearchStrategy[Any]:
    """Generate values that *schema*, of the keywords that the chart uses, accepts."""
    if "anyOf" in schema:
        return st.one_of(*map(valid, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "string" if "pattern" in schema:
            # Python's `$` also matches before a newline at the end; Go's and ECMA's do not.
            text = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
            return text.filter(lambda value: len(value) <= schema.get("maxLength", len(value)))
        case "string":
            return st.text(st.characters(codec="utf-8"), max_size=10)
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "number":
            thousandths = st.integers(1, int(schema["maximum"] * 1000))
            return thousandths.map(lambda value: value // 1000 if value % 1000 == 0 else value / 1000)
        case "array":
            return st.lists(valid(schema["items"]), max_size=3, unique=schema.get("uniqueItems", False))
    if isinstance(more := schema.get("additionalProperties"), dict):
        return st.dictionaries(valid(schema["propertyNames"]), valid(more), max_size=3)
    return st.fixed_dictionaries({}, optional={name: valid(item) for name, item in schema["properties"].items()})


@settings(max_examples=400)
@given(st.fixed_dictionaries({name: valid(SCHEMA["properties"][name]) for name in OURS}))
def test_what_the_schema_accepts_the_webhook_accepts(content: Json) -> None:
    """Each text that a pattern of the schema matches is valid for the webhook's parser of it."""
    problems = ""
    try:
        parse_settings(json.dumps(content, ensure_ascii=False), "settings.yaml")
    except SettingsError as error:
        problems = str(error)
    # Two values that contradict each other are a matter of the templates: see below.
    assert [line for line in problems.splitlines() if "does not allow the default" not in line] == []


@given(st.integers(0, 12_000), st.integers(1, 12_000))
def test_the_pattern_of_a_range_matches_its_numbers_only(low: int, width: int) -> None:
    """The pattern is exact at both ends and outside of them."""
    schema = {"pattern": f"^{whole_numbers(low, low + width)}$"}
    ends = {
        low,
        low + 1,
        low + width,
        low + width - 1,
        low + width + 1,
        (low + width) * 10,
        max(0, low - 1),
        low + width // 2,
    }
    for number in ends:
        assert jsonschema.Draft7Validator(schema).is_valid(str(number)) is (low <= number <= low + width), number


@pytest.mark.parametrize(
    ("schema", "parse", "units"),
    [(INTERVAL, parsers.duration, "hms"), (VOLUME_SIZE, parsers.volume_size, ["", "k", "M", "G", "Ki", "Mi", "Gi"])],
)
@given(data=st.data())
def test_the_schema_is_not_narrower_for_numbers(schema: Json, parse: Any, units: Any, data: st.DataObject) -> None:
    """A number without leading zeros and its unit are valid for the schema exactly if they are for the parser."""
    text = f"{data.draw(st.integers(0, 2**31))}{data.draw(st.sampled_from(list(units)))}"
    if data.draw(st.booleans()):
        text = f"{data.draw(st.integers(0, 2000))}{data.draw(st.sampled_from(list(units)))}"
    try:
        parse(text)
    except InvalidValue:
        accepted = False
    else:
        accepted = True

    assert jsonschema.Draft7Validator(schema).is_valid(text) is accepted, text


@pytest.mark.parametrize(
    "change",
    [
        {"defaults": {"refresh-interval": "10x"}},
        {"defaults": {"refresh-interval": "5s"}},
        {"defaults": {"refresh-interval": 300}},
        {"defaults": {"init-only": "perhaps"}},
        {"defaults": {"log-level": "loud"}},
        {"defaults": {"agent-limits-memory": "128mb"}},
        {"defaults": {"volume-size": "2Gi"}},
        {"defaults": {"ksm-config": "A b"}},
        {"namespaceDefaults": {"shop": {"refresh-interval": "10x"}}},
        {"namespaceDefaults": {"Shop": {}}},
        {"policy": {"minRefreshInterval": "10x"}},
        {"policy": {"maxVolumeSize": "16mb"}},
        {"policy": {"contact": "a\tb"}},
        {"agent": {"resources": {"limits": {"memory": "128mb"}}}},
        {"agent": {"image": {"repository": ""}}},
        {"agent": {"image": {"repository": "a/b:1"}}},
        {"agent": {"image": {"tag": "a b"}}},
        {"agent": {"noProxy": "http://a"}},
        {"image": {"repository": ""}},
        {"image": {"tag": "a b"}},
        {"resources": {"limits": {"memmory": "1Gi"}}},
        {"resources": {"limits": {"memory": "128mb"}}},
        {"tolerations": [{"keys": "a"}]},
        {"topologySpreadConstraints": [{"maxSkew": 1}]},
        {"networkPolicy": {"from": [{"cidr": "10.0.0.0/8"}]}},
        {"networkPolicy": {"apiServerPorts": []}},
        {"networkPolicy": {"apiServerPorts": None}},
        {"tls": {"certManager": {"duration": ""}}},
        {"tls": None},
        {"monitoring": None},
        {"autoscaling": None},
        {"agent": None},
        {"policy": None},
        {"port": None},
        {"serviceAccount": {"create": None}},
    ],
    ids=json.dumps,
)
def test_a_wrong_value_is_invalid(change: Json) -> None:
    """Misspelt keys, texts that the webhook or Kubernetes refuses, and sections that a null removes."""
    validator = jsonschema.Draft7Validator(SCHEMA)

    assert validator.is_valid(merged(VALUES, {}))
    assert not validator.is_valid(merged(VALUES, change))


def merged(values: Any, change: Any) -> Any:
    """Return *values* with *change*, as Helm merges them: a null takes a key away."""
    if not (isinstance(values, dict) and isinstance(change, dict)):
        return change
    found = {**values, **{key: merged(values.get(key), value) for key, value in change.items()}}
    return {key: value for key, value in found.items() if value is not None}


@needs_helm
@pytest.mark.parametrize(
    "path",
    sorted(
        {
            value.path[:depth]
            for value in read_values((CHART / "values.yaml").read_text(encoding="utf-8"))
            for depth in range(1, len(value.path) + 1)
        }
    ),
    ids=".".join,
)
def test_null_is_a_default_or_a_clear_error(path: tuple[str, ...]) -> None:
    """Nothing set to null makes a template fail: the schema names what is missing, or the objects are rendered."""
    done = helm("template", "x", CHART, "--set", f"{'.'.join(path)}=null")

    if done.returncode:
        assert "missing propert" in done.stderr or "is required" in done.stderr, done.stderr
        assert f"'{path[-1]}'" in done.stderr or path[-1] in done.stderr


CROSS = [
    ({}, {}, {}),
    ({"minRefreshInterval": "10m"}, {}, {}),
    ({"minRefreshInterval": "10m"}, {"refresh-interval": "1h"}, {}),
    ({"minRefreshInterval": "10m"}, {"refresh-interval": "1h"}, {"shop": {"refresh-interval": "599s"}}),
    (
        {"minRefreshInterval": "10m", "namespaces": {"shop": {"minRefreshInterval": "2h"}}},
        {"refresh-interval": "1h"},
        {},
    ),
    (
        {"minRefreshInterval": "10m", "namespaces": {"shop": {"minRefreshInterval": "1m"}}},
        {"refresh-interval": "10m"},
        {"shop": {"refresh-interval": "2m"}},
    ),
    (
        {"minRefreshInterval": "10m", "namespaces": {"shop": {"minRefreshInterval": "1m"}}, "namespacesMayWiden": True},
        {"refresh-interval": "10m"},
        {"shop": {"refresh-interval": "2m"}},
    ),
    ({"maxVolumeSize": "8Mi"}, {}, {}),
    ({"maxVolumeSize": "8Mi"}, {"volume-size": "8192Ki"}, {}),
    ({"maxVolumeSize": "8Mi"}, {"volume-size": 8388609}, {}),
    ({"maxVolumeSize": "64Mi", "namespaces": {"till": {"maxVolumeSize": "1M"}}}, {}, {"shop": {"volume-size": "64M"}}),
    (
        {"maxVolumeSize": "64Mi", "namespaces": {"shop": {"maxVolumeSize": "128Mi"}}, "namespacesMayWiden": True},
        {},
        {"shop": {"volume-size": "128Mi"}},
    ),
]


@needs_helm
@pytest.mark.parametrize(("policy", "defaults", "single"), CROSS)
def test_defaults_outside_of_the_policy_are_refused_where_the_webhook_refuses_them(
    policy: Json, defaults: Json, single: Json
) -> None:
    """The templates and the webhook compare the same durations and sizes."""
    content = {"policy": policy, "defaults": defaults, "namespaceDefaults": single}
    try:
        parse_settings(json.dumps(content), "settings.yaml")
    except SettingsError:
        accepted = False
    else:
        accepted = True
    done = helm(
        "template",
        "x",
        CHART,
        *(word for name, value in content.items() for word in ("--set-json", f"{name}={json.dumps(value)}")),
    )

    assert (done.returncode == 0) is accepted, done.stderr


@needs_helm
@pytest.mark.parametrize(("count", "accepted"), [(640, True), (9000, True), (14_000, False)])
def test_settings_fill_a_config_map_and_no_more(count: int, accepted: bool, tmp_path: Any) -> None:
    """The webhook reads the settings of as many namespaces as a ConfigMap holds; helm refuses more."""
    single = {
        f"namespace-{number:05}": {"ksm-config": "credentials", "refresh-interval": "10m", "init-only": False}
        for number in range(count)
    }
    (tmp_path / "values.yaml").write_text(json.dumps({"namespaceDefaults": single}))
    done = helm(
        "template", "x", CHART, "--values", tmp_path / "values.yaml", "--show-only", "templates/webhook-configmap.yaml"
    )

    # --show-only still renders every template.
    assert (done.returncode == 0) is accepted, done.stderr[:500]
    if accepted:
        text = yaml.load(done.stdout, yaml.CSafeLoader)["data"]["settings.yaml"]
        assert len(text.encode()) <= LARGEST_CONFIG_MAP
        assert len(parse_settings(text, "settings.yaml").defaults.by_namespace) == count
    else:
        assert "a ConfigMap holds 1 MiB" in done.stderr


@pytest.mark.parametrize(
    ("duration", "before", "problem"),
    [
        ("24h", "24h", "is not less than"),
        ("1h", "90m", "is not less than"),
        ("30m", "10m", "shorter than 1h"),
        ("24h", "4m", "shorter than 5m"),
    ],
)
@needs_helm
def test_a_certificate_that_is_always_due_is_refused(duration: str, before: str, problem: str) -> None:
    """cert-manager's own rules: renewBefore is less than the lifetime, and both have a minimum."""
    done = helm(
        "template",
        "x",
        CHART,
        "--set",
        f"tls.mode=cert-manager,tls.certManager.duration={duration},tls.certManager.renewBefore={before}",
    )

    assert done.returncode != 0
    assert problem in done.stderr
