"""The limits on a pod and on the answer about it. They bound the work and the memory that one review can take.

Other limits are in :mod:`keeper_injector_common.limits`. Everything that takes more than a constant time per entry of a pod comes after
:func:`problems_of_size`.
"""

from __future__ import annotations

from collections.abc import Iterator

from keeper_injector_common.annotations.reader import annotations_too_large
from keeper_injector_common.annotations.table import PREFIX, SET_BY_WEBHOOK
from keeper_injector_common.errors import Problem
from keeper_injector_common.limits import LARGEST_ANNOTATIONS
from keeper_injector_webhook.admission.decision import Inject, warning_texts
from keeper_injector_webhook.admission.pod import MOST_READ, Pod

MOST_CONTAINERS = MOST_READ
"""Containers and init containers of a pod."""
MOST_VOLUMES = 1000
"""Volumes of a pod, and sources of all of its projected volumes."""
_LISTS = ("volumeMounts", "volumeDevices", "env", "ports", "command", "args")
MOST_ENTRIES = 5000
"""Entries of each list of containers that is read, in all containers together."""
MOST_DELIVERIES = 10_000
"""Secrets of a pod, each counted once for every container that receives it."""
MOST_DIFFERENT = 1000
"""The same, but containers that receive the same secrets are counted once: the number of files in the plan."""
MOST_MOUNTS = 2000
"""Mounts that are added to a pod's containers."""
MOST_PROBLEMS = 1000
"""Problems of a pod that are counted; a denial shows the first of them."""
LARGEST_PATCH = 1024 * 1024
"""Bytes of an encoded patch. Objects in etcd have at most 1.5 MiB."""
_MARKS = sum(map(len, SET_BY_WEBHOOK)) + len("true")
"""Bytes that an injection adds to the annotations beside the plan."""
_INJECT = f"{PREFIX}inject"
_CONTAINERS = f"{PREFIX}containers"


def problems_of_size(pod: Pod) -> Iterator[Problem]:
    """Yield which parts of *pod* have too many entries to be read."""
    if pod.annotation_bytes > LARGEST_ANNOTATIONS:
        yield annotations_too_large(pod.annotation_bytes)
        return
    for what, count, most in (
        ("containers", pod.container_count, MOST_CONTAINERS),
        ("volumes", _length(pod.spec.get("volumes")), MOST_VOLUMES),
    ):
        if count > most:
            yield _too_many(what, count, most)
            return
    lists = [entries for container in pod.containers() for entries in map(container.raw.get, _LISTS) if entries]
    if sum(map(_length, lists)) > MOST_ENTRIES:
        for key in _LISTS:
            count = sum(_length(container.raw.get(key)) for container in pod.containers())
            if count > MOST_ENTRIES:
                yield _too_many(f"entries of {key}", count, MOST_ENTRIES)
    projected = [part for volume in pod.volumes() if isinstance(part := volume.get("projected"), dict)]
    sources = sum(_length(part.get("sources")) for part in projected)
    if sources > MOST_VOLUMES:
        yield _too_many("sources of projected volumes", sources, MOST_VOLUMES)


def problems_of_deliveries(all_together: int, different: int) -> Iterator[Problem]:
    """Yield if the containers receive too many secrets *all together*, or too many *different* sets of them."""
    if all_together > MOST_DELIVERIES:
        found = f"the containers receive {all_together} secrets, all together"
        yield Problem(_CONTAINERS, found, f"name the containers that need them; at most {MOST_DELIVERIES} are possible")
    elif different > MOST_DIFFERENT:
        found = f"the containers that receive different secrets receive {different} in total"
        yield Problem(
            _CONTAINERS, found, f"let more containers receive the same; at most {MOST_DIFFERENT} are possible"
        )


def problems_of_mounts(mounts: int) -> Iterator[Problem]:
    """Yield if the volumes need too many *mounts*."""
    if mounts > MOST_MOUNTS:
        found = f"the directories of the secrets need {mounts} mounts"
        right = f"use fewer directories, or name the containers that need them; at most {MOST_MOUNTS} are possible"
        yield Problem(_CONTAINERS, found, right)


def problems_of_plan(pod: Pod, inject: Inject) -> Iterator[Problem]:
    """Yield if the plan and the warnings of *inject* do not fit into the annotations of *pod*."""
    size = len((inject.plan_text + "\n".join(warning_texts(inject.warnings))).encode())
    kept = pod.annotation_bytes - sum(
        len(key) + len(pod.annotations[key].encode()) for key in SET_BY_WEBHOOK & pod.annotations.keys()
    )
    if kept + size + _MARKS > LARGEST_ANNOTATIONS:
        yield Problem(
            _INJECT,
            f"the pod's annotations have {kept >> 10} KiB and the agent's plan {size >> 10} KiB, of 256 KiB together",
            "request fewer secrets in one pod, or shorten the templates and titles",
        )


def problems_of_patch(patch: str) -> Iterator[Problem]:
    """Yield if an encoded *patch* is too large."""
    if len(patch) > LARGEST_PATCH:
        found = f"the changes of the pod have {len(patch)} bytes"
        yield Problem(_INJECT, found, f"at most {LARGEST_PATCH} are possible, so ask for less in this pod")


def _too_many(what: str, count: int, most: int) -> Problem:
    return Problem(_INJECT, f"the pod has {count} {what}", f"at most {most} are possible in a pod with injection")


def _length(value: object) -> int:
    return len(value) if isinstance(value, list) else 0
