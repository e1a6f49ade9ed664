"""HTTPS to Keeper: certificates and deadlines."""

from __future__ import annotations

import json
import os
import time

import pytest
from agent_pods import AgentPod
from servers import serving

from keeper_injector_agent.errors import TransientVaultError
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_common.plan.paths import PLAN_PATH


def test_an_untrusted_certificate_is_rejected(pod: AgentPod) -> None:
    """Verification is never disabled; the message names the annotation that adds a CA."""
    pod.wants({"x": "api-keys[login]"})
    plan = json.loads(pod.at(PLAN_PATH).read_text(encoding="utf-8"))
    del plan["caFile"]
    pod.put(PLAN_PATH, json.dumps(plan))
    assert pod.run("init").returncode == os.EX_NOPERM
    assert "set keeper.security/ca-cert-configmap" in pod.termination_message()


def test_a_server_without_tls_is_retried() -> None:
    """Only an untrusted certificate is permanent: another failure of the handshake may pass."""
    with serving(lambda *_: (200, {}, "")) as port:
        transport = Transport(ca_file=None, deadline=time.monotonic() + 5)
        with pytest.raises(TransientVaultError, match=f"no TLS connection to localhost:{port}"):
            transport.post(f"https://localhost:{port}/api/rest/sm/v1/get_secret", {}, b"")


def test_the_last_failure_is_reported_at_the_deadline() -> None:
    """After the deadline the error repeats the last failure, which is more useful than that time is over."""
    transport = Transport(ca_file=None, deadline=time.monotonic() + 5)
    with pytest.raises(TransientVaultError) as failure:
        transport.post("https://127.0.0.1:1/api/rest/sm/v1/get_secret", {}, b"")
    transport.deadline = time.monotonic()
    with pytest.raises(TransientVaultError) as late:
        transport.post("https://127.0.0.1:1/api/rest/sm/v1/get_secret", {}, b"")
    assert "no connection to 127.0.0.1" in str(failure.value)
    assert str(late.value) == str(failure.value)
