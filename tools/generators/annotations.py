"""The reference of all annotations, from the table that the parser reads."""

from __future__ import annotations

import itertools
import sys

from generators.output import deliver
from keeper_injector_common.annotations import ANNOTATIONS, PREFIX, Annotation

HEAD = f"""\
<!-- Made by `./tools/run docs --write` from keeper_injector_common/annotations.py. -->
# Annotations

All begin with `{PREFIX}` and stand on the pod, or in a workload on its pod template. Switches accept `true/false`,
`yes/no`, `on/off` and `1/0`; durations are written `30s`, `5m`, `1h30m`. A value that cannot be read denies the pod, with
every problem at once; an unknown annotation is a warning.
"""


def table(group: str, annotations: list[Annotation]) -> str:
    """Return one group as a table."""
    rows = [f"| `{item.name}` | `{item.example}` | {default(item)} | {item.help} |" for item in annotations]
    head = ["| annotation | example | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"\n## {group[0].upper()}{group[1:]}\n", *head, *rows, ""])


def default(item: Annotation) -> str:
    """Return the default as a reader wants it."""
    if item.replaced_by:
        return f"old name of `{item.replaced_by}`"
    chart = "; chart or namespace" if item.default_allowed else ""
    return f"`{item.default}`{chart}" if item.default else f"none{chart}"


def main() -> int:
    """Write or check the reference."""
    groups = itertools.groupby(ANNOTATIONS, lambda item: item.group)
    text = HEAD + "".join(table(group, list(items)) for group, items in groups)
    return deliver("packages/keeper-injector-common/docs/annotations.md", text)


if __name__ == "__main__":
    sys.exit(main())
