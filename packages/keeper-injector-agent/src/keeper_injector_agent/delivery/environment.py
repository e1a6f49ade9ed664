"""Environment variables as files: for ``keeper-exec``, or for the kubelet (EnvFiles, KEP-3721)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.files import File
from keeper_injector_common.plan.paths import EXEC_NAME, VARIABLES_NAME
from keeper_injector_common.records.formats import write_envfile, write_exec_variables

if TYPE_CHECKING:
    from keeper_injector_common.plan.model import Environment
    from keeper_injector_common.records import Renderer

_EXECUTABLE = 0o555
_WRITE = {"exec": write_exec_variables, "file-ref": write_envfile}


def render_environment(environment: Environment, renderer: Renderer) -> dict[str, File]:
    """Return the files of *environment* by name; raises ContractError if a variable cannot be delivered."""
    content = _WRITE[environment.style](renderer.variables(environment))
    files = {VARIABLES_NAME: File(content, environment.mode)}
    if environment.style == "exec":
        from keeper_injector_agent.exec import keeper_exec_path

        files[EXEC_NAME] = File(keeper_exec_path().read_bytes(), _EXECUTABLE)
    return files
