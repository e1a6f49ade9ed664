"""Environment variables of containers → annotations, and who receives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.migrate.pods import Pod
from keeper_injector_common.cli.migrate.wanted import Origin, Setting, Unmigrated, Wanted, WantedVariable


def settings_for(pod: Pod, wanted: Wanted, kept: Mapping[str, str]) -> tuple[list[Setting], list[tuple[Origin, str]]]:
    """Return the annotations for a pod without ``config``, and the variables that have none, with the reason.

    ``env-<NAME>`` sets a variable in all containers that receive anything. So ``containers`` lists those that had one,
    unless something else goes to all containers.
    """
    settings = list(wanted.settings)
    refused: list[tuple[Origin, str]] = []
    chosen: dict[str, WantedVariable] = {}
    for item in wanted.variables:
        first = chosen.setdefault(item.name, item)
        if first.reference != item.reference:
            found = f"container {first.container} has another value, and a pod has one value of a variable"
            refused.append((item.origin, f"{found}; rename one of the two"))
        elif first is item:
            settings.append(Setting(f"env-{item.name}", item.reference, item.origin))
    receivers = {item.container for item in wanted.variables if chosen[item.name].reference == item.reference}
    names = [container.name for container in pod.containers()]
    is_set = f"{PREFIX}containers" in kept or any(item.name == "containers" for item in settings)
    is_shared = any(item.content.get("path") and not item.content.get("containers") for item in wanted.entries) or any(
        key.startswith((f"{PREFIX}record", f"{PREFIX}secret", f"{PREFIX}file-", f"{PREFIX}folder", f"{PREFIX}config"))
        for key in kept
    )
    is_shared = is_shared or any(item.name.startswith(("record-", "secret-", "file-")) for item in wanted.settings)
    if wanted.variables and "" not in receivers and receivers != set(names) and not is_set and not is_shared:
        value = ", ".join(name for name in names if name in receivers)
        settings.append(Setting("containers", value, Origin(position=pod.position, label=pod.name)))
    return settings, refused


def without_command(pod: Pod, variables: Sequence[WantedVariable], containers: str) -> Iterator[Unmigrated]:
    """Iterate over the containers that leave their command to the image, which the webhook does not know.

    *containers* is the value of the annotation of this name; if it is empty, all containers receive the variables.
    """
    receivers = {name.strip() for name in containers.split(",")} - {""}
    for container in pod.containers() if variables else ():
        if (not receivers or container.name in receivers) and not container.content.get("command"):
            found = f"container {container.name}: it needs a command to get variables"
            advice = "write that of its image, unless all nodes support EnvFiles"
            yield Unmigrated(container.position, f"{found}; {advice}")
