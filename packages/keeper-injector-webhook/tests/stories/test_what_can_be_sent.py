"""What a user of the cluster can send to the webhook, and what happens: proves the table ``what-can-be-sent.md``, row by row.

``PYTHONPATH=packages/keeper-injector-webhook/tests python packages/keeper-injector-webhook/tests/stories/test_what_can_be_sent.py``
rewrites the table; review the difference before you commit it. To add a table, add a :class:`Section` to :data:`SECTIONS`.
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from admission_reviews import body, pod
from slow_reviews import FAMILIES
from tls_clients import HEAD as POST
from tls_clients import dial, is_answered, status, until_closed
from webhook_server import free_port, limited

from keeper_injector_common.limits import shortened
from keeper_injector_webhook.admission import AnswerCache, answer_review
from keeper_injector_webhook.errors import ReviewError
from keeper_injector_webhook.serving.limits import Limits
from keeper_injector_webhook.settings import Settings

TABLE = Path(__file__).parent / "what-can-be-sent.md"
HEAD = """\
# What can be sent to the webhook

These tables show what happens to what a user of the cluster, or a program that reaches the webhook's port, can send.
`test_what_can_be_sent.py` sends each of them, writes the tables and checks them.
"""
LONGEST = 200
ASKED = {"inject": "true", "secret": "db"}


@attrs.frozen
class Section:
    """A table: its heading, its columns, and its rows in the order of the page."""

    heading: str
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[tuple[str, ...]]]

    def lines(self) -> Iterator[str]:
        """Yield the lines of Markdown."""
        yield from ("", f"## {self.heading}", "", self._line(self.columns), self._line(("---",) * len(self.columns)))
        yield from map(self._line, self.rows())

    @staticmethod
    def _line(cells: tuple[str, ...]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"


def changed(**request: Any) -> bytes:
    """Return a review with other fields in its request."""
    review = json.loads(body(pod(annotations=ASKED)))
    review["request"] |= request
    return json.dumps(review).encode()


def annotated(**annotations: str) -> bytes:
    """Return a review of a pod with these annotations besides the usual ones."""
    return body(pod(annotations={**ASKED, **annotations}))


REVIEWS: dict[str, bytes] = {
    "an ordinary pod": body(pod(annotations=ASKED)),
    "nothing": b"",
    "not JSON": b"{",
    "JSON that is nested 100,000 deep": b"[" * 100_000,
    "another object": b'{"apiVersion": "v1", "kind": "Pod"}',
    "a review of more than 1 MiB": FAMILIES["annotations of other programs"](16_000),
    "a review of an eviction": changed(subResource="eviction"),
    "a review of a Deployment": changed(kind={"group": "apps", "version": "v1", "kind": "Deployment"}),
    "a review of an update": changed(operation="UPDATE"),
    "a review without an object": changed(object=None),
    "a review whose object is a number": changed(object=5),
    "a pod whose containers are a number": changed(object={**pod(annotations=ASKED), "spec": {"containers": 5}}),
    "an annotation of another program with 300 KiB": FAMILIES["annotations of other programs"](1536),
    "200 secrets": FAMILIES["secrets in their own directories"](200),
    "4,000 secrets": FAMILIES["secrets in their own directories"](4000),
    "16,000 secrets": FAMILIES["secrets in their own directories"](16_000),
    "200 secrets for 200 containers": FAMILIES["secrets for many containers"](200),
    "40 directories for 40 containers": FAMILIES["directories for many containers"](40),
    "another set of secrets for each of 100 containers": FAMILIES["a set of secrets for each container"](100),
    "100 containers with 100 mounts each": FAMILIES["containers with mounts"](10_000),
    "1,000 containers": FAMILIES["containers"](1000),
    "5,000 volumes": FAMILIES["volumes"](5000),
    "a title with 30,000 slashes": FAMILIES["titles with slashes"](30_000),
    "a title of 4,001 characters": annotated(secret="t" * 4001),
    "a title of 5,000 characters": annotated(secret="t" * 5000),
    "a path of 100 directories": FAMILIES["long paths"](100),
    "a value of 70,000 characters": annotated(config="x" * 70_000),
    "30 invalid annotations": FAMILIES["annotations with invalid values"](30),
    "30 unknown annotations": FAMILIES["unknown annotations that resemble known ones"](30),
    "600 unknown annotations": FAMILIES["unknown annotations that resemble known ones"](598),
    "YAML with an alias": annotated(config="secrets: &a [*a]"),
    "YAML with 4,000 numbers of sixties": FAMILIES["a number of sixties"](4000),
    "YAML that is nested 300 deep": FAMILIES["nested lists"](300),
    "YAML with a tag of Python": annotated(config="!!python/object/apply:os.system ['true']"),
    "YAML with two keys of one name": annotated(config="secrets: []\nsecrets: []"),
    "YAML with 5,000 values": FAMILIES["a configuration of texts"](5000),
    "a document of 300 secrets": FAMILIES["a configuration of secrets"](300),
    "30 templates": FAMILIES["templates"](30),
    "a template of 2,000 actions": FAMILIES["a template"](2000),
    "a template that is nested 50 deep": FAMILIES["a template that is nested"](50),
}


def reviews() -> Iterator[tuple[str, ...]]:
    """Send each review and yield its row."""
    for name, content in REVIEWS.items():
        try:
            response = answer_review(content, Settings(), AnswerCache()).review["response"]
        except ReviewError as error:
            yield name, "HTTP 400", shortened(str(error), LONGEST)
            continue
        message = response.get("status", {}).get("message", "").removeprefix("keeper-injector: ")
        outcome = "denied" if not response["allowed"] else "injected" if "patch" in response else "allowed, untouched"
        yield name, outcome, shortened(message, LONGEST) or "-"


USUAL = Limits()
ENDED = f"{USUAL.connections} connections, {USUAL.handshake_seconds:g} s for the handshake"
CLIENTS: dict[str, tuple[bytes, bool, str]] = {
    "nothing, not even a handshake": (b"", False, ENDED),
    "the beginning of a handshake": (b"\x16\x03\x01\x02\x00", False, ENDED),
    "a request without TLS": (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", False, ""),
    "nothing after the handshake": (b"", True, f"{USUAL.connections} connections, {USUAL.idle_seconds:g} s"),
    "half a header": (POST, True, f"{USUAL.request_seconds:g} s for a request and its response"),
    "half a body": (POST + b"Content-Length: 9\r\n\r\n{", True, f"{USUAL.request_seconds:g} s, as above"),
    "a body of 99 GB": (
        POST + b"Content-Length: 99999999999\r\n\r\n",
        True,
        f"{USUAL.body_bytes >> 20} MiB, and {USUAL.bytes_in_flight >> 20} MiB for all clients together",
    ),
    "a header of 17 KiB": (POST + b"X: " + b"x" * 17 * 1024, True, "16 KiB"),
    "101 fields": (POST + b"X: x\r\n" * 101, True, "100 fields"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", True, "HTTP/1.1"),
    "another protocol": (b"\x00\r\n\r\n", True, "HTTP/1.1"),
}
"""What a client sends, whether it makes a TLS handshake before, and the program's limit."""


def clients() -> Iterator[tuple[str, ...]]:
    """Send each of them to a server with shorter deadlines, and yield its row; another client is answered at the same time."""
    with tempfile.TemporaryDirectory() as folder:
        for server in limited(Path(folder), free_port(), handshake_seconds=1, request_seconds=1, idle_seconds=1):
            for name, (sent, has_handshake, limit) in CLIENTS.items():
                raw = socket.create_connection(("127.0.0.1", server.port), timeout=20)
                with dial(server) if has_handshake else raw as connection, raw:
                    connection.sendall(sent)
                    assert is_answered(server)
                    answer = until_closed(connection)
                yield name, f"HTTP {status(answer)}" if answer[:5] == b"HTTP/" else "the connection ends", limit or "-"


SECTIONS: list[Section] = [
    Section("Reviews", ("what is sent", "answer", "message"), reviews),
    Section("Connections", ("what a client sends", "what happens", "limit"), clients),
]


def page() -> str:
    """Return the page as it should be."""
    return HEAD + "".join(f"{line}\n" for section in SECTIONS for line in section.lines())


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_the_table_is_true(section: Section) -> None:
    """The page has every row as it happens now."""
    assert "".join(f"{line}\n" for line in section.lines()) in TABLE.read_text(encoding="utf-8")


if __name__ == "__main__":
    TABLE.write_text(page(), encoding="utf-8")
