"""Chooses requests and limits of the agent's containers: the pod's annotations override the chart's values.

Kubernetes gives each pod a quality of service class. A pod stays *Guaranteed* only while the requests of every container equal its
limits, sidecars included (KEP-753). So in such a pod the agent's requests equal its limits too. A pod may also limit
the sum over its containers (``spec.resources``, KEP-2837). The chart's values could exceed that limit, so in such a pod only the
pod's annotations count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import Problem
from keeper_injector_common.json_values import Json
from keeper_injector_webhook.admission.pod import Pod, object_at
from keeper_injector_webhook.settings import Settings

_CPU_IN_GUARANTEED = "100m"
"""The least CPU in a Guaranteed pod, where the request is also the limit: a refresh takes 0.15 s of CPU time."""
_NAMES = ("cpu", "memory")
_NONE = "none"
_LONGEST_QUANTITY = 64
_QUANTITY = re.compile(r"([0-9.]+)(?:([eE][-+]?[0-9]+)|([num]|[kMGTPE]|[KMGTPE]i)?)")
_MULTIPLES: dict[str | None, Decimal] = {
    None: Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def agent_resources(request: InjectionRequest, pod: Pod, settings: Settings) -> Json:
    """Return the ``resources`` of each of the agent's containers. Amounts that are ``none`` are left out."""
    own = request.resources
    asked = own.requests_cpu, own.requests_memory, own.limits_cpu, own.limits_memory
    if pod.spec.get("resources"):
        amounts = [amount or _NONE for amount in asked]
    else:
        chart = settings.agent.resources
        otherwise = chart.requests.cpu, chart.requests.memory, chart.limits.cpu, chart.limits.memory
        amounts = [amount or of_chart for amount, of_chart in zip(asked, otherwise, strict=True)]
    lines = {
        "requests": {"cpu": amounts[0], "memory": amounts[1]},
        "limits": {"cpu": amounts[2], "memory": amounts[3]},
    }
    if not any(asked) and not pod.spec.get("resources") and is_guaranteed(pod):
        lines = _equal(lines)
    kept = {kind: {name: amount for name, amount in line.items() if amount != _NONE} for kind, line in lines.items()}
    return {kind: line for kind, line in kept.items() if line}


def problems_of_resources(resources: Json) -> Iterator[Problem]:
    """Yield each request that is above its limit, because API servers would reject the pod."""
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    for name in _NAMES:
        if name in requests and name in limits and amount(requests[name]) > amount(limits[name]):
            found = f"{requests[name]} is more than the limit of {limits[name]}"
            right = f"lower it, or write agent-limits-{name}: none"
            yield Problem(f"{PREFIX}agent-requests-{name}", found, right)


def is_guaranteed(pod: Pod) -> bool:
    """Return whether the pod is Guaranteed: every container has limits for CPU and memory, and requests equal to them."""
    containers = pod.containers()
    return bool(containers) and all(_is_fixed(container.resources) for container in containers)


def keeps_guaranteed(resources: Json) -> bool:
    """Return whether a pod stays Guaranteed if a container with these *resources* is added."""
    return _is_fixed(resources)


def amount(quantity: object) -> Decimal:
    """Return a Kubernetes quantity as a number: ``100m``, ``0.5``, ``64Mi``, ``1e3``. Anything else is 0."""
    if not isinstance(quantity, str | int | float):
        return Decimal(0)
    text = str(quantity)
    return _amount(text) if len(text) <= _LONGEST_QUANTITY else Decimal(0)


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


def _is_fixed(resources: Json) -> bool:
    limits = object_at(resources, "limits")
    if not limits:
        return False
    # A missing request defaults to the limit (API server, SetDefaults_Pod).
    requests = {**limits, **object_at(resources, "requests")}
    return all(amount(limits.get(name)) > 0 and amount(limits[name]) == amount(requests[name]) for name in _NAMES)


def _equal(lines: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Return equal requests and limits: the limit if it is set, otherwise the request, but at least what a refresh needs."""
    both = {}
    for name, least in (("cpu", _CPU_IN_GUARANTEED), ("memory", "0")):
        limit, request = lines["limits"][name], lines["requests"][name]
        both[name] = limit if limit != _NONE else max(least if request == _NONE else request, least, key=amount)
    return {"requests": dict(both), "limits": dict(both)}
