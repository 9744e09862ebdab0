"""The checklist is whole and names tests that exist, and the page is made of it."""

from pathlib import Path

import pytest

from processor.connector.books import BooksCollector
from processor.connector.ledger import Ledger
from processor.telemetry.metrics import TaskMetrics
from tests.named import missing
from tests.security.page import ROWS, page
from tests.security.rights import RIGHTS
from tests.security.row import Row

ROOT = Path(__file__).parents[2]
LABELS = {
    "batch",
    "code",
    "event",
    "host",
    "kind",
    "outcome",
    "partition",
    "reason",
    "row",
    "stage",
    "state",
    "status",
    "target",
    "topic",
    "version",
    "worker",
    "le",
}
"""None of them can be a key, an identity or anything else of a record."""


def test_every_rule_has_its_row() -> None:
    assert [row.number for row in ROWS] == [f"S{number}" for number in range(1, 46)]
    assert all(row.rule.strip() for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_names_tests_that_exist_or_says_why_there_is_none(row: Row) -> None:
    assert row.held_by or row.reason.strip()
    assert list(missing(row.held_by)) == []


def test_the_page_is_the_checklist() -> None:
    written = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

    assert written == page(), "write it anew: python -m tests.security.page > docs/security.md"


def test_no_right_is_listed_twice() -> None:
    for rights in RIGHTS.values():
        granted = [(r.on, r.name, operation) for r in rights for operation in r.operations]
        assert len(granted) == len(set(granted))


def test_labels_of_metrics_name_no_customer() -> None:
    metrics = TaskMetrics()
    metrics.registry.register(BooksCollector(Ledger()))

    labels = {
        label
        for collector in metrics.registry._collector_to_names  # noqa: SLF001 - its list of metrics
        for label in getattr(collector, "_labelnames", ())
    }

    assert labels
    assert labels <= LABELS
