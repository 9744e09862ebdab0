"""Dead letters made by hand, for tests that look at them."""

from typing import Any

from processor.errors import Code, Violation
from processor.kafka.letter import Letter
from processor.record import Position

HOSTILE = "\x1b[2J\x9b31m\u202eevil\u2066\r\n<script>=cmd()\x07"
FORMULA = '=cmd|"/c calc"!A1'
STEERING = [chr(c) for c in (*range(0x20), *range(0x7F, 0xA0), 0x202E, 0x2066) if c not in (9, 10)]
"""What no output may hold; tabs and line breaks are the output's own."""


def letter(offset: int, **changes: Any) -> dict[str, Any]:
    """Arguments of ``produce`` for a dead letter of the source topic ``source``."""
    value: dict[str, Any] = {
        "source": Position("source", 0, offset),
        "source_timestamp_ms": 1_700_000_000_000 + offset,
        "key": b"key-%d" % offset,
        "value": b"\x00\x00\x00\x00\x07 undecodable",
        "headers": (),
        "connector": "ours",
        "task_id": "0",
        "code": Code.GATE_VIOLATION,
        "class_name": "c",
        "exception_class_name": "e",
        "message": "The entity breaks a rule.",
        "stacktrace": "Traceback",
        "fingerprint": "0123456789ab",
        "targets": ("event", "loyalty#2"),
        "event_id": f"event-{offset}",
        "event_name": "pointsIssued",
        "schema_id": "7",
        "attempts": 2,
        "http_status": 400,
        "xaction_id": "x-1",
        "errors": (Violation("type", "expected type: String", "#/a", "#/properties/a"),),
        "failed_at": "2026-01-01T00:00:00.000Z",
        "replay_id": None,
        "replay_count": 0,
        "version": "1",
    } | changes
    made = Letter(**value)
    return {"key": made.key, "value": made.value, "headers": made.all_headers()}


def hostile_letter(offset: int = 0, text: str = HOSTILE) -> dict[str, Any]:
    """A letter whose every text is hostile."""
    return letter(
        offset, key=text.encode(), message=text, event_id=text, event_name=text,
        headers=[(f"name{text}", text.encode()), (text, None)], value=text.encode(),
        fingerprint=text, xaction_id=text, targets=(text,), stacktrace=text, schema_id=text,
        errors=(Violation(text, text, text, text),),
    )  # fmt: skip
