"""What the desk of the tests answers: dead letters, plans and replays full of one text."""

from typing import Any

from processor.kafka.letter import read_letter
from processor.operations.chosen import Chosen
from processor.operations.desk.replays import Planned
from processor.operations.letters.fields import fields_of, more_of
from processor.operations.letters.find import Found
from processor.operations.rehearsal import Expectation, Expected
from processor.operations.replays.letters.plan_file import Origin, Plan
from processor.record import Position, Record
from tests.integration.letters import letter

REPLAY_ID = "20260131t120000-9f3a"


def found(offset: int = 0, **changes: Any) -> Found:
    made = letter(offset, **changes)
    record = Record("events.dlq", 0, offset, 5, made["key"], made["value"], made["headers"])
    read = read_letter(record)
    assert read is not None
    return Found(record.position, 5, read)


def kind(text: str = "pointsIssued", count: int = 3) -> dict[str, Any]:
    return {
        "fingerprint": text, "count": count, "first_seen": "2026-01-31T12:00:00Z",
        "last_seen": text, "code": "gate.violation", "stage": "TRANSFORMATION",
        "targets": [text], "schema_ids": [text], "events": [text],
        "sample": {"topic": "events.dlq", "partition": 0, "offset": 7}, "message": text,
        "mend": "Correct the mapping.",
    }  # fmt: skip


def one(text: str = "pointsIssued") -> dict[str, Any]:
    """Everything about a letter all of whose texts are this."""
    hostile = found(
        0, message=text, event_id=text, event_name=text, fingerprint=text, xaction_id=text,
        targets=(text,), stacktrace=text, schema_id=text,
    )  # fmt: skip
    return {
        **fields_of(hostile, resolution=text), **more_of(hostile.letter),
        "headers": [{"name": text, "bytes": 5, "sha256": text}],
        "value": {"bytes": 5, "sha256": text},
        "event": {text: text},
        "today": [
            {"target": text, "verdict": "passes", "id": text, "bytes": 1, "limit_bytes": 2,
             "message_bytes": 3, "entity": {text: text}},
            {"target": None, "verdict": "fails", "code": "mapping.type", "message": text,
             "errors": [{"pointerToViolation": text, "message": text, "keyword": text}]},
            {"target": None, "verdict": "filtered", "reason": text},
        ],
    }  # fmt: skip


def replay(text: str = "me@here", **changes: Any) -> dict[str, Any]:
    return {
        "replay_id": REPLAY_ID, "kind": "letters", "status": "running", "group": text, "by": text,
        "created": "2026-01-31T12:00:00Z", "updated": text, "chosen": 10,
        "counts": {"delivered": 4, "failed": {text: 1}, "filtered": {text: 1}, "stale": 1,
                   "partly_stale": 1},
        "options": {}, "partitions": None, "conditions": None, "resumed": 1, "failure": text,
        "cancelled_by": text,
    } | changes  # fmt: skip


def planned(count: int = 3, text: str = "me@here") -> Planned:
    letters = Chosen()
    for offset in range(count):
        letters.add(Position("events.dlq", 0, offset))
    by_kind = {Expectation(Expected.MENDED): letters} if count else {}
    plan = Plan(Origin("ours", "", {}), "2026-01-31T12:00:00Z", text, {}, by_kind)
    document = {
        "execute": False, "chosen": count, "would_pass": count, "unknown_until_sent": 1,
        "stale": 1, "partly_stale": 1, "would_fail": [{"code": text, "fingerprint": text,
        "count": 1}], "filtered": {text: 1}, "gone": 1, "left_over_limit": 1,
        "left_superseded": 1, "left_resolved": 1,
    }  # fmt: skip
    return Planned(plan, document, (text,))


def discarding(text: str = "reason", **changes: Any) -> dict[str, Any]:
    kinds = [{"code": text, "fingerprint": text, "count": 3}]
    told = {"execute": False, "chosen": 3, "reason": text, "kinds": kinds, "left_resolved": 0}
    return {**told, **changes}
