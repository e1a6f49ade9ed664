"""``keeper-injector migrate``: annotations are replaced in the text of a manifest."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command_line import run
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_common.cli.migrate import text_edits
from keeper_injector_common.cli.migrate.text_edits import Edit

OLD = 'kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: "true"\n    keeper.security/auth-secret: mine\n    keeper.security/secret: a\n'
NEW = OLD.replace("auth-secret: mine", 'ksm-config: "mine"')


def test_renamed_annotations_are_rewritten() -> None:
    """An annotation with an old name gets the new name, and keeps its value."""
    found = run("migrate", "-", text=OLD)
    assert (found.code, found.output) == (0, NEW)


def test_several_annotations_in_one_line_are_reported() -> None:
    """Annotations that share a line cannot be rewritten in place, and are reported."""
    text = 'kind: Pod\nmetadata: {annotations: {vault.hashicorp.com/agent-inject: "true"}}\n'
    found = run("migrate", "-", text=text)
    assert (found.code, found.output) == (1, text)
    assert "several annotations are in one line; write each in its own line" in found.errors


def test_files_become_one_stream(tmp_path: Path) -> None:
    """The documents of several files are separated in the output, also if a file does not end with a line ending."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"kind: ConfigMap\nmetadata: {{name: {name}}}", encoding="utf-8")
    found = run("migrate", str(tmp_path))
    assert (found.code, found.output.split("---\n")[1]) == (0, "kind: ConfigMap\nmetadata: {name: b}")


def test_invalid_yaml_is_an_error() -> None:
    """A file that is not YAML is reported with the position of the error."""
    found = run("migrate", "-", text="a: [\n")
    assert (found.code, found.errors.startswith("keeper-injector: -:2:1: not valid YAML")) == (2, True)


def test_an_unreadable_file_does_not_end_the_command(tmp_path: Path) -> None:
    """The other files are migrated and counted, and the exit code says that one could not be read."""
    for name, text in {"a": "a: [\n", "b": OLD, "c": "\0"}.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    found = run("migrate", str(tmp_path))
    assert (found.code, found.output) == (2, NEW)
    assert "a.yaml:2:1: not valid YAML" in found.errors
    assert found.errors.splitlines()[-1].split()[1:] == ["1", "0"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "not ended"])
def test_line_endings_stay(ending: str, last: bool, tmp_path: Path) -> None:
    """New lines end as the lines that they replace, and a text without an ending at its end gets none."""
    source, target = tmp_path / "in/a.yaml", tmp_path / "out"
    source.parent.mkdir()
    old, new = (text.replace("\n", ending).removesuffix("" if last else ending) for text in (OLD, NEW))
    source.write_bytes(old.encode())
    assert run("migrate", "--output-dir", str(target), str(source.parent)).code == 0
    assert (target / "a.yaml").read_bytes() == new.encode()
    assert source.read_bytes() == old.encode()


def test_the_sources_are_not_replaced(tmp_path: Path) -> None:
    """An output directory that is the source's is an error, and nothing is written."""
    (tmp_path / "a.yaml").write_text(OLD, encoding="utf-8")
    found = run("migrate", "--output-dir", str(tmp_path), str(tmp_path))
    assert (found.code, "it would replace its source" in found.errors) == (2, True)
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == OLD


def test_files_of_one_name_are_not_lost(tmp_path: Path) -> None:
    """Two files that would be written to one path are an error, and nothing is written."""
    for name in ("x", "y"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(OLD, encoding="utf-8")
    found = run("migrate", "--output-dir", str(tmp_path / "out"), *(str(tmp_path / name) for name in ("x", "y")))
    assert (found.code, "would be written there" in found.errors, (tmp_path / "out").exists()) == (2, True, False)


@pytest.mark.parametrize("text", [OLD, OLD.removesuffix("\n")])
def test_the_diff_can_be_applied(text: str, tmp_path: Path) -> None:
    """The program ``patch`` turns the old text into the new one."""
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    found = run("migrate", "--diff", str(tmp_path / "a.yaml"))
    subprocess.run(["git", "apply", "-p0", "--unsafe-paths", "-"], input=found.output, text=True, cwd="/", check=True)
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == NEW.removesuffix("" if text == OLD else "\n")


@given(st.text(st.sampled_from("ab \n\"'\\:#{}é\U0001f600\t\x85\u2028-|")))
def test_an_entry_keeps_its_value(value: str) -> None:
    """Any text that is written as an entry is read back unchanged."""
    import yaml

    text = "\n".join(["m:", *text_edits.entry_lines("  ", "key", value), "  next: x", ""])
    assert yaml.safe_load(text) == {"m": {"key": value, "next": "x"}}


@given(st.lists(st.sampled_from(["a\n", "b\r\n", "c\r", "d\u2028"]), min_size=1), st.data())
def test_lines_that_are_not_edited_stay(lines: list[str], data: st.DataObject) -> None:
    """An edit changes its own lines only."""
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    found = text_edits.apply("".join(lines), [Edit(first, last, ("new",))])
    ending = lines[first][1:]
    assert found == "".join([*lines[:first], f"new{ending}", *lines[last + 1 :]])
