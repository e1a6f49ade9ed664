"""The plan of a pod: which settings of its annotations reach the agent."""

from __future__ import annotations

import attrs

from keeper_injector_common.annotations.request import PodSettings
from keeper_injector_common.annotations.table import BY_NAME
from keeper_injector_common.plan.model import Plan

WEBHOOK_ONLY = {
    "agent_image",
    "containers",
    "env_mode",
    "file_mode",
    "init_first",
    "init_only",
    "log_level",
    "on_change",
    "restart_min_interval",
    "restart_spread",
    "run_as_group",
    "run_as_user",
    "sidecar",
}
"""Settings that the webhook uses and the agent does not need: they are not fields of the plan, or not under these names."""


def names(kind: type[attrs.AttrsInstance]) -> set[str]:
    """Return the names of the fields of a class."""
    return set(attrs.fields_dict(kind))


def test_every_setting_is_an_annotation() -> None:
    """A field of the settings has the name of its annotation, from which the parser reads it."""
    assert {name.replace("_", "-") for name in names(PodSettings)} <= set(BY_NAME)


def test_every_setting_reaches_the_agent_or_is_for_the_webhook_only() -> None:
    """A setting whose name differs from that of its field in the plan would be dropped without a message."""
    assert names(PodSettings) - names(Plan) == WEBHOOK_ONLY


def test_every_annotation_in_the_plan_is_a_setting() -> None:
    """A field of the plan that is called like an annotation receives the value of that annotation."""
    annotations = {name.replace("-", "_") for name in BY_NAME}
    assert names(Plan) & annotations <= names(PodSettings)


def test_a_field_of_the_plan_has_its_own_name_in_json() -> None:
    """A setting is called the same in the annotation, in the plan and in the plan's JSON, apart from the style."""
    for name in names(Plan) & names(PodSettings):
        first, *others = name.split("_")
        key = attrs.fields_dict(Plan)[name].metadata["wire"].key
        assert key == first + "".join(map(str.capitalize, others))
