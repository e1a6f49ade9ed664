"""What the webhook decides about a pod, as values: :class:`Skip`, :class:`Deny` or :class:`Inject`."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import attrs

from keeper_injector_common.annotations.identity import Identity
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_common.plan.model import Plan
from keeper_injector_webhook.admission.asked import WrittenPlan
from keeper_injector_webhook.admission.environment import Variables
from keeper_injector_webhook.admission.names import RESTART_VOLUME
from keeper_injector_webhook.admission.restarts import Restarting
from keeper_injector_webhook.admission.volumes import Volume

_MOST_WARNINGS = 10
LONGEST_WARNING = 256
"""Characters; API servers may truncate longer warnings (apiserver, pkg/warning)."""


def warning_texts(warnings: Sequence[Problem]) -> list[str]:
    """Return *warnings* for a log line or an annotation: at most ten, each cut, and how many others there are."""
    shown = [str(warning)[:LONGEST_WARNING] for warning in warnings[:_MOST_WARNINGS]]
    others = len(warnings) - len(shown)
    return [*shown, f"and {others} more"] if others else shown


class SkipReason(enum.Enum):
    """Why a pod is not changed: the name is a code for logs and metrics, the value a sentence for people."""

    NOT_ASKED = "the pod does not ask for injection"
    ALREADY_INJECTED = "the pod is injected already"
    MIRROR = "a mirror pod shows a static pod of a kubelet, which never changes"
    NOT_A_POD = "the review is not about a pod"
    NOT_A_CREATION = "the webhook changes pods only when they are created"

    @property
    def code(self) -> str:
        """The reason as a metric label, such as ``not_asked``."""
        return self.name.lower()


@attrs.frozen
class Skip:
    """The pod is not changed."""

    reason: SkipReason


@attrs.frozen
class Deny:
    """The pod is rejected, because what it asks for cannot work."""

    problems: tuple[Problem, ...]
    """At least one, each of severity ``ERROR``."""
    warnings: tuple[Problem, ...] = ()


@attrs.frozen
class Inject:
    """The pod is changed so that the agent carries out a plan in it."""

    written: WrittenPlan
    request: InjectionRequest
    volumes: tuple[Volume, ...]
    variables: tuple[Variables, ...]
    identity: Identity
    resources: Json
    """``resources`` of each of the agent's containers."""
    warnings: tuple[Problem, ...] = ()
    restarts: bool = True
    """Whether the kubelet repeats an init container that failed."""
    restarting: tuple[Restarting, ...] = ()
    """The containers that restart after a change."""

    @property
    def plan(self) -> Plan:
        """What the agent carries out in the pod."""
        return self.written.plan

    @property
    def plan_text(self) -> str:
        """The plan as the text of its annotation."""
        return self.written.text

    @property
    def native(self) -> bool:
        """Whether the sidecar is an init container with ``restartPolicy: Always`` (KEP-753, Kubernetes 1.29)."""
        return self.request.sidecar != "classic"

    @property
    def written_volumes(self) -> tuple[str, ...]:
        """The names of the memory volumes that the agent writes."""
        own = [RESTART_VOLUME] if self.restarting else []
        return (*(item.name for item in self.volumes), *(item.name for item in self.variables), *own)


Decision = Skip | Deny | Inject
