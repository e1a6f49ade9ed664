"""Generates the annotation reference: the output of ``keeper-injector annotations``."""

from __future__ import annotations

import sys

from generators.output import deliver
from keeper_injector_common.cli.annotation_reference import as_markdown

HEAD = "<!-- Made by `./tools/run docs --write` from keeper_injector_common/annotations/table.py. -->\n"


def main() -> int:
    """Write the reference, or check that it is up to date."""
    return deliver("packages/keeper-injector-common/docs/annotations.md", HEAD + as_markdown())


if __name__ == "__main__":
    sys.exit(main())
