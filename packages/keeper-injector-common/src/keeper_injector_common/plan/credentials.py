"""Where the agent finds the KSM configuration, which is what it signs in to Keeper with.

The request uses the same classes for clouds as the plan does. Only a Kubernetes Secret is different: a request names the
Secret, and the plan names the file that the webhook mounts it as.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from keeper_injector_common.plan.attrs_codec import one_of, wire
from keeper_injector_common.plan.paths import CREDENTIALS_PATH
from keeper_injector_common.plan.scalars import ABSOLUTE_PATH, TEXT


@attrs.frozen
class FileCredentials:
    """The KSM configuration is in a file: a Kubernetes Secret that is mounted as a volume."""

    method: ClassVar[str] = "secret"
    path: str = attrs.field(
        default=CREDENTIALS_PATH, metadata=wire("path", ABSOLUTE_PATH, "File with the configuration.", required=True)
    )


@attrs.frozen
class AwsCredentials:
    """The KSM configuration is in AWS Secrets Manager."""

    method: ClassVar[str] = "aws-secrets-manager"
    secret: str = attrs.field(metadata=wire("secret", TEXT, "Name or ARN of the secret."))
    region: str = attrs.field(
        default="", metadata=wire("place", TEXT, "Region; the one that the AWS SDK chooses if left out.")
    )


@attrs.frozen
class GcpCredentials:
    """The KSM configuration is in Google Cloud Secret Manager."""

    method: ClassVar[str] = "gcp-secret-manager"
    secret: str = attrs.field(metadata=wire("secret", TEXT, "`projects/P/secrets/S/versions/V`."))


@attrs.frozen(kw_only=True)
class AzureCredentials:
    """The KSM configuration is in Azure Key Vault."""

    method: ClassVar[str] = "azure-key-vault"
    secret: str = attrs.field(metadata=wire("secret", TEXT, "Name of the secret."))
    vault: str = attrs.field(metadata=wire("place", TEXT, "Name of the vault, or its host name."))


CloudCredentials = AwsCredentials | GcpCredentials | AzureCredentials
"""The agent fetches the configuration with the pod's own identity."""

KINDS = (FileCredentials, AwsCredentials, GcpCredentials, AzureCredentials)

METHODS = tuple(kind.method for kind in KINDS)
"""The values of ``auth-method`` in annotations, and of ``method`` in a plan."""

CREDENTIALS = one_of("method", *KINDS)
"""The codec of credentials in a plan."""
