"""Annotations of other tools that are replaced one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import yaml

from keeper_injector_common.cli.manifests import Entry
from keeper_injector_common.cli.migrate.pods import Pod
from keeper_injector_common.cli.migrate.wanted import Origin, Setting, Unmigrated, Wanted
from keeper_injector_common.json_values import as_object

NO_COUNTERPART = "no counterpart, and removed; check that the application works without it"
IDENTITY = "a KSM configuration identifies the application"
"""Why annotations about the application's login are not needed."""


@attrs.frozen
class Annotations:
    """The Keeper Injector annotations that replace one annotation. If they are empty, it is removed."""

    annotations: Mapping[str, str] = attrs.field(factory=dict)
    """Values by name, without the prefix ``keeper.security/``."""
    unmigrated: str = ""
    """What the user must do about it; empty if nothing."""
    not_needed: str = ""
    """Why it is not needed; empty if it has a counterpart, or none."""


def text_for(name: str, texts: Mapping[str, str]) -> str:
    """Return the text of the first key that *name* begins with; empty if *texts* has no such key."""
    return next((text for beginning, text in texts.items() if name.startswith(beginning)), "")


def replace(
    pod: Pod, prefixes: Sequence[str], counterpart: Callable[[Entry, Mapping[str, Entry]], Annotations | None]
) -> Wanted:
    """Return what replaces the annotations of *pod* that begin with one of *prefixes*.

    *counterpart* takes an annotation and all annotations of the pod by name; it returns None if the annotation stays.
    Annotations that cannot be replaced where they are are named, and stay.
    """
    entries = {entry.key: entry for entry in pod.entries}
    settings: list[Setting] = []
    replaced: list[int] = []
    remarks: list[Unmigrated] = []
    for index, entry in enumerate(pod.entries):
        if not entry.key.startswith(tuple(prefixes)) or (found := counterpart(entry, entries)) is None:
            continue
        if not pod.inherited:
            has_pods = "template" in as_object(pod.manifest.get("spec"))
            advice = "move it to spec.template.metadata.annotations, and migrate again" if has_pods else "remove it"
            remarks.append(Unmigrated(entry.position, f"{entry.key}: pods do not get it from here; {advice}"))
        elif entry.repeated:
            remarks.append(Unmigrated(entry.position, f"{entry.key}: written twice; remove one, and migrate again"))
            return Wanted(remarks=remarks)
        elif not isinstance(entry.node, yaml.ScalarNode):
            remarks.append(Unmigrated(entry.position, f"{entry.key}: not a text; write one"))
        else:
            origin = Origin(position=entry.position, label=entry.key, index=index)
            settings += [Setting(name, value, origin) for name, value in found.annotations.items()]
            replaced.append(index)
            if found.unmigrated:
                remarks.append(Unmigrated(entry.position, f"{entry.key}: {found.unmigrated}"))
            if found.not_needed:
                message = f"{entry.key}: not needed, and removed: {found.not_needed}"
                remarks.append(Unmigrated(entry.position, message, is_done=True))
    return Wanted(settings=settings, replaced=replaced, remarks=remarks)
