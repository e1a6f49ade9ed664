"""The table of defects names existing tests, and a review does no I/O, so that it can reach no secret."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
WATCHED = """
import json, sys
from admission_reviews import body, pod
from keeper_injector_webhook.admission.answer import answer_review
from keeper_injector_webhook.settings import Settings
asked = {"inject": "true", "secret": "db", "env-X": "db[a]", "inject-as-k8s-secret": "true", "k8s-secret-name": "s",
         "secret-t": "db:/app/t", "template-t": "{{ .password }}"}
review = body(pod(annotations=asked, containers=[{"name": "app", "command": ["/app"]}]))
settings = Settings()
answer_review(review, settings)  # the first review imports modules lazily
reached = []
sys.addaudithook(lambda event, arguments: event.split(".")[0] in WATCHED and reached.append(event))
WATCHED = {"open", "socket", "subprocess", "os", "urllib", "ctypes", "tempfile", "shutil"}
answer = answer_review(review.replace(b'"db"', b'"other"'), settings)
assert answer.review["response"]["allowed"] and "patch" in answer.review["response"], answer
print(json.dumps(sorted(set(reached))))
"""


def test_every_row_is_proven_by_tests() -> None:
    """Each row names an existing test function or golden file."""
    rows = [line for line in (HERE / "defects.md").read_text(encoding="utf-8").splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 20
    examples = {path.stem for path in (HERE / "data/golden").glob("*.yaml")}
    examples |= {name.partition("-")[2] for name in examples}
    for row in rows:
        tests, named = re.findall(r"`([\w/]*test_\w+\.py)::(test_\w+)`", row), re.findall(r"`golden/([\w-]+)`", row)
        assert tests or named, row
        assert set(named) <= examples, row
        for file, function in tests:
            assert f"def {function}(" in (HERE / file).read_text(encoding="utf-8"), f"{file}::{function}"


def test_deciding_reaches_nothing() -> None:
    """Python's audit hook sees no file, socket or process during a review: no Secret, no Keeper, and nothing written."""
    command = [sys.executable, "-c", WATCHED]
    output = subprocess.check_output(command, cwd=HERE, text=True, timeout=60)
    assert output == "[]\n"
