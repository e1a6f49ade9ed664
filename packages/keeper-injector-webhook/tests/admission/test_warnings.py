"""Warnings: the pod is created, and kubectl shows what its author may not expect."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import pod, respond

ASKED = {"inject": "true", "secret": "db"}


@pytest.mark.parametrize(
    ("annotations", "spec", "warning"),
    [
        pytest.param(
            {"sidecar": "classic"},
            {"restartPolicy": "OnFailure"},
            'a classic sidecar never ends, so this pod will not end either; add keeper.security/init-only: "true"',
            id="classic in a Job",
        ),
        pytest.param(
            {"metrics-port": "9464"},
            {"hostNetwork": True},
            "only one process can have port 9464, and anyone who can reach the node can read the metrics",
            id="the node's network",
        ),
        pytest.param(
            {"signal": "HUP"},
            {"securityContext": {"runAsUser": 0}},
            "set runAsUser to the application's number",
            id="a signal to root",
        ),
        pytest.param(
            {"volume-size": "256Mi"},
            {},
            "files in memory count as the agent's, whose limit is 128Mi; set agent-limits-memory to 320Mi or more",
            id="more files than memory",
        ),
        pytest.param(
            {"volume-size": "64Mi", "file-a": "server:disk.img:/app/images/disk.img"},
            {},
            "whose limit is 128Mi; set agent-limits-memory to 160Mi or more",
            id="attachments in memory",
        ),
    ],
)
def test_a_surprise_is_a_warning(annotations: dict[str, str], spec: dict[str, Any], warning: str) -> None:
    """A pod that works, but not as its author may expect, is created with a warning."""
    (found,) = respond(pod(annotations={**ASKED, **annotations}, **spec))["warnings"]
    assert warning in found


@pytest.mark.parametrize(
    ("annotations", "spec"),
    [
        ({"sidecar": "classic", "init-only": "true"}, {"restartPolicy": "Never"}),
        ({}, {"restartPolicy": "OnFailure"}),
        ({"signal": "HUP"}, {"securityContext": {"runAsUser": 1000}}),
        ({"volume-size": "256Mi", "agent-limits-memory": "320Mi"}, {}),
        ({"volume-size": "256Mi", "agent-limits-memory": "none"}, {}),
        ({"volume-size": "64Mi", "agent-limits-memory": "160Mi", "file-a": "server:disk.img:/app/images/disk.img"}, {}),
    ],
    ids=[
        "classic that goes",
        "native in a Job",
        "a signal to a user",
        "memory enough",
        "memory without limit",
        "memory for attachments",
    ],
)
def test_a_correct_request_has_no_warning(annotations: dict[str, str], spec: dict[str, Any]) -> None:
    """A correct pod has no warning, because warnings that always appear are not read."""
    assert "warnings" not in respond(pod(annotations={**ASKED, **annotations}, **spec))
