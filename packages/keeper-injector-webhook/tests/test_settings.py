"""The settings file: the chart's agent block as it is, with a validation of every value."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import attrs
import pytest

from keeper_injector_common.annotations.request import SecretCredentials
from keeper_injector_common.limits import MOST_SECRETS
from keeper_injector_common.plan.credentials import AwsCredentials
from keeper_injector_webhook.errors import SettingsError
from keeper_injector_webhook.settings import Agent, Amounts, Settings, read_settings

DIGEST = f"sha256:{'a' * 64}"


def read(directory: Path, text: str) -> Settings:
    """Read *text* as the webhook reads its settings file."""
    path = directory / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return read_settings(path)


@pytest.mark.parametrize(
    "text", ["", "agent: {}", "agent: {image: {tag: '', digest: ''}, httpsProxy: '', noProxy: ''}"]
)
def test_an_empty_value_leaves_the_default(tmp_path: Path, text: str) -> None:
    """The chart renders values that are not set as empty texts."""
    settings = read(tmp_path, text)

    assert settings.agent == Agent()
    assert settings.agent.image.reference().endswith(f"/keeper-injector-agent:{version('keeper-injector-webhook')}")


def test_a_digest_overrides_the_tag_of_its_own_image_only(tmp_path: Path) -> None:
    """The image with the cloud libraries has its own digest, and is used for clouds."""
    settings = read(tmp_path, f"agent: {{image: {{repository: r.example:5000/agent, tag: 2, digest: '{DIGEST}'}}}}")

    assert settings.image_for(SecretCredentials("keeper")) == f"r.example:5000/agent@{DIGEST}"
    assert settings.image_for(AwsCredentials("keeper")) == "r.example:5000/agent:2-cloud"


def test_an_amount_that_is_missing_beside_another_is_left_out(tmp_path: Path) -> None:
    """A value that a user of Helm sets to null is missing in the file."""
    resources = read(tmp_path, "agent: {resources: {requests: {cpu: 1}}}").agent.resources

    assert resources.requests == Amounts(cpu="1", memory="none")
    assert resources.limits == Amounts(cpu="none", memory="128Mi")


@pytest.mark.parametrize(
    ("agent", "problem"),
    [
        (
            "{image: {repository: 'agent:1'}}",
            "agent.image.repository: 'agent:1' is not the repository of an image; write it",
        ),
        ("{image: {tag: 'a b'}}", "agent.image.tag: 'a b' is not the tag of an image; write one such as 1.4.2"),
        ("{image: {digest: latest}}", "agent.image.digest: 'latest' is not the digest of an image; write sha256: and"),
        ("{image: {cloudDigest: x}}", "agent.image.cloudDigest: 'x' is not the digest of an image; write sha256: and"),
        ("{image: {pullPolicy: always}}", "agent.image.pullPolicy: 'always' is not a pull policy; write Always,"),
        ("{resources: {requests: {cpu: much}}}", "agent.resources.requests.cpu: 'much' is not a quantity; write 50m,"),
        ("{resources: {limits: {memory: 1K}}}", "agent.resources.limits.memory: '1K' is not a quantity; write 50m,"),
        ("{resources: {limits: {gpu: 1}}}", "agent.resources.limits.gpu: unknown key; "),
        ("{noProxy: 'http://a'}", "agent.noProxy: 'http://a' is not a host; write names, addresses and networks"),
        ("{noproxy: a}", "agent.noproxy: unknown key; did you mean 'noProxy'?"),
        ("{image: agent}", "agent.image: text found; write a mapping"),
        ("[]", "agent: a list found; write a mapping"),
    ],
)
def test_an_invalid_value_is_reported_with_its_path(tmp_path: Path, agent: str, problem: str) -> None:
    """The message says where, what was found and what to write."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, f"agent: {agent}")

    assert str(error.value).startswith(f"{tmp_path}/settings.yaml: {problem}")


def test_a_proxy_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    """The webhook logs the message."""
    with pytest.raises(
        SettingsError,
        match=r"agent.httpsProxy: not the URL of an HTTP proxy without user and password; .* set the default proxy-secret",
    ) as error:
        read(tmp_path, "agent: {httpsProxy: 'http://user:hunter2@proxy:3128'}")

    assert "hunter2" not in str(error.value)


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    """Someone who mistyped three values corrects them in one go."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, "agent: {image: {tag: 'a b', digest: x}, httpsProxy: y}\nenvFiles: maybe")

    assert len(str(error.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("policy", "problem"),
    [
        (
            "{locked: [agent-imag]}",
            "policy.locked[0]: 'agent-imag' is not an annotation that can be locked; write a name",
        ),
        ("{locked: [inject]}", "policy.locked[0]: 'inject' is not an annotation that can be locked"),
        ("{forbidden: [file]}", "policy.forbidden[0]: 'file' is unknown; write env, kubernetes-secret or signal"),
        ("{minRefreshInterval: 1s}", "policy.minRefreshInterval: '1s' is out of range"),
        (
            "{minRefreshInterval: 10m}",
            "policy.minRefreshInterval: does not allow the default refresh-interval: 5m; set",
        ),
        (
            "{maxVolumeSize: 1Mi}",
            "policy.maxVolumeSize: does not allow the default volume-size: 16Mi; set a default of",
        ),
        ("{maxSecrets: -1}", "policy.maxSecrets: '-1' is not"),
        (f"{{maxSecrets: {MOST_SECRETS + 1}}}", f"policy.maxSecrets: '{MOST_SECRETS + 1}' is not a number from"),
        ('{contact: "a\\tb"}', "policy.contact: the text is too long or has control characters; write at most 200"),
        ("{namespaces: {shop: {lock: [signal]}}}", "policy.namespaces.shop.lock: unknown key; did you mean 'locked'?"),
        (
            "{minRefreshInterval: 1m}\ndefaults: {refresh-interval: 5x}",
            "defaults.refresh-interval: '5x' is not a duration",
        ),
        ("{namespaces: {shop: {minRefreshInterval: 1h}}}", "policy.namespaces.shop.minRefreshInterval: does not allow"),
    ],
)
def test_an_invalid_policy_is_reported_with_its_path(tmp_path: Path, policy: str, problem: str) -> None:
    """Unknown names, values out of range, and defaults that the policy does not allow are reported when the webhook starts."""
    with pytest.raises(SettingsError) as error:
        read(tmp_path, f"policy: {policy}")

    assert str(error.value).startswith(f"{tmp_path}/settings.yaml: {problem}")


def test_every_field_of_the_agent_block_has_a_parser() -> None:
    """A field without one would be read by nobody."""

    def fields(kind: type) -> list[attrs.Attribute[object]]:
        found: list[attrs.Attribute[object]] = []
        for field in attrs.fields(kind):  # type: ignore[arg-type] # these are attrs classes
            inner = field.metadata.get("kind")
            found += fields(inner) if inner else [field]
        return found

    assert [field.name for field in fields(Agent) if not field.metadata.get("parse")] == []
