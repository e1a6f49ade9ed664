"""The version of the cluster, and the features of Kubernetes that tests need."""

from __future__ import annotations

import json
from functools import cache

import pytest
from pods import run

from keeper_injector_webhook.cluster_check.before import minor
from keeper_injector_webhook.cluster_check.features import FEATURES, Feature, Version

BY_NAME = {feature.name: feature for feature in FEATURES}


@cache
def version_of_cluster() -> Version | None:
    """Return the version of the API server, which is also that of the nodes of a test cluster; None if no cluster answers."""
    done = run("kubectl", "get", "--raw", "/version", "--request-timeout=20s", check=False)
    return None if done.returncode else minor(str(json.loads(done.stdout)["gitVersion"]))


def version_for_helm() -> tuple[str, ...]:
    """Return the options with which ``helm template`` renders for the cluster; without them it renders for Helm's own version."""
    version = version_of_cluster()
    return () if version is None else ("--kube-version", "{}.{}".format(*version))


def needs(name: str) -> pytest.MarkDecorator:
    """Skip a test on a cluster whose version does not have the feature *name* of the webhook's list. Raises KeyError for any other name."""
    return pytest.mark.needs(BY_NAME[name])


def has(name: str) -> bool:
    """Return whether the cluster's version has the feature *name*."""
    version = version_of_cluster()
    return version is not None and BY_NAME[name].is_in(version)


def missing(feature: Feature, version: Version | None) -> str | None:
    """Return why a test that needs *feature* is skipped on *version*; None if it runs, or if its fixtures report a missing cluster."""
    if version is None or feature.is_in(version):
        return None
    (major, found), (_, enabled) = version, feature.enabled
    return f"Kubernetes {major}.{found} does not have {feature.name}, which is enabled from {major}.{enabled}"
