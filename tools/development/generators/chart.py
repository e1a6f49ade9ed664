"""Generates the chart's values.schema.json and the table of values in its README from values.yaml and its comments."""

from __future__ import annotations

import itertools
import json
import sys

from chart_values import Value, read_values, schema_of
from generators.output import ROOT, deliver

CHART = "charts/keeper-injector"
BLOB = "https://github.com/keeper-security/keeper-injector/blob/main/"
PLACE = "<!-- values -->\n"
HEAD = "<!-- Made by `./tools/run docs --write` from README.template.md and values.yaml. -->\n"


def tables(values: list[Value]) -> str:
    """Return the values as tables, one for each heading."""
    groups = itertools.groupby(values, lambda value: value.group)
    return "\n".join(table(group, list(members)) for group, members in groups)


def table(group: str, values: list[Value]) -> str:
    """Return one group as a table."""
    head = ["| value | kind | default | meaning |", "|---|---|---|---|"]
    rows = [
        f"| `{value.name}` | {escaped(value.kind)} | {default(value)} | {escaped(value.help)} |" for value in values
    ]
    return "\n".join([f"### {group}\n", *head, *rows, ""])


def default(value: Value) -> str:
    """Return the default as it is written in values.yaml."""
    if value.default == "":
        return ""
    words = value.default if isinstance(value.default, str) else json.dumps(value.default)
    return f"`{words}`"


def escaped(text: str) -> str:
    """Return *text* escaped for a cell of a Markdown table."""
    return text.replace("|", "\\|")


def absolute_links(text: str) -> str:
    """Return *text* with absolute links in place of those to files outside of the chart, which a package does not contain."""
    return text.replace("](../../", f"]({BLOB}")


def main() -> int:
    """Write the schema and the README, or check that they are up to date."""
    values = read_values((ROOT / CHART / "values.yaml").read_text(encoding="utf-8"))
    template = (ROOT / CHART / "README.template.md").read_text(encoding="utf-8")
    schema = json.dumps(schema_of(values), indent=2, ensure_ascii=False) + "\n"
    codes = [
        deliver(f"{CHART}/values.schema.json", schema),
        deliver(f"{CHART}/README.md", HEAD + absolute_links(template).replace(PLACE, tables(values))),
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
