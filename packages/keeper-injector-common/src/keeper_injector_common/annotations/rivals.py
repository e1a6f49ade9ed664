"""Kubernetes Secrets that several entries write: they would overwrite each other, unless all of them merge different keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from keeper_injector_common.errors import FormatError, Problem
from keeper_injector_common.plan.delivery import KubernetesSecret
from keeper_injector_common.records.secret_keys import secret_key
from keeper_injector_common.references import FieldValue, FileContent
from keeper_injector_common.uniqueness import Named, divide


def problems_of_secrets(secrets: Sequence[KubernetesSecret]) -> Iterator[Problem]:
    """Yield the Secrets of one name that overwrite each other, and keys that several values would get.

    Only keys that are known now are compared. Without a list of keys, those of a whole record follow from its fields, which the
    agent compares.
    """
    by_name: dict[str, list[KubernetesSecret]] = {}
    for secret in secrets:
        by_name.setdefault(secret.name, []).append(secret)
    for name, same in by_name.items():
        other = same[0]
        if len(same) > 1 and {secret.mode for secret in same} != {"merge"}:
            for secret in same[1:]:
                found = f"Secret {name!r} is written by {other.where} too"
                yield Problem(secret.where, found, "give it another name, or set k8sSecretMode: merge for both")
            continue
        entries = [entry for secret in same for entry in _known_keys(secret)]
        last = {entry.name: entry.value for entry in entries}
        for clash in divide(entries)[1]:
            found = f"the key {clash.name!r} of Secret {name!r} has several values: {clash}"
            yield Problem(last[clash.name], found, "set a different key for each with k8sSecretKeys")


def _known_keys(secret: KubernetesSecret) -> Iterator[Named[str]]:
    """Yield the keys of *secret* that are known, each with the entry that sets it."""
    sources = " or ".join(map(str, secret.sources))
    for part, key in secret.keys.items():
        yield Named(key, secret.where, f"{part!r} of {sources}")
    for source in () if secret.keys else secret.sources:
        name = (
            source.file if isinstance(source, FileContent) else source.field if isinstance(source, FieldValue) else ""
        )
        try:
            key = secret_key(str(source), name) if name else ""
        except FormatError:
            continue  # the agent reports it
        if key:
            yield Named(key, secret.where, f"{name!r} of {source.record}" if _is_whole(source) else str(source))


def _is_whole(source: object) -> bool:
    return not isinstance(source, FieldValue) or (source.index, source.property, source.kind) == (None, None, "any")
