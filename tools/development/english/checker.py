"""Finding forbidden phrases in the text of one file."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from english.phrases import PHRASES
from english.prose import prose_of

ALLOWED = "english: allow"
"""A line that contains this is not checked, for example because it quotes the message of another program."""


@attrs.frozen(order=True)
class Finding:
    """One forbidden phrase in a file."""

    path: str
    line: int
    """Counted from one."""
    found: str
    better: str

    def __str__(self) -> str:
        """Return ``path:line: 'found'; write 'better'``."""
        return f"{self.path}:{self.line}: {self.found!r}; write {self.better}"


def check(text: str, path: str) -> Iterator[Finding]:
    """Iterate over the forbidden phrases in *text*, in the order of its lines; *path* tells the language of the file."""
    prose, lines = prose_of(text, path), text.splitlines()
    findings = []
    for phrase in PHRASES:
        for match in phrase.pattern.finditer(prose):
            if phrase.unless_after and phrase.unless_after.search(prose, max(0, match.start() - 40), match.start()):
                continue
            line = prose.count("\n", 0, match.start()) + 1
            if ALLOWED not in lines[line - 1]:
                findings.append(Finding(path, line, " ".join(match.group().split()), phrase.better))
    yield from sorted(findings)
