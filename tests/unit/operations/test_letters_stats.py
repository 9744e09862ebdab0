"""Dead letters by kind of failure, within bounded memory."""

import tracemalloc
from typing import Any

import pytest

from processor.connector.mends import MENDS
from processor.errors import Code
from processor.kafka.letter import OURS, Letter, glance
from processor.operations.letters import stats as letters_stats
from processor.operations.letters.stats import Stats
from processor.record import Position, Record


def record(offset: int, time_ms: int | None = None, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "source": Position("events", 0, offset), "source_timestamp_ms": 5, "key": b"k",
        "value": b"v", "headers": (), "connector": "ours", "task_id": "0",
        "code": Code.GATE_VIOLATION, "class_name": "", "exception_class_name": "",
        "message": f"message {offset}", "stacktrace": "", "fingerprint": "ab",
        "targets": ("loyalty#1", "event"), "event_id": "e", "event_name": "pointsIssued",
        "schema_id": "7", "attempts": 0, "http_status": None, "xaction_id": None, "errors": (),
        "failed_at": "", "replay_id": None, "replay_count": 0, "version": "1",
    }  # fmt: skip
    letter = Letter(**(fields | changes))
    return Record("events.dlq", 0, offset, time_ms, b"k", b"v", letter.all_headers())


def stats_of(*records: Record) -> Stats:
    stats = Stats()
    for one in records:
        letter = glance(one)
        assert letter is not None
        stats.add(one, letter)
    return stats


def test_a_kind_says_how_many_since_when_and_what_mends_it() -> None:
    stats = stats_of(
        record(1, 2_000),
        record(2, 1_000, event_name="customerAdded", schema_id="9"),
        record(3, 3_000, targets=("profile",)),
        record(4, 5_000, fingerprint="cd", code=Code.DECODE_JSON, targets=(), schema_id=None),
    )

    first, second = (kind.fields() for kind in stats.kinds())

    assert first == {
        "fingerprint": "ab",
        "count": 3,
        "first_seen": "1970-01-01T00:00:01.000Z",
        "last_seen": "1970-01-01T00:00:03.000Z",
        "code": "gate.violation",
        "stage": "TRANSFORMATION",
        "targets": ["event", "loyalty", "profile"],
        "schema_ids": ["7", "9"],
        "events": ["customerAdded", "pointsIssued"],
        "sample": {"topic": "events.dlq", "partition": 0, "offset": 3},
        "message": "message 3",
        "mend": MENDS[Code.GATE_VIOLATION],
    }
    assert (second["fingerprint"], second["count"], second["targets"]) == ("cd", 1, [])
    assert stats.letters == 4
    assert stats.summary() == "4 dead letters of 2 kinds."


def test_the_sample_is_the_latest_also_where_kafka_gives_no_time() -> None:
    (kind,) = stats_of(record(4), record(2), record(3, 7), record(9, 6)).kinds()

    assert kind.sample == Position("events.dlq", 0, 3)
    assert (kind.first_ms, kind.last_ms) == (6, 7)


def test_what_comes_after_many_kinds_is_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters_stats, "KINDS", 3)

    stats = stats_of(*(record(n, fingerprint=f"{n % 5}") for n in range(50)))

    assert [kind.count for kind in stats.kinds()] == [10, 10, 10]
    assert (stats.others, stats.letters) == (20, 50)
    assert stats.others_fields().keys() == stats.kinds()[0].fields().keys()
    assert stats.others_fields()["count"] == 20
    assert "20 of further kinds are counted together" in stats.summary()


def test_memory_is_bounded_however_many_kinds_and_however_long_their_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(letters_stats, "KINDS", 50)
    long = "x" * 100_000
    stats = Stats()
    tracemalloc.start()
    try:
        for number in range(2_000):
            one = record(
                number, fingerprint=f"{number % 100}{long}", message=long, schema_id=long,
                event_name=f"{number}{long}", targets=(f"{number}{long}",),
            )  # fmt: skip
            letter = glance(one)
            assert letter is not None
            stats.add(one, letter)
            del one, letter
        held, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert held < 2_000_000
    assert all(len(kind.events) == letters_stats.TEXTS for kind in stats.kinds()[:1])
    assert len(str(stats.kinds()[0].fields())) < 20_000


def test_every_code_has_a_mend() -> None:
    assert set(MENDS) == set(Code)
    assert all(mend.endswith(".") for mend in MENDS.values())


def test_a_forged_fingerprint_is_only_a_name() -> None:
    forged = record(1)
    forged.headers = [*forged.headers, (OURS + "fingerprint", b"\xff\x00")]

    (kind,) = stats_of(forged).kinds()

    assert kind.fingerprint == "\ufffd\x00"
