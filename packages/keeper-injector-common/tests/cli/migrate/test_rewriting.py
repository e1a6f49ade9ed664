"""``keeper-injector migrate``: annotations are replaced in the text of a manifest."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from command_line import run
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_injector_common.cli.migrate import yaml_edits
from keeper_injector_common.cli.migrate.yaml_edits import UneditableError

OLD = 'kind: Pod\nmetadata:\n  annotations:\n    keeper.security/inject: "true"\n    keeper.security/auth-secret: mine\n    keeper.security/secret: a\n'
NEW = OLD.replace("auth-secret: mine", 'ksm-config: "mine"')


def test_renamed_annotations_are_rewritten() -> None:
    """An annotation with an old name gets the new name, and keeps its value."""
    found = run("migrate", "-", text=OLD)
    assert (found.code, found.output) == (0, NEW)


def test_annotations_in_one_line_are_rewritten() -> None:
    """Annotations that share a line are rewritten in place, and what surrounds them stays."""
    text = "kind: Pod\nmetadata: {annotations: {a: b, keeper.security/auth-secret: mine, c: d}} # comment\n"
    found = run("migrate", "-", text=text)
    new = text.replace("keeper.security/auth-secret: mine", '"keeper.security/ksm-config": "mine"')
    assert (found.code, found.output) == (0, new)


def test_json_is_rewritten() -> None:
    """A manifest in JSON stays JSON, with its layout."""
    old = {"a": "b", "keeper.security/auth-secret": "mine", "keeper.security/secret": "db"}
    new = {"a": "b", "keeper.security/ksm-config": "mine", "keeper.security/secret": "db"}
    before, after = (
        json.dumps({"kind": "Pod", "metadata": {"annotations": item}}, indent=2) + "\n" for item in (old, new)
    )
    assert run("migrate", "-", text=before).output == after


def test_a_value_inside_itself_is_migrated() -> None:
    """An alias inside its own value ends."""
    text = "kind: Pod\nspec: &a {containers: [{name: x, env: [*a, *a], volumeMounts: [*a]}]}\n"
    assert run("migrate", "-", text=text).output == text


def test_the_report_for_machines() -> None:
    """``-o json`` prints the text, the counts and the messages of each file."""
    found = run("migrate", "-o", "json", "-", text=OLD + "    vault.hashicorp.com/role: a\n")
    (file,) = json.loads(found.output)["files"]
    assert (file["file"], file["written"], file["text"], found.code) == ("-", 1, NEW, 0)
    (item,) = file["unmigrated"]
    assert (item["line"], "role" in item["message"], item["toCheck"]) == (7, True, False)


def test_only_the_chosen_tools_are_migrated() -> None:
    """``--from`` leaves the annotations of other tools as they are."""
    text = OLD + "    vault.hashicorp.com/role: a\n"
    assert run("migrate", "--from", "vault-k8s", "-", text=text).output == OLD
    assert run("migrate", "--from", "keeper", "-", text=text).output == NEW + "    vault.hashicorp.com/role: a\n"


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
    text = "\n".join(["m:", *yaml_edits.entry_lines("  ", "key", value), "  next: x", ""])
    assert yaml.safe_load(text) == {"m": {"key": value, "next": "x"}}


def test_what_is_added_to_an_inner_mapping_comes_first() -> None:
    """Whatever the order of the edits: both are written where the inner mapping ends and the outer one goes on."""
    text = "root:\n  a: x\nlast: z\n"
    node = yaml.compose(text, yaml.SafeLoader)
    editor = yaml_edits.Editor(text)
    editor.add(node, 1, "new", "text\n")
    editor.add(node.value[0][1], 1, "end", "of all")
    wanted = {"root": {"a": "x", "end": "of all"}, "new": "text\n", "last": "z"}
    assert yaml.safe_load(editor.result()) == wanted


@pytest.mark.parametrize(
    ("removed", "left"),
    [
        ([0], "- # of b\n  b: 2\n  # of c\n  c:\n    - 3\nlast: z\n"),
        ([0, 1], "- # of c\n  c:\n    - 3\nlast: z\n"),
        ([0, 2], "- # of b\n  b: 2\n  # of c\nlast: z\n"),
        ([1, 2], "- a: 1 # of a\n  # of b\n  # of c\nlast: z\n"),
        ([0, 1, 2], "- \nlast: z\n"),
    ],
)
def test_entries_in_the_line_of_a_dash(removed: list[int], left: str) -> None:
    """The entry that becomes the first one follows the dash, with its comment; a comment in the line of an entry goes with it."""
    text = "root:\n- a: 1 # of a\n  # of b\n  b: 2\n  # of c\n  c:\n    - 3\nlast: z\n"
    editor = yaml_edits.Editor(text)
    item = yaml.compose(text, yaml.SafeLoader).value[0][1].value[0]
    for index in removed:
        editor.remove(item, index)
    assert editor.result() == "root:\n" + left
    assert isinstance(yaml.safe_load(editor.result()), dict)


KEYS = st.sampled_from("abcde")
VALUES = st.recursive(
    st.sampled_from(["x", "", "a: b", "# c", "two\nlines\n", "'"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES, st.booleans(), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.data())
def test_edits_change_what_they_say(content: object, flow: bool, ending: str, ended: bool, data: st.DataObject) -> None:
    """Entries are removed and added as in a Python value, whatever is around them, in both styles and with any line ending."""
    text = yaml.safe_dump({"root": content, "last": "z"}, default_flow_style=flow, sort_keys=False)
    text = text.replace("\n", ending).removesuffix("" if ended else ending)
    node = yaml.compose(text, yaml.SafeLoader)
    editor = yaml_edits.Editor(text)
    expected = change(node, editor, data)
    assert yaml.safe_load(editor.result()) == expected


def change(node: yaml.Node, editor: yaml_edits.Editor, data: st.DataObject) -> object:
    """Remove and add some entries; return the value that is then expected."""
    if isinstance(node, yaml.ScalarNode):
        return node.value
    children = [(item[0].value, item[1]) if isinstance(item, tuple) else (None, item) for item in node.value]
    found = []
    for index, (key, item) in enumerate(children):
        if isinstance(node, yaml.MappingNode) and data.draw(st.integers(0, 5)) == 0:
            with contextlib.suppress(UneditableError):
                editor.add(node, index, f"new{index}", "text\n")
                found.append((f"new{index}", "text\n"))
        removable = len(found) + len(children) - index > 1 or node.flow_style
        if removable and data.draw(st.integers(0, 3)) == 0:
            try:
                editor.remove(node, index)
            except UneditableError:
                pass
            else:
                continue
        found.append((key, change(item, editor, data)))
    if isinstance(node, yaml.SequenceNode):
        return [value for _, value in found]
    if data.draw(st.booleans()):
        with contextlib.suppress(UneditableError):
            editor.add(node, len(children), "end", "of all")
            found.append(("end", "of all"))
    return dict(found)
