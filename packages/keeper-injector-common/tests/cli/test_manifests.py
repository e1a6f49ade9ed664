"""``keeper-injector lint``: workloads and the positions of their annotations are read from any text."""

from __future__ import annotations

import pytest
from command_line import MANIFESTS, run
from hypothesis import given
from hypothesis import strategies as st
from sample_inputs import INVALID_METADATA

from keeper_injector_common.cli.lint import lint_text
from keeper_injector_common.cli.manifest_yaml import ManifestError
from keeper_injector_common.cli.manifests import workloads


def test_the_output_of_helm_has_the_names_of_templates() -> None:
    """A problem in a rendered chart is reported with the template that it is from."""
    text = (MANIFESTS / "rendered.yaml").read_text(encoding="utf-8")
    found = run("lint", "-", text=text)
    assert found.output.startswith("-:10:81: error: Deployment/shop (shop/templates/deployment.yaml): ")
    assert found.errors == "1 workload, 1 of them annotated: 1 problem, 0 warnings\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: [\n",
            "-:2:1: error: not valid YAML: expected the node content, but found '<stream end>'; correct it there",
        ),
        ("a: {{ x }}\n", "found unhashable key; render the chart first: helm template"),
        ("a: \x00\n", "special characters are not allowed; remove them"),
        ("a: !!timestamp 2024-13-45\n", "a date or number that does not exist; quote it"),
        ("a: " + "[" * 5000, "nested too deeply to be a manifest; flatten it"),
    ],
    ids=["syntax", "helm", "characters", "date", "depth"],
)
def test_invalid_yaml_is_reported_with_its_position(text: str, message: str) -> None:
    """A file that cannot be parsed is a problem, and the other files are still checked."""
    found = run("lint", "-", str(MANIFESTS / "deployment.yaml"), text=text)
    assert found.code == 1
    assert message in found.output
    assert "CronJob/bad" in found.output


@pytest.mark.parametrize(("kind", "count"), [("PodList", 2), ("List", 0), ("DeploymentList", 0)])
def test_items_without_a_kind_have_that_of_their_list(kind: str, count: int) -> None:
    """An item of a PodList is a Pod even without ``kind``, as ``kubectl get --raw`` prints it."""
    text = f"kind: {kind}\nitems:\n- {{{INVALID_METADATA}}}\n- {{{INVALID_METADATA}, spec: {{}}}}\n"
    assert run("lint", "-", text=text).output.count("error: Pod/a: keeper.security/secret: ") == count


@given(st.text(alphabet='abc:-{}[]"\n &*!|>#.,?%@0', max_size=60))
def test_any_text_is_checked(text: str) -> None:
    """No text raises an exception."""
    head = "kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: "
    assert isinstance(lint_text("-", head + text).findings, tuple)


@pytest.mark.parametrize(
    ("escape", "read"), [("\\ud83d\\ude00", "😀"), ("\\ud800", "\ufffd"), ("\\ude00\\ud83d", "\ufffd\ufffd")]
)
def test_surrogates_in_json_are_read_as_by_api_servers(escape: str, read: str) -> None:
    """Many programs write characters beyond U+FFFF as two escapes; half a pair is replaced."""
    (workload,) = workloads(f'{{"kind": "Pod", "metadata": {{"name": "a{escape}b"}}, "spec": {{}}}}')
    assert workload.name == f"Pod/a{read}b"


@pytest.mark.parametrize(
    "text",
    [
        "kind: Pod\t\nmetadata:\n  annotations:\n    a: 'x'\t# why\n    b: |\n      y\n",
        'kind: Pod\nmetadata:\n  annotations: {a:\tx,\tb: "y\\n"\t}\n',
        "kind:\tPod\nmetadata:\t\n  annotations:\n    a:\tx\t\n    b: |\n      y\n",
    ],
)
def test_tabs_after_values_are_blanks(text: str) -> None:
    """Tabs after keys and values are accepted, as by kubectl, and do not become part of a value."""
    (found,) = workloads(text)
    assert found.annotations == {"a": "x", "b": "y\n"}


def test_a_tab_is_not_an_indentation() -> None:
    """A tab at the beginning of a line is an error, as for kubectl."""
    with pytest.raises(ManifestError):
        list(workloads("kind: Pod\nmetadata:\n\tname: a\n"))


def test_aliases_that_repeat_values_are_an_error() -> None:
    """A few lines can stand for more values than fit in memory; kubectl rejects them too."""
    lines = ["a0: &a0 [x, x]", *(f"a{number}: &a{number} [*a{number - 1}, *a{number - 1}]" for number in range(1, 60))]
    text = "\n".join([*lines, "kind: Pod", "metadata: {name: *a59}"])
    with pytest.raises(ManifestError, match="values through aliases; reduce them"):
        list(workloads(text))


def test_a_value_inside_itself_is_read() -> None:
    """An alias inside its own value does not make the reader run without an end."""
    assert [item.kind for item in workloads("kind: Pod\nspec: &a {x: [*a, *a]}\n")] == ["Pod"]
