"""Resources: requests and limits of the agent's containers, and the pod's quality of service class."""

from __future__ import annotations

from decimal import Decimal

import pytest
from admission_reviews import denial, injected, pod, respond, sidecar_of

from keeper_injector_webhook.admission.resources import amount

ASKED = {"inject": "true", "secret": "db"}


FIXED = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1024Mi"}}


def test_a_request_above_its_limit_is_rejected() -> None:
    """A request above the chart's limit is rejected, because API servers would reject the pod."""
    reason = (
        "keeper.security/agent-requests-memory: 256Mi is more than the limit of 128Mi; lower it, or write "
        "agent-limits-memory: none"
    )
    assert reason in denial(pod(annotations={**ASKED, "agent-requests-memory": "256Mi"}))


def test_a_guaranteed_pod_stays_guaranteed() -> None:
    """The agent's requests equal its limits in a Guaranteed pod, with enough CPU for a refresh."""
    new = injected(pod(annotations=ASKED, containers=[{"name": "app", "resources": FIXED}]))
    assert sidecar_of(new)["resources"] == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"cpu": "100m", "memory": "128Mi"},
    }


def test_other_classes_of_service_keep_the_charts_amounts() -> None:
    """A pod that is Burstable anyway gets the chart's amounts."""
    containers = [
        {"name": "app", "resources": FIXED},
        {"name": "b", "resources": {"limits": FIXED["limits"]}},
        {"name": "c"},
    ]
    lines = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}}
    assert sidecar_of(injected(pod(annotations=ASKED, containers=containers)))["resources"] == lines


def test_own_amounts_in_a_guaranteed_pod() -> None:
    """Equal amounts in annotations keep a pod Guaranteed; others do not, and the webhook warns of that."""
    equal = {
        f"agent-{kind}-{name}": text
        for kind in ("requests", "limits")
        for name, text in (("cpu", "200m"), ("memory", "64Mi"))
    }
    guaranteed = pod(annotations={**ASKED, **equal}, containers=[{"name": "app", "resources": FIXED}])
    assert "warnings" not in respond(guaranteed)
    guaranteed = pod(
        annotations={**ASKED, "agent-limits-memory": "64Mi"}, containers=[{"name": "app", "resources": FIXED}]
    )
    (warning,) = respond(guaranteed)["warnings"]
    assert "so the pod is no longer Guaranteed" in warning


def test_resources_of_the_pod_as_a_whole() -> None:
    """A pod with resources as a whole gets only the amounts in its annotations, because the chart's could exceed them."""
    whole = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}}}
    assert sidecar_of(injected(pod(annotations=ASKED, **whole)))["resources"] == {}
    asked = {**ASKED, "agent-limits-memory": "64Mi"}
    assert sidecar_of(injected(pod(annotations=asked, **whole)))["resources"] == {"limits": {"memory": "64Mi"}}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", "1"),
        ("0.5", "0.5"),
        ("100m", "0.1"),
        ("64Mi", "67108864"),
        ("1e3", "1000"),
        ("1E", "1e18"),
        ("5k", "5000"),
    ],
)
def test_quantities(text: str, number: str) -> None:
    """Quantities may have suffixes of both kinds and exponents, as in Kubernetes."""
    assert amount(text) == Decimal(number)


@pytest.mark.parametrize("text", ["", "x", "1.2.3", None, {}, "1Ki1"], ids=repr)
def test_what_is_not_a_quantity(text: object) -> None:
    """Anything that is not a quantity counts as 0; the API server rejects such a pod itself."""
    assert amount(text) == 0
