"""Grafana's recommendations for panels that its schema does not have: those of its dashboard-linter, without job and instance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]
_COUNTER = re.compile(r"(\w+)\(\s*\w+_(?:total|bucket)\b|\b\w+_(?:total|bucket)\b")


def broken_rules(dashboard: Json) -> Iterator[str]:
    """Yield what Grafana's rules forbid. Those about descriptions, data sources and variables are tests of the chart."""
    if dashboard.get("editable", True):
        yield "editable: not false, but an edit of a provisioned dashboard is lost when Grafana reloads it"
    for panel in _panels(dashboard):
        where = panel["title"]
        if "unit" not in panel.get("fieldConfig", {}).get("defaults", {}):
            yield f"{where}: no unit"
        names = [target["refId"] for target in panel["targets"]]
        if len(set(names)) < len(names):
            yield f"{where}: two queries have the same refId"
        for target in panel["targets"]:
            for match in _COUNTER.finditer(target["expr"]):
                if match[1] not in {"rate", "increase"}:
                    yield f"{where}: {match[0]} is a counter; use rate or increase"
            if panel["type"] == "timeseries" and re.search(r"\brate\([^\[]*\[(?!\$__rate_interval\])", target["expr"]):
                yield f"{where}: rate has a fixed range; use $__rate_interval"


def _panels(dashboard: Json) -> list[Json]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]
