"""Loading what other packages register. Packages that cannot be imported are in test_commands.py and the webhook's test_checks.py."""

from __future__ import annotations

from keeper_injector_common.cli import main
from keeper_injector_common.cli.entry_points import Extension, load_entry_point


def test_an_entry_point_is_loaded_by_its_name() -> None:
    """The reference and the object are those that the package has registered."""
    found = load_entry_point("console_scripts", "keeper-injector-common", "keeper-injector")
    assert found == Extension("keeper_injector_common.cli:main", main)


def test_an_unregistered_name_is_not_found() -> None:
    """Neither a group nor a name that nobody registers is an error."""
    assert load_entry_point("keeper_injector.nothing", "nothing") is None
    assert load_entry_point("console_scripts", "nothing", "keeper-injector-nothing") is None
