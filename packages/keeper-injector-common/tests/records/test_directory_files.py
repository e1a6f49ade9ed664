"""Which record gets a path that several folders, or a folder and the plan, want."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.plan.model import FolderItem
from keeper_injector_common.records import FolderFile, Record, assign_paths
from keeper_injector_common.references import RecordName
from keeper_injector_common.uniqueness import Named

FOLDER = FolderItem(RecordName(("Prod",)), 0o400)


def wanted(path: str, uid: str) -> Named[FolderFile]:
    """Return a file of a folder."""
    return Named(path, FolderFile(FOLDER, Record(uid, "t", "login", ())), uid)


def test_an_explicit_file_takes_precedence() -> None:
    """The folder's file at the path of an explicit one, and above or below it, is not written."""
    found = assign_paths(
        ["db.json", "sub/a"], [wanted(path, path) for path in ("db.json", "x", "sub", "db.json/y")], {}
    )
    assert list(found.files) == ["x"]
    assert [entry.name for entry in found.overridden] == ["db.json", "sub", "db.json/y"]
    assert found.clashes == ()


def test_two_folders_never_compete_silently() -> None:
    """Nobody gets the path, unless one of the records had it before; all are named."""
    both = [wanted("db.json", "u1"), wanted("db.json", "u2"), wanted("x", "u1")]
    found = assign_paths([], both, {})
    assert list(found.files) == ["x"]
    assert [(clash.name, clash.origins) for clash in found.clashes] == [("db.json", ("u1", "u2"))]
    found = assign_paths([], both, {"db.json": "u2"})
    assert found.files["db.json"].record.uid == "u2"
    assert len(found.clashes) == 1


def test_the_same_record_in_two_folders_is_one_file() -> None:
    """A folder and its sub-folder may overlap."""
    found = assign_paths([], [wanted("db.json", "u1"), wanted("db.json", "u1")], {})
    assert (list(found.files), found.clashes) == (["db.json"], ())


def test_a_file_cannot_be_where_a_directory_is() -> None:
    """The file is a problem, and those in the directory are written."""
    found = assign_paths([], [wanted("a.json", "u1"), wanted("a.json/b.json", "u2")], {})
    assert (list(found.files), [clash.name for clash in found.clashes]) == (["a.json/b.json"], ["a.json"])


PATHS = st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=3).map("/".join)


@given(
    st.lists(PATHS, max_size=2),
    st.lists(st.builds(wanted, PATHS, st.sampled_from(["u1", "u2", "u3"])), max_size=6),
    st.dictionaries(PATHS, st.sampled_from(["u1", "u2"]), max_size=2),
)
def test_files_can_be_written_and_none_is_lost(
    explicit: list[str], entries: list[Named[FolderFile]], owners: dict[str, str]
) -> None:
    """Every wanted file is written, overridden or a clash, and no written path is another's directory."""
    found = assign_paths(explicit, entries, owners)
    reported = {clash.name for clash in found.clashes} | {entry.name for entry in found.overridden}
    assert {entry.name for entry in entries} <= found.files.keys() | reported
    for path in found.files:
        assert not any(
            other == path or other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in explicit
        )
        assert not any(other.startswith(f"{path}/") for other in found.files)
