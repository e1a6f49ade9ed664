"""Keeper's notation means the same as in Keeper's SDKs, apart from the differences that the documentation lists.

The table has what the test suites of the SDKs for Python, JavaScript, Java, .NET, Go, Ruby and Rust state about notation
(Keeper-Security/secrets-manager at 8a93aa7, secrets-manager-go at its newest commit). The SDKs have two functions: the older one
returns one value (``get_notation``, ``getValue``), and the newer one a list of texts (``get_notation_results``). Rust's suite
and the Python SDK's mock have no other facts. Both functions of the unmodified Python SDK answer here, too, on the same records.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.dto.payload import KSMHttpResponse
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage

from keeper_injector_agent.keeper.client import connect
from keeper_injector_agent.keeper.sdk import KeeperVault
from keeper_injector_agent.keeper.transport import Transport
from keeper_injector_common.errors import ContractError, InvalidReferenceError, SelectionError
from keeper_injector_common.records import Library
from keeper_injector_common.records.selection import check_not_empty, select_files, select_value
from keeper_injector_common.references import FieldValue, FileContent, WholeRecord, parse_reference
from local_keeper import LocalKeeper

DOCUMENTATION = Path(__file__).parents[3] / "keeper-injector-common/docs/configuration.md"
UID = "AAAAAAAAAAAAAAAAAAAAAA"
FILE_UID = "DDDDDDDDDDDDDDDDDDDDDA"
ERROR = "an error"
"""The outcome of a notation that cannot be answered."""

DIFFERENCES = {
    "empty": "A field or a note without a value is an error",
    "link": "is an error that names the record it links to",
    "numbered": "Numbered names",
    "code": "A one-time code is the current code",
    "bracket": "A bracket in a title or a name always needs a backslash",
    "record": "A reference needs a record",
    "path": "A path of folders can precede the title",
    "backslash": "A name that ends with a backslash can have an index",
}
"""How this project differs, and the words of the documentation about it."""

VAULT = rf"""
records:
  - title: Notebook
    uid: {UID}
    notes: Ask Ada
    files: {{ plan.pdf: content of the plan }}
    fields:
      - {{ type: login, value: ada }}
      - {{ type: password, value: pw }}
      - {{ type: url, value: ["https://a.example", "https://b.example"] }}
      - {{ type: host, value: {{ hostName: 10.0.0.1, port: "22" }} }}
      - {{ type: oneTimeCode, value: "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP" }}
      - {{ type: cardRef, value: BBBBBBBBBBBBBBBBBBBBBA }}
      - {{ type: text, label: nothing }}
    custom:
      - {{ type: text, label: Twice, value: same }}
      - {{ type: text, label: Twice, value: same }}
      - {{ type: text, label: Sizes, value: [s, m, l] }}
      - type: phone
        label: phone
        value: [{{ number: "1", ext: "5" }}, {{ number: "2", ext: "7" }}, {{ number: "3", ext: "", type: Home }}, {{ number: "4" }}]
      - type: name
        label: people
        value: [{{ first: Ada, middle: K, last: L }}, {{ first: Alan, middle: M, last: T }}]
      - {{ type: checkbox, label: agreed, value: true }}
      - {{ type: date, label: day, value: 1700000000000 }}
  - {{ title: Card, uid: BBBBBBBBBBBBBBBBBBBBBA, fields: {{ paymentCard: {{ cardNumber: "4111" }} }} }}
  - title: 'Odd /[]\ , "'' : ; <>!@#$%^&*()-=+_.'
    type: file
    custom: [{{ type: text, label: 'Label /[]\ , "'' : ;[', value: 'odd /[]\' }}]
  - {{ title: Plain, fields: {{ login: only }} }}
  - {{ title: Array, custom: {{ "Array[0]": first }} }}
  - {{ title: "x/y" }}
  - {{ title: "a[0]" }}
  - {{ title: Tail, custom: {{ 'Tail\': end }} }}
"""
ODD = r"""Odd \/\[\]\\ , "' : ; <>!@#$%^&*()-=+_."""
LABEL = r"""Label \/\[\]\\ , "' : ;\["""
HOME = {"number": "3", "ext": "", "type": "Home"}


@attrs.frozen
class Vector:
    """What one notation gives."""

    notation: str
    single: Any
    """The value of the function for one value."""
    results: Any
    """The texts of the function for a list."""
    ours: Any
    difference: str | None = None


def same(notation: str, value: Any) -> Vector:
    """Return a vector of a notation with one value, on which all agree."""
    return Vector(notation, value, [text(value)], value)


def error(notation: str) -> Vector:
    """Return a vector of a notation that all reject."""
    return Vector(notation, ERROR, ERROR, ERROR)


def text(value: Any) -> str:
    """Return a value as the function for a list does."""
    return value if isinstance(value, str) else json.dumps(value)


VECTORS = [
    # Simple fields, with and without the prefix: Python, JavaScript, Java, .NET, Go, Ruby.
    same(f"keeper://{UID}/field/login", "ada"),
    same(f"{UID}/field/login", "ada"),
    same(f"KEEPER://{UID}/field/login", "ada"),
    Vector(f"{UID}/FIELD/login", ERROR, ["ada"], "ada"),
    same("Notebook/field/login", "ada"),
    same(f"{UID}/field/login[0]", "ada"),
    Vector(f"{UID}/field/login[]", ["ada"], ["ada"], ["ada"]),
    error(f"{UID}/field/login[1]"),
    error(f"{UID}/field/url[10]"),
    error(f"{UID}/field/login[abc]"),
    error(f"{UID}/field/login["),
    # Several values.
    Vector(f"{UID}/custom_field/Twice", "same", ERROR, "same"),
    Vector(f"{UID}/custom_field/Sizes", "s", ["s", "m", "l"], ["s", "m", "l"]),
    Vector(f"{UID}/custom_field/Sizes[]", ["s", "m", "l"], ["s", "m", "l"], ["s", "m", "l"]),
    same(f"{UID}/custom_field/Sizes[1]", "m"),
    same(f"{UID}/field/url[0]", "https://a.example"),
    same(f"{UID}/field/url[1]", "https://b.example"),
    # Properties.
    same(f"{UID}/custom_field/phone[0][number]", "1"),
    same(f"{UID}/custom_field/phone[1][number]", "2"),
    same(f"{UID}/custom_field/phone[2]", HOME),
    Vector(f"{UID}/custom_field/phone[][ext]", "5", ["5", "7", ""], ["5", "7", ""]),
    Vector(f"{UID}/custom_field/people[first]", "Ada", ERROR, "Ada"),
    Vector(f"{UID}/custom_field/people[last]", "L", ERROR, "L"),
    same(f"{UID}/custom_field/people[0][first]", "Ada"),
    Vector(f"{UID}/custom_field/people[][middle]", "K", ["K", "M"], ["K", "M"]),
    Vector(f"{UID}/field/host[hostName]", "10.0.0.1", ERROR, "10.0.0.1"),
    Vector(f"{UID}/field/host[port]", "22", ERROR, "22"),
    Vector(f"{UID}/field/host[][hostName]", "10.0.0.1", ["10.0.0.1"], ["10.0.0.1"]),
    same(f"{UID}/field/host", {"hostName": "10.0.0.1", "port": "22"}),
    same(f"{UID}/custom_field/agreed", True),
    same(f"{UID}/custom_field/day", 1700000000000),
    # Texts of the record, and attached files by name, title and UID.
    same(f"{UID}/type", "login"),
    same(f"{UID}/title", "Notebook"),
    same(f"{UID}/notes", "Ask Ada"),
    Vector("Plain/notes", None, [], ERROR, "empty"),
    Vector(f"{UID}/field/nothing", None, [], ERROR, "empty"),
    Vector(f"{UID}/file/plan.pdf", b"content of the plan", ["Y29udGVudCBvZiB0aGUgcGxhbg"], b"content of the plan"),
    Vector(
        "keeper://Notebook/file/plan.pdf",
        b"content of the plan",
        ["Y29udGVudCBvZiB0aGUgcGxhbg"],
        b"content of the plan",
    ),
    *(
        Vector(f"{UID}/file/{name}", b"content of the plan", ["Y29udGVudCBvZiB0aGUgcGxhbg"], b"content of the plan")
        for name in ("The Plan", FILE_UID)
    ),
    error(f"{UID}/file/other.pdf"),
    error(f"{UID}/file"),
    error("Plain/file/plan.pdf"),
    # Escapes, and base64url (Ruby).
    same(f"keeper://{ODD}/type", "file"),
    same(f"keeper://{ODD}/title", "Odd /[]\\ , \"' : ; <>!@#$%^&*()-=+_."),
    same(f"keeper://{ODD}/custom_field/{LABEL}", "odd /[]\\"),
    same(r"Array/custom_field/Array\[0\]", "first"),
    Vector(f"keeper://{ODD}/custom_field/{LABEL}[]", ["odd /[]\\"], ["odd /[]\\"], ["odd /[]\\"]),
    same(base64.urlsafe_b64encode(f"keeper://{UID}/field/login".encode()).decode(), "ada"),
    error(r"a\b/type"),
    # A custom field is not a standard one (Rust), and a record may have no custom fields at all (Python, Go).
    error(f"{UID}/field/Sizes"),
    error(f"{UID}/custom_field/login"),
    error("Plain/custom_field/Sizes"),
    # What does not exist, or is not a notation.
    error("Nobody/field/login"),
    error(f"{UID}/field/nowhere"),
    error(f"{UID}/nowhere"),
    error(f"{UID}/type/extra"),
    error("/type/extra"),
    error("/file"),
    error("no notation"),
    # Differences.
    Vector(f"{UID}/field/cardRef", {"cardNumber": "4111"}, ["BBBBBBBBBBBBBBBBBBBBBA"], ERROR, "link"),
    Vector(f"{UID}/field/cardRef[cardNumber]", "4111", ERROR, ERROR),
    Vector(f"{UID}/custom_field/Twice_2", ERROR, ERROR, "same", "numbered"),
    Vector(r"Tail/custom_field/Tail\\[0]", ERROR, ERROR, "end", "backslash"),
    Vector("a[0]/title", "a[0]", ["a[0]"], ERROR, "bracket"),
    Vector("x/y/title", ERROR, ERROR, "x/y", "path"),
]
EMPTY_TITLES = ["/title", "/notes", "/field/text", r"/custom_field/label with \[[0][middle]", "/file/filename.ext"]
"""The SDKs' parsers accept these, and say that the title is empty."""


@pytest.fixture(name="keeper", scope="module")
def _keeper() -> Iterator[LocalKeeper]:
    with LocalKeeper.start(VAULT) as keeper, pytest.MonkeyPatch.context() as patch:
        (file,) = keeper.vault.find(UID).files
        file.uid, file.title = FILE_UID, "The Plan"
        patch.setenv("REQUESTS_CA_BUNDLE", str(keeper.ca_file))
        yield keeper


class Answers:
    """The answers of the SDK and of this project about the records of one server."""

    def __init__(self, keeper: LocalKeeper) -> None:
        configuration = InMemoryKeyValueStorage(keeper.config())
        self._sdk = SecretsManager(config=configuration, custom_post_function=pooled_post(keeper.ca_file))
        transport = Transport(ca_file=keeper.ca_file, deadline=time.monotonic() + 600)
        self._vault = KeeperVault(connect(keeper.config_dict(), transport))
        self.refetch()

    def refetch(self) -> None:
        """Fetch the agent's records again; the SDK does that for each notation."""
        self.library = self._vault.fetch()

    def single(self, notation: str) -> Any:
        """Return the value of the SDK's older function."""
        return outcome(self._sdk.get_notation, notation, Exception)

    def results(self, notation: str) -> Any:
        """Return the texts of the SDK's newer function."""
        return outcome(self._sdk.get_notation_results, notation, Exception)

    def ours(self, notation: str, *, strict: bool = False) -> Any:
        """Return what the agent would deliver."""
        return outcome(lambda given: self._resolved(given, strict=strict), notation, ContractError)

    def _resolved(self, notation: str, *, strict: bool) -> Any:
        reference = parse_reference(notation)
        record = self.library.find(reference.record, strict=strict)
        match reference:
            case WholeRecord():
                raise SelectionError("not a notation")
            case FileContent():
                (attachment,) = select_files(reference, record)
                return self._vault.download(record, attachment)
            case _:
                value = select_value(reference, record)
                check_not_empty(value, reference, record)
                return value


def pooled_post(ca_file: Path) -> Callable[..., KSMHttpResponse]:
    """Return a function that sends the requests of the SDK, which opens a connection for each of them, over one connection."""
    session = requests.Session()
    session.trust_env = False
    session.verify = str(ca_file)

    def post(url: str, key: Any, payload: Any, *_: Any) -> KSMHttpResponse:
        headers = {
            "PublicKeyId": str(key.publicKeyId),
            "TransmissionKey": base64.b64encode(key.encryptedKey).decode(),
            "Authorization": f"Signature {base64.b64encode(payload.signature).decode()}",
        }
        response = session.post(url, payload.encrypted_payload, headers=headers, timeout=30)
        return KSMHttpResponse(response.status_code, response.content, response)

    return post


def outcome(call: Callable[[str], Any], notation: str, errors: type[Exception]) -> Any:
    """Return the result of a call, or that it is an error."""
    try:
        return call(notation)
    except errors:
        return ERROR


@pytest.fixture(name="answers", scope="module")
def _answers(keeper: LocalKeeper) -> Answers:
    return Answers(keeper)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.notation)
def test_the_vectors_of_the_sdks(vector: Vector, answers: Answers) -> None:
    """The SDK answers as its test suites say, and the agent as one of the SDK's functions or as documented."""
    assert answers.single(vector.notation) == vector.single
    assert answers.results(vector.notation) == vector.results
    assert answers.ours(vector.notation) == vector.ours
    if vector.difference is None:
        assert agrees(vector.ours, vector.single, vector.results)
    else:
        assert not agrees(vector.ours, vector.single, vector.results)


def agrees(ours: Any, single: Any, results: Any) -> bool:
    """Return whether the agent's answer is that of one of the SDK's functions."""
    if ours == ERROR:
        return ERROR in (single, results)
    return bool(ours == single or results == [text(value) for value in (ours if isinstance(ours, list) else [ours])])


@pytest.mark.parametrize("notation", EMPTY_TITLES)
def test_a_reference_needs_a_record(notation: str) -> None:
    """The SDKs' parsers accept an empty title, which finds no record later; here it is an error at once."""
    assert SecretsManager.parse_notation(notation)[1].text[0] == ""
    with pytest.raises(InvalidReferenceError, match="a name is missing here; add it"):
        parse_reference(notation)


def test_a_one_time_code_is_computed(answers: Answers) -> None:
    """The SDK returns the seed of one-time codes, and the agent the current code."""
    notation = f"{UID}/field/oneTimeCode"
    assert answers.single(notation).startswith("otpauth://")
    assert re.fullmatch(r"\d{6}", answers.ours(notation))


@pytest.mark.parametrize("words", DIFFERENCES.values(), ids=DIFFERENCES.keys())
def test_differences_are_documented(words: str) -> None:
    """The page about names lists every difference that a test relies on."""
    assert words in " ".join(DOCUMENTATION.read_text(encoding="utf-8").split())


def test_a_record_that_arrives_twice_is_one(keeper: LocalKeeper, answers: Answers) -> None:
    """A shortcut makes Keeper send a record twice: all SDKs test that its UID is not ambiguous, and here its title neither."""
    keeper.add_shortcut(UID)
    try:
        library = Answers(keeper)
        assert library.single(f"keeper://{UID}/field/login") == "ada"
        assert library.results("Notebook/field/login") == ERROR
        for notation in (f"keeper://{UID}/field/login", "Notebook/field/login"):
            assert library.ours(notation, strict=True) == "ada"
    finally:
        keeper.vault.find(UID).shortcuts.clear()


LABELS = ["a", "b", "a_2", "login", "notes", "x/y", "[", "\\", "é", " a"]
TYPES = ["text", "login", "host", "cardRef"]
VALUES = (
    st.sampled_from(["", "v", None, True, 7, 1.5])
    | st.text(max_size=2)
    | st.dictionaries(st.sampled_from(["p", "q", "0"]), st.sampled_from(["1", "", None, 2]), max_size=2)
)
FIELDS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES), "value": st.lists(VALUES, max_size=3)},
        optional={"label": st.sampled_from(["", *LABELS])},
    ),
    max_size=3,
)
TITLES = st.sampled_from(["r", "s", "x/y", "a[0]", "\\", " r", "é", "e\u0301", "notes"])
RECORDS = st.lists(
    st.fixed_dictionaries({"title": TITLES, "fields": FIELDS, "custom": FIELDS, "notes": st.sampled_from(["", "n"])}),
    min_size=1,
    max_size=3,
)


def escape(name: str) -> str:
    """Escape a name as Keeper's notation requires."""
    return re.sub(r"([/\[\]\\])", r"\\\1", name)


INDEXES = st.sampled_from(
    ["", "", "[]", "[0]", "[1]", "[p]", "[0][p]", "[][p]", "[][q]", "[0][0]", "[][]", "[0][]", "[x"]
)
NOTATIONS = st.builds(
    "{}{}/{}".format,
    st.sampled_from(["", "keeper://"]),
    TITLES.map(escape) | TITLES,
    st.sampled_from(["type", "title", "notes", "field", "file/x"])
    | st.builds(
        "{}/{}{}".format,
        st.sampled_from(["field", "custom_field", "FIELD"]),
        st.sampled_from([*LABELS, *TYPES, "a_3", "notes_2"]).map(escape) | st.sampled_from(LABELS),
        INDEXES,
    ),
)


@pytest.fixture(name="empty", scope="module")
def _empty() -> Iterator[tuple[LocalKeeper, Answers]]:
    with LocalKeeper.start("records: []") as keeper:
        yield keeper, Answers(keeper)


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.lists(NOTATIONS, min_size=4, max_size=8))
def test_any_notation_means_what_it_means_to_the_sdk(
    empty: tuple[LocalKeeper, Answers], records: list[dict[str, Any]], notations: list[str]
) -> None:
    """The agent's answer is that of one of the SDK's functions, or one of the documented differences explains it."""
    keeper, answers = empty
    keeper.vault.records.clear()
    for record in records:
        keeper.add_record(record)
    titles = [record["title"] for record in records]
    answers.refetch()
    for notation in notations:
        single, results = answers.single(notation), answers.results(notation)
        ours = answers.ours(notation, strict=len(titles) > len(set(titles)))
        if not agrees(ours, single, results):
            assert difference(notation, ours, single, results, answers.library), (notation, ours, single, results)


def difference(notation: str, ours: Any, single: Any, results: Any, library: Library) -> str | None:
    """Return which documented difference explains the agent's answer."""
    if ours == ERROR and (single in (None, "") or results in ([], [""])):
        return "empty"
    try:
        reference = parse_reference(notation)
    except InvalidReferenceError as error:
        return "bracket" if re.search(r"bracket|\[|\]", error.fault) else None
    if isinstance(reference, WholeRecord):
        return None
    if single == results == ERROR and len(reference.record.parts) > 1:
        return "path"
    if single == results == ERROR and r"\\[" in notation:
        return "backslash"
    record = library.find(reference.record)
    if isinstance(reference, FieldValue):
        same_kind = [field for field in record.fields if field.custom == (reference.kind == "custom_field")]
        if any(reference.field in {link.label, link.type} for link in record.links) and ours == ERROR:
            return "link"
        if single == results == ERROR and any(
            field.name == reference.field and reference.field not in {field.label, field.type} for field in same_kind
        ):
            return "numbered"
    return None
