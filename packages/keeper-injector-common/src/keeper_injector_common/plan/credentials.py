"""Where the agent finds the KSM configuration, which is what it signs in to Keeper with.

The request uses the same classes for clouds as the plan does. Only a Kubernetes Secret is different: a request names the
Secret, and the plan names the file that the webhook mounts it as.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from keeper_injector_common.plan.paths import CREDENTIALS_PATH


@attrs.frozen
class FileCredentials:
    """The KSM configuration is in a file: a Kubernetes Secret that is mounted as a volume."""

    method: ClassVar[str] = "secret"
    path: str = CREDENTIALS_PATH


@attrs.frozen
class AwsCredentials:
    """The KSM configuration is in AWS Secrets Manager."""

    method: ClassVar[str] = "aws-secrets-manager"
    secret: str
    """Name or ARN."""
    region: str = ""
    """The region that the AWS SDK chooses, if empty."""


@attrs.frozen
class GcpCredentials:
    """The KSM configuration is in Google Cloud Secret Manager."""

    method: ClassVar[str] = "gcp-secret-manager"
    secret: str
    """``projects/P/secrets/S/versions/V``."""


@attrs.frozen(kw_only=True)
class AzureCredentials:
    """The KSM configuration is in Azure Key Vault."""

    method: ClassVar[str] = "azure-key-vault"
    secret: str
    vault: str
    """Name of the vault, or its host name."""


CloudCredentials = AwsCredentials | GcpCredentials | AzureCredentials
"""The agent fetches the configuration with the pod's own identity."""

METHODS = tuple(kind.method for kind in (FileCredentials, AwsCredentials, GcpCredentials, AzureCredentials))
"""The values of ``auth-method`` in annotations, and of ``method`` in a plan."""
