"""Which functions a template can call, and that none of them shows a value in an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from template_samples import RECORD

from keeper_injector_common.errors import TemplateError
from keeper_injector_common.records import templates
from keeper_injector_common.records.templates import functions


def test_functions_are_those_of_the_documentation() -> None:
    """The functions that the documentation promises exist, and the ones that it excludes do not."""
    page = (Path(__file__).parents[3] / "docs/configuration.md").read_text(encoding="utf-8")
    there, _, without = page.partition("own functions and")[2].partition("without those of")
    promised, missing = re.findall(r"`(\w+)`", there), re.findall(r"`(\w+)`", without.partition(")")[0])
    assert (len(promised), len(missing)) == (10, 5)
    assert functions.allowed_functions().keys() >= set(promised)
    assert not functions.allowed_functions().keys() & set(missing)


@pytest.mark.parametrize("name", sorted(functions._READS_MACHINE | functions._NOT_REPEATABLE))
def test_excluded_function_is_an_error(name: str) -> None:
    """A function that reads the machine or is not repeatable is rejected at parsing, with the reason."""
    with pytest.raises(
        TemplateError, match=rf"^template, parsing line 2: function {name} (reads the machine|does not)"
    ):
        templates.check_template(f"\n{{{{ {name} }}}}")


NEVER_EXISTED = "is documented by Keeper's Go injector, but does not exist there either"

UNSUPPORTED = {
    "md5sum": f"{NEVER_EXISTED}; use sha256sum",
    "htmlEscape": f"{NEVER_EXISTED}; use html",
    "include": "exists in Helm only; use define and template",
    "defualt": "is unknown; did you mean default",
    "login": "is unknown; did you mean",
    "zzzzzz": "is unknown; write .zzzzzz if it is a field",
}


@pytest.mark.parametrize(("name", "message"), UNSUPPORTED.items())
def test_unknown_function_is_an_error(name: str, message: str) -> None:
    """The error for a function of other programs says what to use."""
    with pytest.raises(TemplateError) as caught:
        templates.check_template(f"{{{{ .password | {name} }}}}")
    assert str(caught.value).startswith(f"template, parsing line 1: function {name} {message}")


DOCUMENTED = """\
base64enc base64dec b64enc b64dec sha256sum sha512sum sha1sum upper lower title trim trimPrefix trimSuffix replace split join
contains hasPrefix hasSuffix default empty coalesce ternary eq ne lt le gt ge list first last reverse uniq compact toJson
toPrettyJson toYaml fromJson urlquery quote squote required fromYaml indent nindent printf index len regexReplaceAll dict
"""


def test_functions_of_the_go_injector_exist() -> None:
    """The functions that Keeper's Go injector documents and Sprig has are available."""
    assert set(DOCUMENTED.split()) <= functions.allowed_functions().keys()


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(functions.allowed_functions())),
    st.lists(
        st.sampled_from([".password", ".url", ".address", ".none", "1", '"a"', "nil", ".", "true", "-1", "1.5"]),
        max_size=4,
    ),
)
def test_no_function_shows_a_value(name: str, arguments: list[str]) -> None:
    """With any arguments, a function gives text or a TemplateError, and no error contains a value."""
    source = f"{{{{ {name} {' '.join(arguments)} }}}}"
    try:
        written = templates.render_template(source, RECORD)
    except TemplateError as error:
        message = str(error)
    else:
        assert "<no value>" not in written
        return
    assert message.startswith("template, ")
    assert "sentinel" not in message


def test_no_match_is_an_empty_list() -> None:
    """A search without a match gives an empty list, as in Go."""
    assert templates.render_template('{{ regexFindAll "z" .login -1 | len }}', RECORD) == "0"
