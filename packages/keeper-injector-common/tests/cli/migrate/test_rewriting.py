"""``keeper-injector migrate``: annotations are replaced in the text of a manifest."""

from __future__ import annotations

from pathlib import Path

from command_line import run


def test_renamed_annotations_are_rewritten() -> None:
    """An annotation with an old name gets the new name, and keeps its value."""
    text = 'kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: "true"\n    keeper.security/auth-secret: mine\n'
    found = run("migrate", "-", text=text)
    assert (found.code, found.output) == (0, text.replace("auth-secret: mine", 'ksm-config: "mine"'))


def test_several_annotations_in_one_line_are_reported() -> None:
    """Annotations that share a line cannot be rewritten in place, and are reported."""
    text = 'kind: Pod\nmetadata: {annotations: {vault.hashicorp.com/agent-inject: "true"}}\n'
    found = run("migrate", "-", text=text)
    assert (found.code, found.output) == (1, text)
    assert "several annotations are in one line; write each in its own line" in found.errors


def test_files_become_one_stream(tmp_path: Path) -> None:
    """The documents of several files are separated in the output."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"kind: ConfigMap\nmetadata: {{name: {name}}}\n", encoding="utf-8")
    found = run("migrate", str(tmp_path))
    assert (found.code, found.output.split("---\n")[1]) == (0, "kind: ConfigMap\nmetadata: {name: b}\n")


def test_invalid_yaml_is_an_error() -> None:
    """A file that is not YAML ends the command with the position of the error."""
    found = run("migrate", "-", text="a: [\n")
    assert (found.code, found.errors.startswith("keeper-injector: -:2:1: not valid YAML")) == (2, True)
