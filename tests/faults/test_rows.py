"""The table of faults is whole, and names tests that exist."""

from pathlib import Path

import pytest

from tests.faults.row import Row
from tests.faults.rows import ROWS, page
from tests.named import missing

ROOT = Path(__file__).parents[2]


def test_every_fault_has_its_row() -> None:
    assert [row.number for row in ROWS] == [f"F{number}" for number in range(1, 68)]
    assert all(row.what.strip() and row.expected.strip() for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(row: Row) -> None:

    assert row.shown_by or row.reason.strip()
    assert list(missing(row.shown_by)) == []


def test_the_page_is_the_table() -> None:
    written = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")

    assert written == page(), "write it anew: python -m tests.faults.rows > docs/faults.md"
