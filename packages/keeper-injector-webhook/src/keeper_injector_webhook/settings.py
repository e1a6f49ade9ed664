"""The webhook's settings: what the chart's values decide for all pods, parsed from the file that the chart mounts.

The file has the chart's own names, so one line in a class below reads a new value of the chart's ``agent:`` block: a field in snake
case is the key in camel case, and its parser validates it. A field whose default is a boolean is a switch. Unknown keys are refused.
"""

from __future__ import annotations

import re
from functools import cache, partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations.defaults import Defaults
from keeper_injector_common.annotations.defaults import read as read_defaults
from keeper_injector_common.annotations.policy import Policies, report_defaults
from keeper_injector_common.annotations.policy import read as read_policies
from keeper_injector_common.annotations.request import Credentials, SecretCredentials
from keeper_injector_common.limits import LARGEST_CONFIG_MAP
from keeper_injector_common.parsers import InvalidValue, Parse
from keeper_injector_common.yaml_document import Section, load_yaml
from keeper_injector_webhook.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keeper_injector_common.errors import Problem

__all__ = ["Agent", "Amounts", "Image", "Resources", "Settings", "parse_settings", "read_settings", "read_values"]

_Block = TypeVar("_Block")


def _value(default: Any, parse: Parse[Any]) -> Any:
    """Declare a text or a number with its parser. An empty text leaves the default, as an empty value of a chart does."""
    return attrs.field(default=default, metadata={"parse": parse})


def _block(kind: type, **values: str) -> Any:
    """Declare a mapping that *kind* describes; *values* are its content if the mapping is missing."""
    return attrs.field(factory=partial(kind, **values), metadata={"kind": kind})


def _matching(pattern: str, kind: str, right: str) -> Parse[str]:
    """Make a parser of texts that *pattern* matches as a whole."""
    compiled = re.compile(pattern, re.ASCII)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text.strip()):
            raise InvalidValue(f"{text!r} is not {kind}", right)
        return text.strip()

    return parse


REPOSITORY = r"(?:[-A-Za-z0-9.:_\[\]]+/)?[a-z0-9]+(?:[/._-]+[a-z0-9]+)*"
TAG = "[A-Za-z0-9_][-A-Za-z0-9_.]{0,121}"
"""At most 122 of the 128 characters of a tag, because ``-cloud`` may follow."""
DIGEST = "sha256:[0-9a-f]{64}"
PROXY = "https?://[!-.0-?A-~]+/?"
"""Without ``@`` and a second ``/``. These four patterns are in the chart's schema too."""

_repository = _matching(
    REPOSITORY,
    "the repository of an image",
    "write it without tag and digest, such as registry.example/keeper-injector-agent",
)
_tag = _matching(TAG, "the tag of an image", "write one such as 1.4.2")
_digest = _matching(DIGEST, "the digest of an image", "write sha256: and 64 hexadecimal digits")
_pull_policy = _matching("Always|IfNotPresent|Never", "a pull policy", "write Always, IfNotPresent or Never")


def _proxy(text: str) -> str:
    url = text.strip()
    if not re.fullmatch(PROXY, url):
        # The value is not part of the message: it may contain a password.
        raise InvalidValue(
            "not the URL of an HTTP proxy without user and password",
            "write http://proxy.example:3128; store a URL with a password in a Secret, and set the default proxy-secret",
        )
    return url


def _hosts(text: str) -> str:
    for host in text.split(","):
        if "://" in host or re.search(r"[\s\0]", host.strip()):
            raise InvalidValue(
                f"{host.strip()!r} is not a host",
                "write names, addresses and networks separated by commas, such as .example.com,10.0.0.0/8",
            )
    return text.strip()


@cache
def _own_version() -> str:
    return version("keeper-injector-webhook")


@attrs.frozen(kw_only=True)
class Image:
    """The image of the injected containers."""

    repository: str = _value("ghcr.io/keeper-security/keeper-injector-agent", _repository)
    tag: str = _value(attrs.Factory(_own_version), _tag)
    """The chart sets its own appVersion. Without a chart, as in a preview, it is the version of this package."""
    digest: str = _value("", _digest)
    """``sha256:…``; overrides the tag."""
    cloud_digest: str = _value("", _digest)
    """The same for the image with the cloud libraries."""
    pull_policy: str = _value("IfNotPresent", _pull_policy)

    def reference(self, *, cloud: bool = False) -> str:
        """Return the full name: ``repository:tag`` or ``repository@digest``; *cloud*: of the image with the cloud libraries."""
        digest = self.cloud_digest if cloud else self.digest
        return f"{self.repository}@{digest}" if digest else f"{self.repository}:{self.tag}{'-cloud' if cloud else ''}"


@attrs.frozen(kw_only=True)
class Amounts:
    """Requests or limits of a container, as Kubernetes writes them; ``none`` leaves one out."""

    cpu: str = _value("none", parsers.quantity)
    memory: str = _value("none", parsers.quantity)


@attrs.frozen(kw_only=True)
class Resources:
    """Resources of each injected container."""

    requests: Amounts = _block(Amounts, cpu="10m", memory="32Mi")
    limits: Amounts = _block(Amounts, memory="128Mi")


@attrs.frozen(kw_only=True)
class Agent:
    """What all injected containers have in common: the chart's ``agent:`` block."""

    image: Image = _block(Image)
    resources: Resources = _block(Resources)
    https_proxy: str = _value("", _proxy)
    """URL of the proxy for Keeper and for clouds; without a password, because it is visible in the specs of pods."""
    no_proxy: str = _value("", _hosts)
    """Hosts that agents reach without the proxy, as in the variable ``NO_PROXY``."""


@attrs.frozen(kw_only=True, eq=False)
class Settings:
    """The webhook's settings; each has a default that works. A process has one object, which is equal to itself only."""

    agent: Agent = _block(Agent)
    env_files: bool = False
    """Whether all nodes support ``fileKeyRef`` (KEP-3721, kubelets from 1.35)."""
    env_files_possible: bool = True
    """Whether the API server supports it, so that ``env_files`` may be set. The chart knows the version."""
    restart_all_containers: bool = False
    """Whether all nodes support ``RestartAllContainers`` (KEP-5532, kubelets from 1.36) and pods may use it."""
    restart_all_containers_possible: bool = True
    """Whether the API server supports it, so that ``restart_all_containers`` may be set. The chart knows the version."""
    defaults: Defaults = attrs.field(factory=Defaults, metadata={"read": read_defaults})
    """Defaults of annotations."""
    policies: Policies = attrs.field(factory=Policies, metadata={"read": read_policies})
    """What pods may ask for."""

    def image_for(self, credentials: Credentials) -> str:
        """Return the agent's image for the place where the KSM configuration is stored: a cloud needs the larger image."""
        return self.agent.image.reference(cloud=not isinstance(credentials, SecretCredentials))


def read_settings(path: Path) -> Settings:
    """Read the YAML file that the chart mounts; raises :class:`SettingsError` with every problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from None
    return parse_settings(text, str(path))


def parse_settings(text: str, where: str) -> Settings:
    """Read settings from YAML; *where* is the beginning of each message. Raises :class:`SettingsError` with every problem."""
    try:
        content = load_yaml(text, LARGEST_CONFIG_MAP)
    except InvalidValue as error:
        raise SettingsError(f"{where}: {error}") from None
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise SettingsError(f"{where}: not a mapping; write names and values")
    problems: list[Problem] = []
    top = Section(content, f"{where}: ", problems)
    settings = _read(Settings, top)
    report_defaults(top, settings.policies, settings.defaults)
    top.finish()
    if problems:
        raise SettingsError("\n".join(map(str, problems)))
    return settings


def read_values(values: Mapping[str, object], file: str, base: Settings) -> Settings:
    """Return the settings that a chart with these *values* of *file* writes, without defaults and policies.

    What the values do not set is as in *base*. Other values, which are not about injected pods, are ignored. Raises
    :class:`SettingsError` with every problem.
    """
    problems: list[Problem] = []
    ours = {key: value for key, value in values.items() if key in _VALUES}
    top = Section(ours, f"{file}: ", problems)
    # The chart decides what ``auto`` means by the version of the cluster, which is unknown here.
    env_files = top.switch(_ENV_FILES, default=base.env_files) if isinstance(values.get(_ENV_FILES), bool) else None
    word = top.text(_ENV_FILES, parsers.choice("auto", "always", "never")) if env_files is None else None
    found = attrs.evolve(
        base,
        agent=top.mapping("agent", partial(_read, Agent, base=base.agent)) or base.agent,
        env_files=word == "always" if word else env_files or base.env_files,
        env_files_possible=top.switch("envFilesPossible", default=base.env_files_possible),
        restart_all_containers=top.switch(_RESTART_ALL, default=base.restart_all_containers),
        restart_all_containers_possible=top.switch(
            f"{_RESTART_ALL}Possible", default=base.restart_all_containers_possible
        ),
    )
    if problems:
        raise SettingsError("\n".join(map(str, problems)))
    return found


_ENV_FILES = "envFiles"
_RESTART_ALL = "restartAllContainers"
_VALUES = ("agent", _ENV_FILES, "envFilesPossible", _RESTART_ALL, f"{_RESTART_ALL}Possible")


def _read(kind: type[_Block], section: Section, base: _Block | None = None) -> _Block:
    """Read the fields of *kind* from the keys of *section*; an empty or invalid key leaves the field's default.

    A missing key leaves what *base* has, as Helm merges values; without a *base*, the field's default.
    """
    found: dict[str, Any] = {}
    keys = section.unread()
    for field in attrs.fields(kind):  # type: ignore[arg-type] # every kind above is an attrs class
        first, *others = field.name.split("_")
        key = first + "".join(map(str.capitalize, others))
        inherited = getattr(base, field.name) if base is not None and key not in keys else None
        if read := field.metadata.get("read"):
            found[field.name] = read(section)
        elif isinstance(field.default, bool):
            found[field.name] = section.switch(key, default=field.default)
        elif inner := field.metadata.get("kind"):
            inner_base = getattr(base, field.name) if base is not None else None
            found[field.name] = section.mapping(key, partial(_read, inner, base=inner_base)) or inherited
        else:
            found[field.name] = section.text(key, partial(_unless_empty, field.metadata["parse"])) or inherited
    return kind(**{name: value for name, value in found.items() if value is not None})


def _unless_empty(parse: Parse[str], text: str) -> str | None:
    return parse(text) if text.strip() else None
