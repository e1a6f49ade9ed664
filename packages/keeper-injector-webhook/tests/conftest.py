"""A small API server for each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from api_server import ApiServer, api_server


@pytest.fixture(name="api")
def _api() -> Iterator[ApiServer]:
    with api_server() as server:
        yield server
