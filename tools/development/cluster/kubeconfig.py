"""Kubeconfig files as data: create one, merge it into another, remove it again."""

from __future__ import annotations

import os
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

import trustme
import yaml

Json = dict[str, Any]
LISTS = ("clusters", "contexts", "users")


def make(name: str, server: str, authority: trustme.CA, leaf: trustme.LeafCert) -> Json:
    """Return a kubeconfig with one cluster, one user and one context, all of them called *name*."""
    (certificate,) = leaf.cert_chain_pems
    cluster = {"server": server, "certificate-authority-data": _text(authority.cert_pem)}
    user = {"client-certificate-data": _text(certificate), "client-key-data": _text(leaf.private_key_pem)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def added(config: Json, other: Json) -> Json:
    """Return *config* merged with *other*, which takes precedence and becomes the current context."""
    empty: Json = {"apiVersion": "v1", "kind": "Config"}
    merged = {**empty, **config, "current-context": other["current-context"]}
    for key in LISTS:
        names = {entry["name"] for entry in other[key]}
        merged[key] = [entry for entry in config.get(key) or [] if entry["name"] not in names] + other[key]
    return merged


def removed(config: Json, name: str) -> Json:
    """Return *config* without cluster, user and context *name*; if it was the current context, the result has no current context."""
    kept = {key: [entry for entry in config.get(key) or [] if entry["name"] != name] for key in LISTS}
    current = {"current-context": ""} if config.get("current-context") == name else {}
    return {**config, **kept, **current}


def default_file() -> Path:
    """Return the file that kubectl would write to."""
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first or Path.home() / ".kube/config")


def read(path: Path) -> Json:
    """Read a file; a missing or empty file is an empty configuration."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None
    return content or {}


def write(path: Path, config: Json) -> None:
    """Write a file atomically, readable only by its owner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        yaml.safe_dump(config, file, sort_keys=False)
    Path(file.name).replace(path)


def _text(blob: trustme.Blob) -> str:
    return b64encode(blob.bytes()).decode()
