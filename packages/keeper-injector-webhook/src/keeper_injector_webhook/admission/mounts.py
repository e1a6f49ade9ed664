"""Checks where the memory volumes are mounted in each container, against the container's own mounts, files and paths.

Kubernetes allows a volume below another one. The container runtime mounts the outer volume first (containerd and CRI-O sort mounts by
depth) and then creates the inner directory, for which the outer volume must be writable. In volumes of configuration the kubelet
creates the directory beforehand. In our own volumes, which are mounted read-only, nobody does.
"""

from __future__ import annotations

import bisect
import itertools
import posixpath
from collections.abc import Iterator, Mapping, Sequence

import attrs

from keeper_injector_common.annotations.directories import directory_of, is_inside
from keeper_injector_common.annotations.request import FolderFiles
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import environment
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.names import is_reserved_volume
from keeper_injector_webhook.admission.pod import Container, Pod, object_at
from keeper_injector_webhook.admission.system_directories import why_careful, why_refused
from keeper_injector_webhook.admission.volumes import Volume

_FILLED_BY_KUBELET = frozenset({"configMap", "secret", "projected", "downwardAPI"})
"""Kinds of volumes in which the kubelet creates directories for volumes below (pkg/volume/util/nested_volumes.go)."""
_WRITABLE = frozenset({"emptyDir", "persistentVolumeClaim", "ephemeral"})
"""Kinds of volumes in which the container runtime can create a directory, unless they are mounted read-only."""
_LONGEST_NAME = 255
"""Bytes (NAME_MAX)."""
_LONGEST_PATH = 3840
"""Bytes: PATH_MAX, 4,096, less what the container runtime and the agent put before the path."""

_Path = tuple[str, str, Json]
"""A path in a container, what Kubernetes mounts there, and its entry in the pod."""
_STARTING = ("workingDir", "command", "args")
"""The keys of a container with paths that it uses to start."""
_MOST_USED = 20
"""The number of paths in a container's command and arguments that are checked for a warning."""


@attrs.frozen
class Mounted:
    """The directories at which our volumes are mounted, and the containers that mount exactly these."""

    containers: list[Container]
    files: dict[str, Volume]
    variables: Variables | None
    """The volume with environment variables, if the containers mount one."""

    @classmethod
    def of(cls, containers: list[Container], groups: Sequence[Volume | Variables]) -> Mounted:
        """Return the containers that mount *groups*."""
        files = {group.directory: group for group in groups if isinstance(group, Volume)}
        return cls(containers, files, next((group for group in groups if isinstance(group, Variables)), None))

    @property
    def directories(self) -> frozenset[str]:
        """All directories at which the containers mount our volumes."""
        return frozenset((*self.files, *([environment.MOUNT] if self.variables else [])))

    def where(self, directory: str) -> str:
        """Return the annotation that asks for one of the directories."""
        if volume := self.files.get(directory):
            return _culprit(volume)
        return self.variables.items[0].where if self.variables else ""


def problems_of_mounts(pod: Pod, volumes: Sequence[Volume], together: Sequence[Mounted]) -> Iterator[Problem]:
    """Yield why *volumes*, and what else :func:`mounted_together` returned, cannot be mounted in the containers of *pod*."""
    for volume in volumes:
        if reason := why_refused(volume.directory):
            yield Problem(
                _culprit(volume), f"{volume.directory} {reason}", "choose a directory that only the secrets use"
            )
        yield from _long_paths(volume)
    kinds: dict[str, Json] = {}
    for mounted in together:
        near = {_first_part(directory) for directory in mounted.directories}
        for container in mounted.containers:
            paths = _own_paths(container)
            # Few containers mount anything near our directories, so the others are found first.
            if not near.isdisjoint([_first_part(path) for path, _, _ in paths]):
                kinds = kinds or {str(volume.get("name")): volume for volume in pod.volumes()}
                yield from _nested(container, mounted, paths, kinds)
        yield from _beside_variables(mounted)


def problems_of_reserved_names(pod: Pod) -> Iterator[Problem]:
    """Yield each place of *pod* that uses a volume which only an injection adds: it would see the agent's configuration."""
    for name in sorted(pod.volume_names()):
        if is_reserved_volume(name):
            yield Problem(f"{PREFIX}inject", f"the pod already has a volume named {name!r}", "rename it")
    # Hardly any pod uses one, which is found out for all containers at once.
    if not any(map(is_reserved_volume, set(_volumes_used(pod.containers())))):
        return
    for container in pod.containers():
        for reserved in filter(is_reserved_volume, dict.fromkeys(_volumes_used([container]))):
            found = f"container {container.name!r} uses the volume {reserved!r}, which belongs to the agent"
            yield Problem(f"{PREFIX}inject", found, "remove it")


def _volumes_used(containers: Sequence[Container]) -> list[str]:
    """Return the names of the volumes that *containers* mount, open as devices or read variables from."""
    used = [item.get("name") for container in containers for item in container.mounts]
    used += [item.get("name") for container in containers for item in container.devices]
    sources = [source for container in containers for source in container.sources_of_variables]
    used += [object_at(source, "fileKeyRef").get("volumeName") for source in sources]
    return list(map(str, used))


def warnings_of_mounts(volumes: Sequence[Volume], together: Sequence[Mounted]) -> Iterator[Problem]:
    """Yield each volume that probably hides files of the image which the container needs."""
    for volume in volumes:
        if reason := why_careful(volume.directory):
            yield Problem(
                _culprit(volume),
                f"the volume hides {volume.directory}, which {reason}",
                "choose a directory that only the secrets use",
                Severity.WARNING,
            )
    for mounted in together:
        by_directory = {f"{directory}/": volume for directory, volume in mounted.files.items()}
        directories = sorted(by_directory)
        for container in mounted.containers if directories else ():
            if any(map(container.raw.get, _STARTING)):
                yield from _hidden(container, by_directory, directories)


def mounted_together(volumes: Sequence[Volume], variables: Sequence[Variables]) -> list[Mounted]:
    """Return the containers that mount our volumes, those that mount the same ones together."""
    groups: list[Volume | Variables] = [*volumes, *(group for group in variables if group.style == "exec")]
    by_container: dict[Container, list[int]] = {}
    for number, group in enumerate(groups):
        for container in group.containers:
            by_container.setdefault(container, []).append(number)
    together: dict[tuple[int, ...], list[Container]] = {}
    for container, numbers in by_container.items():
        together.setdefault(tuple(numbers), []).append(container)
    return [Mounted.of(containers, [groups[number] for number in mounted]) for mounted, containers in together.items()]


def _first_part(path: str) -> str:
    """Return ``/a`` for ``/a/b``: a path and one that contains it have the same, and no other can clash."""
    end = path.find("/", 1)
    return path if end < 0 else path[:end]


def _nested(
    container: Container, mounted: Mounted, own_paths: Sequence[_Path], kinds: Mapping[str, Json]
) -> Iterator[Problem]:
    """Yield each path of the container inside one of our directories, and each of these that cannot be created below a mount.

    The paths are sorted, so that those inside a directory follow it: a pod may have thousands of both. Where several contain a
    path, the innermost counts, because there it is created.
    """
    paths: list[tuple[str, bool, str, Json]] = [(f"{directory}/", False, "", {}) for directory in mounted.directories]
    paths += [(f"{path}/", True, what, mount) for path, what, mount in own_paths if path]
    around: list[tuple[str, bool, str, Json, str]] = []
    for path, own, what, mount in sorted(paths, key=lambda entry: entry[:2]):
        while around and not path.startswith(around[-1][0]):
            around.pop()
        _, outer_own, outer_what, outer, inside = around[-1] if around else ("", False, "", {}, "")
        if around and not outer_own:
            inside = around[-1][0][:-1]
        directory = path[:-1]
        if own and inside:
            found = f"{inside} clashes with {_described(what, mount)} at {directory} in container {container.name!r}"
            yield Problem(mounted.where(inside), found, "choose a path outside of it")
        elif not own and outer_own:
            right = _why_not_below(outer, kinds.get(str(outer.get("name")), {}))
            if right:
                found = (
                    f"{directory} clashes with {_described(outer_what, outer)} at {around[-1][0][:-1]} "
                    f"in container {container.name!r}"
                )
                yield Problem(mounted.where(directory), found, right)
        around.append((path, own, what, mount, inside))


def _own_paths(container: Container) -> list[_Path]:
    """Return the paths at which Kubernetes mounts something into the container."""
    paths: list[_Path] = [(_normal(mount.get("mountPath")), "mount", mount) for mount in container.mounts]
    paths += [(_normal(device.get("devicePath")), "device", device) for device in container.devices]
    if message := container.raw.get("terminationMessagePath"):
        paths.append((_normal(message), "termination message", {}))
    return paths


def _described(what: str, entry: Json) -> str:
    return f"the {what} of volume {entry.get('name')!r}" if entry else f"the {what}"


def _normal(path: object) -> str:
    """Return *path* as an absolute one without double slashes; empty if it is too long to be mounted at all."""
    text = str(path or "")
    if not 0 < len(text) <= _LONGEST_PATH:
        return ""
    is_usual = text[0] == "/" and text[-1] != "/" and "//" not in text and "/." not in text
    return text if is_usual else "/" + posixpath.normpath(text).lstrip("/")


def _why_not_below(mount: Json, volume: Json) -> str:
    """Return what to do so that a volume can be mounted below *mount*; empty if it already can."""
    outside = "choose a path outside of it"
    if _FILLED_BY_KUBELET & volume.keys():
        return outside if mount.get("subPath") or mount.get("subPathExpr") else ""
    if _WRITABLE & volume.keys():
        claim = object_at(volume, "persistentVolumeClaim")
        read_only = mount.get("readOnly") or claim.get("readOnly")
        return f"remove readOnly from the mount, or {outside}" if read_only else ""
    return outside


def _beside_variables(mounted: Mounted) -> Iterator[Problem]:
    """Yield each directory of files at, above or below that of the variables, because the outer volume is read-only."""
    for directory, volume in mounted.files.items() if mounted.variables else ():
        if is_inside(directory, environment.MOUNT) or is_inside(environment.MOUNT, directory):
            for container in mounted.containers:
                found = f"{directory} clashes with {environment.MOUNT}, where container {container.name!r} has its variables"
                yield Problem(_culprit(volume), found, "choose another path")


def _long_paths(volume: Volume) -> Iterator[Problem]:
    for item in volume.items:
        path = item.directory if isinstance(item, FolderFiles) else item.path
        encoded = path.encode("utf-8", "surrogatepass")
        if len(encoded) <= _LONGEST_NAME:
            continue
        if len(encoded) > _LONGEST_PATH:
            yield Problem(item.where, f"the path has {len(encoded)} bytes", f"write at most {_LONGEST_PATH}")
        elif any(len(part) > _LONGEST_NAME for part in encoded.split(b"/")):
            yield Problem(item.where, f"a name in the path has more than {_LONGEST_NAME} bytes", "write a shorter name")


def _culprit(volume: Volume) -> str:
    """Return the annotation that asks for the volume's directory; other items may be below."""
    return next(item.where for item in volume.items if directory_of(item) == volume.directory)


def _hidden(container: Container, by_directory: Mapping[str, Volume], directories: Sequence[str]) -> Iterator[Problem]:
    """Yield each volume in which the container starts, or runs something that is not one of our files.

    *directories* are the sorted ones of *by_directory*.
    """
    reported = set()
    for path, what in itertools.islice(_used(container), _MOST_USED):
        # The directories of one container are not inside one another, so only the last one before the path can contain it.
        directory = directories[max(bisect.bisect_right(directories, f"{path}/") - 1, 0)]
        volume = by_directory[directory]
        if (
            f"{path}/".startswith(directory)
            and directory not in reported
            and (what == "workingDir" or not _ours(path, volume))
        ):
            reported.add(directory)
            yield Problem(
                _culprit(volume),
                f"the volume hides the image's files in {volume.directory}, and {what} of container {container.name!r} "
                f"is {path}",
                "choose a directory that only the secrets use",
                Severity.WARNING,
            )


def _ours(path: str, volume: Volume) -> bool:
    """Return whether *path* is a file of *volume*, a directory of one, or inside a folder."""
    return any(
        is_inside(path, item.directory) if isinstance(item, FolderFiles) else is_inside(item.path, path)
        for item in volume.items
    )


def _used(container: Container) -> Iterator[tuple[str, str]]:
    """Yield the absolute paths that the container uses to start, each with where it is set."""
    if directory := container.raw.get("workingDir"):
        yield _normal(directory), "workingDir"
    arguments = container.raw.get("args")
    lists = (("command", container.command), ("args", arguments if isinstance(arguments, list) else []))
    for name, texts in lists:
        for text in texts:
            path = text.partition("=")[2] if isinstance(text, str) and text.startswith("-") else text
            if isinstance(path, str) and path.startswith("/"):
                yield _normal(path), name
