"""A build hook for hatchling: adds keeper-exec to the wheel if it has been compiled, and sets the platform of the wheel."""

import platform
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAM = "keeper_injector_agent/exec/keeper-exec"


class KeeperExecHook(BuildHookInterface):  # type: ignore[type-arg]  # the type of its configuration is not used here
    """Builds a wheel for this platform with keeper-exec, or one for any platform without it, which cannot deliver variables."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Prepare a wheel; hatchling calls this. An editable installation finds the program in the source tree."""
        program = Path(self.root, "src", PROGRAM)
        if version == "editable" or not program.is_file():
            return
        # The program is linked statically, so that one file works with both families of C libraries.
        machine = platform.machine()
        build_data["tag"] = f"py3-none-manylinux2014_{machine}.musllinux_1_1_{machine}"
        build_data["pure_python"] = False
        build_data["force_include"][str(program)] = PROGRAM
