"""Keys, certificates and kubeconfigs of a cluster, in the layout of kubeadm."""

from __future__ import annotations

from pathlib import Path

import trustme
import yaml

from cluster import kubeconfig
from cluster.places import Place

MASTERS = "system:masters"
NODES = "system:nodes"
USERS = {
    "admin": ("kubernetes-admin", MASTERS),
    "controller-manager": ("system:kube-controller-manager", None),
    "scheduler": ("system:kube-scheduler", None),
    "proxy": ("system:kube-proxy", None),
}
"""Who has a kubeconfig: user (common name) and group (organization), by the file's name."""

ANY_NAME = "client.invalid"
"""Clients have no address, but without any name trustme writes an empty critical list, which Go refuses."""

SERVICE_ADDRESS = "10.96.0.1"
"""First address of the services' range: the API server's own Service."""


def write(place: Place) -> None:
    """Write ``place.pki``, readable only by its owner."""
    authority = trustme.CA()
    place.pki.mkdir(mode=0o700)
    _write(place.pki / "ca.crt", authority.cert_pem.bytes())
    _write(place.pki / "ca.key", authority.private_key_pem.bytes())
    service = [f"kubernetes{suffix}" for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    names = ["localhost", *service, "127.0.0.1", place.address, SERVICE_ADDRESS]
    _pair(place.pki / "apiserver", authority.issue_cert(*names, common_name="kube-apiserver"))
    client = authority.issue_cert(ANY_NAME, common_name="apiserver-kubelet", organization_name=MASTERS)
    _pair(place.pki / "apiserver-kubelet", client)
    # Tokens are signed by a separate key; its certificate is not needed.
    _write(
        place.pki / "service-accounts.key",
        authority.issue_cert(ANY_NAME, common_name="service-accounts").private_key_pem.bytes(),
    )
    for name, (user, group) in {**USERS, "kubelet": (f"system:node:{place.node}", NODES)}.items():
        leaf = authority.issue_cert(ANY_NAME, common_name=user, organization_name=group)
        content = kubeconfig.make(place.context, f"https://{place.address}:6443", authority, leaf)
        _write(place.pki / f"{name}.conf", yaml.safe_dump(content, sort_keys=False).encode())


def _pair(path: Path, leaf: trustme.LeafCert) -> None:
    (certificate,) = leaf.cert_chain_pems
    _write(path.with_suffix(".crt"), certificate.bytes())
    _write(path.with_suffix(".key"), leaf.private_key_pem.bytes())


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
