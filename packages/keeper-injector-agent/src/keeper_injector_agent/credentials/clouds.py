"""The KSM configuration in a cloud's secret store, fetched with the pod's own identity by the cloud vendor's library.

Each library is an extra of this package and is imported only if its store is used. The libraries find the pod's identity
themselves: IRSA and EKS Pod Identity, and the Workload Identity of GKE and Azure, are first in their chains.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from keeper_injector_agent.errors import PermanentVaultError, TransientVaultError
from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from keeper_injector_common.plan.credentials import CloudCredentials

_TIMEOUT = 10.0
"""Seconds for one request."""


def read_from_cloud(credentials: CloudCredentials) -> bytes:
    """Return the content of the secret that *credentials* name; raises VaultError."""
    fetch, extra = _store(credentials)
    try:
        return fetch()
    except ImportError as error:
        raise PermanentVaultError(
            f"{credentials.method}: {error.name} is not installed; use the -cloud image or pip install "
            f"keeper-injector-agent[{extra}]"
        ) from None


def _store(credentials: CloudCredentials) -> tuple[Callable[[], bytes], str]:
    """Return a function that fetches the configuration, and the extra of this package that installs its library."""
    match credentials:
        case AwsCredentials():
            return partial(_from_aws, credentials), "aws"
        case GcpCredentials():
            return partial(_from_google, credentials), "gcp"
        case AzureCredentials():
            return partial(_from_azure, credentials), "azure"


def _from_aws(credentials: AwsCredentials) -> bytes:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

    config = Config(
        connect_timeout=_TIMEOUT, read_timeout=_TIMEOUT, retries={"mode": "standard", "total_max_attempts": 3}
    )
    try:
        client = boto3.client("secretsmanager", region_name=credentials.region or None, config=config)
        response = client.get_secret_value(SecretId=credentials.secret)
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        kind = TransientVaultError if code in {"ThrottlingException", "InternalServiceError"} else PermanentVaultError
        raise kind(
            f"AWS Secrets Manager: {credentials.secret}: {code}; check the secret's name and the pod's role"
        ) from None
    except BotoCoreError as error:
        kind = PermanentVaultError if isinstance(error, NoRegionError) else TransientVaultError
        raise kind(f"AWS Secrets Manager: {type(error).__name__}; check region, network and role") from None
    return bytes(response.get("SecretBinary") or str(response["SecretString"]).encode())


def _from_google(credentials: GcpCredentials) -> bytes:
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.cloud import secretmanager

    try:
        client = secretmanager.SecretManagerServiceClient()
        response = client.access_secret_version(name=credentials.secret, timeout=_TIMEOUT)
    except (exceptions.ServerError, exceptions.RetryError, exceptions.TooManyRequests, TransportError) as error:
        raise TransientVaultError(f"Google Secret Manager: {type(error).__name__}") from None
    except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
        raise PermanentVaultError(
            f"Google Secret Manager: {credentials.secret}: {type(error).__name__}; check its name and the pod's identity"
        ) from None
    return bytes(response.payload.data)


def _from_azure(credentials: AzureCredentials) -> bytes:
    from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
    from azure.identity import DefaultAzureCredential
    from azure.keyvault.secrets import SecretClient

    vault = credentials.vault if "." in credentials.vault else f"{credentials.vault}.vault.azure.net"
    try:
        # We retry ourselves: if a name cannot be resolved, the library alone would block silently for minutes.
        bounds = {"connection_timeout": _TIMEOUT, "read_timeout": _TIMEOUT, "retry_total": 0}
        client = SecretClient(f"https://{vault}", DefaultAzureCredential(), **bounds)
        value = client.get_secret(credentials.secret).value
    except (ResourceNotFoundError, ClientAuthenticationError) as error:
        # No response is not a denial; the identity endpoint may not be up yet.
        kind = PermanentVaultError if error.response is not None else TransientVaultError
        raise kind(
            f"Azure Key Vault: {credentials.secret}: {type(error).__name__}; check its name and the pod's identity"
        ) from None
    except AzureError as error:
        raise TransientVaultError(f"Azure Key Vault: {type(error).__name__}") from None
    return str(value or "").encode()
