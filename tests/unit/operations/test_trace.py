"""What a trace concludes, where it looks for letters, and what it hides."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from processor.connector.passage import Failure, Passage
from processor.errors import Code, FilterReason, Refused
from processor.kafka.letter import Letter
from processor.operations.letters.find import Found
from processor.operations.masking import shown_id
from processor.operations.reconciling.kafka import Keeping
from processor.operations.rehearsal import Rehearsed
from processor.operations.tracing.ending import ending_of
from processor.operations.tracing.letters import LetterSearch, Told
from processor.record import Event, Position, Record, TopicPartition
from processor.settings import Settings

PLACE = Position("t", 1, 7)
RECORD = Record("t", 1, 7, 5_000_000, b"k", b"v")
SETTINGS = Settings.model_validate(
    {
        "name": "ours",
        "kafka": {"bootstrap_servers": "localhost:1", "topics": ["t"]},
        "ims": {"client_id": "c", "client_secret": "s"},
        "experience_platform": {"org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg", "tenant": "acme"},
    }
)
STAMPED = Keeping(compacted=False, log_append_time=True, ahead_ms=3_600_000)
GIVEN = Keeping(compacted=False, log_append_time=False, ahead_ms=600_000)
ANY_TIME = Keeping(compacted=False, log_append_time=False, ahead_ms=None)


def letter(**changes: Any) -> Letter:
    given: dict[str, Any] = {
        "source": PLACE, "source_timestamp_ms": RECORD.timestamp_ms, "key": b"k", "value": b"v",
        "headers": (), "connector": "ours", "task_id": "0", "code": Code.GATE_VIOLATION,
        "class_name": "", "exception_class_name": "", "message": "", "stacktrace": "",
        "fingerprint": "", "targets": (), "event_id": None, "event_name": None, "schema_id": None,
        "attempts": 0, "http_status": None, "xaction_id": None, "errors": (), "failed_at": "",
        "replay_id": None, "replay_count": 0, "version": "1",
    }  # fmt: skip
    return Letter(**given | changes)


def told(*, same: bool | None = True, **changes: Any) -> Told:
    made = letter(**changes)
    return Told(RECORD, Found(Position("t.dlq", 1, 0), 0, made), same)


def today(*, fails: bool = False, filtered: FilterReason | None = None) -> Rehearsed:
    passage = Passage(RECORD, 0)
    if fails:
        passage.failures.append(Failure("", Refused("no", code=Code.DECODE_JSON)))
    return Rehearsed(passage, filtered=filtered)


@pytest.mark.parametrize(
    ("where", "letters", "now", "word"),
    [
        ("ended", [], today(), "delivered"),
        ("ended_beyond", [], today(), "delivered"),
        ("ended", [], today(filtered=FilterReason.TOMBSTONE), "filtered"),
        ("ended", [], today(fails=True), "unknown"),
        ("ended", [], None, "unknown"),
        ("ended", [told()], today(), "dead_lettered"),
        ("ended", [told(same=None)], None, "dead_lettered"),
        ("ended", [told(same=False)], today(), "delivered"),
        # A replay of a range failed: that does not say how it ended the first time.
        ("ended", [told(replay_id="r")], today(), "delivered"),
        # Of a letter that was replayed the first may be gone.
        ("ended", [told(replay_id="r", replay_count=1)], today(), "dead_lettered"),
        ("open", [told()], today(), "open"),
        ("no_commit", [], today(), "open"),
        ("not_written", [], None, "open"),
        ("not_consumed", [], today(), "unknown"),
        ("unknown", [], None, "unknown"),
    ],
)
def test_how_a_record_ended(
    where: str, letters: list[Told], now: Rehearsed | None, word: str
) -> None:
    assert ending_of(where, letters, now, removed=False).word == word


def test_an_ending_says_what_it_rests_on() -> None:
    def because(*letters: Told, where: str = "ended", removed: bool = False) -> str:
        return ending_of(where, letters, today(), removed=removed).because

    assert "no receipt" in because()
    assert "not certain" in because(removed=True)
    assert "not certain" not in because(told(), removed=True)
    assert "may be read again" in because(told(), where="open")


class Logs:
    """A dead-letter topic of three partitions, ten letters a second from 1,000 s on."""

    FIRST_MS = 1_000_000

    def __init__(self, keeping: dict[str, Keeping | None], low: int = 0) -> None:
        self._keeping = keeping
        self._low = low
        self.read: list[Any] = []

    def starts(self, partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self._low)

    def ends(self, partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 100_000)

    def at(self, partitions: Any, timestamp_ms: int) -> dict[TopicPartition, int | None]:
        found = max((timestamp_ms - self.FIRST_MS) // 100, self._low)
        return dict.fromkeys(partitions, found if found < 100_000 else None)

    def keeping(self, topics: Any) -> dict[str, Keeping | None]:
        return self._keeping

    @contextmanager
    def reading(self, spans: Any) -> Iterator[list[list[Record]]]:
        self.read.append(spans)
        yield [
            [
                Record(
                    p.topic,
                    p.partition,
                    start,
                    0,
                    b"k",
                    b"v",
                    letter(**self.holds.get(p, {})).all_headers(),
                )
            ]
            for p, (start, _) in spans.items()
            if p in self.holds
        ]

    holds: dict[TopicPartition, dict[str, Any]] = {}  # noqa: RUF012 - replaced by each test


def search(logs: Logs, record: Record | None = RECORD, partitions: int = 3) -> LetterSearch:
    return LetterSearch(logs, SETTINGS, {"t": 3, "t.dlq": partitions}, PLACE, record)  # type: ignore[arg-type] # a double


def kept(source: Keeping | None, letters: Keeping | None) -> dict[str, Keeping | None]:
    return {"t": source, "t.dlq": letters}


@pytest.mark.parametrize(
    ("keeping", "first"),
    [
        (kept(STAMPED, STAMPED), 37_000),  # 5,000 s, less 300 s that clocks may differ
        (kept(GIVEN, STAMPED), 31_000),  # and less 600 s that a producer may be ahead
        (kept(ANY_TIME, STAMPED), 0),
        (kept(STAMPED, GIVEN), 0),
        (kept(None, STAMPED), 0),
        (kept(STAMPED, None), 0),
    ],
)
def test_letters_that_are_older_than_the_record_are_not_read(
    keeping: dict[str, Keeping | None], first: int
) -> None:
    logs = Logs(keeping)
    looking = search(logs)

    assert looking.offsets == 100_000 - first
    looking.look(lambda _done: None)

    assert logs.read == [{TopicPartition("t.dlq", 1): (first, 100_000)}]


def test_the_record_s_own_partition_comes_first_and_the_others_only_without_a_letter() -> None:
    logs = Logs(kept(STAMPED, STAMPED))
    logs.holds = {TopicPartition("t.dlq", 1): {}, TopicPartition("t.dlq", 2): {}}
    near = search(logs)
    near.look(lambda _done: None)
    assert ([t.found.position.partition for t in near.letters], near.offsets) == ([1], 0)

    logs.holds = {TopicPartition("t.dlq", 2): {}}
    far = search(logs)
    while far.offsets:
        far.look(lambda _done: None)
    assert [t.found.position.partition for t in far.letters] == [2]

    logs.holds = {TopicPartition("t.dlq", 0): {}}
    fewer = search(logs, partitions=1)
    fewer.look(lambda _done: None)
    assert [t.found.position.partition for t in fewer.letters] == [0]
    assert search(Logs(kept(STAMPED, STAMPED), low=38_000), partitions=1).removed


def test_only_letters_of_this_connector_that_name_the_record_are_its_story() -> None:
    near = TopicPartition("t.dlq", 1)
    logs = Logs(kept(STAMPED, STAMPED))

    def look(**changes: Any) -> LetterSearch:
        logs.holds = {near: changes}
        looking = search(logs)
        looking.look(lambda _done: None)
        return looking

    assert [t.same for t in look().letters] == [True]
    assert [t.same for t in look(source_timestamp_ms=1).letters] == [False]
    assert look(source=Position("t", 1, 8)).letters == []
    foreign = look(connector="another")
    assert (foreign.letters, foreign.foreign) == ([], 1)


def test_whether_letters_of_its_time_may_be_gone() -> None:
    assert not search(Logs(kept(STAMPED, STAMPED), low=0)).removed
    assert not search(Logs(kept(STAMPED, STAMPED), low=36_000)).removed
    assert search(Logs(kept(STAMPED, STAMPED), low=38_000)).removed
    assert search(Logs(kept(STAMPED, STAMPED), low=1), record=None).removed
    assert search(Logs({}), partitions=0).offsets == 0


@pytest.mark.parametrize(
    ("id_", "shown"),
    [
        ("e-1", True),
        ("e-1-3", True),
        ("ab" * 32, True),
        (f"{'ab' * 32}-0", True),
        ("e-1-asha", False),
        ("ref:pointsIssued:1700000000:900123456", False),
        ("asha@mail.test", False),
    ],
)
def test_an_id_that_may_hold_a_customer_s_is_masked(id_: str, *, shown: bool) -> None:
    event = Event("pointsIssued", {"eventId": "e-1"})

    assert (shown_id(id_, event, reveal=False) == id_) is shown
    assert shown_id(id_, event, reveal=True) == id_
    if not shown:
        assert shown_id(id_, event, reveal=False).startswith("sha256:")
