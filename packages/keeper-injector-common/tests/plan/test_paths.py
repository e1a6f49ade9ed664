"""Paths in the agent's containers."""

import subprocess
import sys
from pathlib import Path

from keeper_injector_common.plan.paths import below_root


def test_an_absolute_path_is_found_below_another_root() -> None:
    """The root replaces the slash at the beginning."""
    assert below_root(Path("/tmp/pod"), "/keeper/state") == Path("/tmp/pod/keeper/state")
    assert below_root(Path("/"), "/keeper/state") == Path("/keeper/state")


def test_importing_the_paths_is_cheap() -> None:
    """The startup probe imports the paths every second: they bring neither attrs nor JSON with them."""
    script = (
        "import sys; import keeper_injector_common.plan.paths; "
        "print([name for name in ('attr', 'json', 're', 'typing', 'enum') if name in sys.modules])"
    )
    found = subprocess.check_output([sys.executable, "-I", "-S", "-c", _with_path(script)], text=True)
    assert found.strip() == "[]"


def _with_path(script: str) -> str:
    import keeper_injector_common

    return f"import sys; sys.path.insert(0, {str(Path(keeper_injector_common.__file__).parents[1])!r}); {script}"
