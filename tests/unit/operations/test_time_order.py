"""Items of several partitions come out in the order of their time."""

import random

from processor.operations.time_order import TimeOrder
from processor.record import TopicPartition

A, B, C = (TopicPartition("letters", number) for number in range(3))


def test_nothing_goes_before_every_partition_has_spoken() -> None:
    order: TimeOrder[str] = TimeOrder([A, B], ahead=10)

    order.add(A, 100, "a")

    assert list(order.ready()) == []
    order.add(B, 50, "b")
    assert list(order.ready()) == ["b"]
    order.end(B)
    assert list(order.ready()) == ["a"]


def test_a_partition_of_which_nothing_is_wanted_holds_nobody_back() -> None:
    order: TimeOrder[str] = TimeOrder([A, B], ahead=10)
    order.add(A, 100, "a1")
    order.add(A, 200, "a2")

    order.add(B, 150, None)

    assert list(order.ready()) == ["a1"]


def test_times_that_run_backwards_do_not_change_the_order_of_offsets() -> None:
    order: TimeOrder[str] = TimeOrder([A, B], ahead=10)
    order.add(A, 300, "first")
    order.add(A, 100, "second")
    order.add(A, None, "third")
    order.add(B, 200, "other")
    for partition in (A, B):
        order.end(partition)

    assert list(order.ready()) == ["other", "first", "second", "third"]


def test_a_partition_that_is_ahead_is_full_until_the_others_have_caught_up() -> None:
    order: TimeOrder[int] = TimeOrder([A, B], ahead=3)
    for number in range(3):
        order.add(A, number, number)
    assert list(order.ready()) == []
    assert order.full() == {A}

    order.end(B)
    gone = list(order.ready())

    assert gone == [0, 1, 2]
    assert order.full() == set()


def test_any_mixture_comes_out_sorted_and_whole() -> None:
    dice = random.Random(7)
    for _ in range(50):
        records = {p: sorted(dice.choices(range(100), k=20)) for p in (A, B, C)}
        order: TimeOrder[int] = TimeOrder(list(records), ahead=5)
        out: list[int] = []
        left = {p: list(times) for p, times in records.items()}
        while left:
            partition = dice.choice(sorted(left.keys() - order.full()))
            if left[partition]:
                time_ms = left[partition].pop(0)
                order.add(partition, time_ms, time_ms)
            else:
                del left[partition]
                order.end(partition)
            out += order.ready()

        assert out == sorted(time_ms for times in records.values() for time_ms in times)
