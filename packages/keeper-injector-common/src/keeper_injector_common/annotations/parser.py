"""Annotations → :class:`~keeper_injector_common.annotations.request.InjectionRequest`, or every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keeper_injector_common.annotations import config, request, sources
from keeper_injector_common.annotations import table as vocabulary
from keeper_injector_common.annotations.reader import Reader
from keeper_injector_common.annotations.request import (
    AdditionalCa,
    Credentials,
    InjectionRequest,
    Resources,
    SecretCredentials,
)
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials
from keeper_injector_common.plan.delivery import KubernetesSecret, Notify

NO_DEFAULTS: Mapping[str, str] = {}
AS_THEY_ARE = (
    *("refresh-interval", "init-only", "fail-on-error", "strict-lookup", "on-removal", "containers", "init-first"),
    *("sidecar", "volume-size", "file-mode", "run-as-user", "run-as-group", "agent-image", "log-level"),
    *("metrics-port", "env-mode"),
)
"""Annotations whose values are attributes of the request under the same name."""


def wants_injection(annotations: Mapping[str, str]) -> bool:
    """Say whether a pod asks for injection; raises :class:`AnnotationsError` when its switch is malformed."""
    inject = vocabulary.BY_NAME["inject"]
    try:
        return bool(inject.parse(annotations.get(inject.key, "false")))
    except InvalidValue as error:
        raise AnnotationsError([Problem(inject.key, error.found, error.right)]) from None


def parse_request(annotations: Mapping[str, str], defaults: Mapping[str, str] = NO_DEFAULTS) -> InjectionRequest:
    """Read a pod's *annotations* (whole keys) over *defaults* (names without prefix, as a chart or namespace sets them).

    Raises :class:`AnnotationsError` with every problem. What is odd but harmless is in the ``warnings`` of either.
    """
    reader = Reader(annotations, defaults)
    result = _request(reader)
    if reader.problems:
        raise AnnotationsError(reader.problems, reader.warnings)
    return result


def _request(reader: Reader) -> InjectionRequest:
    configured = _configuration(reader)
    single = sources.files(reader)
    files = [*single, *configured.files]
    folders = [*sources.folders(reader), *configured.folders]
    variables = [*sources.variables(reader, files), *configured.variables]
    secrets = [*sources.kubernetes_secrets(reader, files), *configured.kubernetes_secrets]
    _refuse_rivals(reader, secrets)
    if not (files or folders or variables or secrets or reader.problems):
        reader.report(f"{PREFIX}inject", "nothing to inject", f"add {PREFIX}secret with the title of a record")
    named: dict[str, Any] = {name.replace("-", "_"): reader.get(name) for name in AS_THEY_ARE if name in reader}
    lines = ("requests-cpu", "requests-memory", "limits-cpu", "limits-memory")
    return InjectionRequest(
        files=tuple(files),
        folders=tuple(folders),
        variables=tuple(variables),
        kubernetes_secrets=tuple(secrets),
        credentials=_credentials(reader),
        ca=_ca(reader),
        notify=_notify(reader),
        resources=Resources(*(reader.get(f"agent-{line}") for line in lines)),
        warnings=tuple(reader.warnings),
        **named,
    )


def _configuration(reader: Reader) -> config.ConfigDeliveries:
    text = reader.get("config")
    if text is None:
        return config.ConfigDeliveries()
    return config.parse_config(f"{PREFIX}config", text, reader.problems, reader.warnings)


def _refuse_rivals(reader: Reader, secrets: Sequence[KubernetesSecret]) -> None:
    """Report Kubernetes Secrets of one name that would undo each other; those that merge do not."""
    first: dict[str, KubernetesSecret] = {}
    for secret in secrets:
        other = first.setdefault(secret.name, secret)
        if other is not secret and {other.mode, secret.mode} != {"merge"}:
            reader.report(
                secret.where,
                f"Secret {secret.name!r} is written by {other.where} too",
                "give it another name, or k8sSecretMode: merge to both",
            )


def _credentials(reader: Reader) -> Credentials:
    match reader.get("auth-method", "secret"):
        case AwsCredentials.method:
            name = _needed(reader, "aws-secret-id", AwsCredentials.method)
            return AwsCredentials(name, reader.get("aws-region", ""))
        case GcpCredentials.method:
            return GcpCredentials(_needed(reader, "gcp-secret-id", GcpCredentials.method))
        case AzureCredentials.method:
            vault = _needed(reader, "azure-vault-name", AzureCredentials.method)
            name = _needed(reader, "azure-secret-name", AzureCredentials.method)
            return AzureCredentials(secret=name, vault=vault)
        case _:
            return SecretCredentials(reader.get("ksm-config", request.DEFAULT_SECRET))


def _needed(reader: Reader, name: str, method: str) -> str:
    if name not in reader:
        reader.report(f"{PREFIX}auth-method", f"{method} needs {PREFIX}{name}", "add it")
    return str(reader.get(name, ""))


def _ca(reader: Reader) -> AdditionalCa | None:
    secret, configmap = reader.get("ca-cert-secret"), reader.get("ca-cert-configmap")
    if secret and configmap:
        reader.report(f"{PREFIX}ca-cert-configmap", f"{PREFIX}ca-cert-secret is set too", "keep one of the two")
    key = reader.get("ca-cert-key", "ca.crt")
    if secret:
        return AdditionalCa("secret", secret, key)
    return AdditionalCa("configmap", configmap, key) if configmap else None


def _notify(reader: Reader) -> Notify | None:
    signal, process, url = (reader.get(name) for name in ("signal", "signal-process", "notify-url"))
    if process and not signal:
        reader.report(f"{PREFIX}signal-process", "no signal is named", f"add {PREFIX}signal: SIGHUP")
    return Notify(signal, process, url) if signal or url else None
