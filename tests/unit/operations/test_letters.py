"""Which dead letters are meant, and which of them a replay takes."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

import pytest

from processor.errors import Code, Misconfigured, Stage
from processor.kafka.letter import Letter
from processor.operations.letters.find import (
    Criteria,
    Found,
    Source,
    around,
    is_letter_topic,
    left_after,
    letter_partitions,
    read_story,
    slim,
    source_topics,
)
from processor.operations.letters.options import LetterOptions, keys
from processor.operations.masking import shown_key
from processor.operations.replays.letters.choice import choose
from processor.record import Position, Record, TopicPartition
from processor.settings import Settings

DLQ = "events.dlq"
P0, P1 = TopicPartition(DLQ, 0), TopicPartition(DLQ, 1)
EVERYTHING = Criteria(None)
LETTER = Letter(
    source=Position("events", 0, 1), source_timestamp_ms=5, key=b"k", value=b"v",
    headers=[("own", b"\xff"), ("own", None)], connector="ours", task_id="0",
    code=Code.GATE_VIOLATION, class_name="", exception_class_name="", message="m", stacktrace="s",
    fingerprint="ab", targets=("event", "loyalty#1"), event_id="e", event_name="pointsIssued",
    schema_id="7", attempts=0, http_status=None, xaction_id=None, errors=(), failed_at="",
    replay_id=None, replay_count=2, version="1",
)  # fmt: skip


class Topics:
    """A reader of a cluster with these topics, of two partitions each."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def topics(self) -> dict[str, int]:
        return dict.fromkeys(self._names, 2)

    def refuse_hidden(self, topics: Collection[str]) -> None:
        assert set(topics).isdisjoint(self._names)


def settings(**kafka: Any) -> Settings:
    return Settings.model_validate(
        {
            "name": "ours",
            "kafka": {"bootstrap_servers": "b:1", **kafka},
            "ims": {"client_id": "c"},
            "experience_platform": {"org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg", "tenant": "t"},
        }
    )


def letter_at(offset: int, source: int, *, partition: int = 0, **changes: Any) -> Found:
    letter = replace(LETTER, source=Position("events", partition, source), **changes)
    return Found(Position(DLQ, partition, offset), None, letter)


def test_a_letter_is_read_without_its_value_and_its_story_with_its_own_headers() -> None:
    record = Record(DLQ, 1, 9, 77, b"k", b"v" * 1_000_000, LETTER.all_headers())

    found, story = slim(record, LETTER), read_story(record)

    assert found.position == Position(DLQ, 1, 9)
    assert (found.letter.value, found.letter.headers, found.letter.stacktrace) == (None, (), "")
    assert story is not None
    assert (story.topic, story.partition, story.offset, story.timestamp_ms) == ("events", 0, 1, 5)
    assert story.targets == {"event", "loyalty#1"}
    assert story.replay_count == 2
    assert list(story.headers) == [("own", b"\xff"), ("own", None)]


def test_a_record_that_is_no_letter_has_no_story() -> None:
    record = Record(DLQ, 0, 0, headers=[("__connect.errors.topic", b"events")])

    assert read_story(record) is None


@pytest.mark.parametrize(
    ("criteria", "meant"),
    [
        (Criteria("ours"), True),
        (Criteria("theirs"), False),
        (Criteria(None, codes=frozenset({Code.DECODE_JSON, Code.GATE_VIOLATION})), True),
        (Criteria(None, codes=frozenset({Code.DECODE_JSON})), False),
        (Criteria(None, stages=frozenset({Stage.TASK_PUT})), False),
        (Criteria(None, fingerprints=frozenset({"ab"})), True),
        (Criteria(None, events=frozenset({"customerAdded"})), False),
        (Criteria(None, keys=frozenset({b"K"})), False),
        (Criteria(None, sources=(Source("events", 0, 2), Source("events", 0))), True),
        (Criteria(None, sources=(Source("events", 0, 2), Source("event"))), False),
        (Criteria(None, positions=frozenset({Position(DLQ, 0, 4)})), True),
        (Criteria(None, positions=frozenset({Position(DLQ, 1, 4)})), False),
        (Criteria("ours", fingerprints=frozenset({"ab"}), events=frozenset({"x"})), False),
    ],
)
def test_every_criterion_has_to_hold(criteria: Criteria, meant: bool) -> None:
    assert criteria.take(Position(DLQ, 0, 4), LETTER) is meant


def test_only_our_dead_letter_topics_are_believed() -> None:
    ours = settings(topics=["events"])

    assert is_letter_topic(ours, DLQ)
    assert not is_letter_topic(ours, "events")
    assert not is_letter_topic(ours, "ours.state")


def test_topics_are_those_that_were_named_or_those_of_the_settings() -> None:
    cluster = Topics("events", "more", DLQ, "other.dlq", "ours.state")
    listed, matched = settings(topics=["events", "more"]), settings(topics_regex="^e")
    named = LetterOptions(topics=["events:1"]).choices(EVERYTHING)

    assert letter_partitions(cluster, listed, []) == [P0, P1]
    assert letter_partitions(cluster, matched, []) == [P0, P1]
    assert letter_partitions(cluster, listed, named) == [P1]
    assert source_topics(settings(topics_regex=".*"), cluster.topics()) == ["events", "more"]
    for wrong in ("ours.state", "more", "events:2"):
        choices = LetterOptions(topics=[wrong]).choices(EVERYTHING)
        with pytest.raises(Misconfigured):
            letter_partitions(cluster, listed, choices)


def test_options_become_criteria() -> None:
    options = LetterOptions(
        codes=["gate.violation"], stages=["task_put"], fingerprints=["AB"], events=["e"],
        keys=["k", "hex:00ff"], sources=["t:1"], offsets=["events.dlq:1:7"],
    )  # fmt: skip

    criteria = options.criteria(settings(topics=["events"]))

    assert criteria.connector == "ours"
    assert criteria.codes == {Code.GATE_VIOLATION}
    assert criteria.stages == {Stage.TASK_PUT}
    assert criteria.fingerprints == {"ab"}
    assert criteria.keys == {b"k", b"\x00\xff"}
    assert criteria.sources == (Source("t", 1),)
    assert options.choices(criteria) == [(DLQ, (1,))]
    assert LetterOptions(all_connectors=True).criteria(settings(topics=["e"])).connector is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (LetterOptions(codes=["gate.violations"]), "did you mean gate.violation"),
        (LetterOptions(codes=["\x1b[2J"]), "it is one of"),
        (LetterOptions(stages=["NOWHERE"]), "VALUE_CONVERTER"),
        (LetterOptions(keys=["hex:0g"]), "hexadecimal"),
        (LetterOptions(sources=["t:x"]), "--source takes"),
        (LetterOptions(offsets=["t:0"]), "--offset takes"),
    ],
)
def test_a_malformed_option_is_said_so(options: LetterOptions, said: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        options.criteria(settings(topics=["events"]))

    assert said in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_a_masked_key_is_not_what_the_option_takes() -> None:
    shown = shown_key(b"4711", reveal=False)

    assert shown is not None
    assert keys([shown]) != {b"4711"}


def test_a_page_goes_on_after_the_letters_that_were_seen() -> None:
    spans = {P0: (0, 10), P1: (5, 10)}

    assert left_after(spans, [Position(DLQ, 0, 3), Position(DLQ, 1, 9), Position("x", 0, 1)]) == {
        P0: (4, 10)
    }
    assert left_after(spans, [Position(DLQ, 1, 2)]) == spans


def test_only_what_holds_the_named_letters_is_read() -> None:
    spans = {P0: (0, 1_000_000), P1: (0, 10)}
    named = frozenset({Position(DLQ, 0, 7), Position(DLQ, 0, 9)})

    assert around(spans, named) == {P0: (7, 10)}
    assert around(spans, frozenset({Position(DLQ, 1, 10)})) == {}
    assert around(spans, frozenset()) == spans


def chosen(letters: Iterable[Found], **changes: Any) -> tuple[set[tuple[int, int]], int, int]:
    arguments: dict[str, Any] = {
        "spans": {P0: (0, 100), P1: (0, 100)}, "criteria": EVERYTHING, "max_replays": 5
    } | changes  # fmt: skip
    choice = choose(letters, **arguments)
    taken = {
        (partition.partition, offset)
        for partition, offsets in choice.letters.by_partition.items()
        for start, end in offsets.runs()
        for offset in range(start, end)
    }
    assert choice.letters.count == len(taken)
    return taken, choice.over_limit, choice.superseded


def test_a_replay_takes_the_letters_that_are_meant() -> None:
    letters = [
        letter_at(0, 10, replay_count=0),
        letter_at(1, 11, code=Code.DECODE_JSON, replay_count=0),
        letter_at(0, 10, partition=1, replay_count=0),
    ]
    gate = Criteria(None, codes=frozenset({Code.GATE_VIOLATION}))

    assert chosen(letters) == ({(0, 0), (0, 1), (1, 0)}, 0, 0)
    assert chosen(letters, criteria=gate) == ({(0, 0), (1, 0)}, 0, 0)
    assert chosen(letters, spans={P0: (1, 2)}) == ({(0, 1)}, 0, 0)


def test_of_a_record_that_failed_again_only_the_last_letter_is_taken() -> None:
    letters = [
        letter_at(0, 10, replay_count=0),
        letter_at(1, 10, replay_count=0),
        letter_at(2, 10, replay_count=1, code=Code.DELIVERY_REFUSED),
        letter_at(3, 10, replay_count=2, targets=("loyalty",)),
        letter_at(4, 11, replay_count=0),
    ]
    gate = Criteria(None, codes=frozenset({Code.GATE_VIOLATION}))

    assert chosen(letters) == ({(0, 3), (0, 4)}, 0, 3)
    assert chosen(letters[:3], criteria=gate) == (set(), 0, 2)
    assert chosen(letters, spans={P0: (0, 1)}) == (set(), 0, 1)


def test_a_record_that_died_anew_after_a_replay_is_taken_as_it_died_last() -> None:
    letters = [letter_at(0, 10, replay_count=1), letter_at(1, 10, replay_count=0)]

    assert chosen(letters) == ({(0, 1)}, 0, 1)


def test_a_letter_that_was_replayed_often_enough_is_left_alone() -> None:
    letters = [letter_at(0, 10, replay_count=4), letter_at(1, 11, replay_count=5), letter_at(2, 12)]

    assert chosen(letters) == ({(0, 0), (0, 2)}, 1, 0)
    assert chosen(letters, max_replays=2) == (set(), 3, 0)


def test_the_targets_of_a_choice_are_those_that_had_failed() -> None:
    spans = {P0: (0, 100)}

    some = choose([letter_at(0, 1)], spans, EVERYTHING, max_replays=5)
    every = choose([letter_at(0, 1, targets=())], spans, EVERYTHING, max_replays=5)

    assert some.targets == {"event", "loyalty"}
    assert every.targets == {None}
