"""Names that deliveries share with records: formats, suffixes and file names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.plan.delivery import FORMAT_BY_SUFFIX, FORMATS, file_name, suffix_of
from keeper_injector_common.records.formats import FORMATS as WRITERS


def test_every_format_can_be_written() -> None:
    """The formats that users can choose are those that the agent can write, in the same order."""
    assert list(FORMATS) == list(WRITERS)
    assert set(FORMAT_BY_SUFFIX.values()) <= FORMATS.keys()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("db", "db"),
        ("a/b", "a_b"),
        ("..", "__"),
        (".env", "_env"),
        (" a ", "a"),
        ("", "_"),
        ("秘密", "秘密"),
        ("a\nb", "a_b"),
    ],
)
def test_a_title_becomes_a_file_name(title: str, name: str) -> None:
    """Slashes, control characters and leading dots become underscores; letters are kept."""
    assert file_name(title) == name


@given(st.text(max_size=20))
def test_any_title_becomes_a_file_name(title: str) -> None:
    """A file name is never empty, hidden or a path."""
    name = file_name(title)
    assert name
    assert "/" not in name
    assert not name.startswith(".")


@pytest.mark.parametrize(
    ("path", "suffix"),
    [("/a/b.ENV", ".env"), ("/app/.env", ".env"), ("/a.b/c", ""), ("/a/b.tar.gz", ".gz"), ("/a/b.", "."), ("/a", "")],
)
def test_suffix_of_a_path(path: str, suffix: str) -> None:
    """The suffix is what follows the last dot of the name, even if nothing is before it."""
    assert suffix_of(path) == suffix
