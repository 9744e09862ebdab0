"""Offsets that were chosen, as runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.operations.chosen import Chosen, Offsets
from processor.record import Position, TopicPartition

T0 = TopicPartition("t", 0)


@given(st.sets(st.integers(0, 200)))
def test_runs_hold_exactly_what_was_added(wanted: set[int]) -> None:
    offsets = Offsets()
    for offset in sorted(wanted):
        offsets.add(offset)

    assert {offset for offset in range(210) if offset in offsets} == wanted
    assert len(offsets) == len(wanted)
    assert {o for start, end in offsets.runs() for o in range(start, end)} == wanted
    assert offsets.span == ((min(wanted), max(wanted) + 1) if wanted else (0, 0))


def test_neighbours_share_a_run() -> None:
    offsets = Offsets.of(0, 1_000_000)

    offsets.add(1_000_000)

    assert list(offsets.runs()) == [(0, 1_000_001)]


def test_offsets_come_in_rising_order() -> None:
    offsets = Offsets.of(3, 6)

    for wrong in (2, 5):
        with pytest.raises(ValueError, match="rising"):
            offsets.add(wrong)
    with pytest.raises(ValueError, match="rising"):
        offsets.add_run(9, 9)


def test_records_are_chosen_by_coordinates() -> None:
    chosen = Chosen()
    for offset in (4, 5, 9):
        chosen.add(Position("t", 0, offset))

    assert chosen.count == 3
    assert chosen.spans == {T0: (4, 10)}
    assert chosen.has(T0, 9)
    assert not chosen.has(T0, 6)
    assert not chosen.has(TopicPartition("t", 1), 9)
    assert Chosen.whole({T0: (2, 5)}).count == 3


def test_what_is_left_begins_at_the_first_offset_that_was_not_chosen() -> None:
    chosen = Chosen()
    for offset in (4, 5, 9):
        chosen.add(Position("t", 0, offset))

    assert [chosen.first_left(T0, offset) for offset in (0, 4, 5, 6, 9, 10)] == [0, 6, 6, 6, 10, 10]
    assert chosen.first_left(TopicPartition("t", 1), 4) == 4
