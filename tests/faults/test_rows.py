"""The table of faults is whole, and names tests that exist."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.faults.row import Row
from tests.faults.rows import ROWS, page

ROOT = Path(__file__).parents[2]


@cache
def functions_of(file: str) -> frozenset[str]:
    """The test functions at the top of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(f.name for f in functions if f.name.startswith("test_"))


def test_every_fault_has_its_row() -> None:
    assert [row.number for row in ROWS] == [f"F{number}" for number in range(1, 68)]
    assert all(row.what.strip() and row.expected.strip() for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(row: Row) -> None:

    assert row.shown_by or row.reason.strip()
    for place in row.shown_by:
        file, _, function = place.partition("::")
        assert Path(file).name.startswith("test_"), place
        assert function in functions_of(file), place
    assert len(set(row.shown_by)) == len(row.shown_by)


def test_the_page_is_the_table() -> None:
    written = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")

    assert written == page(), "write it anew: python -m tests.faults.rows > docs/faults.md"
