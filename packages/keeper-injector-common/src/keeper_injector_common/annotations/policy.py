"""Policies: what a platform team lets pods ask for, by annotations or in the ``config`` document; pure.

A chart's values and the webhook's settings file contain the same mapping::

    policy:
      locked: [agent-image, run-as-user]
      forbidden: [kubernetes-secret]
      minRefreshInterval: 5m
      contact: "Ask #platform for an exception."
      namespaces:
        shop: { maxSecrets: 20 }

A policy restricts annotations. It does not restrict people who may create pods: they can run any other client of Keeper.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.annotations.config_keys import FOLDERS, SECRETS, FolderKeys, SecretKeys
from keeper_injector_common.annotations.table import ANNOTATIONS, BY_NAME, PREFIX, find
from keeper_injector_common.errors import Problem
from keeper_injector_common.limits import MOST_SECRETS
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.references import FileContent, RecordName

if TYPE_CHECKING:
    from keeper_injector_common.annotations.defaults import Defaults
    from keeper_injector_common.annotations.request import InjectionRequest
    from keeper_injector_common.yaml_document import Section

KEY = "policy"
DELIVERIES = ("env", "kubernetes-secret", "signal")
"""What ``forbidden`` may list: environment variables, Kubernetes Secrets, and signals to the application."""
LOCKABLE = tuple(item.name for item in ANNOTATIONS if item.name != "inject" and not item.replaced_by)
"""What ``locked`` may list. Injection as a whole is restricted by the chart's ``namespaceSelector``."""
LONGEST_CONTACT = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_RECORDS = ((SECRETS, SecretKeys.RECORD), (SECRETS, SecretKeys.NOTATION), (SECRETS, SecretKeys.RECORDS))
_EQUIVALENTS = {
    "records": _RECORDS,
    "record-<handle>": _RECORDS,
    "file-<name>": ((SECRETS, SecretKeys.FILE),),
    "folder": ((FOLDERS, FolderKeys.PATH),),
    "folder-uid": ((FOLDERS, FolderKeys.UID),),
    "folder-output-path": ((FOLDERS, FolderKeys.DIRECTORY),),
    "folder-recursive": ((FOLDERS, FolderKeys.RECURSIVE),),
    "format-<name>": ((SECRETS, SecretKeys.FORMAT), (FOLDERS, FolderKeys.FORMAT)),
    "fields-<name>": ((SECRETS, SecretKeys.FIELDS),),
    "keys-<name>": ((SECRETS, SecretKeys.KEYS),),
    "template-<name>": ((SECRETS, SecretKeys.TEMPLATE),),
    "file-mode": ((SECRETS, SecretKeys.MODE),),
    "containers": ((SECRETS, SecretKeys.CONTAINERS), (FOLDERS, FolderKeys.CONTAINERS)),
    "inject-env-vars": ((SECRETS, SecretKeys.AS_VARIABLES),),
    "env-prefix": ((SECRETS, SecretKeys.PREFIX),),
    "env-prefix-<name>": ((SECRETS, SecretKeys.PREFIX),),
    "inject-as-k8s-secret": ((SECRETS, SecretKeys.AS_SECRET),),
    "k8s-secret-name": ((SECRETS, SecretKeys.SECRET_NAME),),
    "k8s-secret-type": ((SECRETS, SecretKeys.SECRET_TYPE),),
    "k8s-secret-mode": ((SECRETS, SecretKeys.SECRET_MODE),),
    "k8s-secret-rotation": ((SECRETS, SecretKeys.SECRET_ROTATION),),
    "k8s-secret-owner-ref": ((SECRETS, SecretKeys.SECRET_OWNER),),
}
"""Annotation → the keys of the ``config`` document that do the same."""
_COVERED_BY = {"env-prefix-<name>": ("env-prefix",)}
"""Annotation → others whose lock covers it."""
_ANNOTATIONS_OF: dict[tuple[str, str], tuple[str, ...]] = {}
"""The same the other way round: list and key, with every name of the key, → annotations."""
for _annotation, _keys in _EQUIVALENTS.items():
    for _list, _key in _keys:
        for _name, _ in _key.properties():
            _ANNOTATIONS_OF[_list, _name] = (*_ANNOTATIONS_OF.get((_list, _name), ()), _annotation)

T = TypeVar("T")


@attrs.frozen
class Limit(Generic[T]):
    """One bound, and the policy that sets it."""

    value: T
    source: str


@attrs.frozen(kw_only=True)
class Rules:
    """The rules that one mapping sets. None means that it does not set the rule."""

    locked: frozenset[str] | None = None
    forbidden: frozenset[str] | None = None
    min_refresh_interval: float | None = None
    """Seconds."""
    max_volume_size: int | None = None
    """Bytes."""
    max_secrets: int | None = None
    """The number of records and folders; 0 means that there is no limit."""
    contact: str = ""


@attrs.frozen(kw_only=True)
class Policy:
    """What applies to the pods of one namespace; each rule with the mapping that sets it, for messages."""

    locked: Mapping[str, str] = attrs.field(factory=dict)
    forbidden: Mapping[str, str] = attrs.field(factory=dict)
    min_refresh_interval: Limit[float] | None = None
    max_volume_size: Limit[int] | None = None
    max_secrets: Limit[int] | None = None
    contact: str = ""
    """What the platform team tells people whose pods are rejected."""

    def problems_of_annotations(self, annotations: Iterable[str]) -> Iterator[Problem]:
        """Yield a problem for each of *annotations* (whole keys) that is locked, whatever its value."""
        for key in sorted(annotations) if self.locked else ():
            found = find(key.removeprefix(PREFIX)) if key.startswith(PREFIX) else None
            if found:
                name = found[0].preferred_name
                yield from self._problem_of_locked(key, (name, *_COVERED_BY.get(name, ())))

    def problems_of_config(self, keys: Iterable[tuple[str, str, str]]) -> Iterator[Problem]:
        """Yield a problem for each key of the ``config`` document that does what a locked annotation does.

        Each of *keys* is the path of an entry, the list that it is in, and the key: ``("secrets[0]", "secrets", "mode")``.
        """
        for path, section, key in keys if self.locked else ():
            names = _ANNOTATIONS_OF.get((section, key), ())
            yield from self._problem_of_locked(f"{PREFIX}config: {path}.{key}", names)

    def problems_of_request(self, request: InjectionRequest) -> Iterator[Problem]:
        """Yield a problem for each delivery of *request* that is forbidden, and for each value out of its range."""
        sources = [(item.where, item.sources) for item in request.files]
        sources += [(item.where, item.sources) for item in request.kubernetes_secrets]
        for where, references in sources:
            if any(isinstance(source, FileContent) for source in references):
                yield from self._problem_of_locked(where, ("file-<name>",))
        delivered = {
            "env": [item.where for item in request.variables],
            "kubernetes-secret": [item.where for item in request.kubernetes_secrets],
            "signal": [f"{PREFIX}signal"] if request.notify and request.notify.signal else [],
        }
        for delivery, source in sorted(self.forbidden.items()):
            for where in delivered[delivery]:
                yield self._problem(where, f"{source}.forbidden does not allow {_NAMES[delivery]}", "remove it")
        interval, volume, most = self.min_refresh_interval, self.max_volume_size, self.max_secrets
        if interval and not request.init_only and request.refresh_interval < interval.value:
            found = f"{interval.source}.minRefreshInterval does not allow less than {interval.value:g}s"
            yield self._problem(f"{PREFIX}refresh-interval", found, f"write {interval.value:g}s or more")
        if volume and request.volume_size > volume.value:
            size = parsers.binary_quantity(volume.value)
            found = f"{volume.source}.maxVolumeSize does not allow more than {size}"
            yield self._problem(f"{PREFIX}volume-size", found, f"write {size} or less")
        if most and (count := len(_records(request))) > most.value:
            found = f"{count} records and folders, but {most.source}.maxSecrets does not allow more than {most.value}"
            yield self._problem(f"{PREFIX}inject", found, "ask for fewer")

    def describe(self) -> Iterator[str]:
        """Yield each rule as a phrase, for people."""
        if self.locked:
            yield f"pods may not set {', '.join(sorted(self.locked))}"
        if self.forbidden:
            yield f"pods may not use {' or '.join(_NAMES[name] for name in sorted(self.forbidden))}"
        if self.min_refresh_interval:
            yield f"refresh-interval is at least {self.min_refresh_interval.value:g}s"
        if self.max_volume_size:
            yield f"volume-size is at most {parsers.binary_quantity(self.max_volume_size.value)}"
        if self.max_secrets:
            yield f"a pod may ask for at most {self.max_secrets.value} records and folders"

    def _problem_of_locked(self, where: str, names: Iterable[str]) -> Iterator[Problem]:
        for name in names:
            if source := self.locked.get(name):
                yield self._problem(where, f"{source}.locked does not allow pods to set {name}", "remove it")
                return

    def _problem(self, where: str, found: str, right: str) -> Problem:
        return Problem(where, found, f"{right} ({self.contact})" if self.contact else right)


NO_POLICY = Policy()
_NAMES = {"env": "environment variables", "kubernetes-secret": "Kubernetes Secrets", "signal": "signals"}


def _records(request: InjectionRequest) -> set[RecordName]:
    """Return the records and folders that *request* names."""
    return {
        *(source.record for item in request.files for source in item.sources),
        *(source.record for item in request.kubernetes_secrets for source in item.sources),
        *(item.source.record for item in request.variables),
        *(item.folder for item in request.folders),
    }


@attrs.frozen
class Policies:
    """The rules for all pods, and those of single namespaces."""

    everywhere: Rules = attrs.field(factory=Rules)
    by_namespace: Mapping[str, Rules] = attrs.field(factory=dict)
    may_widen: bool = False
    """Whether a rule of a namespace replaces the rule for all pods. Otherwise both apply."""

    def within(self, namespace: str) -> Policy:
        """Return what applies to the pods in *namespace*."""
        own = self.by_namespace.get(namespace)
        if own is None:
            return self._common
        return _combine([(KEY, self.everywhere), (f"{KEY}.namespaces.{namespace}", own)], self.may_widen)

    @cached_property
    def _common(self) -> Policy:
        return _combine([(KEY, self.everywhere)], may_widen=False)


def _combine(rules: list[tuple[str, Rules]], may_widen: bool) -> Policy:
    """Return the policy of *rules*, each with the name of its mapping. With *may_widen*, only the last that sets a rule counts."""

    def set_by(name: str) -> list[tuple[str, Rules]]:
        found = [item for item in rules if getattr(item[1], name) is not None]
        return found[-1:] if may_widen else found

    intervals = [Limit(item.min_refresh_interval or 0.0, source) for source, item in set_by("min_refresh_interval")]
    volumes = [Limit(item.max_volume_size or 0, source) for source, item in set_by("max_volume_size")]
    secrets = [Limit(item.max_secrets, source) for source, item in set_by("max_secrets") if item.max_secrets]
    return Policy(
        locked={name: source for source, item in reversed(set_by("locked")) for name in item.locked or ()},
        forbidden={name: source for source, item in reversed(set_by("forbidden")) for name in item.forbidden or ()},
        min_refresh_interval=max(intervals, key=lambda limit: limit.value, default=None),
        max_volume_size=min(volumes, key=lambda limit: limit.value, default=None),
        max_secrets=min(secrets, key=lambda limit: limit.value, default=None),
        contact=next((item.contact for _, item in reversed(rules) if item.contact), ""),
    )


def read(section: Section) -> Policies:
    """Read the mapping ``policy`` of *section*, which collects the problems."""
    return section.mapping(KEY, _policies) or Policies()


def report_defaults(section: Section, policies: Policies, defaults: Defaults) -> None:
    """Report each of *defaults* that *policies* do not allow to *section*, and the defaults of the table likewise."""
    for namespace in ("", *sorted({*policies.by_namespace, *defaults.by_namespace})):
        policy, texts = policies.within(namespace), defaults.within(namespace)
        rows: tuple[tuple[Limit[Any] | None, str, str, Callable[[Any, Any], bool]], ...] = (
            (policy.min_refresh_interval, "minRefreshInterval", "refresh-interval", operator.lt),
            (policy.max_volume_size, "maxVolumeSize", "volume-size", operator.gt),
        )
        for limit, key, name, is_outside in rows:
            text = texts.get(name, BY_NAME[name].default)
            try:
                value = BY_NAME[name].parse(text)
            except InvalidValue:
                continue  # a problem of the defaults, which is reported there
            if limit and is_outside(value, limit.value):
                right = f"set a default of {name} that it allows"
                section.report(f"{limit.source}.{key}", f"does not allow the default {name}: {text}", right)


def _policies(section: Section) -> Policies:
    may_widen = section.switch("namespacesMayWiden", default=False)
    return Policies(_rules(section), section.mapping("namespaces", _namespaces) or {}, may_widen)


def _namespaces(section: Section) -> dict[str, Rules]:
    return {name: section.mapping(name, _rules) or Rules() for name in section.unread()}


def _rules(section: Section) -> Rules:
    locked, forbidden = section.texts("locked", _lockable), section.texts("forbidden", parsers.choice(*DELIVERIES))
    return Rules(
        locked=None if locked is None else frozenset(locked),
        forbidden=None if forbidden is None else frozenset(forbidden),
        min_refresh_interval=section.text("minRefreshInterval", partial(_unless_empty, parsers.duration)),
        max_volume_size=section.text("maxVolumeSize", partial(_unless_empty, parsers.volume_size)),
        max_secrets=section.text("maxSecrets", parsers.whole(0, MOST_SECRETS)),
        contact=section.text("contact", _contact) or "",
    )


def _lockable(text: str) -> str:
    found = find(text.strip().removeprefix(PREFIX))
    name = found[0].preferred_name if found else ""
    if name not in LOCKABLE:
        raise InvalidValue(
            f"{text!r} is not an annotation that can be locked",
            "write a name from the annotation reference without its prefix, such as agent-image or env-<NAME>",
        )
    return name


def _contact(text: str) -> str:
    if len(text) > LONGEST_CONTACT or _CONTROL.search(text):
        raise InvalidValue(
            "the text is too long or has control characters", f"write at most {LONGEST_CONTACT} in one line"
        )
    return text.strip()


def _unless_empty(parse: parsers.Parse[T], text: str) -> T | None:
    return parse(text) if text.strip() else None
