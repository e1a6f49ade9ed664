"""The KSM configuration from each cloud's secret store: the vendor's library, against a server with the cloud's API."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from concurrent import futures
from contextlib import closing, contextmanager
from pathlib import Path

import attrs
import boto3
import grpc
import pytest
import requests
import trustme
from agent_pods import AgentPod
from google.cloud import secretmanager
from moto.server import ThreadedMotoServer
from proxies import proxy
from servers import Respond, Response, serving

from keeper_injector_common.plan.credentials import AwsCredentials, AzureCredentials, GcpCredentials
from local_keeper import LocalKeeper

SECRET = {"x": "api-keys[login]"}
DIRECT = "localhost,127.0.0.1"
"""Local Keeper and the metadata servers are not behind the proxy."""


@attrs.frozen
class Stage:
    """A pod in the network of a cloud, which has its own CA."""

    pod: AgentPod
    keeper: LocalKeeper
    ca: trustme.CA
    ca_file: Path
    patch: pytest.MonkeyPatch

    def set(self, **variables: str) -> None:
        """Set environment variables of the processes that start from now on."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def file(self, name: str, text: str) -> str:
        """Write a file and return its path."""
        path = self.ca_file.with_name(name)
        path.write_text(text, encoding="utf-8")
        return str(path)


@pytest.fixture(name="stage")
def _stage(pod: AgentPod, keeper: LocalKeeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    ca, file = trustme.CA(), tmp_path / "clouds-ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return Stage(pod, keeper, ca, file, monkeypatch)


@pytest.fixture(name="aws")
def _aws(stage: Stage) -> Iterator[str]:
    """A local AWS that stores the configuration, and the environment that EKS gives to pods with a role (IRSA)."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    requests.post(f"{url}/moto-api/reset", timeout=5)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        stage.patch.delenv(name)
    stage.set(AWS_ENDPOINT_URL=url, AWS_REGION="eu-central-1", AWS_CONFIG_FILE="/dev/null")
    stage.set(AWS_ROLE_ARN="arn:aws:iam::123456789012:role/pods")
    stage.set(AWS_WEB_IDENTITY_TOKEN_FILE=stage.file("token", "a.b.c"))
    more = {"endpoint_url": url, "region_name": "eu-central-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    with closing(boto3.client("secretsmanager", **more)) as store:
        for name, content in {
            "prod/ksm": {"SecretString": stage.keeper.config()},
            "prod/binary": {"SecretBinary": stage.keeper.config().encode()},
            "prod/other": {"SecretString": "no configuration"},
        }.items():
            store.create_secret(Name=name, **content)
    yield url
    server.stop()


@pytest.mark.parametrize("name", ["prod/ksm", "prod/binary"])
def test_aws_secrets_manager(pod: AgentPod, aws: str, name: str) -> None:
    """The agent reads text and binary secrets from AWS with the pod's own role."""
    pod.wants(SECRET, credentials=AwsCredentials(name, "eu-central-1"))
    requests.post(f"{aws}/moto-api/recorder/start-recording", timeout=5)
    result = pod.run("init")
    assert (result.returncode, pod.files()) == (0, ["x"]), result.stderr
    recorded = requests.get(f"{aws}/moto-api/recorder/download-recording", timeout=5).text
    assert "AssumeRoleWithWebIdentity" in base64_texts(recorded)


def base64_texts(recorded: str) -> str:
    """Return the bodies of recorded requests as text."""
    bodies = [json.loads(line)["body"] for line in recorded.splitlines()]
    return " ".join(base64.b64decode(body).decode(errors="replace") for body in bodies if body)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prod/none", "prod/none: ResourceNotFoundException; check the secret's name and the pod's role"),
        ("prod/other", "aws-secrets-manager prod/other: neither JSON nor base64 of JSON"),
    ],
)
@pytest.mark.usefixtures("aws")
def test_aws_errors_are_explained(pod: AgentPod, name: str, message: str) -> None:
    """The message names the secret and what to check."""
    pod.wants(SECRET, credentials=AwsCredentials(name, "eu-central-1"))
    assert pod.run("init").returncode == os.EX_NOPERM
    assert message in pod.termination_message()


GOOGLE_SECRET = "projects/p/secrets/ksm/versions/latest"


@contextmanager
def google(keeper: LocalKeeper, ca: trustme.CA) -> Iterator[int]:
    """Secret Manager over gRPC: returns the configuration to clients that have the metadata server's token."""

    def access(request: secretmanager.AccessSecretVersionRequest, call: grpc.ServicerContext) -> object:
        if dict(call.invocation_metadata()).get("authorization") != "Bearer of-the-pod":
            call.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")
        if request.name != GOOGLE_SECRET:
            call.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        return secretmanager.AccessSecretVersionResponse(name=request.name, payload={"data": keeper.config().encode()})

    method = grpc.unary_unary_rpc_method_handler(
        access,
        secretmanager.AccessSecretVersionRequest.deserialize,
        secretmanager.AccessSecretVersionResponse.serialize,
    )
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"AccessSecretVersion": method})])
    certificate = ca.issue_cert("secretmanager.googleapis.com")
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    port = server.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
    )
    server.start()
    try:
        yield port
    finally:
        server.stop(0)


def metadata(_method: str, path: str, headers: dict[str, str], _body: bytes) -> Response:
    """Respond as GKE's metadata server does for a pod with Workload Identity."""
    flavor = {"Metadata-Flavor": "Google"}
    if headers.get("metadata-flavor") != "Google":
        return 403, flavor, "no"
    if "/token" in path:
        return 200, flavor, {"access_token": "of-the-pod", "expires_in": 3600, "token_type": "Bearer"}
    if "universe" in path:
        return 404, flavor, "none"
    if "project-id" in path:
        return 200, {**flavor, "Content-Type": "text/plain"}, "p"
    return 200, flavor, {"email": "pod@p.iam.gserviceaccount.com", "scopes": ["cloud-platform"], "aliases": ["default"]}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        (GOOGLE_SECRET, 0, ""),
        ("projects/p/secrets/none/versions/1", os.EX_NOPERM, "NotFound; check its name and the pod's identity"),
    ],
    ids=["there", "not there"],
)
def test_google_secret_manager(stage: Stage, name: str, code: int, message: str) -> None:
    """The agent reads from Google with Workload Identity, through a proxy that stands in for Google's network."""
    stage.pod.wants(SECRET, credentials=GcpCredentials(name))
    with (
        google(stage.keeper, stage.ca) as port,
        serving(metadata) as about,
        proxy({"secretmanager.googleapis.com": port}) as network,
    ):
        stage.set(GCE_METADATA_HOST=f"127.0.0.1:{about}", GCE_METADATA_IP=f"127.0.0.1:{about}")
        stage.set(HTTPS_PROXY=network.url, https_proxy=network.url, NO_PROXY=DIRECT, no_proxy=DIRECT)
        stage.set(GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(stage.ca_file), CLOUDSDK_CONFIG="/nonexistent")
        result = stage.pod.run("init")
    assert result.returncode == code, result.stderr
    assert message in stage.pod.termination_message()
    assert "secretmanager.googleapis.com:443" in network.targets


LOGIN, VAULT = "login.microsoftonline.com", "keys.vault.azure.net"


def azure(keeper: LocalKeeper) -> Respond:
    """Entra ID and a Key Vault in one server: the vault accepts the token that was exchanged for the federated one."""

    def answer(_method: str, path: str, headers: dict[str, str], body: bytes) -> Response:
        host = headers.get("host")
        if host == LOGIN and path.endswith("openid-configuration"):
            base = f"https://{LOGIN}/tenant"
            known = {"authorization": "authorize", "token": "token", "device_authorization": "device"}
            found = {f"{name}_endpoint": f"{base}/oauth2/v2.0/{end}" for name, end in known.items()}
            return 200, {}, {**found, "issuer": f"https://{LOGIN}/tenant/v2.0"}
        if host == LOGIN and path.split("?", maxsplit=1)[0].endswith("/token"):
            requested = body.decode()
            good = "client_assertion=federated" in requested and "vault.azure.net" in requested
            return (
                (200, {}, {"access_token": "of-the-pod", "expires_in": 3600, "token_type": "Bearer"})
                if good
                else (401, {}, {})
            )
        if headers.get("authorization") != "Bearer of-the-pod":
            challenge = f'Bearer authorization="https://{LOGIN}/tenant", resource="https://vault.azure.net"'
            return 401, {"WWW-Authenticate": challenge}, {}
        if path.startswith("/secrets/ksm/"):
            return (
                200,
                {},
                {"value": keeper.config(), "id": f"https://{VAULT}/secrets/ksm/1", "attributes": {"enabled": True}},
            )
        return 404, {}, {"error": {"code": "SecretNotFound", "message": "no such secret"}}

    return answer


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("ksm", 0, ""),
        ("none", os.EX_NOPERM, "Azure Key Vault: none: ResourceNotFoundError; check its name and the pod's identity"),
    ],
    ids=["there", "not there"],
)
def test_azure_key_vault(stage: Stage, name: str, code: int, message: str) -> None:
    """The agent reads from Azure with Workload Identity, as its webhook sets up the pod."""
    stage.pod.wants(SECRET, credentials=AzureCredentials(secret=name, vault="keys"))
    answer = azure(stage.keeper)
    with serving(answer, stage.ca, LOGIN, VAULT) as port, proxy({LOGIN: port, VAULT: port}) as network:
        stage.set(AZURE_CLIENT_ID="client", AZURE_TENANT_ID="tenant", AZURE_AUTHORITY_HOST=f"https://{LOGIN}/")
        stage.set(AZURE_FEDERATED_TOKEN_FILE=stage.file("token", "federated"))
        stage.set(HTTPS_PROXY=network.url, NO_PROXY=DIRECT, REQUESTS_CA_BUNDLE=str(stage.ca_file))
        result = stage.pod.run("init")
    assert result.returncode == code, result.stderr
    assert message in stage.pod.termination_message()
    assert {target.removesuffix(":443") for target in network.targets} == {LOGIN, VAULT}


def test_a_missing_cloud_library_is_named(pod: AgentPod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The small image has no cloud library; the message says which extra or image has it."""
    (tmp_path / "boto3.py").write_text("raise ImportError('none', name='boto3')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    pod.wants(SECRET, credentials=AwsCredentials("prod/ksm"))
    assert pod.run("init").returncode == os.EX_NOPERM
    assert (
        "boto3 is not installed; use the -cloud image or pip install keeper-injector-agent[aws]"
        in pod.termination_message()
    )
