"""Which Kubernetes Secrets a pod uses."""

from __future__ import annotations

from collections.abc import Iterator

from keeper_injector_common.cli.migrate.pods import Pod, text_of
from keeper_injector_common.json_values import as_object, as_objects


def secrets_of(pod: Pod) -> set[str]:
    """Return the names of the Secrets that the containers of *pod* read, as variables or files."""
    return {*variables_from(pod), *mounted(pod)} - {""}


def variables_from(pod: Pod) -> Iterator[str]:
    """Iterate over the Secrets that variables come from."""
    for container in pod.containers():
        for variable in container.items("env"):
            yield text_of(variable.content, "valueFrom", "secretKeyRef", "name")
        for source in container.items("envFrom"):
            yield text_of(source.content, "secretRef", "name")


def mounted(pod: Pod) -> Iterator[str]:
    """Iterate over the Secrets that are mounted."""
    for volume in pod.volumes():
        yield text_of(volume.content, "secret", "secretName")
        for source in as_objects(as_object(volume.content.get("projected")).get("sources")):
            yield text_of(source, "secret", "name")
