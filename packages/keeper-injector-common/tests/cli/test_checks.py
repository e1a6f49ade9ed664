"""``keeper-injector lint``: problems in the annotations of a workload."""

from __future__ import annotations

import pytest
from command_line import lint, run
from sample_inputs import INVALID_METADATA


def test_common_mistakes() -> None:
    """Common mistakes are reported: annotations on the workload, as labels, without quotes, twice, misspelt."""
    twice = "the same mapping has this key twice, and only the last one is used; keep one"
    switch = 'no effect without the annotation inject; add keeper.security/inject: "true"'
    path = "pods do not inherit this; move it to spec.template.metadata.annotations"
    assert lint("habits.yaml") == [
        f"7:5: warning: Deployment/on-the-workload: keeper.security/inject: {path}",
        f"8:5: warning: Deployment/on-the-workload: keeper.security/secret: {path}",
        f"13:9: warning: Deployment/on-the-workload: keeper.security/inject: {path}",
        '22:5: error: Pod/no-text: keeper.security/inject: true is a boolean, not a string; write "true" in quotes',
        '23:5: error: Pod/no-text: keeper.security/metrics-port: 9464 is a number, not a string; write "9464" in quotes',
        "24:5: error: Pod/no-text: keeper.security/secret: the value is missing; write a string in quotes, or remove the annotation",
        f"33:5: error: Pod/twice: keeper.security/secret-db: {twice}",
        f"40:5: warning: Pod/no-switch: keeper.security/secret: {switch}",
        "49:5: warning: Pod/typo: keeper.security/sekret: unknown annotation, ignored; did you mean keeper.security/secret?",
    ]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("kind: PodTemplate\n%s\ntemplate: {spec: {}}\n", "template"),
        ("kind: Deployment\n%s\nspec: {template: {spec: {}}}\n", "spec.template"),
        ("kind: CronJob\n%s\nspec: {jobTemplate: {spec: {template: {spec: {}}}}}\n", "spec.jobTemplate.spec.template"),
    ],
)
def test_misplaced_annotations_are_reported(text: str, path: str) -> None:
    """The path that the finding suggests is the path that the webhook reads."""
    found = run("lint", "-", text=text % INVALID_METADATA).output
    assert found.count(f"move it to {path}.metadata.annotations\n") == 2
