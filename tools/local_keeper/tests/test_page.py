"""The web page over HTTP: who may use it, what it sends, and its bounds."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from keeper_secrets_manager_core import SecretsManager
from keeper_secrets_manager_core.storage import InMemoryKeyValueStorage

from local_keeper import Fault, LocalKeeper, page, request_log
from local_keeper.view import NAME, RECORDS, view


@attrs.frozen
class Client:
    """A client of the page, with its token."""

    keeper: LocalKeeper
    token: str

    @property
    def url(self) -> str:
        """The page's address."""
        assert self.keeper.page_url
        return self.keeper.page_url

    def post(self, path: str, body: Any, **headers: str) -> requests.Response:
        """Send a command as the page does, with other headers if given; an empty header is left out."""
        sent = {"Content-Type": "application/json", page.TOKEN_HEADER: self.token, "Origin": self.url[:-1], **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {name: value for name, value in sent.items() if value}
        return requests.post(f"{self.url}api/{path}", data, headers=sent, timeout=30)

    def view(self) -> Any:
        """Return what the page shows."""
        return self.post("view", {"seen": ""}).json()["view"]


@pytest.fixture(name="client")
def _client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with LocalKeeper.start(page_port=0) as keeper:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(keeper.ca_file))
        assert keeper.page_url
        start = requests.get(keeper.page_url, timeout=10)
        (token,) = re.findall(r'name="token" content="([^"]+)"', start.text)
        yield Client(keeper, token)


def test_the_page_is_on_the_loopback_address_even_if_the_server_is_not() -> None:
    """A container's server listens on all addresses; its page does not."""
    with LocalKeeper.start(host="0.0.0.0", page_port=0) as keeper:
        address = urlsplit(keeper.page_url)
        assert address.hostname == "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", address.port), timeout=5)
        socket.create_connection(("127.0.0.2", keeper.port), timeout=5).close()


def test_a_server_of_a_test_has_no_page_unless_asked() -> None:
    """Hundreds of tests start servers; none of them opens a second port."""
    with LocalKeeper.start() as keeper:
        assert keeper.page_url is None


FOREIGN: dict[str, tuple[dict[str, str], int]] = {
    "a name that points to the loopback address": ({"Host": "attacker.example"}, 403),
    "a name that begins like a loopback name": ({"Host": "localhost.attacker.example"}, 403),
    "a host with credentials": ({"Host": "localhost@attacker.example"}, 403),
    "a host that is not one": ({"Host": "[::1"}, 403),
    "another site": ({"Origin": "https://attacker.example"}, 403),
    "another port of this machine": ({"Origin": "http://127.0.0.1:1"}, 403),
    "an opaque origin": ({"Origin": "null"}, 403),
    "another site that hides its origin": ({"Origin": "", "Sec-Fetch-Site": "cross-site"}, 403),
    "another page of the same site": ({"Origin": "", "Sec-Fetch-Site": "same-site"}, 403),
    "no token": ({page.TOKEN_HEADER: ""}, 403),
    "another token": ({page.TOKEN_HEADER: "x" * 43}, 403),
    "a form": ({"Content-Type": "text/plain"}, 415),
}


@pytest.mark.parametrize("case", FOREIGN)
@pytest.mark.parametrize("path", ["view", "values", "change", "do"])
def test_another_web_site_cannot_use_the_page(client: Client, path: str, case: str) -> None:
    """No command runs and the answer holds only an error, whatever the command is."""
    headers, status = FOREIGN[case]
    uid, before = client.keeper.uid("api-keys"), client.view()
    body = {
        "record": uid,
        "section": "fields",
        "index": 1,
        "values": ["stolen"],
        "revision": 1,
        "do": "fault",
        "with": {"fault": "cut"},
    }
    answer = client.post(path, body, **headers)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert client.view() == before


def test_the_control_token_of_the_command_line_is_another(client: Client) -> None:
    """The page's token opens no configuration; the command line's does not open the page."""
    control = {"Authorization": f"Bearer {client.token}"}
    refused = requests.post(f"{client.keeper.url}/control", b'{"do": "config"}', headers=control, timeout=10)
    assert refused.status_code == 403
    assert client.post("view", {}, **{page.TOKEN_HEADER: client.keeper.control_token}).status_code == 403


def test_the_page_cannot_hand_out_credentials(client: Client) -> None:
    """Commands that return a configuration or a one-time token do not exist here."""
    for command in ("config", "token", "remove", "rotate-key", "nonsense"):
        answer = client.post("do", {"do": command})
        assert (answer.status_code, command in answer.json()["error"]) == (400, True)


def test_values_are_sent_only_on_request(client: Client) -> None:
    """The view has names and types; the values of one record come with another command."""
    shown = json.dumps(client.view())
    for value in ("correct-horse-battery", "sk-test-4711", "postgresql", "made-up key", "JBSWY3DPEHPK3PXP"):
        assert value not in shown
    config = json.loads(base64.b64decode(client.keeper.config()))
    assert not [name for name in ("appKey", "privateKey", "clientId") if config[name] in shown]
    answer = client.post("values", {"record": client.keeper.uid("api-keys")}).json()
    assert answer["fields"]["1"] == ["sk-test-4711"]
    assert "correct-horse-battery" not in json.dumps(answer)


def test_a_rotated_field_reaches_clients(client: Client) -> None:
    """The second of two fields with one label changes, and a change of an old revision is refused."""
    uid = client.keeper.uid("api-keys")
    change = {"record": uid, "section": "custom", "index": 2, "values": ["ca"], "revision": 1}
    assert client.post("change", change).json() == {}
    sdk = SecretsManager(config=InMemoryKeyValueStorage(client.keeper.config()))
    (record,) = sdk.get_secrets([uid])
    assert [field["value"] for field in record.dict["custom"] if field["label"] == "region"] == [["eu"], ["ca"]]
    answer = client.post("change", change)
    assert (answer.status_code, "has changed since" in answer.json()["error"]) == (400, True)


def test_faults_are_switched_on_and_off(client: Client) -> None:
    """One of two faults is switched off; the other still meets its request."""
    for fault, arguments in (("status", [503]), ("slow", [0.5])):
        body = {"do": "fault", "with": {"fault": fault, "arguments": arguments, "operation": "get_secret", "times": 2}}
        assert client.post("do", body).json() == {}
    first, second = client.view()["faults"]
    assert [first["description"], second["description"]] == ["503", "answers after 0.5 s"]
    assert client.post("do", {"do": "switch-off", "with": {"number": first["number"]}}).json() == {}
    gone = client.post("do", {"do": "switch-off", "with": {"number": first["number"]}})
    assert (gone.status_code, "already switched off" in gone.json()["error"]) == (400, True)
    assert SecretsManager(config=InMemoryKeyValueStorage(client.keeper.config())).get_secrets()
    (left,) = client.view()["faults"]
    assert (left["number"], left["times"]) == (second["number"], 1)


@pytest.mark.parametrize(
    "given",
    [
        {"fault": "nonsense"},
        {"fault": "status", "arguments": [99]},
        {"fault": "status", "arguments": [503.5]},
        {"fault": "slow", "arguments": ["soon"]},
        {"fault": "slow", "arguments": [-1]},
        {"fault": "slow", "arguments": [float("nan")]},
        {"fault": "slow", "arguments": 5},
        {"fault": "cut", "arguments": [1]},
        {"fault": "cut", "times": 0},
        {"fault": "cut", "times": "often"},
        {"fault": "cut", "operation": "get_everything"},
        {},
    ],
    ids=json.dumps,
)
def test_a_fault_that_makes_no_sense_is_not_switched_on(client: Client, given: Any) -> None:
    """A sentence says what is wrong, and the page still works."""
    answer = client.post("do", {"do": "fault", "with": given})
    assert (answer.status_code, client.view()["faults"]) == (400, [])
    assert answer.json()["error"]


def test_requests_name_their_device_and_fault(client: Client) -> None:
    """Also those that a fault answers before the signature is verified."""
    keeper = client.keeper
    SecretsManager(config=InMemoryKeyValueStorage(keeper.config("shop"))).get_folders()
    keeper.fault(Fault.http(503), "get_folders")
    with pytest.raises(requests.RequestException):
        SecretsManager(config=InMemoryKeyValueStorage(keeper.config("billing"))).get_folders()
    newest, oldest = client.view()["requests"]
    assert (oldest["device"], oldest["operation"], oldest["status"], oldest["fault"]) == (
        "shop",
        "get_folders",
        200,
        "",
    )
    assert (newest["device"], newest["status"], newest["fault"]) == ("billing", 503, "503")
    assert re.fullmatch(r"mp\d+\.\d+\.\d+", newest["client"])


def test_a_page_that_waits_receives_a_change(client: Client) -> None:
    """The answer to a page that has seen everything comes with the next change, of whatever origin."""
    seen = client.post("view", {"seen": ""}).json()["seen"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.post, "view", {"seen": seen})
        client.keeper.add_record({"title": "added"})
        answer = waiting.result(timeout=15).json()
    assert answer["seen"] != seen
    assert "added" in {record["title"] for record in answer["view"]["records"]}


def test_pages_that_wait_are_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One page more than allowed gets an error, and those that wait are still answered."""
    monkeypatch.setattr(page, "MAXIMUM_WAITING", 2)
    seen = client.post("view", {"seen": ""}).json()["seen"]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(client.post, "view", {"seen": seen}) for _ in range(3)]
        refused = next(item for item in _as_completed(waiting))
        assert (refused.status_code, "close one" in refused.json()["error"]) == (503, True)
        client.keeper.set_field("api-keys", "password", "new")
        assert sorted(item.result(timeout=15).status_code for item in waiting) == [200, 200, 503]


def _as_completed(futures: Any) -> Iterator[requests.Response]:
    from concurrent.futures import as_completed

    for item in as_completed(futures, timeout=15):
        yield item.result()


def test_a_long_command_is_refused(client: Client) -> None:
    """The body has a limit, and the longest body that is allowed is read."""
    longest = json.dumps({"do": "x"}).encode().ljust(page.MAXIMUM_BODY)
    assert "unknown command" in client.post("do", longest).json()["error"]
    assert client.post("do", longest + b" ").status_code == 413


def test_the_log_and_the_view_are_bounded(client: Client) -> None:
    """Old requests leave the log; a large vault and long names are cut, and the page says how many are missing."""
    log = client.keeper.state.log
    for _ in range(request_log.KEPT + 5):
        log.add("x" * 1000)
    assert (len(log.latest()), log.latest()[0].number) == (request_log.KEPT, request_log.KEPT + 5)
    assert len(log.latest()[0].operation) == 64
    for number in range(RECORDS):
        client.keeper.add_record({"title": f"{number}" * 1000})
    shown = client.view()
    assert (len(shown["records"]), shown["moreRecords"]) == (RECORDS, 11)
    assert max(len(record["title"]) for record in shown["records"]) == NAME


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["fields", "custom", "title", "type", "label", "value"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["fields", "custom", "title", "type"]), JSON))
def test_whatever_a_client_has_written_can_be_shown(content: Any) -> None:
    """A record is the JSON that a client has encrypted, so nothing about it is certain."""
    with LocalKeeper.start("records: [{title: one, uid: one}]") as keeper:
        keeper.vault.records["one"].data = content
        (record,) = view(keeper.state)["records"]
    assert all(content[field["section"]][field["index"]] is not None for field in record["fields"])


@pytest.mark.parametrize("path", ["", "page.css", "page.js"])
def test_a_file_of_the_page_has_the_headers_that_protect_it(client: Client, path: str) -> None:
    """No other site may frame it or run code in it, and no cache keeps it."""
    answer = requests.get(client.url + path, timeout=10)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"https?://|//cdn", answer.text)


def test_a_link_of_another_site_opens_the_start_page_only(client: Client) -> None:
    """A person may follow a link to the page; a script or an image of another site gets nothing."""
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert requests.get(client.url, headers=cross, timeout=10).status_code == 200
    assert requests.get(client.url + "page.js", headers=cross, timeout=10).status_code == 403


def test_keepers_routes_are_not_on_the_pages_port(client: Client) -> None:
    """Nor is the page on Keeper's port."""
    assert requests.post(client.url + "api/rest/sm/v1/get_secret", timeout=10).status_code == 404
    assert requests.get(client.keeper.url, timeout=10).status_code == 404
