"""The books of a partition: which account a record stands in, and what may be claimed."""

from dataclasses import replace

import pytest

from processor.connector.passage import Failure, Passage
from processor.errors import Code, FilterReason, Refused
from processor.kafka.letter import Letter
from processor.operations.reconciling.books import Books, Told, Verdict, content_of
from processor.operations.reconciling.kafka import Keeping, keeping_of
from processor.operations.reconciling.letters import CLOCKS_MS, Tales, doubt_letters
from processor.operations.reconciling.reconcile import Report
from processor.operations.rehearsal import Rehearsed
from processor.record import Position, Record, TopicPartition

P = TopicPartition("events", 0)
TIME_MS = 1_700_000_000_000
LETTER = Letter(
    source=Position("events", 0, 3), source_timestamp_ms=TIME_MS, key=b"k", value=b"v",
    headers=(), connector="ours", task_id="0", code=Code.GATE_VIOLATION, class_name="",
    exception_class_name="", message="m", stacktrace="", fingerprint="f", targets=("event",),
    event_id=None, event_name=None, schema_id=None, attempts=0, http_status=None, xaction_id=None,
    errors=(), failed_at="", replay_id=None, replay_count=0, version="1",
)  # fmt: skip
STAMPED = Keeping(compacted=False, log_append_time=True, ahead_ms=None)


def record(offset: int) -> Record:
    return Record("events", 0, offset, TIME_MS, b"k", b"v")


def told(*letters: Letter) -> Told:
    made = Told()
    for letter in letters:
        made.add(letter)
    return made


def would(what: str) -> Rehearsed:
    passage = Passage(record(0), 0)
    if what == "fail":
        passage.failures.append(Failure("event", Refused("no", code=Code.GATE_VIOLATION)))
    return Rehearsed(passage, filtered=FilterReason.TOMBSTONE if what == "filter" else None)


def books(committed: int | None = 10, end: int = 10) -> Books:
    return Books(P, 0, end, committed)


def accounts(made: Books) -> tuple[int, int, int, int, int]:
    return (
        made.delivered, made.dead_lettered, made.filtered.total(), made.open, made.unexplained
    )  # fmt: skip


def whats(made: Books) -> dict[str, str]:
    return {finding.what: finding.weight for finding in made.findings}


def test_every_record_stands_in_exactly_one_account() -> None:
    made = books(committed=4)

    made.meet_ended(record(0), None, would("pass"))
    made.meet_ended(record(1), None, would("filter"))
    made.meet_ended(record(2), told(LETTER, LETTER), would("fail"))
    made.meet_ended(record(3), None, would("fail"))
    made.meet_open(record(4), None)

    assert accounts(made) == (1, 1, 1, 1, 1)
    assert made.consumed == 5
    assert (made.has_ended(record(3)), made.has_ended(record(4))) == (True, False)
    assert made.without_letter == 3


@pytest.mark.parametrize(
    ("letters", "today", "found", "verdict"),
    [
        (told(LETTER), None, {}, Verdict.BALANCED),
        (told(LETTER), "fail", {}, Verdict.BALANCED),
        (told(LETTER), "pass", {"schemas_changed": "doubt"}, Verdict.NOT_PROVABLE),
        (told(LETTER), "filter", {"schemas_changed": "doubt"}, Verdict.NOT_PROVABLE),
        (None, "fail", {"would_fail_today": "doubt"}, Verdict.NOT_PROVABLE),
        (
            told(replace(LETTER, value=b"w")),
            "pass",
            {"letter_of_another_record": "doubt"},
            Verdict.NOT_PROVABLE,
        ),
        (
            told(LETTER, replace(LETTER, key=None)),
            "pass",
            {"letter_of_another_record": "doubt"},
            Verdict.NOT_PROVABLE,
        ),
        (
            Told(foreign=True),
            None,
            {"another_connectors_letter": "doubt"},
            Verdict.NOT_PROVABLE,
        ),
        (Told(unreadable=True), None, {"unreadable_letter": "doubt"}, Verdict.NOT_PROVABLE),
        (
            told(replace(LETTER, replay_id="r")),
            "pass",
            {"failed_in_a_replay": "note"},
            Verdict.BALANCED,
        ),
    ],
)
def test_what_a_record_below_the_committed_offset_lets_be_claimed(
    letters: Told | None, today: str | None, found: dict[str, str], verdict: Verdict
) -> None:
    made = books()

    made.meet_ended(record(3), letters, would(today) if today else None)

    assert whats(made) == found
    assert made.verdict is verdict
    assert made.consumed == sum(accounts(made)) == 1


def test_a_letter_of_ours_settles_it_whatever_others_say() -> None:
    made, letters = books(), told(LETTER)
    letters.foreign = letters.unreadable = True

    made.meet_ended(record(3), letters, None)

    assert (made.dead_lettered, made.verdict) == (1, Verdict.BALANCED)


def test_a_letter_ahead_of_the_committed_offset_is_at_least_once() -> None:
    made = books(committed=3)

    made.meet_open(record(3), told(LETTER))

    assert (made.open, made.dead_lettered) == (1, 0)
    assert whats(made) == {"letter_of_open_record": "note"}
    assert made.verdict is Verdict.BALANCED


@pytest.mark.parametrize(
    ("offset", "compacted", "found"),
    [
        (3, False, {"letter_without_record": "contradiction"}),
        (3, True, {"letter_of_a_record_gone": "doubt"}),
        (3, None, {"letter_of_a_record_gone": "doubt"}),
        (12, False, {}),
        (20, False, {"letter_beyond_log_end": "contradiction"}),
        (20, True, {"letter_beyond_log_end": "contradiction"}),
    ],
)
def test_letters_without_a_record(
    offset: int, *, compacted: bool | None, found: dict[str, str]
) -> None:
    made = books()

    made.meet_letters_left({offset: told(LETTER)}, log_end=20, compacted=compacted)
    made.meet_letters_left({offset: Told(foreign=True)}, log_end=20, compacted=compacted)

    assert whats(made) == found


def test_a_contradiction_outweighs_doubts_in_the_whole() -> None:
    doubtful, wrong, sound = books(), books(), books()
    doubtful.find("doubt", "a", "")
    wrong.find("contradiction", "b", "")

    assert Report((sound,)).verdict is Verdict.BALANCED
    assert Report((sound, doubtful)).verdict is Verdict.NOT_PROVABLE
    assert Report((doubtful, wrong, sound)).verdict is Verdict.NOT_BALANCED


def test_only_the_first_offsets_are_named_and_all_are_counted() -> None:
    made = books()

    for offset in range(9):
        made.find("doubt", "a", "", offset)

    (finding,) = made.findings
    assert (finding.count, finding.offsets) == (9, [0, 1, 2, 3, 4])


def test_content_tells_null_from_empty_and_key_from_value() -> None:
    contents = {
        content_of(None, b"", 1), content_of(b"", None, 1), content_of(b"", b"", 1),
        content_of(b"a", b"bc", 1), content_of(b"ab", b"c", 1), content_of(b"ab", b"c", None),
    }  # fmt: skip

    assert len(contents) == 6


def letter_record(letter: Letter) -> Record:
    return Record("events.dlq", 0, 0, 1, letter.key, letter.value, letter.all_headers())


def test_letters_are_told_by_source_record_within_the_span() -> None:
    tales = Tales("ours", {P: (2, 5)}, {"events": 1})
    for offset in (1, 3, 5):
        tales.hear(letter_record(replace(LETTER, source=Position("events", 0, offset))))
    tales.hear(letter_record(replace(LETTER, connector="theirs", source=Position("events", 0, 4))))
    tales.hear(Record("events.dlq", 0, 1, 1, None, b"no letter"))

    ours, theirs = tales.take(P, 3), tales.take(P, 4)

    assert ours is not None
    assert ours.code is Code.GATE_VIOLATION
    assert theirs is not None
    assert (theirs.foreign, theirs.ours) == (True, False)
    assert tales.left(P) == {}
    assert tales.stray is None


def test_a_letter_that_this_version_cannot_read_still_names_its_record() -> None:
    tales = Tales("ours", {P: (0, None)}, {"events": 1})
    headers = [(n, b"later.code" if n == "processor.code" else v) for n, v in LETTER.all_headers()]

    tales.hear(Record("events.dlq", 0, 0, 1, b"k", b"v", headers))

    heard = tales.take(P, 3)
    assert heard is not None
    assert heard.unreadable


def test_a_letter_of_a_partition_that_is_not_there_contradicts() -> None:
    tales = Tales("ours", {P: (0, None)}, {"events": 1})

    tales.hear(letter_record(replace(LETTER, source=Position("events", 1, 3))))
    tales.hear(letter_record(replace(LETTER, source=Position("others", 1, 3))))

    assert tales.stray is not None
    assert (tales.stray.weight, tales.stray.count) == ("contradiction", 1)


class Logs:
    """Dead-letter topics of which this is known."""

    def __init__(
        self, *, missing: bool = False, hidden: bool = False, cut: tuple[bool, int | None]
    ) -> None:
        self.missing = frozenset({"events.dlq"} if missing else ())
        self._hidden = hidden
        self._cut = cut

    def hidden(self, topic: str) -> bool:
        return self._hidden

    def removed_before_ms(self, topic: str) -> tuple[bool, int | None]:
        return self._cut


WHOLE = (False, None)
LONG_AGO = (True, TIME_MS - CLOCKS_MS - 1)
OF_AN_HOUR = Keeping(compacted=False, log_append_time=False, ahead_ms=3_600_000)
ANY_TIME = Keeping(compacted=False, log_append_time=False, ahead_ms=None)


@pytest.mark.parametrize(
    ("logs", "kept", "source", "found"),
    [
        (Logs(cut=WHOLE), STAMPED, STAMPED, set()),
        (Logs(missing=True, cut=WHOLE), None, STAMPED, {"no_dead_letter_topic"}),
        (Logs(hidden=True, cut=WHOLE), STAMPED, STAMPED, {"dead_letter_topic_hidden"}),
        (Logs(cut=WHOLE), None, STAMPED, {"dead_letter_topic_not_described"}),
        (
            Logs(cut=WHOLE),
            replace(STAMPED, compacted=True),
            STAMPED,
            {"dead_letter_topic_compacted"},
        ),
        (Logs(cut=LONG_AGO), STAMPED, STAMPED, set()),
        (Logs(cut=(True, TIME_MS)), STAMPED, STAMPED, {"dead_letters_removed"}),
        (Logs(cut=(True, None)), STAMPED, STAMPED, {"dead_letters_removed"}),
        (Logs(cut=LONG_AGO), ANY_TIME, STAMPED, {"dead_letters_removed"}),
        (Logs(cut=LONG_AGO), STAMPED, OF_AN_HOUR, {"dead_letters_removed"}),
        (Logs(cut=(True, LONG_AGO[1] - 3_600_000)), STAMPED, OF_AN_HOUR, set()),
        (Logs(cut=(True, 0)), STAMPED, ANY_TIME, {"dead_letters_removed"}),
        (Logs(cut=(True, 0)), STAMPED, None, {"dead_letters_removed"}),
    ],
)
def test_a_record_without_a_letter_may_have_had_one(
    logs: Logs, kept: Keeping | None, source: Keeping | None, found: set[str]
) -> None:
    made, settled = books(), books()
    made.meet_ended(record(0), None, would("pass"))
    settled.meet_ended(record(3), told(LETTER), None)

    doubt_letters(made, logs, "events.dlq", kept, source)
    doubt_letters(settled, logs, "events.dlq", kept, source)

    assert set(whats(made)) == found
    assert whats(settled) == {}, "where every record has its letter, none can be missing"


@pytest.mark.parametrize(
    ("config", "keeping"),
    [
        (
            {
                "cleanup.policy": "delete",
                "message.timestamp.type": "CreateTime",
                "message.timestamp.after.max.ms": "3600000",
            },
            OF_AN_HOUR,
        ),
        (
            {
                "cleanup.policy": "compact,delete",
                "message.timestamp.type": "LogAppendTime",
                "message.timestamp.after.max.ms": "9223372036854775807",
            },
            Keeping(compacted=True, log_append_time=True, ahead_ms=None),
        ),
        ({}, Keeping(compacted=True, log_append_time=False, ahead_ms=None)),
    ],
)
def test_how_a_topic_keeps_its_records(config: dict[str, str], keeping: Keeping) -> None:
    assert keeping_of(config) == keeping
