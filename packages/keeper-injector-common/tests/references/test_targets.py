"""References with the path of their file."""

import pytest

from keeper_injector_common.references import split_target


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("db:/app/db.json", ("db", "/app/db.json")),
        ("db", ("db", None)),
        ("db:prod", ("db:prod", None)),
        ("keeper://UID/field/password:/app/pw", ("keeper://UID/field/password", "/app/pw")),
        ("keeper://UID/field/password", ("keeper://UID/field/password", None)),
        ("db[a:/b]:/app/x", ("db[a:/b]", "/app/x")),
    ],
)
def test_a_path_follows_the_last_colon_before_a_slash(value: str, target: tuple[str, str | None]) -> None:
    """The path is optional, and a colon in a name or a field does not begin it."""
    assert split_target(value) == target
