"""The annotations, as one table: name, meaning, parser, example and default of each.

The reader, the documentation, the command line and the tests of the chart all read this table. A value that an annotation sets is
an attribute of the request, and of the plan if the agent needs it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs

from keeper_injector_common import parsers
from keeper_injector_common.plan.credentials import METHODS
from keeper_injector_common.plan.delivery import (
    DEFAULT_SECRET_MODE,
    DEFAULT_SECRET_TYPE,
    FORMATS,
    ON_REMOVAL,
    SECRET_MODES,
)
from keeper_injector_common.records import templates
from keeper_injector_common.suggestions import nearest_words

PREFIX = "keeper.security/"

INJECTED = PREFIX + "injected"
"""The webhook sets this annotation on every pod that it changes."""
PLAN = PREFIX + "plan"
"""The webhook sets this annotation to the plan, which the agent reads."""
WARNINGS = PREFIX + "warnings"
"""The webhook sets this annotation to its warnings, because nobody sees them if a controller creates the pod."""
SET_BY_WEBHOOK = frozenset({INJECTED, PLAN, WARNINGS})


@attrs.frozen
class Annotation:
    """One annotation, or one family of annotations such as ``record-<handle>``."""

    name: str
    """The name without the prefix ``keeper.security/``. The name of a family ends in a placeholder: ``record-<handle>``."""
    group: str
    """Heading in the documentation."""
    parse: parsers.Parse[Any]
    """Turns the text into a value; raises :class:`~keeper_injector_common.parsers.InvalidValue`."""
    help: str
    """Meaning, as one or two sentences of Markdown."""
    example: str
    default: str = ""
    """The text that applies if the annotation is missing, as a user would write it. Empty if there is no default."""
    default_allowed: bool = False
    """Whether a chart or a namespace may set a default."""
    chart_value: str = ""
    """The chart value that applies if the annotation is missing."""
    words: tuple[str, ...] = attrs.field()
    """The valid texts, if they can be listed."""
    replaced_by: str = ""
    """The new name of an annotation that was renamed. The old one causes a warning."""
    alias_of: str = ""
    """The preferred name of the same setting. Both names are valid, and neither causes a warning."""
    adds: bool = False
    """Whether a pod may set several aliases of one annotation, each with its part of the list."""
    alternative: str = ""
    """An annotation that must not be set together with this one: setting either overrides a default of the other."""

    @words.default
    def _words(self) -> tuple[str, ...]:
        return self.parse.words if isinstance(self.parse, parsers.Choice) else ()

    @property
    def key(self) -> str:
        """The annotation as written on a pod: ``keeper.security/signal``."""
        return PREFIX + self.name

    @property
    def preferred_name(self) -> str:
        """The name of the setting, which all its other names lead to."""
        return self.replaced_by or self.alias_of or self.name

    @property
    def stem(self) -> str:
        """The part of a family's name before the placeholder: ``record-``. Empty for a single annotation."""
        return self.name[: self.name.index("<")] if "<" in self.name else ""

    @cached_property
    def default_value(self) -> Any:
        """The value of :attr:`default`; None if there is no default."""
        return self.parse(self.default) if self.default else None


def _one(name: str, parse: parsers.Parse[Any], example: str, help: str, default: str = "", **more: Any) -> Annotation:  # noqa: A002 - the same name as the attribute
    return Annotation(name=name, group="", parse=parse, help=help, example=example, default=default, **more)


def _group(heading: str, *annotations: Annotation) -> tuple[Annotation, ...]:
    return tuple(attrs.evolve(item, group=heading) for item in annotations)


_CORE = _group(
    "core",
    _one("inject", parsers.switch, "true", "Turns on injection for this pod.", "false"),
    _one(
        "ksm-config",
        parsers.object_name,
        "keeper-credentials",
        "Secret in the pod's namespace whose key `config` contains the KSM configuration, as base64 or JSON.",
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
        "Where the KSM configuration is stored: in a Kubernetes Secret or in a cloud's secret store.",
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
    _one(
        "azure-secret-name", parsers.text, "keeper", "Name of the secret in the Azure Key Vault.", default_allowed=True
    ),
    _one(
        "ca-cert-secret",
        parsers.object_name,
        "corporate-ca",
        "Secret with an additional CA certificate, which the agent trusts when it connects to Keeper.",
        default_allowed=True,
        alternative="ca-cert-configmap",
    ),
    _one(
        "ca-cert-configmap",
        parsers.object_name,
        "corporate-ca",
        "ConfigMap with an additional CA certificate, which the agent trusts when it connects to Keeper.",
        default_allowed=True,
        alternative="ca-cert-secret",
    ),
    _one(
        "ca-cert-key",
        parsers.data_key,
        "ca.crt",
        "Key of the CA certificate in that Secret or ConfigMap.",
        "ca.crt",
        default_allowed=True,
    ),
    _one(
        "proxy-secret",
        parsers.object_name,
        "company-proxy",
        "Secret with the URL of the proxy to Keeper and to clouds, which may contain a user and a password: "
        "`http://USER:PASSWORD@PROXY:PORT`. It overrides the chart's `agent.httpsProxy`.",
        default_allowed=True,
    ),
    _one(
        "proxy-secret-key",
        parsers.data_key,
        "url",
        "Key of the URL in that Secret.",
        "url",
        default_allowed=True,
    ),
)

_SOURCES = _group(
    "what to inject",
    _one(
        "records",
        parsers.items,
        "database-credentials, api-keys",
        "Records by title or UID, each written to `/keeper/secrets/<title>.json`.",
    ),
    _one("secret", parsers.items, "database-credentials", "The same as `records`.", alias_of="records", adds=True),
    _one(
        "secrets",
        parsers.items,
        "database-credentials, api-keys",
        "The same as `records`. The records of `secret` and `secrets` add up.",
        alias_of="records",
        adds=True,
    ),
    _one(
        "record-<handle>",
        parsers.target,
        "database-credentials[password]:/app/secrets/password",
        "A record, a field or a notation, and the path of its file. Other annotations refer to the file by the handle. "
        "The directory of a path is a new volume: what the image has there is hidden.",
    ),
    _one(
        "secret-<name>",
        parsers.text,
        "database-credentials[password]:/app/secrets/password",
        "The same as `record-<handle>`. If the value is a path alone, `<name>` is the title of the record too.",
        alias_of="record-<handle>",
    ),
    _one(
        "file-<name>",
        parsers.text,
        "TLS Certs:server.pem:/app/certs/server.pem",
        "A file attached to a record, and the path to write it to.",
    ),
    _one("folder", parsers.text, "Production/Databases", "Every record of the folder, one JSON file each."),
    _one("folder-uid", parsers.text, "AbCdEfGhIjKlMnOpQrStUv", "Like `folder`, but selects the folder by its UID."),
    _one(
        "folder-output-path",
        parsers.absolute_path,
        "/app/db",
        "Directory in the container for the files of the folder, like `outputPath` in `config`.",
        "/keeper/secrets",
    ),
    _one(
        "folder-path",
        parsers.absolute_path,
        "/app/db",
        "The same as `folder-output-path`. Do not confuse it with `folderPath` in `config`, which is the path of a folder in Keeper.",
        alias_of="folder-output-path",
    ),
    _one("folder-recursive", parsers.switch, "true", "Whether to include the folders below the folder.", "false"),
    _one("format-<name>", parsers.choice(*FORMATS), "env", "Format of the file of `record-<name>`."),
    _one(
        "fields-<name>",
        parsers.items,
        "login, password",
        "Only these fields of the record of `record-<name>`, or of the record called `<name>` in `records`.",
    ),
    _one(
        "keys-<name>",
        parsers.pairs,
        "login=spring.datasource.username",
        "Like `fields-<name>`, with the name of each field in the file, as `field=name`.",
    ),
    _one(
        "template-<name>",
        templates.template_source,
        "user={{ .login }}",
        "Template of the file of `record-<name>`, in Go's template language.",
    ),
    _one(
        "config",
        parsers.block,
        "secrets: [{record: db, path: /app/secrets/db.json}]",
        "Everything in one YAML document.",
    ),
)

_BEHAVIOR = _group(
    "behaviour",
    _one(
        "refresh-interval",
        parsers.duration,
        "1h30m",
        "How often the sidecar fetches the secrets again (±10 %).",
        "5m",
        default_allowed=True,
    ),
    _one(
        "init-only",
        parsers.switch,
        "true",
        "Whether to run no sidecar. The secrets then stay as they were when the pod started.",
        "false",
        default_allowed=True,
    ),
    _one(
        "fail-on-error",
        parsers.switch,
        "false",
        "Whether a secret that cannot be fetched prevents the pod from starting.",
        "true",
        default_allowed=True,
    ),
    _one(
        "strict-lookup",
        parsers.switch,
        "true",
        "Whether a name that several records or folders match is an error, and a title never replaces a UID or a path. Otherwise the best match with the lowest UID is used. The same holds for several attachments of one name, of which the newest is used.",
        "false",
        default_allowed=True,
    ),
    _one(
        "signal",
        parsers.signal_name,
        "SIGHUP",
        "Signal that the agent sends to the application after a change. The name without `SIG` and the number are valid too.",
        words=tuple(parsers.SIGNALS),
    ),
    _one("signal-process", parsers.text, "nginx", "Send the signal only to processes of this name."),
    _one(
        "notify-url",
        parsers.loopback_url,
        "http://127.0.0.1:8080/reload",
        "URL inside the pod that the agent sends a POST request to after a change.",
    ),
    _one(
        "notify-spread",
        parsers.duration,
        "5m",
        "Time over which the notifications of all pods by `signal` and `notify-url` are spread. If not set, each pod notifies at once.",
        default_allowed=True,
    ),
    _one(
        "on-change",
        parsers.choice("none", "restart", "restart-all"),
        "restart",
        "What happens to containers that receive a secret which has changed. `restart` restarts them gracefully, with new files and new "
        "variables: a liveness probe fails once, and the kubelet does the rest. `restart-all` restarts all containers of the pod, without "
        "preStop hook and grace period, from Kubernetes 1.36 and if the installation allows it.",
        "none",
        default_allowed=True,
    ),
    _one(
        "restart-spread",
        parsers.duration,
        "10m",
        "Time over which the restarts of all pods are spread: each pod waits for its own part of it.",
        "5m",
        default_allowed=True,
    ),
    _one(
        "restart-min-interval",
        parsers.duration,
        "1h",
        "How long a container runs at least before `on-change` restarts it, from its first start on.",
        "5m",
        default_allowed=True,
    ),
    _one(
        "on-removal",
        parsers.choice(*ON_REMOVAL),
        "remove",
        "What happens to the file and the variables of a record that no longer exists in Keeper. A Kubernetes Secret stays as it is.",
        "keep",
        default_allowed=True,
    ),
    _one(
        "containers",
        parsers.items,
        "app, migrate",
        "Containers that receive the secrets. If not set, all that start after the agent, except those of a service mesh.",
    ),
    _one(
        "init-first",
        parsers.switch,
        "false",
        "Whether the agent runs before the pod's own init containers. Those that run before it receive nothing.",
        "true",
        default_allowed=True,
    ),
    _one(
        "sidecar",
        parsers.choice("auto", "native", "classic"),
        "classic",
        "Kind of sidecar: a native sidecar, an ordinary container, or whichever the cluster supports.",
        "auto",
        default_allowed=True,
    ),
    _one("volume-size", parsers.volume_size, "64Mi", "Size limit of each memory volume.", "16Mi", default_allowed=True),
    _one("file-mode", parsers.file_mode, "0440", "Mode of the files. Derived from the pod, if not set."),
    _one("run-as-user", parsers.whole(1, 2**31 - 1), "1000", "UID of the agent. Derived from the pod, if not set."),
    _one("run-as-group", parsers.whole(1, 2**31 - 1), "1000", "GID of the agent. Derived from the pod, if not set."),
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
            ("agent-limits-cpu", "none", "CPU limit of the agent. `none` removes the limit."),
            ("agent-limits-memory", "128Mi", "Memory limit of the agent."),
        )
    ),
    _one(
        "log-level",
        parsers.choice("debug", "info", "warning", "error"),
        "debug",
        "Lowest level of the messages that the agent logs.",
        "info",
        default_allowed=True,
    ),
    _one(
        "metrics-port",
        parsers.port,
        "9464",
        "Port of the sidecar's Prometheus metrics. No port is open, if not set.",
        default_allowed=True,
    ),
)

_ENVIRONMENT = _group(
    "environment variables",
    _one(
        "inject-env-vars",
        parsers.switch,
        "true",
        "Whether the fields of every secret become environment variables too. Without a prefix that ends in `_`, other fields than "
        "those of Keeper's own record types must be listed with `fields-<name>`.",
        "false",
    ),
    _one("env-prefix", parsers.variable_prefix, "DB_", "Prefix of the names of those variables."),
    _one(
        "env-prefix-<name>",
        parsers.variable_prefix,
        "SMTP_",
        "The same for `record-<name>`, or for the record called `<name>` in `records`.",
    ),
    _one(
        "env-mode",
        parsers.choice("auto", "exec", "env-files", aliases={"file-ref": "env-files"}),
        "exec",
        "How variables reach the process: `exec` sets them before the process starts, `env-files` uses the kubelet's EnvFiles, and "
        "`auto` chooses one that works. `file-ref` is another name for `env-files`.",
        "auto",
        default_allowed=True,
    ),
    _one("env-<NAME>", parsers.text, "database-credentials[password]", "One environment variable from one field."),
)

_KUBERNETES_SECRETS = _group(
    "Kubernetes Secrets",
    _one("inject-as-k8s-secret", parsers.switch, "true", "Whether the agent also writes a Kubernetes Secret.", "false"),
    _one("k8s-secret-name", parsers.object_name, "app-secret", "Name of that Secret."),
    _one("k8s-secret-namespace", parsers.object_name, "shop", "Only the pod's own namespace is valid."),
    _one(
        "k8s-secret-mode",
        parsers.choice(*SECRET_MODES),
        "merge",
        "What happens if a Secret of that name exists already.",
        DEFAULT_SECRET_MODE,
    ),
    _one("k8s-secret-type", parsers.text, "kubernetes.io/tls", "Type of the Secret.", DEFAULT_SECRET_TYPE),
    _one("k8s-secret-rotation", parsers.switch, "true", "Whether refreshes update the Secret.", "false"),
    _one(
        "k8s-secret-owner-ref",
        parsers.switch,
        "false",
        "Whether Kubernetes deletes the Secret together with the last pod that wrote it.",
        "true",
    ),
)

ANNOTATIONS: tuple[Annotation, ...] = _CORE + _SOURCES + _BEHAVIOR + _ENVIRONMENT + _KUBERNETES_SECRETS
"""All annotations, in the order of the documentation."""

BY_NAME = {annotation.name: annotation for annotation in ANNOTATIONS if not annotation.stem}
"""Single annotations by their name without prefix."""
BY_ANY_NAME = {annotation.name: annotation for annotation in ANNOTATIONS}
"""Annotations and families by their name without prefix; a family's ends in a placeholder."""
FAMILIES = {annotation.stem: annotation for annotation in ANNOTATIONS if annotation.stem}
"""Families of annotations by the stem of their names: ``record-``."""


def find(name: str) -> tuple[Annotation, str] | None:
    """Return the annotation called *name* (without prefix), and in a family the part of *name* after the stem.

    Returns None if there is no such annotation.
    """
    if single := BY_NAME.get(name):
        return single, ""
    for stem, family in FAMILIES.items():  # env-prefix- comes before env-
        if name.startswith(stem) and len(name) > len(stem):
            return family, name[len(stem) :]
    return None


def nearest(name: str) -> str | None:
    """Return the annotation, with prefix, that resembles the unknown *name* (without prefix); None if none does."""
    close = nearest_words(name, [item.name for item in ANNOTATIONS])
    return PREFIX + close[0] if close else None
