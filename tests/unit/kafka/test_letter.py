from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Code, Stage, Violation
from processor.kafka.letter import (
    ADDED,
    CONNECT,
    OFFSET,
    OURS,
    PARTITION,
    TOPIC,
    TRIMMED_BYTES,
    Letter,
    glance,
    own_headers,
    read_letter,
)
from processor.record import Headers, Position, Record

VIOLATION = Violation("type", "expected type: String, found: Long", "#/a/*", "#/properties/a")


def letter(**named: Any) -> Letter:
    fields: dict[str, Any] = {
        "source": Position("events", 3, 77),
        "source_timestamp_ms": 123,
        "key": b"key",
        "value": b"value",
        "headers": (),
        "connector": "capillary-aep",
        "task_id": "0",
        "code": Code.GATE_VIOLATION,
        "class_name": "processor.connector.transform.Transform",
        "exception_class_name": "processor.errors.Refused",
        "message": "It breaks a rule.",
        "stacktrace": "Traceback",
        "fingerprint": "0123456789ab",
        "targets": ("event", "profile#3"),
        "event_id": "e-1",
        "event_name": "pointsIssued",
        "schema_id": "17",
        "attempts": 2,
        "http_status": 400,
        "xaction_id": "x-1",
        "errors": (VIOLATION,),
        "failed_at": "2026-01-31T12:00:00.000Z",
        "replay_id": None,
        "replay_count": 0,
        "version": "0.1.0",
    } | named
    return Letter(**fields)


def written(one: Letter) -> Record:
    """The record in the dead-letter topic."""
    return Record("events.dlq", 3, 5, key=one.key, value=one.value, headers=one.all_headers())


NAMES = st.one_of(st.text(max_size=5), st.sampled_from(sorted(ADDED)))
HEADERS = st.lists(st.tuples(NAMES, st.none() | st.binary(max_size=8)), max_size=8)
BYTES = st.none() | st.binary(max_size=30)


@given(key=BYTES, value=BYTES, headers=HEADERS)
def test_a_letter_comes_back_byte_identical_whatever_the_record_held(
    key: bytes | None, value: bytes | None, headers: Headers
) -> None:
    sent = letter(key=key, value=value, headers=headers)

    read = read_letter(written(sent))

    assert read is not None
    assert (read.key, read.value, list(read.headers)) == (key, value, headers)
    assert replace(read, headers=()) == replace(sent, headers=())


@given(st.lists(st.tuples(st.sampled_from(sorted(ADDED)), st.binary(max_size=8))))
def test_headers_that_were_forged_before_ours_say_nothing(forged: Headers) -> None:
    sent = letter(headers=forged, http_status=None, replay_id=None, event_id=None)

    read = read_letter(written(sent))

    assert read is not None
    assert (read.http_status, read.replay_id, read.event_id) == (None, None, None)
    assert read.source == Position("events", 3, 77)


def test_the_headers_are_connect_s_and_ours_by_name() -> None:
    headers = dict(letter(replay_id="r").all_headers())

    assert set(headers) == ADDED
    assert headers[CONNECT + "stage"] == b"TRANSFORMATION"
    assert headers[OFFSET] == b"77"
    assert orjson.loads(headers[OURS + "errors"] or b"") == [
        {
            "keyword": "type",
            "message": "expected type: String, found: Long",
            "pointerToViolation": "#/a/*",
            "schemaLocation": "#/properties/a",
        }
    ]
    assert headers[OURS + "targets"] == b"event,profile#3"


def test_the_record_s_own_headers_come_first_and_all_of_them() -> None:
    own = [("traceparent", b"00-1"), (OURS + "code", b"forged"), ("a", None), ("a", b"2")]

    headers = letter(headers=own).all_headers()

    assert headers[:4] == own
    assert headers[4][0] == TOPIC


def test_a_replay_that_fails_replaces_our_headers_and_keeps_the_original_s() -> None:
    own = [("traceparent", b"00-1"), (TOPIC, b"forged")]
    first = written(letter(headers=own))
    known = read_letter(first)
    assert known is not None

    second = written(replace(known, code=Code.DELIVERY_REFUSED, replay_count=1, replay_id="r-1"))

    assert list(own_headers(second)) == own
    assert [name for name, _ in second.headers].count(OURS + "code") == 1
    again = read_letter(second)
    assert again is not None
    assert (again.source, again.replay_count) == (Position("events", 3, 77), 1)
    assert again.stage is Stage.TASK_PUT


def test_headers_that_others_added_after_ours_are_kept() -> None:
    record = written(letter(headers=[("a", b"1")]))
    record.headers = [*record.headers, ("mirrored", b"yes")]

    assert list(own_headers(record)) == [("a", b"1"), ("mirrored", b"yes")]


@pytest.mark.parametrize(
    "headers",
    [
        (),
        [("a", b"1")],
        [(TOPIC, b"events"), (PARTITION, b"0"), (OFFSET, b"1")],
        [(TOPIC, b"events"), (PARTITION, b"0"), (OFFSET, b"x"), (OURS + "code", b"gate.violation")],
        [(TOPIC, b"events"), (PARTITION, b"0"), (OFFSET, b"1"), (OURS + "code", b"no.such")],
        [(TOPIC, b"events"), (PARTITION, None), (OFFSET, b"1"), (OURS + "code", b"gate.violation")],
        [(TOPIC, b"e"), (PARTITION, b"-1"), (OFFSET, b"1"), (OURS + "code", b"gate.violation")],
        [(TOPIC, b"e"), (PARTITION, b"0"), (OFFSET, b"-9"), (OURS + "code", b"gate.violation")],
        [
            (TOPIC, b"e"),
            (PARTITION, b"0"),
            (OFFSET, b"9" * 5000),
            (OURS + "code", b"gate.violation"),
        ],
    ],
)
def test_what_is_no_dead_letter_is_none(headers: Headers) -> None:
    record = Record("events.dlq", 0, 0, headers=headers)

    assert read_letter(record) is None
    assert glance(record) is None


@pytest.mark.parametrize("errors", [b"{", b"{}", b'"text"', b"[1, null]", b"[" * 100_000, b"\xff"])
def test_violations_that_are_none_are_left_out(errors: bytes) -> None:
    record = written(letter(errors=()))
    record.headers = [*record.headers, (OURS + "errors", errors)]

    read = read_letter(record)

    assert read is not None
    assert read.errors == ()


def test_other_connectors_headers_are_read_as_far_as_they_go() -> None:
    headers = [
        (TOPIC, b"events"),
        (PARTITION, b"2"),
        (OFFSET, b"9"),
        (OURS + "code", b"decode.json"),
    ]

    read = read_letter(Record("events.dlq", 0, 0, headers=headers))

    assert read is not None
    assert (read.source, read.targets, read.attempts) == (Position("events", 2, 9), (), 0)


def test_a_trimmed_letter_fits_whatever_the_record_holds_and_still_says_what_failed() -> None:
    huge = letter(
        stacktrace="x" * 4096,
        errors=(VIOLATION,) * 20,
        message="m" * 100_000,
        event_id="\N{SNOWMAN}" * 500_000,
        targets=(*(f"event#{n}" for n in range(20_000)), "profile"),
    )

    trimmed = huge.trimmed()

    added = sum(len(name) + len(value or b"") for name, value in trimmed.all_headers())
    assert added <= TRIMMED_BYTES
    assert (trimmed.key, trimmed.value) == (huge.key, huge.value)
    assert trimmed.targets == ("event", "profile")
    assert (trimmed.code, trimmed.fingerprint) == (huge.code, huge.fingerprint)


def test_a_few_targets_keep_their_index_when_a_letter_is_trimmed() -> None:
    assert letter().trimmed().targets == ("event", "profile#3")


def test_a_lone_surrogate_does_not_keep_a_letter_from_being_written() -> None:
    headers = dict(letter(event_id="\ud800").all_headers())

    assert headers[OURS + "event.id"] == b"?"


def test_no_repr_shows_what_the_record_held() -> None:
    text = repr(letter(key=b"customer", value=b"customer", headers=[("a", b"customer")]))

    assert "customer" not in text


@given(key=BYTES, headers=HEADERS, targets=st.lists(st.sampled_from(["event", "profile#3"])))
def test_a_glance_sees_what_the_letter_says_whatever_the_record_held(
    key: bytes | None, headers: Headers, targets: list[str]
) -> None:
    record = written(letter(key=key, headers=headers, targets=tuple(targets)))
    if headers and headers[0][1] == b"":  # sometimes others add headers after ours
        record.headers = [*record.headers, *headers]

    seen, read = glance(record), read_letter(record)

    assert (seen is None) == (read is None)
    if seen is not None and read is not None:
        names = "source key code stage connector message fingerprint targets event_name schema_id"
        assert [getattr(seen, n) for n in names.split()] == [
            getattr(read, n) for n in names.split()
        ]


def test_letters_of_one_kind_are_told_from_others_without_being_read() -> None:
    same = [glance(written(letter(event_id=text))) for text in ("a", "b")]
    others = [
        glance(written(letter(**changes)))
        for changes in ({"event_name": "x"}, {"schema_id": None}, {"targets": ("event",)})
    ]

    kinds = {seen.kind for seen in [*same, *others] if seen is not None}

    assert len(kinds) == 4
