"""What the chart decides for all pods: the agent's image and resources, defaults of annotations, what the cluster can do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations import defaults
from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.annotations.request import Credentials, SecretCredentials
from keeper_injector_common.yaml_document import Section, load
from keeper_injector_webhook.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from keeper_injector_common.errors import Problem

DEFAULT_IMAGE = "ghcr.io/keeper-security/keeper-injector-agent:0.1.0"


@attrs.frozen(kw_only=True, eq=False)
class Settings:
    """The webhook's settings; every one has a default that works. One object is equal to itself alone: a process has one."""

    agent_image: str = DEFAULT_IMAGE
    agent_cloud_image: str = f"{DEFAULT_IMAGE}-cloud"
    """For pods whose ``auth-method`` is a cloud's."""
    agent_pull_policy: str = "IfNotPresent"
    native_sidecars: bool = True
    """Whether the cluster starts init containers with ``restartPolicy: Always`` as sidecars (KEP-753, from 1.29)."""
    env_files: bool = False
    """Whether all nodes know ``fileKeyRef`` (KEP-3721, kubelets from 1.35)."""
    requests_cpu: str = "10m"
    requests_memory: str = "32Mi"
    limits_cpu: str = "none"
    limits_memory: str = "128Mi"
    https_proxy: str = ""
    """URL of the proxy on the agents' way to Keeper; without a password, as it stands in pods' specs."""
    no_proxy: str = ""
    """Hosts that agents reach without it, as in the variable ``NO_PROXY``."""
    defaults: Defaults = attrs.field(factory=Defaults)
    """Defaults of annotations."""

    def image_for(self, credentials: Credentials) -> str:
        """Return the agent's image for where the KSM configuration lies: the small one unless that is a cloud."""
        return self.agent_image if isinstance(credentials, SecretCredentials) else self.agent_cloud_image


def read_settings(path: Path) -> Settings:
    """Read the YAML file that the chart mounts; raises :class:`SettingsError` with every problem."""
    try:
        content = load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, parsers.InvalidValue) as error:
        raise SettingsError(f"{path}: {error}") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: no mapping; write names and values")
    problems: list[Problem] = []
    settings = _settings(Section(content, f"{path}: ", problems))
    if problems:
        raise SettingsError("\n".join(map(str, problems)))
    return settings


def _settings(top: Section) -> Settings:
    given = {
        "agent_image": top.text("agentImage", parsers.text),
        "agent_cloud_image": top.text("agentCloudImage", parsers.text),
        "agent_pull_policy": top.text("agentPullPolicy", parsers.text),
        "requests_cpu": top.text("requestsCpu", parsers.quantity),
        "requests_memory": top.text("requestsMemory", parsers.quantity),
        "limits_cpu": top.text("limitsCpu", parsers.quantity),
        "limits_memory": top.text("limitsMemory", parsers.quantity),
        "https_proxy": top.text("httpsProxy", _proxy),
        "no_proxy": top.text("noProxy", parsers.text),
    }
    settings = Settings(
        native_sidecars=top.switch("nativeSidecars", default=True),
        env_files=top.switch("envFiles", default=False),
        defaults=defaults.read(top),
        **{name: value for name, value in given.items() if value is not None},
    )
    top.finish()
    return settings


def _proxy(text: str) -> str:
    url = text.strip()
    if not re.fullmatch(r"https?://[^@/\s]+/?", url):
        # Not shown: what is wrong with it may be a password.
        raise parsers.InvalidValue("no URL of a proxy without user and password; write http://proxy.example:3128")
    return url
