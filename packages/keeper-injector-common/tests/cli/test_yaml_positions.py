"""Problems inside the annotation ``config`` have the position of their line."""

from __future__ import annotations

from command_line import MANIFESTS, lint

from keeper_injector_common.cli.lint import lint_text


def test_positions_inside_the_config_annotation() -> None:
    """A problem inside the YAML document has the position of its line, even if the document is not valid YAML."""
    assert [line.split(": error: ")[0] for line in lint("config.yaml")] == ["17:19", "20:19", "23:19", "35:15"]
    text = (MANIFESTS / "config.yaml").read_text(encoding="utf-8")
    mended = text.replace("fromat: env", "format: env").replace("- {}", "- path: a")
    first = lint_text("-", mended).findings[0]
    assert (first.position.line, first.position.column, first.rule) == (20, 19, "invalid-value")
