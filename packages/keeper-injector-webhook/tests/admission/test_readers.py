"""Readers: a mode with which a container may be unable to read its files causes a warning."""

from __future__ import annotations

from typing import Any

import pytest
from admission_reviews import pod, respond


@pytest.mark.parametrize(
    ("annotations", "spec", "warned"),
    [
        ({"file-mode": "0440"}, {}, True),
        ({"file-mode": "0440"}, {"securityContext": {"fsGroup": 2000}}, False),
        ({"file-mode": "0400"}, {"securityContext": {"fsGroup": 2000}}, True),
        ({"file-mode": "0440"}, {"securityContext": {"runAsUser": 1000}}, False),
        ({"file-mode": "0400"}, {"securityContext": {"runAsUser": 1000}}, False),
        ({"file-mode": "0440"}, {"securityContext": {"runAsUser": 0}}, False),
        ({"file-mode": "0444"}, {}, False),
        ({"file-mode": "0440", "run-as-user": "7"}, {"securityContext": {"runAsUser": 1000}}, True),
        ({"file-mode": "0440", "run-as-group": "7"}, {"securityContext": {"supplementalGroups": [7]}}, False),
        ({"file-mode": "0440", "run-as-group": "7"}, {"securityContext": {"runAsGroup": 7}}, False),
        ({}, {}, False),
    ],
)
def test_an_unreadable_mode_is_a_warning(annotations: dict[str, str], spec: dict[str, Any], warned: bool) -> None:
    """The mode must give a right to the user of each container, as owner, as member of the group or as anyone."""
    response = respond(pod(annotations={"inject": "true", "secret": "db", **annotations}, **spec))
    assert ("may run as another" in str(response.get("warnings"))) == warned


def test_the_mode_of_one_file_is_named() -> None:
    """A mode in `config` causes a warning at its place."""
    config = 'secrets: [{record: db, mode: "0440"}, {record: other}]'
    (warning,) = respond(pod(annotations={"inject": "true", "config": config}))["warnings"]
    assert warning.startswith("keeper.security/config: secrets[0]: mode 0440 is for user 65532")
