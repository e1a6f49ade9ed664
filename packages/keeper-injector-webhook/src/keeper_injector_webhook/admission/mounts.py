"""Checks where the memory volumes are mounted in each container, against the container's own mounts, files and paths.

Kubernetes allows a volume below another one. The container runtime mounts the outer volume first (containerd and CRI-O sort mounts by
depth) and then creates the inner directory, for which the outer volume must be writable. In volumes of configuration the kubelet
creates the directory beforehand. In our own volumes, which are mounted read-only, nobody does.
"""

from __future__ import annotations

import bisect
import itertools
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from keeper_injector_common.annotations.directories import directory_of, is_inside
from keeper_injector_common.annotations.request import FolderFiles
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem, Severity
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission import environment
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.names import is_reserved_volume
from keeper_injector_webhook.admission.pod import Container, Pod, list_at, object_at
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

_MOST_USED = 20
"""The number of paths in a container's command and arguments that are checked for a warning."""


@attrs.frozen
class _Mounted:
    """The directories of one container at which our volumes are mounted, each with the annotation that asks for it."""

    container: Container
    files: dict[str, str] = attrs.field(factory=dict)
    variables: dict[str, str] = attrs.field(factory=dict)
    """At most one: the volume with environment variables, if the container mounts one."""

    @property
    def all(self) -> Mapping[str, str]:
        """Every directory."""
        return {**self.files, **self.variables}


def problems_of_mounts(pod: Pod, volumes: Sequence[Volume], variables: Sequence[Variables]) -> Iterator[Problem]:
    """Yield why *volumes* and *variables* cannot be mounted in the containers of *pod*."""
    for volume in volumes:
        if reason := why_refused(volume.directory):
            yield Problem(
                _culprit(volume), f"{volume.directory} {reason}", "choose a directory that only the secrets use"
            )
        yield from _long_paths(volume)
    kinds = {str(volume.get("name")): volume for volume in pod.volumes()}
    for mounted in _mounted(volumes, variables):
        yield from _nested(mounted, kinds)
        yield from _beside_variables(mounted)


def problems_of_reserved_names(pod: Pod) -> Iterator[Problem]:
    """Yield each place of *pod* that uses a volume which only an injection adds: it would see the agent's configuration."""
    for name in sorted(pod.volume_names()):
        if is_reserved_volume(name):
            yield Problem(f"{PREFIX}inject", f"the pod already has a volume named {name!r}", "rename it")
    for container in pod.containers():
        uses = [item.get("name") for item in container.mounts]
        uses += [item.get("name") for item in list_at(container.raw, "volumeDevices")]
        for item in container.variables:
            if "valueFrom" in item:
                uses.append(object_at(object_at(item, "valueFrom"), "fileKeyRef").get("volumeName"))
        for name in dict.fromkeys(str(use) for use in uses if use):
            if is_reserved_volume(name):
                found = f"container {container.name!r} uses the volume {name!r}, which belongs to the agent"
                yield Problem(f"{PREFIX}inject", found, "remove it")


def warnings_of_mounts(volumes: Sequence[Volume]) -> Iterator[Problem]:
    """Yield each volume that probably hides files of the image which the container needs."""
    for volume in volumes:
        if reason := why_careful(volume.directory):
            yield Problem(
                _culprit(volume),
                f"the volume hides {volume.directory}, which {reason}",
                "choose a directory that only the secrets use",
                Severity.WARNING,
            )
    by_container: dict[tuple[str, int], tuple[Container, list[Volume]]] = {}
    for volume in volumes:
        for container in volume.containers:
            by_container.setdefault((container.kind, container.index), (container, []))[1].append(volume)
    for container, mounted in by_container.values():
        yield from _hidden(container, mounted)


def _mounted(volumes: Sequence[Volume], variables: Sequence[Variables]) -> Iterable[_Mounted]:
    """Return the containers that mount our volumes."""
    found: dict[tuple[str, int], _Mounted] = {}
    for volume in volumes:
        where = _culprit(volume)
        for container in volume.containers:
            mounted = found.setdefault((container.kind, container.index), _Mounted(container))
            mounted.files[volume.directory] = where
    for group in variables:
        for container in group.containers if group.style == "exec" else ():
            mounted = found.setdefault((container.kind, container.index), _Mounted(container))
            mounted.variables[environment.MOUNT] = group.items[0].where
    return found.values()


def _nested(mounted: _Mounted, kinds: Mapping[str, Json]) -> Iterator[Problem]:
    """Yield each path of the container inside one of our directories, and each of these that cannot be created below a mount.

    The paths are sorted, so that those inside a directory follow it: a pod may have thousands of both. Where several contain a
    path, the innermost counts, because there it is created.
    """
    ours = mounted.all
    if not ours:
        return
    paths: list[tuple[str, bool, str, Json]] = [(f"{directory}/", False, "", {}) for directory in ours]
    paths += [(f"{path}/", True, what, mount) for path, what, mount in _own_paths(mounted.container) if path]
    around: list[tuple[str, bool, str, Json, str]] = []
    for path, own, what, mount in sorted(paths, key=lambda entry: entry[:2]):
        while around and not path.startswith(around[-1][0]):
            around.pop()
        _, outer_own, outer_what, outer, inside = around[-1] if around else ("", False, "", {}, "")
        if around and not outer_own:
            inside = around[-1][0][:-1]
        directory, name = path[:-1], mounted.container.name
        if own and inside:
            found = f"{inside} clashes with {what} at {directory} in container {name!r}"
            yield Problem(ours[inside], found, "choose a path outside of it")
        elif not own and outer_own:
            right = _why_not_below(outer, kinds.get(str(outer.get("name")), {}))
            if right:
                found = f"{directory} clashes with {outer_what} at {around[-1][0][:-1]} in container {name!r}"
                yield Problem(ours[directory], found, right)
        around.append((path, own, what, mount, inside))


def _own_paths(container: Container) -> Iterator[tuple[str, str, Json]]:
    """Yield the paths at which Kubernetes mounts something into the container, each with what it is, and the mount of a volume."""
    for mount in container.mounts:
        yield _normal(mount.get("mountPath")), f"the mount of volume {mount.get('name')!r}", mount
    for device in list_at(container.raw, "volumeDevices"):
        yield _normal(device.get("devicePath")), f"the device of volume {device.get('name')!r}", {}
    if message := container.raw.get("terminationMessagePath"):
        yield _normal(message), "the termination message", {}


def _normal(path: object) -> str:
    """Return *path* as an absolute one without double slashes; empty if it is too long to be mounted at all."""
    text = str(path or "")
    return "/" + posixpath.normpath(text).lstrip("/") if 0 < len(text) <= _LONGEST_PATH else ""


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


def _beside_variables(mounted: _Mounted) -> Iterator[Problem]:
    """Yield each directory of files at, above or below that of the variables, because the outer volume is read-only."""
    for mount in mounted.variables:
        for directory, where in mounted.files.items():
            if is_inside(directory, mount) or is_inside(mount, directory):
                found = (
                    f"{directory} clashes with {mount}, where container {mounted.container.name!r} has its variables"
                )
                yield Problem(where, found, "choose another path")


def _long_paths(volume: Volume) -> Iterator[Problem]:
    for item in volume.items:
        path = item.directory if isinstance(item, FolderFiles) else item.path
        encoded = path.encode("utf-8", "surrogatepass")
        if len(encoded) > _LONGEST_PATH:
            yield Problem(item.where, f"the path has {len(encoded)} bytes", f"write at most {_LONGEST_PATH}")
        elif any(len(part) > _LONGEST_NAME for part in encoded.split(b"/")):
            yield Problem(item.where, f"a name in the path has more than {_LONGEST_NAME} bytes", "write a shorter name")


def _culprit(volume: Volume) -> str:
    """Return the annotation that asks for the volume's directory; other items may be below."""
    return next(item.where for item in volume.items if directory_of(item) == volume.directory)


def _hidden(container: Container, volumes: Sequence[Volume]) -> Iterator[Problem]:
    """Yield each volume in which the container starts, or runs something that is not one of our files."""
    by_directory = {f"{volume.directory}/": volume for volume in volumes}
    directories = sorted(by_directory)
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
    yield _normal(container.raw.get("workingDir")), "workingDir"
    arguments = container.raw.get("args")
    lists = {"command": container.command, "args": arguments if isinstance(arguments, list) else []}
    for name, texts in lists.items():
        for text in texts:
            path = text.partition("=")[2] if isinstance(text, str) and text.startswith("-") else text
            if isinstance(path, str) and path.startswith("/"):
                yield _normal(path), name
