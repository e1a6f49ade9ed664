"""Recognizes pods for Windows nodes, where the agent cannot run."""

from __future__ import annotations

from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.pod import Pod, list_at, object_at

_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")
"""The label of nodes with their operating system, and its old name."""


def is_for_windows(pod: Pod) -> bool:
    """Return whether *pod* says that it is for Windows, has Windows options, or can only run on nodes with Windows."""
    selector = object_at(pod.spec, "nodeSelector")
    return (
        object_at(pod.spec, "os").get("name") == "windows"
        or any(selector.get(label) == "windows" for label in _LABELS)
        or bool(pod.security("windowsOptions"))
        or any(container.security("windowsOptions") for container in pod.containers())
        or _needs_windows(pod)
    )


def _needs_windows(pod: Pod) -> bool:
    """Return whether every alternative of the required node affinity is a node with Windows."""
    affinity = object_at(object_at(pod.spec, "affinity"), "nodeAffinity")
    required = object_at(affinity, "requiredDuringSchedulingIgnoredDuringExecution")
    terms = list_at(required, "nodeSelectorTerms")
    return bool(terms) and all(any(map(_only_windows, list_at(term, "matchExpressions"))) for term in terms)


def _only_windows(expression: Json) -> bool:
    named = expression.get("key") in _LABELS and expression.get("operator") == "In"
    return named and expression.get("values") == ["windows"]
