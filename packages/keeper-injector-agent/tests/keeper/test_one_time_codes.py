"""One-time codes: the vectors of RFC 6238, secrets as people type them, and a reason for every other URL."""

from __future__ import annotations

import base64
import json
import os

import pytest
from agent_pods import AgentPod
from hypothesis import given
from hypothesis import strategies as st

from keeper_injector_agent.keeper.one_time_codes import OneTimeCodeError, one_time_code
from local_keeper import LocalKeeper

KEYS = {"SHA1": b"1234567890" * 2, "SHA256": b"1234567890" * 3 + b"12", "SHA512": b"1234567890" * 6 + b"1234"}
"""The keys of RFC 6238, appendix B (with erratum 2866)."""
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_6238 = """
59          94287082 46119246 90693936
1111111109  07081804 68084774 25091201
1111111111  14050471 67062674 99943326
1234567890  89005924 91819424 93441116
2000000000  69279037 90698825 38618901
20000000000 65353130 77737706 47863826
"""
VECTORS = [
    (algorithm, int(at), code)
    for at, *codes in (line.split() for line in RFC_6238.split("\n") if line)
    for algorithm, code in zip(KEYS, codes, strict=True)
]


@pytest.mark.parametrize(("algorithm", "at", "code"), VECTORS)
def test_the_codes_are_those_of_the_rfc(algorithm: str, at: int, code: str) -> None:
    """All vectors of RFC 6238, appendix B, also in small letters and without padding."""
    secret = base64.b32encode(KEYS[algorithm]).decode()
    for written in (secret, secret.lower(), secret.rstrip("=")):
        url = f"otpauth://totp/x?secret={written}&algorithm={algorithm}&digits=8&period=30"
        assert one_time_code(url, at) == code


@pytest.mark.parametrize(
    "secret",
    [
        "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ",
        "GEZD+GNBV%20GY3TQOJQ-GEZDGNBVGY3TQOJQ",
        f"{SEED}====",
        f"%20{SEED}%09",
    ],
    ids=["groups", "encoded", "padding", "blanks around"],
)
def test_spaces_and_padding_do_not_matter(secret: str) -> None:
    """Issuers show secrets in groups, and people copy them so. Keeper's SDK (17.3.0) rejects them."""
    assert one_time_code(f"otpauth://totp/x?secret={secret}", 59) == "287082"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not an otpauth:// URL"),
        (17, "not an otpauth:// URL"),
        ("https://example.com?secret=GEZDGNBV", "not an otpauth:// URL"),
        ("otpauth://[?secret=GEZDGNBV", "cannot be parsed"),
        (f"otpauth://hotp/x?secret={SEED}&counter=1", "not a time-based code"),
        ("otpauth://totp/x", "its secret is empty"),
        ("otpauth://totp/x?secret=", "its secret is empty"),
        ("otpauth://totp/x?secret=%20%3D%3D", "its secret is empty"),
        ("otpauth://totp/x?secret=GEZD1890", "not base32"),
        ("otpauth://totp/x?secret=A", "not base32"),
        ("otpauth://totp/x?secret=\u00df", "not base32"),
        (f"otpauth://totp/x?secret={SEED}&algorithm=MD5", "its algorithm is not one of SHA1, SHA256, SHA512"),
        (f"otpauth://totp/x?secret={SEED}&digits=9", "digits is not 6, 7 or 8"),
        (f"otpauth://totp/x?secret={SEED}&digits=\u00b2", "digits is not 6, 7 or 8"),
        (f"otpauth://totp/x?secret={SEED}&period=0", "its period is not"),
        (f"otpauth://totp/x?secret={SEED}&period={'9' * 5000}", "its period is not"),
        (f"otpauth://totp/x?secret={SEED}&secret=GEZDGNBV", "two different values for secret"),
    ],
)
def test_other_urls_have_a_reason(url: object, reason: str) -> None:
    """A URL without a code is never an empty code. The reason does not repeat the secret."""
    with pytest.raises(OneTimeCodeError, match=reason) as caught:
        one_time_code(url, 59)
    assert "GEZD" not in str(caught.value)


def test_a_counter_does_not_matter() -> None:
    """Time-based codes have no counter; Keeper's SDK (17.3.0) takes it for the time, and a large one ends the refresh."""
    assert one_time_code(f"otpauth://totp/x?secret={SEED}&counter={'9' * 36}", 59) == "287082"


@given(
    st.one_of(
        st.text(), st.text().map("otpauth://totp/".__add__), st.text().map(f"otpauth://totp/x?secret={SEED}&".__add__)
    )
)
def test_any_text_is_a_code_or_a_problem(url: str) -> None:
    """No other exception escapes, and a code is six to eight digits."""
    try:
        code = one_time_code(url, 59)
    except OneTimeCodeError:
        return
    assert code.isascii()
    assert code.isdigit()
    assert len(code) in {6, 7, 8}


@pytest.mark.parametrize(
    "broken", ["otpauth://totp/x?secret=", "otpauth://totp/x?secret=GEZDGNBV&algorithm=MD5", "JBSWY3DP"]
)
def test_a_code_that_cannot_be_computed_keeps_the_file(pod: AgentPod, keeper: LocalKeeper, broken: str) -> None:
    """A good file is not replaced by an empty one: the item has a problem, and only this item and the whole record."""
    good = f"otpauth://totp/x?secret={SEED}"
    fields = {"login": "lena", "oneTimeCode": good}
    keeper.add_record({"title": "portal", "type": "login", "fields": fields})
    pod.wants({"code": "portal[oneTimeCode]", "all.json": "portal", "login": "portal[login]"})
    assert pod.run("init").returncode == 0
    before = pod.file("code"), pod.file("all.json")
    assert len(before[0]) == 6
    keeper.set_field("portal", "oneTimeCode", broken)
    keeper.set_field("portal", "login", "lara")
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert (pod.file("code"), pod.file("all.json"), pod.file("login")) == (*before, "lara")
    assert "record 'portal', field 'oneTimeCode': the one-time code cannot be computed, because its " in result.stderr
    assert broken not in result.stderr


@pytest.mark.parametrize("cleared", ["", []])
def test_a_code_that_was_cleared_keeps_the_file(pod: AgentPod, keeper: LocalKeeper, cleared: object) -> None:
    """A file of the code alone is not emptied. A whole record may have a field for codes that nobody has filled in."""
    keeper.add_record(
        {"title": "portal", "type": "login", "fields": {"oneTimeCode": f"otpauth://totp/x?secret={SEED}"}}
    )
    pod.wants({"code": "portal[oneTimeCode]", "all.json": "portal"})
    assert pod.run("init").returncode == 0
    before = pod.file("code")
    keeper.set_field("portal", "oneTimeCode", cleared)
    result = pod.run("once")
    assert result.returncode == os.EX_DATAERR
    assert (pod.file("code"), json.loads(pod.file("all.json"))) == (before, {"oneTimeCode": ""})
    assert "/app/code: record 'portal', field 'oneTimeCode': it has no value; enter one in Keeper" in result.stderr
