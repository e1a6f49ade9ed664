"""Placement: the agent starts where it has a network."""

from __future__ import annotations

import pytest
from admission_reviews import injected, pod

AGENT = "keeper-injector-init"


def native(name: str) -> dict[str, str]:
    """Return a native sidecar."""
    return {"name": name, "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("inits", "first", "last"),
    [
        pytest.param([{"name": "migrate"}], 0, 1, id="no mesh"),
        pytest.param([{"name": "istio-init"}, {"name": "migrate"}], 0, 0, id="classic Istio"),
        pytest.param([{"name": "migrate"}, {"name": "linkerd-init"}], 0, 1, id="classic Linkerd"),
        pytest.param([{"name": "istio-init"}, native("istio-proxy"), {"name": "migrate"}], 2, 3, id="native Istio"),
        pytest.param([{"name": "migrate"}, native("linkerd-proxy")], 2, 2, id="native proxy at the end"),
        pytest.param([{"name": "kuma-validation"}, {"name": "migrate"}], 0, 2, id="CNI plugin"),
        pytest.param([{"name": "consul-connect-inject-init-api"}], 0, 0, id="Consul"),
        pytest.param([native("logs"), {"name": "migrate"}], 0, 2, id="another native sidecar"),
    ],
)
def test_the_agent_starts_where_it_has_a_network(inits: list[dict[str, str]], first: int, last: int) -> None:
    """The agent starts after a native proxy and before the redirection to a classic one, whatever `init-first` says."""
    for expected, init_first in ((first, "true"), (last, "false")):
        asked = {"inject": "true", "secret": "db", "init-first": init_first}
        new = injected(pod(annotations=asked, initContainers=inits, containers=[{"name": "app"}]))
        assert [item["name"] for item in new["spec"]["initContainers"]].index(AGENT) == expected
