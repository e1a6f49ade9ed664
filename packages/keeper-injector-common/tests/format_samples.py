"""What tests of formats share: a record with a value of every shape, hostile values, and how to write them."""

from __future__ import annotations

import base64
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from keeper_injector_common.records import formats

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3ntinel-Ω"
RECORD: dict[str, Any] = {
    "login": "admin",
    "password": SECRET,
    "address": {"street1": "1 Main St", "city": None},
    "phone": [{"number": "555", "type": "Work"}, {"number": "556"}],
    "tags": [],
    "active": True,
    "port": 5432,
    "API Key": "k",
}
PEM = "-----BEGIN PRIVATE KEY-----\nMIIB+/==\nAAAA\n-----END PRIVATE KEY-----\n"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HOSTILE = st.text(
    st.sampled_from("aZ9_ \t\r\n'\"`\\$#%;:=!&|<>(){}[]~*?-.,/@^\0\x1b\x7f\x85\xa0é\u2028\ufeff😀"), max_size=30
)
VALUES = TEXT | HOSTILE
SCALARS = VALUES | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(VALUES, inner, max_size=3), max_leaves=8
)
RECORDS = st.dictionaries(VALUES, JSON, max_size=5)
LINES = st.lists(VALUES, min_size=1, max_size=4).map(lambda values: {f"v{n}": value for n, value in enumerate(values)})
"""Records with harmless field names, for formats that restrict names."""
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def write_bytes(name: str, fields: dict[str, Any]) -> bytes:
    """Write a record with these fields in the format called *name*."""
    return formats.write_content(name, formats.RecordContent("Prod DB", fields))


def write_text(name: str, fields: dict[str, Any]) -> str:
    """Write a record with these fields, as text."""
    return write_bytes(name, fields).decode()


JAVA = """
import java.io.*; import java.util.*;
class Properties_ {
    public static void main(String[] arguments) throws Exception {
        Properties read = new Properties();
        try (InputStream file = new FileInputStream(arguments[0])) { read.load(file); }
        Base64.Encoder base64 = Base64.getEncoder();
        for (String name : read.stringPropertyNames())
            System.out.println("=" + base64.encodeToString(name.getBytes("UTF-8"))
                + " =" + base64.encodeToString(read.getProperty(name).getBytes("UTF-8")));
    }
}
"""

needs_java = pytest.mark.skipif(shutil.which("javac") is None, reason="no Java development kit is installed")


def as_java_reads(file: Path) -> dict[str, str]:
    """Return what ``java.util.Properties`` reads from a file."""
    (file.parent / "Read.java").write_text(JAVA)
    done = subprocess.run(["java", "Read.java", file.name], capture_output=True, check=True, text=True, cwd=file.parent)
    pairs = [[base64.b64decode(part[1:]).decode() for part in line.split(" ")] for line in done.stdout.splitlines()]
    return {name: value for name, value in pairs}  # noqa: C416 - pairs are lists
