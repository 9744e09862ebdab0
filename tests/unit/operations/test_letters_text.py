"""One dead letter as lines of text."""

from typing import Any

from processor.operations.letters.fields import rfc3339
from processor.operations.letters.text import hexdump, lines
from processor.operations.letters.view import Shown

FIELDS: dict[str, Any] = {
    "topic": "t.dlq", "partition": 0, "offset": 17, "source_topic": "t", "source_partition": 1,
    "source_offset": 4, "source_timestamp": None, "failed_at": "2026", "code": "gate.violation",
    "stage": "TRANSFORMATION", "fingerprint": "ab", "targets": ["event", "loyalty"],
    "message": "It breaks a rule.", "event_name": "pointsIssued", "event_id": None,
    "schema_id": "7", "key": "sha256:00 (1 bytes)", "attempts": 0, "http_status": None,
    "stacktrace": "Traceback\n  in f",
    "xaction_id": None, "replay_count": 0, "replay_id": None, "connector": "c", "version": "1",
    "errors": [{"pointerToViolation": "#/a", "message": "expected type: String"}],
}  # fmt: skip
SIZE = {"bytes": 20, "sha256": "aa"}


def text(shown: Shown, dump_bytes: int = 256) -> str:
    return "\n".join(line.text for line in lines(shown, dump_bytes=dump_bytes))


def test_everything_about_a_letter_is_said() -> None:
    said = text(
        Shown(
            FIELDS,
            [{"name": "own", "bytes": 3, "sha256": "bb"}, {"name": "none", "bytes": None}],
            dict(SIZE),
            {"eventName": "pointsIssued"},
            [
                {
                    "target": "event",
                    "verdict": "passes",
                    "id": "e-1",
                    "bytes": 20,
                    "limit_bytes": 10_000,
                    "message_bytes": 90,
                    "entity": {"_id": "<text>"},
                },
                {
                    "target": "loyalty",
                    "verdict": "fails",
                    "code": "gate.violation",
                    "message": "It breaks a rule.",
                    "errors": [{"pointerToViolation": "#/b", "message": "required"}],
                },
            ],
        )
    )

    for expected in (
        "t.dlq 0 17", "t 1 4", "event, loyalty", "#/a: expected type: String",
        "own (3 bytes, SHA-256 bb)", "none (null)", "20 bytes, SHA-256 aa",
        "event: passes", "_id e-1; entity 20 bytes, of 10000",
        "loyalty: fails, gate.violation", "#/b: required",
    ):  # fmt: skip
        assert expected in said
    assert "HTTP status" not in said


def test_what_is_not_there_is_said_too() -> None:
    filtered = {"target": None, "verdict": "filtered", "reason": "tombstone"}

    said = text(Shown(FIELDS, [], {"bytes": None, "sha256": None}, None, [filtered]))

    assert "null" in said
    assert "cannot be decoded" in said
    assert "filtered: tombstone" in said


def test_a_revealed_value_is_dumped_as_far_as_asked() -> None:
    value = {**SIZE, "hex": bytes(range(20)).hex()}

    said = text(Shown(FIELDS, [], value, {}, []), dump_bytes=16)

    assert "00 01 02" in said
    assert "4 bytes more" in said


def test_a_dump_shows_printable_ascii_and_nothing_else() -> None:
    first, second = hexdump(b"Asha\x1b\x9b\xff\n~0123456" + b"\x7f")

    assert first.endswith("Asha....~0123456")
    assert second.split() == ["00000010", "7f", "."]


def test_times_that_no_calendar_has_are_left_out() -> None:
    assert rfc3339(1_700_000_000_041) == "2023-11-14T22:13:20.041Z"
    assert rfc3339(None) is None
    assert rfc3339(2**62) is None
