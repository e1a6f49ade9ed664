"""Which container receives which file, and the directories that become volumes."""

import pytest
from annotation_requests import request_of

from keeper_injector_common.annotations.directories import below, by_directory, directory_of, is_inside, receives


@pytest.mark.parametrize(
    ("own", "whole", "expected"),
    [
        (None, None, True),
        (None, ("app",), True),
        (None, ("other",), False),
        (("app",), ("other",), True),
        (("other",), ("app",), False),
        ((), None, False),
    ],
)
def test_the_containers_of_an_item_win(
    own: tuple[str, ...] | None, whole: tuple[str, ...] | None, expected: bool
) -> None:
    """An item's own list overrides that of the request; without any, every container receives it."""
    assert receives("app", own, whole) is expected


def test_the_directory_of_an_item() -> None:
    """A file is in the directory of its path, and the files of a folder in the folder's directory."""
    found = request_of(secret_a="db:/app/x/db.json", folder="Production", folder_path="/app/folder")
    assert [directory_of(item) for item in (*found.files, *found.folders)] == ["/app/x", "/app/folder"]


def test_a_directory_inside_another_belongs_to_it() -> None:
    """Items are grouped by the outermost directories; a directory whose name only begins alike is another one."""
    directories = ["/app", "/app/in/side", "/application", "/other"]
    assert by_directory(directories, range(4)) == {"/app": (0, 1), "/application": (2,), "/other": (3,)}
    assert by_directory(directories, [1, 3]) == {"/app/in/side": (1,), "/other": (3,)}
    assert by_directory(directories, []) == {}


def test_paths_inside_directories() -> None:
    """A path is inside a directory that it is, or that is above it."""
    assert [is_inside(path, "/app") for path in ("/app", "/app/x", "/application")] == [True, True, False]
    assert (below("/app/x/y", "/app"), below("/app", "/app")) == ("x/y", "")
