"""Environment variables as files: for ``keeper-exec``, or for the kubelet (EnvFiles, KEP-3721)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper_injector_agent.files import File
from keeper_injector_common import formats
from keeper_injector_common.errors import ContractError, FormatError
from keeper_injector_common.formats import names
from keeper_injector_common.plan import VARIABLES_NAME
from keeper_injector_common.references import FieldValue, RecordName
from keeper_injector_common.rendering import Renderer, variable_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keeper_injector_common.plan import Environment, RecordVariablesItem

FORMAT = {"exec": "variables", "file-ref": "envfile"}


def render(
    environment: Environment, renderer: Renderer, old: Mapping[str, File], problems: list[str]
) -> dict[str, File]:
    """Return the files of *environment*; on a problem, which is added to *problems*, the *old* variables stay.

    A variable that is named in the plan goes before one that only follows from a field's name.
    """
    try:
        variables: dict[str, str] = {}
        for record in environment.records:
            variables.update(_of_record(record, renderer))
        for item in environment.variables:
            variables[item.name] = variable_text(renderer.value(item.source))
        content = formats.render(FORMAT[environment.style], formats.Content("environment", variables))
    except ContractError as error:
        problems.append(f"environment: {error}")
        return dict(old)
    return {**_programs(old), VARIABLES_NAME: File(content, environment.mode)}


def _of_record(item: RecordVariablesItem, renderer: Renderer) -> dict[str, str]:
    record = renderer.find(item.source)
    name = RecordName((record.uid,))
    values = (
        {field: renderer.value(FieldValue(name, field)) for field in item.fields}
        if item.fields
        else record.named_values()
    )
    prefixed = {f"{item.prefix}{field}": value for field, value in names.flatten(values).items()}
    variables = names.variable_names(record.title, prefixed)
    for variable in variables:
        if names.PROTECTED.fullmatch(variable):
            raise FormatError(
                f"record {record.title!r}: a field would set {variable}; add env-prefix, choose fields, or name it with "
                f"keeper.security/env-{variable}"
            )
    return variables


def _programs(old: Mapping[str, File]) -> dict[str, File]:
    """Keep what else lies in the volume: ``keeper-exec``, which the init container copied there."""
    return {name: file for name, file in old.items() if name != VARIABLES_NAME}
