"""Manifests as in the documentation of Keeper's Go injector: each is accepted, or rejected with what to write instead."""

from __future__ import annotations

from command_line import MANIFESTS, run

from keeper_injector_common.annotations.parser import parse_request
from keeper_injector_common.annotations.request import InjectionRequest
from keeper_injector_common.annotations.table import PREFIX
from keeper_injector_common.cli.manifests import workloads

DOCUMENTED = MANIFESTS / "go-injector.yaml"
AGAIN = "does not give the same text twice, so that every refresh would be a change; remove it"
NEVER = "is documented by Keeper's Go injector, but does not exist there either"


def asked(name: str) -> InjectionRequest:
    """Return the request of one of the documented pods."""
    found = {item.name: item for item in workloads(DOCUMENTED.read_text(encoding="utf-8"))}
    return parse_request(found[f"Pod/{name}"].annotations)


def test_every_documented_annotation() -> None:
    """Every documented annotation is accepted without a warning, except for these."""
    found = run("lint", str(DOCUMENTED))
    assert [line.removeprefix(f"{DOCUMENTED}:").partition(": ")[2] for line in found.output.splitlines()] == [
        f"warning: Pod/one-record: {PREFIX}auth-secret: old name; write {PREFIX}ksm-config",
        (
            f"warning: Pod/kubernetes-secret-tls: {PREFIX}config: secrets[0].k8sSecretKeys: fields or files come first; "
            "write {cert.pem: tls.crt, key.pem: tls.key}"
        ),
        (
            f"error: Pod/kubernetes-secret-folder: {PREFIX}config: folders[0].k8sSecretNamePrefix: unknown key; write one of "
            "containers, format, outputPath, path, recursive, uid"
        ),
        *(
            f"warning: Pod/templates: {PREFIX}config: secrets[0].template: line 2 of the template writes {{{{ {field} }}}} into "
            f"/srv/database.sh as it is, so its value may change; write {{{{ {field} | toShell }}}} without quotes around it"
            for field in (".login", ".hostname", '.port | default "5432"')
        ),
        *(
            f"error: Pod/templates: {PREFIX}config: secrets[{number}].template: template, parsing line 1: function {said}"
            for number, said in [
                (3, f"md5sum {NEVER}; use sha256sum"),
                (4, f"htmlEscape {NEVER}; use html"),
                (5, f"now {AGAIN}"),
                (6, f"bcrypt {AGAIN}"),
            ]
        ),
        (
            f"error: Pod/announced-and-never-there: {PREFIX}auth-method: 'oidc' is unknown; write secret, "
            "aws-secrets-manager, gcp-secret-manager or azure-key-vault"
        ),
        f"warning: Pod/announced-and-never-there: {PREFIX}service-account: unknown annotation, ignored; check its name, or remove it",
        (
            f"warning: Pod/announced-and-never-there: {PREFIX}format: unknown annotation, ignored; "
            f"did you mean {PREFIX}format-<name>?"
        ),
        (
            f"warning: Pod/announced-and-never-there: {PREFIX}template: unknown annotation, ignored; "
            f"did you mean {PREFIX}template-<name>?"
        ),
    ]


def test_a_tls_secret_as_documented() -> None:
    """The documented TLS Secret has its keys the wrong way round and selects one file; both files are delivered."""
    (secret,) = asked("kubernetes-secret-tls").kubernetes_secrets
    assert secret.keys == {"cert.pem": "tls.crt", "key.pem": "tls.key"}
    assert [str(source) for source in secret.sources] == ["Shop Certificates"]


def test_titles_that_the_go_injector_misreads() -> None:
    """Notation without a scheme and lists of titles work as documented."""
    assert str(asked("notation").files[4].sources[0]) == "keeper://Test/Services/payments/field/api_key"
    assert len(asked("several-records").files) == 5
