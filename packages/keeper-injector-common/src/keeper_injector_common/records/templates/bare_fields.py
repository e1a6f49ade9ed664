"""Finds the actions of a template that write a field as it is, without the quotes or escapes of any format.

::

    {{ .password }}                         a field
    {{ .nick | default .login }}            a function that returns one of its arguments
    {{ range .url }}{{ . }}{{ end }}        an element of a field
    {{ .password | toProperties }}          not a bare field: the last function decides what is written

The template is parsed and not rendered. A function that is not known to return its argument is trusted: its author chose it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gotpl.parse.nodes import (
    ActionNode,
    BlockNode,
    CommandNode,
    DotNode,
    FieldNode,
    IdentifierNode,
    IfNode,
    ListNode,
    ParenthesizedNode,
    PipeNode,
    RangeNode,
    StringNode,
    VariableNode,
    WithNode,
)
from gotpl.parse.parser import parse_template

from keeper_injector_common.records.templates.functions import allowed_functions

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETURNS_A_FIELD = frozenset({"index", "get", "dig", "pluck"})
# fmt: off
_RETURNS_AN_ARGUMENT = frozenset((
    "default", "coalesce", "required", "ternary", "or", "and", "first", "last", "toString", "print", "println", "printf", "join", "cat",
    "trim", "trimAll", "trimPrefix", "trimSuffix", "nospace", "trunc", "upper", "lower", "title",
))
# fmt: on


def bare_fields(source: str) -> Iterator[tuple[int, str]]:
    r"""Yield the line, counted from 1, and the text of each action of a valid template that writes a field as it is.

    >>> list(bare_fields("a={{ .login }}\nb={{ .password | toShell }}"))
    [(1, '.login')]
    """
    template = parse_template(source, functions=allowed_functions())
    text = source.encode()
    finder = _Finder()
    pipelines = [*finder.written(template.root, bare_dot=True)]
    for definition in template.definitions:
        # The caller of a definition decides what its dot is.
        pipelines += finder.written(definition.body, bare_dot=False)
    for pipeline in sorted(pipelines, key=lambda pipeline: pipeline.start):
        yield text.count(b"\n", 0, pipeline.start) + 1, text[pipeline.start : pipeline.end].decode()


class _Finder:
    """Walks through a template in the order of its text, and remembers which variables have bare fields."""

    def __init__(self) -> None:
        self._bare_variables = {"$"}

    def written(self, nodes: ListNode | None, *, bare_dot: bool) -> Iterator[PipeNode]:
        """Yield the pipelines that write a bare field; *bare_dot* says whether ``.`` is one."""
        for node in nodes.nodes if nodes else ():
            match node:
                case ActionNode(pipeline):
                    is_bare = self._is_bare(pipeline, bare_dot=bare_dot)
                    self._declare(pipeline, is_bare=is_bare)
                    if is_bare and not pipeline.declarations:
                        yield pipeline
                case IfNode(pipeline, body, other):
                    self._declare(pipeline, is_bare=self._is_bare(pipeline, bare_dot=bare_dot))
                    yield from self.written(body, bare_dot=bare_dot)
                    yield from self.written(other, bare_dot=bare_dot)
                case WithNode(pipeline, body, other) | RangeNode(pipeline, body, other):
                    is_bare = self._is_bare(pipeline, bare_dot=bare_dot)
                    self._declare(pipeline, is_bare=is_bare)
                    yield from self.written(body, bare_dot=is_bare)
                    yield from self.written(other, bare_dot=bare_dot)
                case BlockNode(_, pipeline, body):
                    yield from self.written(body, bare_dot=self._is_bare(pipeline, bare_dot=bare_dot))
                case _:  # text, break, continue or template, whose definition is searched by itself
                    pass

    def _declare(self, pipeline: PipeNode, *, is_bare: bool) -> None:
        for variable in pipeline.declarations:
            if is_bare:
                self._bare_variables.add(variable.name)
            else:
                self._bare_variables.discard(variable.name)

    def _is_bare(self, pipeline: PipeNode, *, bare_dot: bool) -> bool:
        is_bare = False
        for number, command in enumerate(pipeline.commands):
            is_bare = self._is_bare_command(command, bare_dot=bare_dot, bare_input=is_bare and number > 0)
        return is_bare

    def _is_bare_command(self, command: CommandNode, *, bare_dot: bool, bare_input: bool) -> bool:
        first, *arguments = command.arguments
        if not isinstance(first, IdentifierNode):
            return self._is_bare_value(first, bare_dot=bare_dot)
        if first.name in _RETURNS_A_FIELD:
            return True
        if first.name == "printf" and any(isinstance(item, StringNode) and "%q" in item.value for item in arguments):
            return False
        bare = [self._is_bare_value(item, bare_dot=bare_dot) for item in arguments]
        return first.name in _RETURNS_AN_ARGUMENT and (bare_input or any(bare))

    def _is_bare_value(self, value: object, *, bare_dot: bool) -> bool:
        match value:
            case FieldNode() | VariableNode(fields=(_, *_)) | ParenthesizedNode(fields=(_, *_)):
                return True
            case DotNode():
                return bare_dot
            case VariableNode(name):
                return name in self._bare_variables
            case ParenthesizedNode(pipeline):
                return self._is_bare(pipeline, bare_dot=bare_dot)
            case _:  # a literal or the name of a function
                return False
