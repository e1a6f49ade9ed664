"""Finds the installed webhooks by their MutatingWebhookConfigurations."""

from __future__ import annotations

import attrs
from kubernetes import client

from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_webhook.cluster_check.api import Api

WEBHOOK = "pods.keeper.security"
"""The name of the webhook in the chart's MutatingWebhookConfiguration."""


@attrs.frozen
class Installation:
    """The webhook that is installed, as its configuration describes it."""

    configuration: str
    webhook: Json
    """The entry :data:`WEBHOOK` of the configuration."""

    @property
    def service(self) -> str:
        """The name of the Service, and of the Deployment behind it."""
        return str(self._service.get("name"))

    @property
    def namespace(self) -> str:
        """The namespace of the Service."""
        return str(self._service.get("namespace"))

    @property
    def ca_bundle(self) -> str:
        """The CAs that API servers trust, in base64 of PEM. Empty if it is not set."""
        return str(self._client_config.get("caBundle") or "")

    @property
    def _client_config(self) -> Json:
        return as_object(self.webhook.get("clientConfig"))

    @property
    def _service(self) -> Json:
        return as_object(self._client_config.get("service"))

    def serves(self, labels: Json) -> bool:
        """Return whether API servers call this webhook for pods in a namespace with these labels."""
        return selects(as_object(self.webhook.get("namespaceSelector")), labels)


def find_installations(api: Api) -> list[Installation]:
    """Return the installed webhooks. Raises ClusterError."""
    call = client.AdmissionregistrationV1Api(api.connection).list_mutating_webhook_configuration
    return [
        Installation(str(item["metadata"]["name"]), hook)
        for item in api.items("webhook configurations", call)
        for hook in as_objects(item.get("webhooks"))
        if hook.get("name") == WEBHOOK
    ]


def selects(selector: Json, labels: Json) -> bool:
    """Return whether a label selector (``matchLabels`` and ``matchExpressions``) selects *labels*."""
    if any(labels.get(key) != value for key, value in as_object(selector.get("matchLabels")).items()):
        return False
    return all(_matches(item, labels) for item in as_objects(selector.get("matchExpressions")))


def _matches(expression: Json, labels: Json) -> bool:
    key, values = expression.get("key"), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case _:
            return False
