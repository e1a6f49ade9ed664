"""The view of a pod: who owns it, whether it is for Windows, and JSON of the wrong type."""

from __future__ import annotations

from typing import Any

import pytest

from keeper_injector_webhook.admission.pod import Pod
from keeper_injector_webhook.errors import ReviewError


def test_the_owner_is_the_controller() -> None:
    """The owner is the reference that is a controller; a pod without one has no owner."""
    references = [{"kind": "Node", "name": "n"}, {"kind": "Job", "name": "backup", "controller": True}]
    assert Pod({"metadata": {"ownerReferences": references}}).owner == "Job/backup"
    assert Pod({}).owner == ""


def test_containers_are_in_the_order_in_which_they_start() -> None:
    """Init containers come first, each with its position in its own list."""
    view = Pod({"spec": {"containers": [{"name": "app"}], "initContainers": [{"name": "a"}, {"name": "b"}]}})
    assert [(item.kind, item.index, item.name) for item in view.containers()] == [
        ("initContainers", 0, "a"),
        ("initContainers", 1, "b"),
        ("containers", 0, "app"),
    ]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"containers": {}}, "request.object: containers is not a list of objects"),
        ({"containers": [1]}, "request.object: containers is not a list of objects"),
        ([], "request.object: spec is not an object"),
    ],
)
def test_json_of_the_wrong_type_is_an_error(spec: Any, message: str) -> None:
    """A part of the pod with the wrong JSON type is not a usable review."""
    with pytest.raises(ReviewError, match=message):
        Pod({"spec": spec}).containers()
