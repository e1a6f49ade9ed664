"""Requests and limits of the agent's containers: the pod's annotation, else the chart's value, and the pod's class kept.

Kubernetes gives each pod a class of service. A pod stays *Guaranteed* only while every container's requests are its limits
(KEP-753 counts sidecars as well), so in such a pod ours are equal too. A pod with resources of its own as a whole
(``spec.resources``, KEP-2837) has room for its containers together, which lines of ours could break: there are none then.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.pod import Pod, object_at
from keeper_injector_webhook.settings import Settings

CPU_IN_GUARANTEED = "100m"
"""CPU at least in a Guaranteed pod, where the request is the limit: a refresh takes 0.15 s of CPU time."""
NAMES = ("cpu", "memory")
NONE = "none"
_QUANTITY = re.compile(r"([0-9.]+)(?:([eE][-+]?[0-9]+)|([num]|[kMGTPE]|[KMGTPE]i)?)")
_MULTIPLES: dict[str | None, Decimal] = {
    None: Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def agent_resources(request: InjectionRequest, settings: Settings, pod: Pod, problems: list[Problem]) -> Json:
    """Return ``resources`` of the agent's containers; adds what API servers would refuse to *problems*."""
    own = request.resources
    asked = {
        "requests": {"cpu": own.requests_cpu, "memory": own.requests_memory},
        "limits": {"cpu": own.limits_cpu, "memory": own.limits_memory},
    }
    lines = {kind: {name: amount or NONE for name, amount in line.items()} for kind, line in asked.items()}
    if not pod.spec.get("resources"):
        of_chart = settings.agent.resources
        chart = {
            "requests": {"cpu": of_chart.requests.cpu, "memory": of_chart.requests.memory},
            "limits": {"cpu": of_chart.limits.cpu, "memory": of_chart.limits.memory},
        }
        lines = {kind: {name: asked[kind][name] or chart[kind][name] for name in NAMES} for kind in chart}
        if is_guaranteed(pod) and not any(asked[kind][name] for kind in asked for name in NAMES):
            lines = _equal(lines)
    _report_requests_above_limits(lines, problems)
    kept = {kind: {name: amount for name, amount in line.items() if amount != NONE} for kind, line in lines.items()}
    return {kind: line for kind, line in kept.items() if line}


def is_guaranteed(pod: Pod) -> bool:
    """Say whether every container of the pod has limits for CPU and memory, and requests equal to them."""
    containers = pod.containers()
    return bool(containers) and all(_is_fixed(container.resources) for container in containers)


def keeps_guaranteed(lines: Json) -> bool:
    """Say whether a container with these resources leaves its pod Guaranteed."""
    return _is_fixed(lines)


def amount(quantity: object) -> Decimal:
    """Return the number of a quantity as Kubernetes writes them: ``100m``, ``0.5``, ``64Mi``, ``1e3``; 0 for anything else."""
    return _amount(str(quantity)) if quantity is not None else Decimal(0)


@lru_cache(maxsize=256)
def _amount(text: str) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    if not match:
        return Decimal(0)
    number, exponent, suffix = match.groups()
    try:
        return Decimal(number + (exponent or "")) * _MULTIPLES[suffix or None]
    except ArithmeticError:
        return Decimal(0)


def _is_fixed(lines: Json) -> bool:
    limits = object_at(lines, "limits")
    # A request that is left out is the limit (API server, SetDefaults_Pod).
    requests = {**limits, **object_at(lines, "requests")}
    return all(amount(limits.get(name)) > 0 and amount(limits[name]) == amount(requests[name]) for name in NAMES)


def _equal(lines: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Make requests and limits the same: the limit where there is one, for there the agent was meant to fit."""
    both = {}
    for name, least in (("cpu", CPU_IN_GUARANTEED), ("memory", "0")):
        limit, request = lines["limits"][name], lines["requests"][name]
        given = [text for text in (limit, request) if text != NONE]
        both[name] = max((given[0] if given else least, least), key=amount) if limit == NONE else limit
    return {"requests": dict(both), "limits": dict(both)}


def _report_requests_above_limits(lines: dict[str, dict[str, str]], problems: list[Problem]) -> None:
    for name in NAMES:
        request, limit = lines["requests"][name], lines["limits"][name]
        if NONE not in {request, limit} and amount(request) > amount(limit):
            found, right = (
                f"{request} is more than the limit of {limit}",
                f"lower it, or write agent-limits-{name}: none",
            )
            problems.append(Problem(f"{PREFIX}agent-requests-{name}", found, right))
