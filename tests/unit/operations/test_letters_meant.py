"""Which dead letters a look is about."""

from typing import Any

import pytest

from processor.errors import Code, Misconfigured
from processor.kafka.letter import Letter
from processor.operations.bounds import Bounds
from processor.operations.letters.find import Criteria
from processor.operations.letters.meant import ANY, Done, LookOptions, Meant, selecting
from processor.operations.letters.options import LetterOptions
from processor.operations.where import where
from processor.record import Event, Position, Record
from processor.settings import Settings

LETTER = Letter(
    source=Position("events", 0, 1), source_timestamp_ms=5, key=b"k", value=b"v", headers=(),
    connector="ours", task_id="0", code=Code.GATE_VIOLATION, class_name="",
    exception_class_name="", message="m", stacktrace="s", fingerprint="ab", targets=("event",),
    event_id="e", event_name="pointsIssued", schema_id="7", attempts=0, http_status=None,
    xaction_id=None, errors=(), failed_at="", replay_id=None, replay_count=0, version="1",
)  # fmt: skip


def record(offset: int, value: bytes = b"v") -> Record:
    return Record("events.dlq", 0, offset, 1, b"k", value, LETTER.all_headers())


class Decoder:
    """Takes the value for the event's name; an empty one cannot be decoded."""

    def event(self, record: Record) -> Event | None:
        body = {"eventName": (record.value or b"").decode()}
        return Event("x", body) if record.value else None

    def shown(self, record: Record, *, reveal: bool) -> dict[str, Any] | None:
        raise NotImplementedError  # choosing letters shows none: a call is a failure


def offsets(meant: Meant, *records: Record) -> list[int]:
    return [one.offset for one in records if meant.look(one) is not None]


def test_headers_decide_before_anything_is_decoded() -> None:
    meant = Meant(Criteria("theirs"), (where("eventName=a"),), decoding=None)

    assert offsets(meant, record(0), Record("events.dlq", 0, 1, value=b"no letter")) == []


def test_the_event_has_to_meet_every_where_and_what_cannot_be_decoded_is_counted() -> None:
    meant = Meant(Criteria("ours"), (where("eventName=a"),), Decoder())
    both = Meant(Criteria("ours"), (where("eventName=a"), where("eventName=b")), Decoder())

    letters = [record(0, b"a"), record(1, b"b"), record(2, b""), record(3, b"a")]

    assert offsets(meant, *letters) == [0, 3]
    assert meant.undecoded == 1
    assert offsets(both, *letters) == []


@pytest.mark.parametrize(
    ("resolution", "meant"),
    [("open", [0, 3]), ("replayed", [1, 3]), ("discarded", [2]), (ANY, [0, 1, 2, 3])],
)
def test_what_was_done_about_a_letter_decides(resolution: str, meant: list[int]) -> None:
    done = [
        Done(), Done("replayed:delivered", open=False), Done("discarded", open=False),
        Done("replayed:partly", open=True),
    ]  # fmt: skip

    look = Meant(Criteria(None), resolution=resolution, done=lambda place: done[place.offset])

    assert offsets(look, *(record(number) for number in range(4))) == meant
    assert look.label(Position("events.dlq", 0, 2)) == "discarded"


def test_a_resolution_that_does_not_exist_is_refused_before_kafka_is_asked() -> None:
    options = LookOptions(LetterOptions(), Bounds(), resolution="opn\x1b")
    nowhere = Settings.model_construct()

    with (
        pytest.raises(Misconfigured, match=r"--resolution is one of open, .*«opn\\x1b» is not"),
        selecting(nowhere, options),
    ):
        pytest.fail("it was taken")
