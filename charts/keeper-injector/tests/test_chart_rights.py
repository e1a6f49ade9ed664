"""What the chart grants, to whom, and the policy that restricts the webhook's account."""

from __future__ import annotations

import pytest
from rendered_chart import (
    CHART,
    POLICY,
    needs_helm,
    one,
    render,
    rights,
)

pytestmark = needs_helm

SERVED = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy"
CONFIGURATIONS = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
RIGHTS_OF_OWN = [
    f"keeper/{{0}}: get, patch {CONFIGURATIONS} {{0}}-keeper",
    "keeper/{0}: get, patch secrets keeper/{0}-tls",
]


@pytest.mark.parametrize(
    ("ci", "granted"),
    [
        ("default", [line.format("keeper-injector") for line in RIGHTS_OF_OWN]),
        ("minimal", [line.format("injector") for line in RIGHTS_OF_OWN]),
        ("monitoring", [line.format("keeper-injector") for line in RIGHTS_OF_OWN]),
        ("cert-manager", []),
        ("given-secret", []),
        (
            "hardened",
            [
                "shop/shop: create secrets shop/*",
                "shop/shop: get, update secrets shop/database",
            ],
        ),
    ],
)
def test_every_right_is_listed_here(ci: str, granted: list[str]) -> None:
    """The webhook has access to two objects by name, or to none."""
    assert rights(render(ci)) == granted


def test_only_named_service_accounts_write_secrets() -> None:
    """The chart gives the permission to service accounts by name, in each namespace, and to no group."""
    names = {"kubernetesSecrets__namespaces": ["shop", "till"], "kubernetesSecrets__serviceAccounts": ["a", "b"]}
    objects = render("cert-manager", **names)

    assert rights(objects) == [
        f"{namespace}/{account}: create, get, update secrets {namespace}/*"
        for namespace in ("shop", "till")
        for account in ("a", "b")
    ]
    subjects = [subject for item in objects if item["kind"].endswith("Binding") for subject in item["subjects"]]
    assert {subject["kind"] for subject in subjects} == {"ServiceAccount"}


@pytest.mark.parametrize(
    ("options", "is_there"),
    [
        (("--kube-version", "1.30.0-gke.1"), True),
        (("--kube-version", "1.37.1", "--api-versions", "v1/Pod"), False),
        (("--api-versions", f"v1/Pod,{SERVED}"), True),
        (("--set", "admissionPolicy.enabled=false"), False),
        (("--set", "tls.mode=cert-manager"), False),
    ],
    ids=["1.30", "API disabled", "API served", "switched off", "no rights"],
)
def test_a_policy_restricts_the_webhooks_account_where_there_are_policies(
    options: tuple[str, ...], is_there: bool
) -> None:
    """The policy and its binding are rendered if the cluster serves them and the account has rights to restrict."""
    kinds = {item["kind"] for item in render("default", *options)}

    assert set(POLICY) & kinds == (set(POLICY) if is_there else set())


@pytest.mark.parametrize("ci", ["default", "minimal"])
def test_the_policy_is_about_the_account_and_the_object_of_the_role(ci: str) -> None:
    """The policy applies to the configuration that the role grants, and to the account to which it is bound."""
    objects = render(ci)
    policy, role = one(objects, POLICY[0])["spec"], one(objects, "ClusterRole")
    (subject,) = one(objects, "ClusterRoleBinding")["subjects"]
    (rule,) = policy["matchConstraints"]["resourceRules"]
    (condition,) = policy["matchConditions"]

    assert (rule["resources"], rule["resourceNames"]) == (
        role["rules"][0]["resources"],
        role["rules"][0]["resourceNames"],
    )
    assert f"'system:serviceaccount:{subject['namespace']}:{subject['name']}'" in condition["expression"]
    assert policy["failurePolicy"] == "Fail"
    assert one(objects, POLICY[1])["spec"] == {"policyName": role["metadata"]["name"], "validationActions": ["Deny"]}


def test_the_readme_lists_the_rights() -> None:
    """The README lists the permissions exactly as helm renders them."""
    for line in rights(render("default")):
        assert f"\n{line}\n" in (CHART / "README.md").read_text(encoding="utf-8")
