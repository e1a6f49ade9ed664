"""The API server, as the checks read it: objects as JSON, and four ways in which a request can end without one.

Every request is a read, a server-side dry run or a question about rights (SelfSubjectAccessReview), so nothing is changed.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import attrs
from kubernetes import client, config
from kubernetes.stream import portforward
from urllib3.exceptions import HTTPError

from keeper_injector_common.json_values import Json, as_object, as_objects
from keeper_injector_webhook.errors import ClusterError

_TIMEOUT = 15.0
"""Seconds for one request. API servers wait up to 30 s for a webhook, the chart's webhook 5 s."""
_PAGE = 500
"""Objects that a list request asks for."""
MOST_OBJECTS = 5_000
"""Objects of one kind that are read; a namespace with more is checked up to there, and the command says so."""
_CHUNK = 64 * 1024
_FORBIDDEN, _NOT_FOUND, _UNAUTHORIZED = 403, 404, 401


class ForbiddenError(ClusterError):
    """The user of the kubeconfig may not read this; the check is not possible."""


class MissingError(ClusterError):
    """The object, or its kind, does not exist."""


class RefusedError(ClusterError):
    """The API server refused a dry run; the message is its own."""


@attrs.frozen
class Api:
    """An API server and the credentials of a kubeconfig."""

    connection: client.ApiClient

    @classmethod
    def from_kubeconfig(cls, file: str | None, context: str | None) -> Api:
        """Connect as kubectl does, or as the service account of the pod that this runs in. Raises ClusterError."""
        try:
            try:
                config.load_kube_config(file, context)  # type: ignore[no-untyped-call]
            except config.ConfigException:
                if file or context:
                    raise
                config.load_incluster_config()  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError) as error:
            found = (
                f"the kubeconfig {file} has no such context"
                if context
                else f"no kubeconfig that names a cluster ({_short(error)})"
            )
            raise ClusterError(f"{found}; use --kubeconfig FILE and --context NAME") from None
        return cls(client.ApiClient())

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self.connection.configuration.host)

    def read(self, what: str, call: Callable[..., Any], *arguments: object, **options: object) -> Json:
        """Return the answer to one request; *what* names it in messages. Raises :class:`ClusterError` or a subclass."""
        try:
            answer = call(*arguments, **options, _preload_content=False, _request_timeout=_TIMEOUT)
        except client.ApiException as error:
            raise _error(what, error) from None
        except (HTTPError, OSError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            found = f"the API server {self.server} does not answer: {_short(reason)}"
            raise ClusterError(f"{found}; check the server in the kubeconfig, and the network to it") from None
        return as_object(json.loads(answer.data))

    def items(self, what: str, call: Callable[..., Any], *arguments: object, **options: object) -> Iterator[Json]:
        """Iterate over the objects of a list, at most :data:`MOST_OBJECTS`. Raises as :meth:`read` does."""
        position, count = "", 0
        while count < MOST_OBJECTS:
            page = self.read(what, call, *arguments, **options, limit=_PAGE, _continue=position)
            found = as_objects(page.get("items"))
            yield from found
            count += len(found)
            position = str(as_object(page.get("metadata")).get("continue") or "")
            if not position:
                return

    def core(self) -> client.CoreV1Api:
        """Return the functions for pods, Secrets, nodes and namespaces."""
        return client.CoreV1Api(self.connection)

    def may(self, verb: str, group: str, resource: str, namespace: str = "") -> bool:
        """Return whether the user may do this (SelfSubjectAccessReview); an empty namespace means the whole cluster."""
        wanted = {"verb": verb, "group": group, "resource": resource, **({"namespace": namespace} if namespace else {})}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        review = client.AuthorizationV1Api(self.connection).create_self_subject_access_review
        answer = self.read("the own rights", review, {**body, "spec": {"resourceAttributes": wanted}})
        return as_object(answer.get("status")).get("allowed") is True

    def text_of_pod(self, pod: str, namespace: str, port: int, path: str) -> str:
        """Return what *pod* answers to a GET of *path*, through the API server. Raises ClusterError."""
        call = self.core().connect_get_namespaced_pod_proxy_with_path
        try:
            answer: Any = call(f"{pod}:{port}", namespace, path, _preload_content=False, _request_timeout=_TIMEOUT)
        except client.ApiException as error:
            raise _error(f"pod {pod}", error) from None
        except (HTTPError, OSError) as error:
            raise ClusterError(f"pod {pod} does not answer: {_short(error)}") from None
        return str(answer.data.decode(errors="replace"))

    def served_certificate(self, pod: str, namespace: str, port: int, host: str, authorities: str) -> bytes:
        """Return the certificate (DER) that *pod* serves on *port*, verified for *host* against *authorities* (PEM).

        The connection goes through the API server, as ``kubectl port-forward`` does. Raises ssl.SSLError if an API server
        would not trust the certificate, and ClusterError if there is no connection.
        """
        context = ssl.create_default_context(cadata=authorities)
        try:
            forward = portforward(self.core().connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port))
            with closing(forward.socket(port)) as connection:
                connection.settimeout(_TIMEOUT)
                return _certificate(connection, context, host)
        except ssl.SSLError:
            raise
        except client.ApiException as error:
            raise _error(f"the port of pod {pod}", error) from None
        except (OSError, ValueError) as error:
            raise ClusterError(f"no connection to pod {pod} through the API server: {_short(error)}") from None


def _certificate(connection: socket.socket, context: ssl.SSLContext, host: str) -> bytes:
    """Return the certificate (DER) that the server shows in a handshake; raises ssl.SSLError if *context* does not trust it.

    The handshake is done in memory, so that the connection can be read to its end whatever its result: the thread of the
    Kubernetes client that forwards the port would print a traceback for data that nobody reads.
    """
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=host)
    try:
        while True:
            try:
                tls.do_handshake()
                return tls.getpeercert(binary_form=True) or b""
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(_received(connection))
    finally:
        with suppress(OSError):
            connection.sendall(outgoing.read())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(_CHUNK):
                pass


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(_CHUNK)
    if not data:
        raise OSError("the pod closed the connection")
    return data


def _error(what: str, error: client.ApiException) -> ClusterError:
    message = _message(error)
    # Quotas, Pod Security and webhooks answer 403 too; the message of the authorizer names a user.
    if error.status == _FORBIDDEN and re.search(r'User "[^"]*" cannot ', message):
        return ForbiddenError(f"{what}: you may not read this")
    if error.status == _NOT_FOUND:
        return MissingError(f"{what}: not found")
    if error.status == _UNAUTHORIZED:
        return ClusterError("the API server does not accept the credentials of the kubeconfig; log in again")
    return RefusedError(message)


def _message(error: client.ApiException) -> str:
    """Return the API server's own sentence (``message`` of a Status), or the reason phrase without one."""
    try:
        body = as_object(json.loads(error.body or "{}"))
    except ValueError:
        body = {}
    return str(body.get("message") or f"HTTP {error.status} {error.reason}")


def _short(error: object) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
