"""Environment variables as files: for ``keeper-exec``, or for the kubelet (EnvFiles, KEP-3721).

All variables of a container are in one file, but each item of the plan has its own problems, as each file has: while an item
fails, its variables keep their previous values, and the others change (``records.variables``). A program that starts with a part
of its variables may do harm. So the init container writes nothing while a variable has no value at all, unless the pod starts
without its secrets, too (``fail-on-error: "false"``). The variables of a record that is gone stay or are removed, as its files are
(``on-removal``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.files import File
from keeper_injector_agent.errors import as_reported
from keeper_injector_common.plan.paths import EXEC_NAME, VARIABLES_NAME
from keeper_injector_common.records import Variable
from keeper_injector_common.records.formats import ENVIRONMENT_READERS, ENVIRONMENT_WRITERS

if TYPE_CHECKING:
    from keeper_injector_agent.delivery.progress import Progress
    from keeper_injector_common.plan.model import Environment
    from keeper_injector_common.records import Renderer

_EXECUTABLE = 0o555


def render_environment(
    environment: Environment, previous: Mapping[str, File], renderer: Renderer, progress: Progress, *, whole: bool
) -> dict[str, File]:
    """Return the files of *environment* by name, given the *previous* ones. Problems are reported to *progress*.

    If *whole*, the previous files stay while a variable has no value. If its record is gone, and what was delivered of it is to
    be removed, there are no files.
    """
    render = partial(_render, environment, previous, renderer, progress, whole=whole)
    kept = dict(previous)
    return progress.deliver_or_keep("environment variables", render, kept=kept, gone=kept)


def _render(
    environment: Environment, previous: Mapping[str, File], renderer: Renderer, progress: Progress, *, whole: bool
) -> dict[str, File]:
    write = ENVIRONMENT_WRITERS[environment.style]
    known = _known_variables(environment, previous, progress)
    progress.note_items(environment.path, {name: variable.item for name, variable in known.items()})
    found = renderer.variables(environment, write, known, remove_gone=progress.remove_gone)
    for where, error in found.problems:
        progress.report(where, as_reported(error), repeated=f"{where}: ")
    if found.missing and whole:
        return {} if found.gone else dict(previous)
    content = write({name: variable.value for name, variable in found.variables.items()})
    progress.note_items(environment.path, {name: variable.item for name, variable in found.variables.items()})
    if found.up_to_date:
        progress.count_up_to_date()
    files = {VARIABLES_NAME: File(content, environment.mode)}
    if environment.style == "exec":
        from keeper_injector_agent.exec import keeper_exec_path

        files[EXEC_NAME] = File(keeper_exec_path().read_bytes(), _EXECUTABLE)
    return files


def _known_variables(environment: Environment, previous: Mapping[str, File], progress: Progress) -> dict[str, Variable]:
    """Return the variables of the previous refresh whose items are known."""
    if VARIABLES_NAME not in previous:
        return {}
    values = ENVIRONMENT_READERS[environment.style](bytes(previous[VARIABLES_NAME].content))
    items = {name: progress.previous_item(f"{environment.path}/{name}") for name in values}
    return {name: Variable(value, item) for name, value in values.items() if (item := items[name])}
