"""Tables of dead letters on a terminal: whole lines, and nothing that steers it."""

import io
from typing import Any

import pytest
from rich.console import Console

from processor.cli.dlq import stats


def shown(table: Any) -> str:
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=False).print(table)
    return out.getvalue()


@pytest.fixture
def kind() -> dict[str, Any]:
    return {
        "count": 8, "code": "gate.violation", "targets": ["event"], "events": ["pointsIssued"],
        "message": "It breaks\x1b[2J a rule.", "mend": "Correct the mapping set.",
        "fingerprint": "0123456789ab", "first_seen": "2026-01-01T00:00:00.000Z",
        "last_seen": "2026-01-02T00:00:00.000Z",
        "sample": {"topic": "events.dlq", "partition": 1, "offset": 7},
    }  # fmt: skip


def test_a_kind_of_failure_has_its_times_below_each_other(kind: dict[str, Any]) -> None:
    text = shown(stats._table([kind]))  # noqa: SLF001 - what a terminal alone sees

    first, second = (line for line in text.splitlines() if "2026-01-0" in line)
    assert first.rstrip().endswith("2026-01-01T00:00:00.000Z")
    assert second.rstrip().endswith("2026-01-02T00:00:00.000Z")
    assert "\\n" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("retention_ms", "words"),
    [(86_400_000 * 30, "30 days"), (-1, "for ever"), (None, "nobody knows how long")],
)
def test_a_topic_says_how_long_it_keeps_letters(retention_ms: int | None, words: str) -> None:
    row = {
        "topic": "a.topic.with.a.long.name.of.events.dlq", "partitions": 12, "letters": 3,
        "of_other_connectors": 1, "not_letters": 1, "first": None, "last": None, "bytes": None,
        "retention_ms": retention_ms, "source_topics": ["events"],
    }  # fmt: skip

    text = shown(stats._topics_table([row]))  # noqa: SLF001

    assert "a.topic.with.a.long.name.of.events.dlq" in text
    assert f"12 partitions · kept {words} · of events" in text
