"""YAML: one mapping that parsers of YAML 1.1 and of 1.2 read alike.

A text stands bare only when it is a word that neither version takes for anything else; a text of several plain
lines (a PEM, say) is a literal block; all other text is in double quotes, so ``yes``, ``no``, ``0o7``, ``1e3``,
``1:30``, ``2024-01-01``, ``~`` and ``<<`` stay text. Structured values stay mappings and lists, keys in the
record's order; no anchors, no long lines folded.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    import yaml

    from keeper_injector_common.records.formats.interface import RecordContent

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./@-]*")
_NOT_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_BLOCK = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?\n)+(?:[!-~](?:[ -~]*[!-~])?\n?)")
"""Two lines or more of printable ASCII, no white space at either end of a line: no parser disagrees about those."""
_WIDE = 2**31
"""No line is that long: PyYAML folds longer ones."""


def _write_yaml(content: RecordContent) -> bytes:
    """Write one YAML document without markers."""
    import yaml

    text: str = yaml.dump(
        dict(content.fields),
        Dumper=_dumper(),
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
        width=_WIDE,
    )
    return text.encode()


@cache
def _dumper() -> type[yaml.SafeDumper]:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))

    Dumper.add_representer(str, represent_text)
    return Dumper


def _style(text: str) -> str | None:
    if _WORD.fullmatch(text) and text.lower() not in _NOT_WORDS:
        return None
    return "|" if _BLOCK.fullmatch(text) else '"'


FORMAT = Format("yaml", _write_yaml, "one mapping, safe for YAML 1.1 and 1.2", "yaml")
