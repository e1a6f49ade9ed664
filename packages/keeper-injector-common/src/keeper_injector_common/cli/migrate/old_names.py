"""Annotations of Keeper Injector that were renamed, and what Keeper's Go injector needed beside its annotations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from keeper_injector_common.annotations.parser import read_request
from keeper_injector_common.annotations.table import BY_NAME, PREFIX
from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.pods import Pod, text_of
from keeper_injector_common.cli.migrate.replacements import Annotations, replace
from keeper_injector_common.cli.migrate.run import Run
from keeper_injector_common.cli.migrate.wanted import Removal, Tool, Unmigrated, Wanted, merged


def _renamed(entry: Entry, _entries: Mapping[str, Entry]) -> Annotations | None:
    """Return the annotation under its new name, or None if it was not renamed."""
    annotation = BY_NAME.get(entry.key.removeprefix(PREFIX))
    if annotation is None or not annotation.replaced_by:
        return None
    return Annotations({annotation.replaced_by: entry.text})


def _wants(pod: Pod, _run: Run) -> Wanted:
    return merged([replace(pod, (PREFIX,), _renamed), _own_volumes(pod)])


def _own_volumes(pod: Pod) -> Wanted:
    """Return the removal of memory volumes at the directories of secrets.

    The Go injector's example for folder paths has one. The webhook rejects it, because it mounts its own volume there.
    """
    if not any(key.startswith(PREFIX) for key in pod.texts):
        return Wanted()
    directories = {file.path.rpartition("/")[0] for file in read_request(pod.texts)[0].files}
    directories |= {folder.directory for folder in read_request(pod.texts)[0].folders}
    mounts = [mount for container in pod.containers() for mount in container.items("volumeMounts")]
    removals: list[Removal] = []
    remarks: list[Unmigrated] = []
    for volume in pod.volumes():
        own = [mount for mount in mounts if mount.name == volume.name]
        paths = {text_of(mount.content, "mountPath").rstrip("/") for mount in own}
        if not own or "emptyDir" not in volume.content or not paths & directories:
            continue
        if paths <= directories:
            removals += [Removal.of(volume), *map(Removal.of, own)]
        else:
            remarks += _elsewhere(volume.name, paths - directories, pod)
    return Wanted(removals=removals, remarks=remarks)


def _elsewhere(name: str, paths: set[str], pod: Pod) -> Iterator[Unmigrated]:
    for volume in pod.volumes():
        if volume.name == name:
            found = f"volume {name} is mounted at {', '.join(sorted(paths))} too, without secrets"
            yield Unmigrated(volume.position, f"{found}; remove its mount at the directory of the secrets")


TOOL = Tool("keeper", _wants, (PREFIX,))
