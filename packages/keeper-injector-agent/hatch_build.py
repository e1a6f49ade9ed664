"""Puts keeper-exec into the wheel when it has been compiled, and names the platform that the wheel is then for."""

import platform
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAM = "keeper_injector_agent/exec/keeper-exec"


class KeeperExecHook(BuildHookInterface):  # type: ignore[type-arg]  # which configuration it has matters to nobody here
    """Without the program the wheel is for any platform, and says so when somebody asks for variables."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it builds the wheel; an editable one finds the program in the tree."""
        program = Path(self.root, "src", PROGRAM)
        if version == "editable" or not program.is_file():
            return
        # Statically linked, so one file serves both families of C libraries.
        machine = platform.machine()
        build_data["tag"] = f"py3-none-manylinux2014_{machine}.musllinux_1_1_{machine}"
        build_data["pure_python"] = False
        build_data["force_include"][str(program)] = PROGRAM
