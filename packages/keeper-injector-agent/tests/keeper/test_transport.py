"""HTTPS to Keeper: certificates and deadlines."""

from __future__ import annotations

import json
import os
import time

import pytest
from agent_pods import AgentPod
from servers import serving

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_common.plan.paths import PLAN_PATH
from local_keeper import LocalKeeper


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


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..example", "." + "a" * 300, "example.invalid"])
def test_a_host_that_cannot_exist_is_an_ordinary_failure(host: str) -> None:
    """It may come from a KSM configuration or from the URL of an attachment. IDNA raises UnicodeError for the first three."""
    transport = Transport(ca_file=None, deadline=time.monotonic() + 30)
    with pytest.raises(TransientVaultError, match="no connection to"):
        transport.post(f"https://{host}/api/rest/sm/v1/get_secret", {}, b"")


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1"])
def test_a_host_whose_name_is_in_the_certificate_is_trusted(keeper: LocalKeeper, name: str) -> None:
    """It may be a name, in any case, or an address."""
    transport = Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30)
    assert transport.post(f"https://{name}:{keeper.port}/api/rest/sm/v1/get_secret", {}, b"").status_code


def test_another_name_of_the_same_host_is_not_trusted(keeper: LocalKeeper) -> None:
    """It is another text for the address 127.0.0.1, and the certificate does not have it."""
    transport = Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 30)
    with pytest.raises(PermanentVaultError, match="no trusted TLS connection"):
        transport.post(f"https://127.1:{keeper.port}/api/rest/sm/v1/get_secret", {}, b"")
