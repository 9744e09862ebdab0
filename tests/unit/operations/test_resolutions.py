"""Resolutions: what is written is read back, and later ones hold over earlier ones."""

from collections.abc import Iterable, Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.kafka.state_entry import Entry, encode
from processor.operations.chosen import Offsets
from processor.operations.resolutions.resolutions import (
    Outcome,
    Place,
    Resolutions,
    Resolved,
    Word,
    read_place,
    read_resolved,
)
from processor.operations.resolutions.runs import of_any, of_runs, pieces
from processor.record import TopicPartition

LETTERS = TopicPartition("t.dlq", 3)
DELIVERED, DISCARDED = Outcome(Word.DELIVERED), Outcome(Word.DISCARDED)
FAILED = Outcome(Word.FAILED, "gate.violation")
OUTCOMES = (DELIVERED, FAILED, DISCARDED, Outcome(Word.PARTLY))
SOME = st.sets(st.integers(0, 40), min_size=1)


def entry(
    offset: int, outcomes: Mapping[Outcome, Offsets], *, topic_id: str = "id", run: str = ""
) -> Entry:
    place = Place(LETTERS, run or f"run-{offset}", 0)
    resolved = Resolved(outcomes, "ann@host", "2026-01-31T12:00:00Z", topic_id, "why")
    return Entry(place.key, resolved.document(), offset, 0)


@given(st.dictionaries(st.sampled_from(OUTCOMES), SOME))
def test_an_entry_is_read_back(outcomes: Mapping[Outcome, set[int]]) -> None:
    sets = {outcome: of_any(numbers) for outcome, numbers in outcomes.items()}
    resolved = Resolved(sets, "ann@host", "2026-01-31T12:00:00Z", "id", "why")

    assert read_resolved(orjson.loads(encode(resolved.document()) or b"")) == resolved


@given(st.lists(st.tuples(st.sampled_from(OUTCOMES), SOME), max_size=12))
def test_the_latest_holds(actions: list[tuple[Outcome, set[int]]]) -> None:
    entries = [entry(n, {o: of_any(numbers)}) for n, (o, numbers) in enumerate(actions)]
    expected = {offset: o for o, numbers in actions for offset in numbers}

    found = Resolutions(reversed(entries), {"t.dlq": "id"})

    for offset in range(42):
        resolution = found.of(LETTERS, offset)
        assert (resolution and resolution.outcome) == expected.get(offset)
        still = expected.get(offset) in (None, Outcome(Word.PARTLY))
        assert found.is_open(LETTERS, offset) == still


def test_of_another_topic_of_that_name_nothing_counts() -> None:
    entries = [entry(1, {DELIVERED: of_any([1])}, topic_id="old"), entry(2, {FAILED: of_any([2])})]

    found = Resolutions(entries, {"t.dlq": "id"})

    assert (found.is_open(LETTERS, 1), found.is_open(LETTERS, 2)) == (True, False)
    assert found.outdated == ["resolution/t.dlq/3/run-1/0"]
    assert not Resolutions(entries, {}).is_open(LETTERS, 1)


def test_entries_of_dropped_letters_are_named() -> None:
    entries = [entry(1, {DELIVERED: of_any([1, 5]), FAILED: of_any([6])})]

    assert Resolutions(entries, {}).below({LETTERS: 6}) == []
    assert Resolutions(entries, {}).below({LETTERS: 7}) == ["resolution/t.dlq/3/run-1/0"]


def test_a_run_goes_on_counting_where_it_was() -> None:
    entries = [entry(1, {DELIVERED: of_any([1])}, run="r")]

    found = Resolutions(entries, {})

    assert found.next_number(LETTERS, "r") == 1
    assert found.next_number(LETTERS, "other") == 0


@pytest.mark.parametrize("key", ["replay/r", "resolution/t/x/r/0", "resolution/t/0/r", "x/t/0/r/0"])
def test_other_keys_are_passed_over(key: str) -> None:
    assert read_place(key) is None
    assert Resolutions([Entry(key, {"outcomes": []}, 0, 0)], {}).is_open(LETTERS, 0)


def test_a_key_is_read_back() -> None:
    assert read_place(Place(LETTERS, "r", 7).key) == Place(LETTERS, "r", 7)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"outcome": "x", "detail": "", "runs": ""},
        {"outcome": "failed", "detail": "", "runs": 1},
    ],
)
def test_what_is_not_of_the_form_is_passed_over(row: Mapping[str, object]) -> None:
    document = {"by": "", "at": "", "topic_id": "", "outcomes": [row]}

    assert read_resolved(document) is None
    assert Resolutions([Entry(Place(LETTERS, "r", 0).key, document, 0, 0)], {}).is_open(LETTERS, 0)


@pytest.mark.parametrize("step", [1, 2])
def test_a_million_letters_are_few_bytes(step: int) -> None:
    letters = of_runs((n, n + 1) for n in range(0, step * 1_000_000, step))
    entries = [
        Entry(Place(LETTERS, "r", n).key, Resolved({DISCARDED: piece}, "", "", "").document(), n, 0)
        for n, piece in enumerate(pieces(letters))
    ]
    sizes = [len(encode(entry.document) or b"") for entry in entries]

    found = Resolutions(entries, {})

    assert max(sizes) < 200_000
    assert sum(sizes) < (1_000 if step == 1 else 4_000_000)
    assert not found.is_open(LETTERS, step * 999_999)
    assert found.is_open(LETTERS, step * 1_000_000)


def labels(outcomes: Iterable[Outcome]) -> list[str]:
    return [outcome.label for outcome in outcomes]


def test_labels() -> None:
    assert labels([DELIVERED, FAILED, DISCARDED]) == [
        "replayed:delivered",
        "replayed:failed:gate.violation",
        "discarded",
    ]
