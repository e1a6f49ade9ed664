"""Environment variables as files: for ``keeper-exec``, or for the kubelet (EnvFiles, KEP-3721)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.files import File
from keeper_injector_common.errors import ContractError
from keeper_injector_common.formats import Content, envfile, variables
from keeper_injector_common.formats.flat import flatten
from keeper_injector_common.formats.names import variable_names
from keeper_injector_common.plan import EXEC_NAME, VARIABLES_NAME
from keeper_injector_common.references import FieldValue, RecordName
from keeper_injector_common.rendering import Renderer, variable_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.plan import Environment, RecordVariablesItem

EXECUTABLE = 0o555
_WRITE = {"exec": variables.write, "file-ref": envfile.write}


def render(
    environment: Environment, renderer: Renderer, old: Mapping[str, File], problems: list[str]
) -> dict[str, File]:
    """Return the files of *environment*; on a problem, which is added to *problems*, the *old* variables stay.

    A variable that is named in the plan goes before one that only follows from a field's name.
    """
    try:
        values: dict[str, str] = {}
        for record in environment.records:
            values.update(_of_record(record, renderer))
        for item in environment.variables:
            values[item.name] = variable_text(renderer.value(item.source))
        content = _WRITE[environment.style](values)
    except ContractError as error:
        problems.append(f"environment: {error}")
        return dict(old)
    files = {VARIABLES_NAME: File(content, environment.mode)}
    if environment.style == "exec":
        from keeper_injector_agent.exec import binary

        files[EXEC_NAME] = File(binary().read_bytes(), EXECUTABLE)
    return files


def _of_record(item: RecordVariablesItem, renderer: Renderer) -> dict[str, str]:
    record = renderer.find(item.source)
    name = RecordName((record.uid,))
    values = record.named_values()
    if item.fields:
        values = {field: renderer.value(FieldValue(name, field)) for field in item.fields}
    return variable_names(record.title, flatten(Content(record.title, values)), prefix=item.prefix)
