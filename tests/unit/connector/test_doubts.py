import random

import pytest

from processor.connector.batching import Batch
from processor.connector.doubts import DOUBTS_UNREADABLE, OTHERS, Doubts
from processor.connector.passage import Parcel, Passage
from processor.record import Message, Record


def other(doubts: Doubts, *, answered: bool) -> None:
    """A request of somebody else, which ends one way or the other."""
    batch = batch_of(1)
    doubts.sending(batch)
    if answered:
        doubts.accepted(batch, 1)
    else:
        doubts.doubt(batch)


def fails(doubts: Doubts, alone: Batch) -> bool:
    """Send a message alone and get no verdict; whether that convicts it."""
    doubts.sending(alone)
    enough = doubts.doubt(alone) >= doubts.enough(DOUBTS_UNREADABLE)
    return enough and not doubts.may_be_chance(alone)


def batch_of(count: int) -> Batch:
    record = Record("events", 0, 1)
    return Batch([Parcel(Message("event", 0, "1", b"{}", None), Passage(record, 1))] * count, 2)


def tries_until_convicted(before: int, between: int) -> int:
    """How often a message fails alone where others never do: so many before, and at each turn."""
    doubts, alone = Doubts(), batch_of(1)
    for _ in range(before):
        other(doubts, answered=True)
    for number in range(1, 100):
        if fails(doubts, alone):
            return number
        for _ in range(between):
            other(doubts, answered=True)
    return 100


@pytest.mark.parametrize(
    ("before", "between", "tries"), [(OTHERS, 10, 6), (0, 50, 6), (0, 10, 6), (0, 1, 11)]
)
def test_the_fewer_others_were_accepted_the_more_often_a_message_has_to_fail_alone(
    before: int, between: int, tries: int
) -> None:
    assert tries_until_convicted(before, between) == tries


def test_where_nobody_else_is_accepted_meanwhile_nobody_is_convicted() -> None:
    assert tries_until_convicted(OTHERS, 0) == 100


@pytest.mark.parametrize(("share", "between"), [(0.15, 10), (0.3, 10), (0.3, 2), (0.5, 5)])
def test_where_connections_break_by_chance_a_good_message_is_hardly_ever_convicted(
    share: float, between: int
) -> None:
    chance = random.Random(7)
    convicted = 0
    for _ in range(3_000):
        doubts, alone = Doubts(), batch_of(1)
        for _ in range(OTHERS):
            other(doubts, answered=True)  # it has only just begun
        while chance.random() < share:
            if fails(doubts, alone):
                convicted += 1
                break
            for _ in range(between):
                other(doubts, answered=chance.random() >= share)

    assert convicted <= 1


def test_where_others_fail_as_well_a_message_has_to_fail_more_often() -> None:
    doubts, alone = Doubts(), batch_of(1)
    for number in range(40):
        other(doubts, answered=number % 2 == 0)
    convicted = []
    for _ in range(10):
        convicted.append(fails(doubts, alone))
        other(doubts, answered=True)

    assert not any(convicted)


def test_what_it_failed_before_a_split_counts_too() -> None:
    doubts, whole = Doubts(), batch_of(2)
    for _ in range(OTHERS):
        other(doubts, answered=True)
    for _ in range(3):
        doubts.sending(whole)
        doubts.doubt(whole)
        other(doubts, answered=True)
    part = whole.part(whole.parcels[:1])
    convicted = []
    for _ in range(3):
        convicted.append(fails(doubts, part))
        other(doubts, answered=True)

    assert convicted == [False, False, True]
