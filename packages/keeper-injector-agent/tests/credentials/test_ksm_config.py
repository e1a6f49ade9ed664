"""The KSM configuration in all forms in which people store it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable

import pytest
from agent_pods import AgentPod

from keeper_injector_common.plan.paths import CREDENTIALS_PATH
from local_keeper import LocalKeeper


@pytest.mark.parametrize("form", ["base64", "padding lost", "url alphabet", "line break", "JSON"])
def test_all_forms_of_the_configuration_are_accepted(pod: AgentPod, keeper: LocalKeeper, form: str) -> None:
    """People store the configuration as base64 in several variants or as JSON; all of them work."""
    text = base64.b64decode(keeper.config())
    forms = {
        "base64": keeper.config(),
        "padding lost": keeper.config().rstrip("="),
        "url alphabet": base64.urlsafe_b64encode(text).decode(),
        "line break": keeper.config() + "\n",
        "JSON": text.decode() + "\n",
    }
    pod.put(CREDENTIALS_PATH, forms[form])
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty; store the KSM configuration there"),
        ("garbage", "neither JSON nor base64 of JSON"),
        ("US:" + "a" * 43, "a one-time token"),
        ('{"clientId": "x"}', "privateKey, appKey missing in the KSM configuration"),
    ],
    ids=["empty", "garbage", "token", "missing"],
)
def test_an_invalid_configuration_is_explained(pod: AgentPod, content: str, message: str) -> None:
    """The message says what is wrong with the configuration without showing it."""
    pod.put(CREDENTIALS_PATH, content)
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == os.EX_NOPERM
    assert message in pod.termination_message()


@pytest.mark.parametrize("key", ["appKey", "clientId", "privateKey", "serverPublicKey"])
@pytest.mark.parametrize(
    "cut",
    [
        lambda text: text[:20],
        lambda text: text[:-4],
        lambda text: text[:-2],
        lambda text: f"AAAA{text}",
        lambda _: "\xe9",
    ],
    ids=["early", "late", "padding", "longer", "not base64"],
)
def test_a_value_that_was_cut_off_is_named(
    pod: AgentPod, keeper: LocalKeeper, key: str, cut: Callable[[str], str]
) -> None:
    """The agent names the value at once, without a request to Keeper and without retries."""
    configuration = keeper.config_dict()
    pod.put(CREDENTIALS_PATH, json.dumps({**configuration, key: cut(configuration[key])}))
    pod.wants({"x": "api-keys[login]"})
    assert pod.run("init").returncode == os.EX_NOPERM
    message = pod.termination_message()
    assert message.startswith(f"KSM configuration: {key} ")
    assert "it was cut off or changed" in message
    assert keeper.requests == {}
