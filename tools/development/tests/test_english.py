"""The forbidden phrases are found in prose of every kind, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from english import PHRASES, check, prose_of, written_files
from english.prose import GAP, LANGUAGES

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("a.py", '"""Return the path.\n\nRaise for a file that is\nnone.\n"""\n', ["3: is none"]),
        ("a.py", "x = 1\n# A broken pair is\n# said.\n", ["2: is said"]),
        ("a.py", 'raise Error(f"{path}: is no "\n    "number")\n', ["1: is no"]),
        ("a.py", "def test_what_is_said() -> None: ...\n", ["1: is said"]),
        ("a.py", "names = {name: word if word else 1}\nvalue is None\n", []),
        ("a.py", '"""Return ``x if y else z``, and `what is said`."""\n', []),
        ("a.py", 'shell = "true"  # english: allow: "is said"\n', []),
        ("a.py", '"is"\nnone = 1\n', []),
        ("a.md", "It goes\nbefore the file.\n\n```sh\nif x; else y\n```\n\nSee `is said`.\n", ["1: goes before"]),
        ("a.md", "[stored](of-ours/is said)\n", []),
        ("a.md", "It is\n\nnone\n", []),
        ("a.md", "A CA of its own around it.\nA port of its\nown.\n", ["1: of its own", "2: of its own"]),
        ("values.yaml", "# The value stands\n# here.\nkey: who is told\n", ["1: stands", "3: is told"]),
        ("a.tpl", "{{- /* It lies here. */ -}}\n{{ if .x }}{{ else }}{{ end }}", ["1: lies"]),
        ("a.tpl", '{{ if eq .a "else" }}{{ fail "cannot be had" }}{{ end }} otherwise', ["1: be had", "1: else"]),
        ("a.c", '/* The caller\n * shall wait. */\nif (x) y(); else z("once more");\n', ["2: shall", "3: once more"]),
        ("a.sh", "if x; then y; else z; fi # or for ever\necho 'mend it'\n", ["1: for ever", "2: mend"]),
        (".ruff.toml", 'select = ["of ours"]  # of ours\n', ["1: of ours"]),
        ("Dockerfile.static", "# Whoever builds\nRUN echo shall\n", ["1: Whoever"]),
    ],
)
def test_phrases_are_found_in_prose(path: str, text: str, found: list[str]) -> None:
    """A phrase is found across line breaks, and not in code."""
    assert [f"{finding.line}: {finding.found}" for finding in check(text, path)] == found


@pytest.mark.parametrize(
    "text",
    [
        "There is no cluster. It is no longer valid, and is no larger than before.",
        "Nothing else, or else. Who else? Somebody else's.",
        "X stands for the value, a stand-in. A stand-alone program.",
        "The value is given to the worker. They are told apart. The tag of its own image.",
    ],
)
def test_plain_english_passes(text: str) -> None:
    """An idiom that contains a forbidden word in its ordinary sense is not reported."""
    assert list(check(text, "a.md")) == []


def test_a_finding_names_the_better_wording() -> None:
    """The message has file, line, phrase and what to write."""
    (finding,) = check("one\nthe file is none\n", "docs/a.md")

    assert str(finding) == "docs/a.md:2: 'is none'; write 'does not exist', 'is missing' or 'is not set'"


@pytest.mark.parametrize("path", sorted(LANGUAGES))
def test_positions_stay(path: str) -> None:
    """The prose of a file has the same length and the same lines as the file."""
    text = '"é" # ``x``\n\n/* a */ {{ "b" }}\n'
    prose = prose_of(text, f"a{path}" if path.startswith(".") else path)

    assert [len(line) for line in prose.split("\n")] == [len(line) for line in text.split("\n")]
    assert prose.strip(GAP + "\n ")


def test_the_style_page_lists_what_is_forbidden() -> None:
    """The glossary of the style page has an example for every phrase."""
    page = (ROOT / ".github/STYLE.md").read_text(encoding="utf-8").replace("`", "")

    assert [phrase.pattern.pattern for phrase in PHRASES if not phrase.pattern.search(page)] == []


def test_all_that_people_write_is_checked() -> None:
    """Documents, code, charts and scripts are checked; licences and pins are not."""
    names = {str(path.relative_to(ROOT)) for path in written_files()}

    assert {"README.md", "noxfile.py", "tools/run", ".ci/run", "charts/keeper-injector/values.yaml"} <= names
    assert {Path(name).suffix for name in names} >= {".c", ".go", ".md", ".py", ".sh", ".tpl", ".toml", ".yaml"}
    assert not names & {"LICENSE", "tools/constraints.txt"}


def test_the_repository_has_no_forbidden_phrase() -> None:
    """Each forbidden phrase is printed with its file, its line and a better wording."""
    path = f"{ROOT}/tools/development"
    done = subprocess.run(
        [sys.executable, "-m", "english"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == ""
