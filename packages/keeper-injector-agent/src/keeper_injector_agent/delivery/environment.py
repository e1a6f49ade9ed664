"""Environment variables as files: for ``keeper-exec``, or for the kubelet (EnvFiles, KEP-3721)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.files import File
from keeper_injector_common.errors import ContractError
from keeper_injector_common.plan.paths import EXEC_NAME, VARIABLES_NAME
from keeper_injector_common.records.formats import write_envfile, write_exec_variables

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.plan.model import Environment
    from keeper_injector_common.records import Renderer

EXECUTABLE = 0o555
_WRITE = {"exec": write_exec_variables, "file-ref": write_envfile}


def render(
    environment: Environment, renderer: Renderer, old: Mapping[str, File], problems: list[str]
) -> dict[str, File]:
    """Return the files of *environment*; on a problem, which is added to *problems*, the *old* variables stay."""
    try:
        content = _WRITE[environment.style](renderer.variables(environment))
    except ContractError as error:
        problems.append(f"environment: {error}")
        return dict(old)
    files = {VARIABLES_NAME: File(content, environment.mode)}
    if environment.style == "exec":
        from keeper_injector_agent.exec import binary

        files[EXEC_NAME] = File(binary().read_bytes(), EXECUTABLE)
    return files
