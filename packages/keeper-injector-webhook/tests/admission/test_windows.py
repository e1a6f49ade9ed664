"""Windows: pods that only run on Windows are recognized, and others are not."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import pod

from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.admission.windows import is_for_windows


def affinity(
    *terms: list[dict[str, Any]], kind: str = "requiredDuringSchedulingIgnoredDuringExecution"
) -> dict[str, Any]:
    """Return a node affinity with one term for each list of expressions."""
    return {"affinity": {"nodeAffinity": {kind: {"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}}}}


def system(*values: str, key: str = "kubernetes.io/os", operator: str = "In") -> dict[str, Any]:
    """Return an expression about the operating system of nodes."""
    return {"key": key, "operator": operator, "values": list(values)}


@pytest.mark.parametrize(
    ("spec", "windows"),
    [
        ({"os": {"name": "windows"}}, True),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, True),
        ({"nodeSelector": {"beta.kubernetes.io/os": "windows"}}, True),
        ({"securityContext": {"windowsOptions": {"hostProcess": True}}}, True),
        ({"containers": [{"name": "a", "securityContext": {"windowsOptions": {"runAsUserName": "u"}}}]}, True),
        (affinity([system("windows")]), True),
        (
            affinity([system("windows", key="beta.kubernetes.io/os")], [system("x", key="zone"), system("windows")]),
            True,
        ),
        (affinity([system("windows")], [system("linux")]), False),
        (affinity([system("windows", "linux")]), False),
        (affinity([system("windows", operator="NotIn")]), False),
        (affinity([]), False),
        (affinity(), False),
        ({"os": {"name": "linux"}}, False),
        ({"securityContext": {"windowsOptions": {}}}, False),
        ({}, False),
    ],
)
def test_pods_for_windows_are_recognized(spec: dict[str, Any], windows: bool) -> None:
    """A pod is for Windows if it says so, or if no node with Linux can run it."""
    assert is_for_windows(Pod(pod(**spec))) == windows
