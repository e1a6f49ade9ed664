"""The opt-in Kubernetes Secret: when it is written, what it contains, and what becomes of an existing one."""

from __future__ import annotations

import base64
import http.client
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from keeper_injector_agent.delivery.progress import Progress, record_digest
from keeper_injector_agent.errors import SecretSyncError, TransientSyncError, as_reported
from keeper_injector_common.errors import FormatError
from keeper_injector_common.uniqueness import Named, divide

if TYPE_CHECKING:
    from keeper_injector_agent.delivery.api_server import ApiServer
    from keeper_injector_common.json_values import Json
    from keeper_injector_common.plan.delivery import KubernetesSecret
    from keeper_injector_common.records import Renderer

log = logging.getLogger(__name__)

SyncSecret = Callable[["KubernetesSecret", Mapping[str, bytes]], str]
"""Writes a Kubernetes Secret and returns the result, such as ``updated``; raises SecretSyncError."""
_MANAGED_BY = "app.kubernetes.io/managed-by"
_MANAGER = "keeper-injector"
_CREATED_BY = "keeper.security/made-by-pod"
"""Annotation with the UID of the pod that created a Secret, if no owner reference says so."""
_CONFLICT_ATTEMPTS = 5
"""Attempts to write a Secret that others are writing at the same time."""


def clashing_keys(secrets: Sequence[KubernetesSecret], renderer: Renderer) -> dict[str, FormatError]:
    """Return the error of each entry that wants a key of its Secret which another entry wants for another value."""
    errors: dict[str, FormatError] = {}
    by_name: dict[str, list[KubernetesSecret]] = {}
    for secret in secrets:
        by_name.setdefault(secret.name, []).append(secret)
    for same in by_name.values():
        entries: list[tuple[KubernetesSecret, Named[None]]] = []
        for secret in same if len(same) > 1 else ():
            with suppress(Exception):  # reported when this entry is written
                entries += [(secret, entry) for entry in renderer.secret_origins(secret)]
        for clash in divide(entry for _, entry in entries)[1]:
            error = FormatError(
                f"the key {clash.name!r} would have several values: {clash}; set different keys with k8sSecretKeys"
            )
            errors.update({secret_key(secret): error for secret, entry in entries if entry.name == clash.name})
    return errors


def sync_if_due(
    secret: KubernetesSecret, renderer: Renderer, sync: SyncSecret, progress: Progress, clash: FormatError | None
) -> bool:
    """Write a Secret initially, and later if it is rotated and its records have changed; return whether it was written.

    A problem is reported to *progress*; so is a *clash* with another entry, with which nothing is written.
    """
    key = secret_key(secret)
    previous = progress.previous_input(key)
    try:
        digest = "" if clash else _digest(secret, renderer, progress)
        due = progress.initial or previous is None or (secret.rotation and previous != digest)
        result = _write(secret, renderer, sync, clash) if due or clash else "unchanged"
    except Exception as error:  # noqa: BLE001 - a bug that one Secret meets must not keep the others away
        progress.report(f"Secret {secret.name}", as_reported(error), repeated=f"Secret {secret.name!r}: ")
        if previous is not None:
            progress.inputs[key] = previous
        return False
    progress.inputs[key] = digest if due or previous is None else previous
    return result not in {"unchanged", "kept"}


def _digest(secret: KubernetesSecret, renderer: Renderer, progress: Progress) -> str:
    return progress.digest(*(record_digest(renderer.find_record(source)) for source in secret.sources))


def _write(secret: KubernetesSecret, renderer: Renderer, sync: SyncSecret, clash: FormatError | None) -> str:
    if clash:
        raise clash
    return sync(secret, renderer.secret_data(secret))


def secret_key(secret: KubernetesSecret) -> str:
    """Return the name under which the state keeps a Secret's digest. Several entries may write one Secret."""
    keys = "".join(f" {part} as {key}" for part, key in sorted(secret.keys.items()))
    return f"secret {secret.name} of {', '.join(map(str, secret.sources))}{keys}"


def sync_secret(secret: KubernetesSecret, data: Mapping[str, bytes], server: ApiServer) -> str:
    """Make the Secret contain *data* as its mode requires; return ``created``, ``updated``, ``unchanged`` or ``kept``.

    After a conflict with another writer, the Secret is read again. Raises SecretSyncError.
    """
    for _ in range(_CONFLICT_ATTEMPTS):
        status, present = server.request("GET", secret.name)
        if status == http.client.NOT_FOUND:
            result = "created"
            status, response = server.request("POST", "", _new_secret(secret, data, server))
        else:
            server.check(status, present)
            wanted = _updated_secret(secret, data, present, server)
            if wanted is None or wanted == present:
                return _log_result(secret, "kept" if wanted is None else "unchanged")
            result = "updated"
            status, response = server.request("PUT", secret.name, wanted)
        if status not in {http.client.CONFLICT, http.client.NOT_FOUND}:
            server.check(status, response)
            return _log_result(secret, result)
    raise TransientSyncError(f"others changed it {_CONFLICT_ATTEMPTS} times at the same moment")


def _log_result(secret: KubernetesSecret, result: str) -> str:
    log.info("kubernetes_secret.synced", extra={"secret": secret.name, "result": result})
    return result


def _new_secret(secret: KubernetesSecret, data: Mapping[str, bytes], server: ApiServer) -> Json:
    metadata: Json = {"name": secret.name, "namespace": server.namespace, "labels": {_MANAGED_BY: _MANAGER}}
    if secret.owner_reference:
        metadata["ownerReferences"] = [_owner(server)]
    else:
        metadata["annotations"] = {_CREATED_BY: server.pod_uid}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": secret.type, "data": _encoded(data)}


def _updated_secret(
    secret: KubernetesSecret, data: Mapping[str, bytes], present: Json, server: ApiServer
) -> Json | None:
    """Return the new content of the *present* Secret, or None if it must stay as it is; raises SecretSyncError."""
    metadata = present["metadata"]
    managed = metadata.get("labels", {}).get(_MANAGED_BY) == _MANAGER
    where = f"Secret {secret.name!r} in namespace {server.namespace!r}"
    match secret.mode:
        case "skip-if-exists":
            return None
        case "fail" if not (managed and (_is_owner(metadata, server) or _is_creator(metadata, server))):
            raise SecretSyncError(f"{where} exists already; remove it, or choose another k8s-secret-mode")
        case "overwrite" if not managed:
            raise SecretSyncError(
                f"{where} is not managed by Keeper Injector; remove it, or add to it with k8s-secret-mode: merge"
            )
    if present.get("type", "Opaque") != secret.type:
        raise SecretSyncError(f"{where} is of type {present.get('type')!r}, which cannot change; remove it")
    kept = present.get("data") or {} if secret.mode == "merge" else {}
    wanted = {**present, "metadata": dict(metadata), "data": {**kept, **_encoded(data)}}
    if secret.owner_reference and managed and not _is_owner(metadata, server):
        wanted["metadata"]["ownerReferences"] = [*metadata.get("ownerReferences", ()), _owner(server)]
    return wanted


def _owner(server: ApiServer) -> Json:
    """Return a reference to this pod; the garbage collector deletes a Secret when the last pod that owns it is gone."""
    return {"apiVersion": "v1", "kind": "Pod", "name": server.pod_name, "uid": server.pod_uid}


def _is_owner(metadata: Json, server: ApiServer) -> bool:
    return any(owner.get("uid") == server.pod_uid for owner in metadata.get("ownerReferences", ()))


def _is_creator(metadata: Json, server: ApiServer) -> bool:
    return bool((metadata.get("annotations") or {}).get(_CREATED_BY) == server.pod_uid)


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in data.items()}
