"""``yaml``: one mapping that YAML 1.1 and YAML 1.2 parsers read alike.

A record with the fields login, answer, port and address::

    login: admin
    answer: "yes"
    port: 5432
    address:
      city: Bern

Text is unquoted only if it is a word that neither version takes for anything else. Text of several plain lines, such as a
PEM, is a literal block. All other text is in double quotes, so that ``yes``, ``no``, ``0o7``, ``1e3``, ``1:30``,
``2024-01-01``, ``~`` and ``<<`` stay text. Structured values stay mappings and lists, with keys in the order of the
record; there are no anchors, and long lines are not folded.
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
"""Two or more lines of printable ASCII without white space at either end; all parsers read such a block alike."""
_WIDTH = 2**31
"""PyYAML folds lines that are longer."""


def _write_yaml(content: RecordContent) -> bytes:
    import yaml

    text: str = yaml.dump(
        dict(content.fields),
        Dumper=_dumper(),
        allow_unicode=True,
        sort_keys=False,
        default_flow_style=False,
        width=_WIDTH,
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


FORMAT = Format("yaml", _write_yaml, "one mapping, safe for YAML 1.1 and 1.2")
