"""The vocabulary of annotations as one table of data, which the parser, the documentation and the chart all read."""

from __future__ import annotations

from typing import Any

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.plan.credentials import METHODS
from keeper_injector_common.plan.delivery import DEFAULT_SECRET_MODE, DEFAULT_SECRET_TYPE, FORMATS, SECRET_MODES
from keeper_injector_common.records import templates
from keeper_injector_common.suggestions import nearest_words

PREFIX = "keeper.security/"

INJECTED = PREFIX + "injected"
"""Set by the webhook on pods that it has changed."""
PLAN = PREFIX + "plan"
"""Set by the webhook: the plan that the agent reads."""
SET_BY_WEBHOOK = frozenset({INJECTED, PLAN})


@attrs.frozen
class Annotation:
    """One annotation: what it means and how its value is read."""

    name: str
    """Without the prefix ``keeper.security/``; a family of annotations ends in its placeholder: ``secret-<name>``."""
    group: str
    parse: parsers.Parse[Any]
    """From text to value; raises :class:`~keeper_injector_common.parsers.InvalidValue`."""
    help: str
    example: str
    default: str = ""
    """As a person would write it; empty when leaving the annotation out means something of its own."""
    default_allowed: bool = False
    """Whether a chart or a namespace may set a default for it."""
    chart_value: str = ""
    """The value of the chart that holds when nobody sets the annotation."""
    words: tuple[str, ...] = attrs.field()
    """All that may stand there, where that can be listed."""
    replaced_by: str = ""
    """For an old name: the annotation that it stands for."""

    @words.default
    def _words(self) -> tuple[str, ...]:
        return self.parse.words if isinstance(self.parse, parsers.Choice) else ()

    @property
    def key(self) -> str:
        """The annotation as written on a pod."""
        return PREFIX + self.name

    @property
    def stem(self) -> str:
        """What the members of a family begin with; empty for a single annotation."""
        return self.name[: self.name.index("<")] if "<" in self.name else ""


def _one(name: str, parse: parsers.Parse[Any], example: str, help: str, default: str = "", **more: Any) -> Annotation:  # noqa: A002 - the table reads best with the words of the class
    return Annotation(name=name, group="", parse=parse, help=help, example=example, default=default, **more)


def _grouped(group: str, *annotations: Annotation, default_allowed: bool = False) -> tuple[Annotation, ...]:
    return tuple(
        attrs.evolve(item, group=group, default_allowed=default_allowed or item.default_allowed) for item in annotations
    )


CORE = _grouped(
    "core",
    _one("inject", parsers.switch, "true", "Switches injection on for this pod."),
    _one(
        "ksm-config",
        parsers.object_name,
        "keeper-credentials",
        "Secret in the pod's namespace whose key `config` holds the KSM configuration, as base64 or JSON.",
        "keeper-credentials",
        default_allowed=True,
    ),
    _one(
        "auth-secret",
        parsers.object_name,
        "keeper-credentials",
        "Old name of `ksm-config`.",
        replaced_by="ksm-config",
    ),
    _one(
        "auth-method",
        parsers.choice(*METHODS),
        "aws-secrets-manager",
        "Where the KSM configuration lies: a Kubernetes Secret, or a secret of a cloud.",
        "secret",
        default_allowed=True,
    ),
    _one("aws-secret-id", parsers.text, "prod/keeper", "Name or ARN of the AWS secret.", default_allowed=True),
    _one("aws-region", parsers.text, "eu-central-1", "Region of the AWS secret.", default_allowed=True),
    _one(
        "gcp-secret-id",
        parsers.text,
        "projects/p/secrets/keeper/versions/latest",
        "Full name of the version of the Google Cloud secret.",
        default_allowed=True,
    ),
    _one("azure-vault-name", parsers.text, "my-vault", "Name of the Azure Key Vault.", default_allowed=True),
    _one("azure-secret-name", parsers.text, "keeper", "Name of the secret in it.", default_allowed=True),
    _one(
        "ca-cert-secret",
        parsers.object_name,
        "corporate-ca",
        "Secret with an additional CA certificate that connections to Keeper trust.",
        default_allowed=True,
    ),
    _one(
        "ca-cert-configmap",
        parsers.object_name,
        "corporate-ca",
        "ConfigMap with an additional CA certificate that connections to Keeper trust.",
        default_allowed=True,
    ),
    _one(
        "ca-cert-key", parsers.data_key, "ca.crt", "Key of the certificate in either.", "ca.crt", default_allowed=True
    ),
)

WHAT = _grouped(
    "what to inject",
    _one(
        "secret",
        parsers.items,
        "database-credentials",
        "Record by title or UID, written to `/keeper/secrets/<title>.json`. A comma list is accepted.",
    ),
    _one("secrets", parsers.items, "database-credentials, api-keys", "Several records, one JSON file each."),
    _one(
        "secret-<name>",
        parsers.text,
        "database-credentials[password]:/app/password",
        "A record, a field, or a notation, with the path of its file.",
    ),
    _one(
        "file-<name>",
        parsers.text,
        "TLS Certs:server.pem:/app/certs/server.pem",
        "A file attached to a record, with the path of its copy.",
    ),
    _one("folder", parsers.text, "Production/Databases", "Every record of the folder as JSON files."),
    _one("folder-uid", parsers.text, "AbCdEfGhIjKlMnOpQrStUv", "The same, by the folder's UID."),
    _one("folder-path", parsers.absolute_path, "/app/db", "Directory for the folder's files.", "/keeper/secrets"),
    _one("folder-recursive", parsers.switch, "true", "Sub-folders too.", "false"),
    _one("format-<name>", parsers.choice(*FORMATS), "env", "Format of `secret-<name>`."),
    _one(
        "template-<name>",
        templates.template_source,
        "user={{ .login }}",
        "Template of `secret-<name>`, in Go's language.",
    ),
    _one("config", parsers.block, "secrets: [{record: db, path: /app/db.json}]", "Everything in one YAML document."),
)

BEHAVIOUR = _grouped(
    "behaviour",
    _one(
        "refresh-interval",
        parsers.duration,
        "1h30m",
        "How often the sidecar looks for new values (±10 %).",
        "5m",
        default_allowed=True,
    ),
    _one(
        "init-only", parsers.switch, "true", "No sidecar: the secrets of the start stay.", "false", default_allowed=True
    ),
    _one(
        "fail-on-error",
        parsers.switch,
        "false",
        "Whether a secret that cannot be had keeps the pod from starting.",
        "true",
        default_allowed=True,
    ),
    _one(
        "strict-lookup",
        parsers.switch,
        "true",
        "Whether a title that several records have is an error; else the lowest UID wins.",
        "false",
        default_allowed=True,
    ),
    _one(
        "signal",
        parsers.signal_name,
        "SIGHUP",
        "Signal to the application after a change, also without `SIG` or as its number.",
        words=tuple(parsers.SIGNALS),
    ),
    _one("signal-process", parsers.text, "nginx", "Signal only processes of this name."),
    _one(
        "notify-url",
        parsers.loopback_url,
        "http://127.0.0.1:8080/reload",
        "URL inside the pod that gets a POST after a change.",
    ),
    _one(
        "on-removal",
        parsers.choice("keep", "remove"),
        "remove",
        "What happens to the file of a record that is gone from Keeper.",
        "keep",
        default_allowed=True,
    ),
    _one("containers", parsers.items, "app, migrate", "Containers that receive the secrets; all when left out."),
    _one(
        "init-first",
        parsers.switch,
        "false",
        "Whether the agent runs before the pod's own init containers.",
        "true",
        default_allowed=True,
    ),
    _one(
        "sidecar",
        parsers.choice("auto", "native", "classic"),
        "classic",
        "Native sidecar, ordinary container, or whichever the cluster supports.",
        "auto",
        default_allowed=True,
    ),
    _one("volume-size", parsers.volume_size, "64Mi", "Size limit of each memory volume.", "16Mi", default_allowed=True),
    _one("file-mode", parsers.file_mode, "0440", "Mode of the files; derived from the pod when left out."),
    _one("run-as-user", parsers.whole(1, 2**31 - 1), "1000", "UID of the agent; derived when left out."),
    _one("run-as-group", parsers.whole(1, 2**31 - 1), "1000", "GID of the agent; derived when left out."),
    _one(
        "agent-image",
        parsers.text,
        "registry.example/agent:1",
        "Image of the agent for this pod.",
        chart_value="agent.image",
    ),
    *(
        _one(name, parsers.quantity, example, text, chart_value="agent.resources", default_allowed=True)
        for name, example, text in (
            ("agent-requests-cpu", "10m", "CPU request of the agent."),
            ("agent-requests-memory", "32Mi", "Memory request of the agent."),
            ("agent-limits-cpu", "none", "CPU limit of the agent; `none` drops it."),
            ("agent-limits-memory", "128Mi", "Memory limit of the agent."),
        )
    ),
    _one(
        "log-level",
        parsers.choice("debug", "info", "warning", "error"),
        "debug",
        "How much the agent logs.",
        "info",
        default_allowed=True,
    ),
    _one(
        "metrics-port",
        parsers.whole(parsers.LOWEST_PORT, parsers.HIGHEST_PORT),
        "9464",
        "Port for Prometheus metrics of the sidecar; none is open otherwise.",
    ),
)

ENVIRONMENT = _grouped(
    "environment variables",
    _one("inject-env-vars", parsers.switch, "true", "The fields of every secret become variables too.", "false"),
    _one("env-prefix", parsers.variable_prefix, "DB_", "Prefix of the names of those variables."),
    _one(
        "env-mode",
        parsers.choice("auto", "exec", "file-ref"),
        "exec",
        "How variables reach the process: before exec, by the kubelet (EnvFiles), or whichever works.",
        "auto",
        default_allowed=True,
    ),
    _one("env-<NAME>", parsers.text, "database-credentials[password]", "One variable from one field."),
)

KUBERNETES_SECRETS = _grouped(
    "Kubernetes Secrets",
    _one("inject-as-k8s-secret", parsers.switch, "true", "The agent also writes a Kubernetes Secret.", "false"),
    _one("k8s-secret-name", parsers.object_name, "app-secret", "Name of that Secret."),
    _one("k8s-secret-namespace", parsers.object_name, "shop", "Only the pod's own namespace is accepted."),
    _one(
        "k8s-secret-mode",
        parsers.choice(*SECRET_MODES),
        "merge",
        "What to do with one that exists.",
        DEFAULT_SECRET_MODE,
    ),
    _one("k8s-secret-type", parsers.text, "kubernetes.io/tls", "Type of the Secret.", DEFAULT_SECRET_TYPE),
    _one("k8s-secret-rotation", parsers.switch, "true", "Whether refreshes update it.", "false"),
    _one(
        "k8s-secret-owner-ref",
        parsers.switch,
        "false",
        "Whether it goes with the last of the pods that wrote it.",
        "true",
    ),
)

ANNOTATIONS: tuple[Annotation, ...] = CORE + WHAT + BEHAVIOUR + ENVIRONMENT + KUBERNETES_SECRETS

BY_NAME = {annotation.name: annotation for annotation in ANNOTATIONS if not annotation.stem}
FAMILIES = {annotation.stem: annotation for annotation in ANNOTATIONS if annotation.stem}


INSTEAD = {"ca-cert-secret": "ca-cert-configmap", "ca-cert-configmap": "ca-cert-secret"}
"""Annotations that stand for one another: what a pod sets takes the place of a default of the other, too."""


def find(name: str) -> tuple[Annotation, str] | None:
    """Return the annotation called *name* (without prefix) and, in a family, the member's own name."""
    if single := BY_NAME.get(name):
        return single, ""
    for stem, family in FAMILIES.items():
        if name.startswith(stem) and len(name) > len(stem):
            return family, name[len(stem) :]
    return None


def nearest(name: str) -> str | None:
    """Return the annotation that an unknown *name* (without prefix) was probably meant to be."""
    close = nearest_words(name, (item.name for item in ANNOTATIONS))
    return PREFIX + close[0] if close else None
