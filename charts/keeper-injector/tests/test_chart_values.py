"""The chart's values, templates, alerts, dashboard and images, without rendering."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chart_values import UndocumentedError, Value, read_values, schema_of
from keeper_injector_agent import telemetry
from keeper_injector_agent.relay import metrics as relay_metrics
from keeper_injector_agent.relay.application import Application
from keeper_injector_agent.state import State
from keeper_injector_common.limits import MOST_SECRETS
from keeper_injector_webhook.metrics import Metrics

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts/keeper-injector"
TEMPLATES = {path.name: path.read_text(encoding="utf-8") for path in sorted(CHART.glob("templates/*"))}
EACH = pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())


def values() -> list[Value]:
    return read_values((CHART / "values.yaml").read_text(encoding="utf-8"))


def references(template: str) -> set[str]:
    """Return the values that a template names, those through a variable too."""
    aliases = dict(re.findall(r"\{\{-? *(\$\w+) := \.Values\.?([\w.]*) *-?\}\}", template))
    found = set(re.findall(r"\.Values\.([\w.]+)", template))
    for alias, section in aliases.items():
        found |= {f"{section}.{rest}".strip(".") for rest in re.findall(rf"\{alias}\.([\w.]+)", template)}
    return found


def test_schema_and_readme_are_current() -> None:
    """Schema and README are up to date with values.yaml."""
    done = subprocess.run(
        [sys.executable, "-m", "generators.chart", "--check"], cwd=ROOT / "tools/development", check=False
    )

    assert done.returncode == 0


def test_the_largest_number_of_secrets_is_that_of_the_webhook() -> None:
    """The schema, the text of the value and the settings agree on how many secrets a pod may ask for."""
    (value,) = [value for value in values() if value.name == "policy.maxSecrets"]

    assert schema_of([value])["properties"]["policy"]["properties"]["maxSecrets"]["maximum"] == MOST_SECRETS
    assert f"up to {MOST_SECRETS}." in value.help


def test_values_are_few() -> None:
    """values.yaml is short enough to be read from top to bottom."""
    assert len((CHART / "values.yaml").read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1", "a: no comment `# -- …` above it; describe the value there"),
        ("a:\n  # -- Said.\n  b: x\n  c: y", "a.c: no comment `# -- …` above it; describe the value there"),
        ("# -- Said.\na: 1", "a: its default does not show its type; write the type in parentheses"),
        ("# -- (lots) Said.\na: 1", r"a: \(lots\) is not a type; write one of affinity, "),
    ],
)
def test_a_value_without_a_comment_is_rejected(text: str, problem: str) -> None:
    """The generator rejects a value without a comment or with an unknown type."""
    with pytest.raises(UndocumentedError, match=f"^{problem}"):
        read_values(text)


def test_a_value_knows_its_kind() -> None:
    """The type of a value comes from its default or from the word in parentheses; sections are closed."""
    text = "s:\n  # -- (1..30) Seconds\n  # of life.\n  a: 5\n  # -- (A | B) Which.\n  b: A\n## T\n# -- Name.\nc: x\n"
    found = read_values(text)

    assert [(value.name, value.kind, value.help, value.group) for value in found] == [
        ("s.a", "1..30", "Seconds of life.", ""),
        ("s.b", "A | B", "Which.", ""),
        ("c", "string", "Name.", "T"),
    ]
    section = schema_of(found)["properties"]["s"]
    assert section["additionalProperties"] is False
    assert section["properties"]["a"] == {
        "description": "Seconds of life.",
        "default": 5,
        "type": "integer",
        "minimum": 1,
        "maximum": 30,
    }
    assert section["properties"]["b"]["enum"] == ["A", "B"]


ENDPOINT = {"interval", "scrapeTimeout", "tlsConfig", "metricRelabelings"}


def test_every_value_is_used_and_every_used_value_is_there() -> None:
    """Templates use every value in values.yaml, and no others."""
    used = set().union(*map(references, TEMPLATES.values()))
    known = {value.name for value in values()}
    above = {name: name.rpartition(".")[0] for name in used | known}

    # Of a map such as namespaceSelector, the schema knows the keys. `agent` and `policy` go to the webhook as they are, which
    # refuses what it does not know.
    as_they_are = {name for name in known if name.startswith(("agent.", "policy.", "global."))}
    # Sections of monitors are the argument of a helper.
    as_they_are |= {f"monitoring.{kind}.{name}" for kind in ("serviceMonitor", "podMonitor") for name in ENDPOINT}
    assert not known - used - {above[name] for name in used} - as_they_are
    assert {name for name in used - known if above[name] not in known} <= {above[name] for name in known}


@EACH
def test_nothing_is_random(template: str) -> None:
    """Two renderings are equal, as Argo CD and `helm diff` require, and no template reads a Secret of the cluster."""
    actions = " ".join(re.findall(r"\{\{-?\s(.*?)\}\}", template, flags=re.DOTALL))
    assert not re.findall(
        r"\b(?:(?:rand|uuid|gen[A-Z]|derivePassword|htpasswd|bcrypt|now|date|ago|expandenv|getHostByName)\w*|env\b)",
        actions,
    )
    assert set(re.findall(r"helm.sh/hook: (\w+)", template)) <= {"test"}
    assert re.findall(r'lookup "\S+" "(\w+)"', template) in ([], ["MutatingWebhookConfiguration"])


def exported() -> set[str]:
    """Return the names of all series that the webhook and the agent export."""
    metrics = Metrics()
    metrics.reviewed("inject", "asked", 0.001)
    metrics.rejected(400)
    text = metrics.text().decode() + telemetry.as_prometheus(State())
    text += relay_metrics.as_prometheus([Application("shop", ROOT, ROOT)])
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    return names | {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("name", ["alerts.yaml", "dashboard.json"])
def test_alerts_and_dashboard_ask_for_what_there_is(name: str) -> None:
    """Alerts and dashboard use only series that the webhook or the agent exports."""
    asked = set(re.findall(r"\bkeeper_injector_\w+", (CHART / "monitoring" / name).read_text(encoding="utf-8")))

    assert asked
    assert asked <= exported()


def test_the_dashboard_shows_every_series_of_the_webhook() -> None:
    """An operator sees each metric that the webhook exports without writing a query."""
    shown = set(re.findall(r"\bkeeper_injector_\w+", (CHART / "monitoring/dashboard.json").read_text(encoding="utf-8")))
    lines = Metrics().text().decode().splitlines()
    families = {line.split()[2] for line in lines if line.startswith("# TYPE ")}

    # Clients of Prometheus add when each counter was created.
    wanted = {name.removesuffix("_total") for name in families if not name.endswith("_created")}
    assert {re.sub(r"_(?:bucket|total|info)$", "", name) for name in shown} >= {
        re.sub(r"_info$", "", name) for name in wanted
    } - HIDDEN


HIDDEN = {"keeper_injector_certificate_runs"}
"""Series that matter only with the log beside them."""


def test_every_alert_says_what_to_do() -> None:
    """Each alert has a unique name, a severity, a summary and a description."""
    groups = yaml.safe_load((CHART / "monitoring/alerts.yaml").read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert set(rule["annotations"]) == {"runbook_url", "summary", "description"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("/blob/main/")[2].partition("#")
        assert f"\n## {anchor.capitalize()}\n" in (ROOT / page).read_text(encoding="utf-8")
        # A page says what to do about this alert.
        assert f"| {rule['alert']} |" in (ROOT / page).read_text(encoding="utf-8")


def test_the_dashboards_panels_do_not_overlap() -> None:
    """Panels do not overlap, have unique ids and use the selected data source."""
    panels = json.loads((CHART / "monitoring/dashboard.json").read_text(encoding="utf-8"))["panels"]
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]

    assert len(set(cells)) == len(cells)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {panel.get("datasource", {}).get("uid") for panel in panels if panel["type"] != "row"} == {"${datasource}"}


CHOSEN = {
    "keeper_injector_agent": {"namespace"},
    "keeper_injector_relay": {"release_namespace"},
    **{
        f"keeper_injector_{name}": {"release_namespace", "service"}
        for name in (
            "reviews",
            "review_",
            "warnings",
            "connections",
            "bytes",
            "requests",
            "certificate",
            "build",
            "unread",
        )
    },
}
"""The variables by which a panel selects series, by the beginning of their names."""


def test_every_panel_is_described_and_about_what_is_chosen() -> None:
    """Panels say what they show, and each query selects the chosen namespaces, and the webhook's also the chosen release."""
    dashboard = json.loads((CHART / "monitoring/dashboard.json").read_text(encoding="utf-8"))
    variables = {item["name"] for item in dashboard["templating"]["list"]}
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith("."), panel["title"]
        for target in panel["targets"]:
            for metric, selector in re.findall(r"\b(keeper_injector_\w+)(\{.*?\})?", target["expr"]):
                (wanted,) = [names for prefix, names in CHOSEN.items() if metric.startswith(prefix)]
                assert {name for name in variables if f'"${name}"' in selector} == wanted, target["expr"]


def test_scanners_find_every_image() -> None:
    """Chart.yaml lists all images of this version, because scanners cannot find the agent's image in rendered objects."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    defaults = {value.name: value.default for value in values()}
    agent = f"{defaults['agent.image.repository']}:{chart['appVersion']}"
    listed = [image["image"] for image in yaml.safe_load(chart["annotations"]["artifacthub.io/images"])]

    assert listed == [f"{defaults['image.repository']}:{chart['appVersion']}", agent, f"{agent}-cloud"]


def test_links_of_the_readme_lead_somewhere() -> None:
    """A package has no files besides the chart's, so every link is absolute, and one into the repository points to a file."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)

    assert targets
    for target in targets:
        root, _, path = target.partition("/blob/main/")
        assert root.startswith("https://"), target
        assert not path or (ROOT / path).is_file(), target


def test_artifact_hub_has_what_it_shows() -> None:
    """Chart.yaml names home, sources, maintainers, changes and an icon that is in the repository; the chart has the licence."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    changes = yaml.safe_load(chart["annotations"]["artifacthub.io/changes"])
    _, _, icon = chart["icon"].partition("/main/")

    assert chart["home"] in chart["sources"]
    assert all({"name", "url"} <= set(item) for item in chart["maintainers"])
    assert {change["kind"] for change in changes} <= {"added", "changed", "deprecated", "removed", "fixed", "security"}
    assert (ROOT / icon).read_text(encoding="utf-8").startswith("<svg ")
    assert (CHART / "LICENSE").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
    for link in yaml.safe_load(chart["annotations"]["artifacthub.io/links"]):
        _, _, path = link["url"].partition("/blob/main/")
        assert not path or (ROOT / path).is_file()
