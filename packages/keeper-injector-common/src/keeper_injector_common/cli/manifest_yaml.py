"""The text of manifests → its YAML documents, read as Kubernetes reads them; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import yaml

from keeper_injector_common.errors import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_NODES = 1_000_000
"""The largest CustomResourceDefinitions have 100,000. Without a limit, few lines with aliases stand for more than fits in memory."""


class ManifestError(Exception):
    """The text is not valid YAML; the message has the form ``FOUND; WHAT TO DO``."""

    def __init__(self, found: str, right: str, position: Position) -> None:
        self.found = found
        self.right = right
        self.position = position
        super().__init__(explain(found, right))


@attrs.frozen(order=True)
class Position:
    """A line and a column of a text, both counted from 1."""

    line: int = 1
    column: int = 1

    @classmethod
    def of(cls, mark: Any) -> Position:
        """Return the position of a PyYAML mark, or the start of the text if there is no mark."""
        return cls(mark.line + 1, mark.column + 1) if mark else cls()


class _Loader(yaml.SafeLoader):
    """Reads YAML as Kubernetes does: dates are strings.

    Tags of other tools are accepted, and so is the bare ``=`` in some CustomResourceDefinitions. Tabs between and after
    values are blanks, as for kubectl, whose library (go-yaml) has the same condition in ``yaml_parser_scan_to_next_token``.
    A tab is not an indentation.
    """

    def scan_to_next_token(self) -> None:
        """Skip blanks, comments and line breaks."""
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward(len(_blanks(self)))
            super().scan_to_next_token()

    def scan_plain_spaces(self, indent: Any, start_mark: Any) -> Any:
        """Return what is between two words of a text without quotes."""
        blanks = _blanks(self)
        if "\t" not in blanks:
            return super().scan_plain_spaces(indent, start_mark)
        self.forward(len(blanks))
        return super().scan_plain_spaces(indent, start_mark) if self.peek() in "\r\n\x85\u2028\u2029" else [blanks]


def _tagged(_loader: _Loader, _suffix: str, _node: yaml.Node) -> None:
    """Read a value with the tag of another tool as None."""


def _equals_sign(loader: _Loader, node: yaml.ScalarNode) -> object:
    return loader.construct_scalar(node)


def _blanks(loader: _Loader) -> str:
    """Return the spaces and tabs at the loader's position."""
    length = 0
    while loader.peek(length) in " \t":
        length += 1
    return str(loader.prefix(length))


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_multi_constructor("!", _tagged)
_Loader.add_constructor("tag:yaml.org,2002:value", _equals_sign)


class _UnicodeLoader(_Loader):
    """Reads the escapes of JSON as API servers do, which PyYAML does not: pairs of surrogates are one character.

    A lone surrogate is U+FFFD, as in Go, because it cannot be written as UTF-8.
    """

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        """Return the node of a text."""
        node = super().compose_scalar_node(anchor)
        node.value = node.value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return node


def documents(text: str) -> Iterator[tuple[yaml.Node, object]]:
    """Iterate over the documents of *text*, as nodes and as values; raise :class:`ManifestError` for invalid YAML."""
    try:
        loader = _UnicodeLoader(text)
        while (node := loader.get_node() if loader.check_node() else None) is not None:
            if _size(node, {}) > _MOST_NODES:
                position = Position.of(node.start_mark)
                raise ManifestError(f"more than {_MOST_NODES} values through aliases", "reduce them", position)
            yield node, loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        position = Position.of(error.problem_mark or error.context_mark)
        advice = "render the chart first: helm template" if "{{" in text else "correct it there"
        raise ManifestError(f"not valid YAML: {error.problem or error.context}", advice, position) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ManifestError(f"not valid YAML: {error.reason}", "remove them", Position(line)) from None
    except RecursionError:
        raise ManifestError("nested too deeply to be a manifest", "flatten it", Position()) from None
    except ValueError:
        # PyYAML raises ValueError for dates and numbers that do not exist, such as 2024-13-45.
        raise ManifestError("not valid YAML: a date or number that does not exist", "quote it", Position()) from None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many nodes *node* has if each alias is replaced by its value. A value inside itself counts once."""
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.CollectionNode):
            children = (part for item in node.value for part in (item if isinstance(item, tuple) else (item,)))
            known[id(node)] += sum(_size(child, known) for child in children)
    return known[id(node)]
