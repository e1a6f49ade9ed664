"""Turns annotations into an :class:`~keeper_injector_common.annotations.request.InjectionRequest`, or reports every problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from keeper_injector_common.annotations import config, sources, table
from keeper_injector_common.annotations.needs import warn_of_unused
from keeper_injector_common.annotations.policy import NO_POLICY, Policy
from keeper_injector_common.annotations.reader import Reader, too_many_secrets
from keeper_injector_common.annotations.request import (
    AdditionalCa,
    Credentials,
    InjectionRequest,
    PodSettings,
    ProxySecret,
    RecordVariables,
    Resources,
    SecretCredentials,
    Variable,
)
from keeper_injector_common.annotations.rivals import problems_of_secrets
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.errors import AnnotationsError, Problem
from keeper_injector_common.limits import MOST_SECRETS
from keeper_injector_common.parsers import InvalidValue
from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials
from keeper_injector_common.plan.delivery import Notify

NO_DEFAULTS: Mapping[str, str] = {}
"""The defaults of a chart and namespace that set none."""


def wants_injection(annotations: Mapping[str, str]) -> bool:
    """Return whether a pod asks for injection.

    Raises :class:`~keeper_injector_common.errors.AnnotationsError` if the value of ``keeper.security/inject`` is invalid.
    """
    inject = table.BY_NAME["inject"]
    try:
        return bool(inject.parse(annotations.get(inject.key, inject.default)))
    except InvalidValue as error:
        raise AnnotationsError([Problem(inject.key, error.found, error.right)]) from None


def parse_request(
    annotations: Mapping[str, str], defaults: Mapping[str, str] = NO_DEFAULTS, policy: Policy = NO_POLICY
) -> InjectionRequest:
    """Return what a pod's *annotations* ask for.

    *annotations* maps whole keys to texts. *defaults* maps names without prefix to the texts that a chart or a namespace
    sets; :meth:`~keeper_injector_common.annotations.defaults.Defaults.within` returns them. Annotations override them.
    *policy* is what the platform team lets the pods of the namespace ask for.

    Raises :class:`~keeper_injector_common.errors.AnnotationsError` with every problem. Both the request and the error carry
    the warnings.
    """
    request, problems = read_request(annotations, defaults, policy)
    if problems:
        raise AnnotationsError(problems, request.warnings)
    return request


def read_request(
    annotations: Mapping[str, str], defaults: Mapping[str, str] = NO_DEFAULTS, policy: Policy = NO_POLICY
) -> tuple[InjectionRequest, tuple[Problem, ...]]:
    """Return what a pod's *annotations* ask for, and every problem in them.

    The request lacks what cannot be read. So the rest of the pod can be checked, and all problems are reported in one round.
    The arguments are those of :func:`parse_request`.
    """
    reader = Reader(annotations, defaults)
    configured = _configured(reader)
    request = _request(reader, configured)
    problems = (
        *reader.problems,
        *policy.problems_of_annotations(annotations),
        *policy.problems_of_config(configured.keys),
        *policy.problems_of_request(request),
    )
    return request, tuple(dict.fromkeys(problems))


def _request(reader: Reader, configured: config.ConfigDeliveries) -> InjectionRequest:
    single = sources.files(reader)
    files = [*single, *configured.files]
    folders = [*sources.folders(reader), *configured.folders]
    warn_of_unused(reader)
    complete = {item.where for item in configured.variables}
    variables = [*sources.variables(reader, files, complete), *configured.variables]
    secrets = [*sources.kubernetes_secrets(reader, files), *configured.kubernetes_secrets]
    reader.problems += problems_of_secrets(secrets)
    _warn_of_prefixes(reader, variables)
    named = sum(len(item.fields) or 1 if isinstance(item, RecordVariables) else 1 for item in variables)
    if (count := len(files) + len(folders) + named + len(secrets)) > MOST_SECRETS:
        reader.problems.append(too_many_secrets(f"{PREFIX}inject", count))
    if not (files or folders or variables or secrets or reader.problems):
        reader.report(f"{PREFIX}inject", "nothing to inject", f"add {PREFIX}records with the title of a record")
    return InjectionRequest(
        files=tuple(files),
        folders=tuple(folders),
        variables=tuple(variables),
        kubernetes_secrets=tuple(secrets),
        credentials=_credentials(reader),
        ca=_ca(reader),
        proxy=_proxy(reader),
        notify=_notify(reader),
        resources=Resources(**_values_of(reader, Resources, "agent-")),
        warnings=tuple(reader.warnings),
        **_values_of(reader, PodSettings),
    )


def _warn_of_prefixes(reader: Reader, variables: Sequence[Variable | RecordVariables]) -> None:
    """Warn of prefixes that runtimes read: then an editor of the record chooses which of their settings it changes.

    The pod's author decides about names: this is not an error, and the list need not be complete.
    """
    for item in variables:
        if isinstance(item, RecordVariables) and not item.fields and item.prefix.upper() in _PREFIXES_OF_RUNTIMES:
            found = (
                f"variables that begin with {item.prefix} also control programs, and each field of the record sets one"
            )
            reader.warn(
                item.where, found, "list the fields that you want, or choose a prefix that only the application reads"
            )


_PREFIXES_OF_RUNTIMES = frozenset(
    f"{name}_"
    for name in (
        *("AWS", "AZURE", "BASH", "CURL", "DOCKER", "DOTNET", "GCLOUD", "GIT", "GOOGLE", "HTTP", "JAVA", "JDK", "KUBE"),
        *("NODE", "NPM", "OPENSSL", "PERL", "PHP", "PIP", "PYTHON", "REQUESTS", "RUBY", "SSH", "SSL"),
    )
)


def _values_of(reader: Reader, kind: type[attrs.AttrsInstance], prefix: str = "") -> dict[str, Any]:
    """Return the values of the annotations that the attributes of *kind* are named after."""
    names = [field.name for field in attrs.fields(kind)]
    return {name: reader.get(prefix + name.replace("_", "-")) for name in names}


def _configured(reader: Reader) -> config.ConfigDeliveries:
    text = reader.get("config")
    if text is None:
        return config.ConfigDeliveries()
    templates = [item.value for item in reader.family("template-")]
    return config.parse_config(f"{PREFIX}config", text, reader.problems, reader.warnings, templates)


def _credentials(reader: Reader) -> Credentials:
    match reader.get("auth-method"):
        case AwsCredentials.method:
            return AwsCredentials(_needed(reader, "aws-secret-id"), reader.get("aws-region") or "")
        case GcpCredentials.method:
            return GcpCredentials(_needed(reader, "gcp-secret-id"))
        case AzureCredentials.method:
            return AzureCredentials(
                vault=_needed(reader, "azure-vault-name"), secret=_needed(reader, "azure-secret-name")
            )
        case _:
            return SecretCredentials(reader.get("ksm-config"))


def _needed(reader: Reader, name: str) -> str:
    """Return the value of an annotation that the authentication method requires; report it if it is missing."""
    if name not in reader:
        method = reader.get("auth-method")
        reader.report(f"{PREFIX}auth-method", f"{method} needs {PREFIX}{name}", "add it")
    return str(reader.get(name))


def _ca(reader: Reader) -> AdditionalCa | None:
    secret, configmap = reader.get("ca-cert-secret"), reader.get("ca-cert-configmap")
    if secret and configmap:
        reader.report(f"{PREFIX}ca-cert-configmap", f"{PREFIX}ca-cert-secret is set too", "keep one of the two")
    key = reader.get("ca-cert-key")
    if secret:
        return AdditionalCa("secret", secret, key)
    return AdditionalCa("configmap", configmap, key) if configmap else None


def _proxy(reader: Reader) -> ProxySecret | None:
    name = reader.get("proxy-secret")
    return ProxySecret(name, reader.get("proxy-secret-key")) if name else None


def _notify(reader: Reader) -> Notify | None:
    signal, process, url = (reader.get(name) for name in ("signal", "signal-process", "notify-url"))
    if process and not signal:
        reader.report(f"{PREFIX}signal-process", "no signal is set", f"add {PREFIX}signal: SIGHUP")
    spread = reader.get("notify-spread") or 0.0
    return Notify(signal, process, url, spread) if signal or url else None
