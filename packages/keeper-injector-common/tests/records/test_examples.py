"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
from typing import TYPE_CHECKING

import pytest

from keeper_injector_common.records import record
from keeper_injector_common.records.formats import RecordContent, flattening, variable_names
from keeper_injector_common.records.templates import engine

if TYPE_CHECKING:
    from types import ModuleType


@pytest.mark.parametrize("module", [record, flattening, variable_names, engine], ids=lambda module: module.__name__)
def test_examples_are_true(module: ModuleType) -> None:
    """Each example in a docstring gives the result that it shows."""
    results = doctest.testmod(module, extraglobs={"RecordContent": RecordContent})
    assert results.attempted > 0
    assert results.failed == 0
