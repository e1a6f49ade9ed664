"""The prose in a file of any kind that this repository has.

``prose_of`` returns a text of the same length and with the same line breaks as the file's. Characters that are not
prose are replaced by ``GAP``, which no phrase matches, so that a position in the result is a position in the file. The
marks at the start of a comment's lines become spaces: a phrase is found across a line break.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

GAP: Final = "\0"

_MARKDOWN_CODE = re.compile(r"^ *```.*?^ *```|``[^`]+``|`[^`\n]+`|\]\([^)\n]*\)|<!--.*?-->", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"``[^`]+``|`[^`\n]+`|\{\{.*?\}\}", re.DOTALL)
_STRING = re.compile(r"(\w*)('''|\"\"\"|'|\")(.*)\2", re.DOTALL)
_REPLACEMENT = re.compile(r"\{[^{}]*\}")
_HASH_COMMENT = re.compile(r"(?:^|(?<=\s))#+ ?([^\n]*)")
_C_PROSE = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_SHELL_PROSE = re.compile(r"(?:^|(?<=\s))#[^\n]*|\"(?:[^\"\\]|\\.)*\"|(?:^|(?<=\s))'[^']*'", re.MULTILINE)
_TEMPLATE_ACTION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_TEMPLATE_PROSE = re.compile(r"/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"|`[^`]*`", re.DOTALL)
_COMMENT_MARK = re.compile(r"^[ \t]*(?:#+|//+|\*+|/\*+)", re.MULTILINE)


def prose_of(text: str, path: str) -> str:
    """Return the prose of a file, with ``GAP`` for everything else.

    >>> prose_of("x = 1  # a comment", "example.py").replace(GAP, "·")
    '·········a comment'
    """
    return LANGUAGES[language_of(path)](text)


def language_of(path: str) -> str:
    """Return the key of ``LANGUAGES`` for a file: its suffix, or its name if it has none."""
    name = PurePath(path).name
    if name.startswith("Dockerfile"):
        return "Dockerfile"
    return PurePath(path).suffix or name


def _masked(text: str, pattern: re.Pattern[str]) -> str:
    """Return *text* with a gap for each match of *pattern*."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", GAP, match.group()), text)


def _only(text: str, pattern: re.Pattern[str]) -> str:
    """Return *text* with gaps for all that *pattern* does not match; marks of comments become spaces."""
    pieces, end = [], 0
    for match in pattern.finditer(text):
        between = text[end : match.start()]
        pieces += [between if between.isspace() else _masked(between, re.compile(r"[^\n]+")), match.group()]
        end = match.end()
    pieces.append(_masked(text[end:], re.compile(r"[^\n]+")))
    return _COMMENT_MARK.sub(lambda match: " " * len(match.group()), "".join(pieces))


def _markdown(text: str) -> str:
    """Return all but code, targets of links and comments."""
    return _masked(text, _MARKDOWN_CODE)


def _yaml(text: str) -> str:
    """Return everything: comments, and values that people read, such as the descriptions of alerts."""
    return _masked(_COMMENT_MARK.sub(lambda match: " " * len(match.group()), text), _CODE_SPAN)


def _hash_comments(text: str) -> str:
    """Return comments that start with ``#``."""
    return _masked(_only(text, _HASH_COMMENT), _CODE_SPAN)


def _c(text: str) -> str:
    """Return comments and texts of C and Go."""
    return _masked(_only(text, _C_PROSE), _CODE_SPAN)


def _shell(text: str) -> str:
    """Return comments and quoted words of shell scripts."""
    return _masked(_only(text, _SHELL_PROSE), _CODE_SPAN)


def _template(text: str) -> str:
    """Return the comments and texts of a Helm template, and what is outside of its actions."""

    def action(match: re.Match[str]) -> str:
        return _only(match.group(), _TEMPLATE_PROSE)

    return _COMMENT_MARK.sub(lambda match: " " * len(match.group()), _TEMPLATE_ACTION.sub(action, text))


def _python(text: str) -> str:
    """Return comments, texts (docstrings among them), and the names of tests with spaces for underscores."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    result = list(_masked(text, re.compile(r"[^\n]+")))
    last: tuple[int, int] | None = None
    """Kind and end of the text or comment before, as long as nothing but white space follows it."""
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        begin, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        kind = _kind_of(token)
        if kind:
            if last and last[0] == kind:
                result[last[1] : begin] = [c if c == "\n" else " " for c in text[last[1] : begin]]
            result[begin:end] = _prose_of_token(token, text[begin:end])
            last = (kind, end)
        elif token.type == tokenize.NAME and previous == "def" and token.string.startswith("test_"):
            result[begin:end] = token.string.replace("_", " ")
        if not kind and token.type not in {tokenize.NL, tokenize.NEWLINE}:
            last = None
        previous = token.string
    return "".join(result)


# From Python 3.12 on, an f-string is a start, texts, replacements and an end.
_FORMATTED = getattr(tokenize, "FSTRING_MIDDLE", -1)
_MARKS = (getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1))


def _kind_of(token: tokenize.TokenInfo) -> int:
    """Return ``COMMENT`` or ``STRING`` for a comment, a text or a part of a text, and zero for code."""
    if token.type in {tokenize.STRING, _FORMATTED, *_MARKS}:
        return tokenize.STRING
    return tokenize.COMMENT if token.type == tokenize.COMMENT else 0


def _prose_of_token(token: tokenize.TokenInfo, written: str) -> str:
    """Return the prose of a comment or text as it is *written*, with spaces for its marks and gaps for code."""
    if token.type in _MARKS:
        return " " * len(written)
    if token.type == _FORMATTED:
        return _masked(written, _CODE_SPAN)
    return _string(written) if token.type == tokenize.STRING else _comment(written)


def _comment(token: str) -> str:
    """Return a comment without its mark and without code."""
    return _masked(" " + token[1:], _CODE_SPAN)


def _string(token: str) -> str:
    """Return the content of a string literal, with spaces for its quotation marks, and without code."""
    parts = _STRING.fullmatch(token)
    prefix, quotes, content = parts.groups() if parts else ("", "", token)
    if "f" in prefix.lower():
        content = _masked(content, _REPLACEMENT)
    return " " * len(prefix + quotes) + _masked(content, _CODE_SPAN) + " " * len(quotes)


LANGUAGES: dict[str, Callable[[str], str]] = {
    ".c": _c,
    ".go": _c,
    ".md": _markdown,
    ".py": _python,
    ".sh": _shell,
    ".tpl": _template,
    ".txt": _template,
    ".yaml": _yaml,
    ".yml": _yaml,
    ".toml": _hash_comments,
    ".ini": _hash_comments,
    ".importlinter": _yaml,
    "Dockerfile": _hash_comments,
    "kind": _shell,
    "run": _shell,
    **dict.fromkeys((".gitattributes", ".gitignore", ".dockerignore", ".editorconfig"), _hash_comments),
}
