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

from functools import cache
from typing import TYPE_CHECKING

from keeper_injector_common.patterns import pattern
from keeper_injector_common.records.formats.interface import Format

if TYPE_CHECKING:
    import yaml

    from keeper_injector_common.records.formats.interface import RecordContent
    from keeper_injector_common.records.record import JsonValue

_WORD = pattern(r"[A-Za-z][A-Za-z0-9_./@-]*")
_NOT_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_BLOCK = pattern(r"(?:[!-~](?:[ -~]*[!-~])?\n)+(?:[!-~](?:[ -~]*[!-~])?\n?)")
"""Two or more lines of printable ASCII without white space at either end; all parsers read such a block alike."""
_WIDTH = 2**31
"""PyYAML folds lines that are longer."""


def _write_yaml(content: RecordContent) -> bytes:
    return _document(dict(content.fields), sort_keys=False).encode()


def _quote(value: JsonValue) -> str:
    """Return *value* with sorted keys and without a line break at the end, as Helm's ``toYaml`` does.

    Text is on one line, so that it is right wherever a template writes it: a block would depend on the indentation there.
    """
    return _document(value, sort_keys=True).removesuffix("\n")


def _document(value: JsonValue, *, sort_keys: bool) -> str:
    import yaml

    text: str = yaml.dump(
        value,
        Dumper=_dumper(blocks=not isinstance(value, str)),
        allow_unicode=True,
        sort_keys=sort_keys,
        default_flow_style=False,
        width=_WIDTH,
    )
    # PyYAML ends a document that is one plain scalar with an explicit end mark.
    return text.removesuffix("...\n")


@cache
def _dumper(*, blocks: bool) -> type[yaml.SafeDumper]:
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text, blocks=blocks))

    Dumper.add_representer(str, represent_text)
    # The objects of a template are a subclass of dict.
    Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)
    return Dumper


def _style(text: str, *, blocks: bool) -> str | None:
    if _WORD.fullmatch(text) and text.lower() not in _NOT_WORDS:
        return None
    return "|" if blocks and _BLOCK.fullmatch(text) else '"'


FORMAT = Format("yaml", _write_yaml, "one mapping, safe for YAML 1.1 and 1.2", quote=_quote)
