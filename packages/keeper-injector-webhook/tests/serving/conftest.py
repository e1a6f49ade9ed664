"""A running webhook for each test of this folder that asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from webhook_server import Server, running


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[Server]:
    yield from running(tmp_path)
