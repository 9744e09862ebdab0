"""The order check of the benchmark can fail, and so can what it says of a run."""

from dataclasses import replace

import pytest

from tests.bench.order import Order
from tests.bench.ordering import Ordered, medians, what_is_wrong
from tests.bench.sink import Counts

GOOD = Ordered("key", 100, 6_000.0, 0.1, keys=2, messages=10, late=0, again=0, elsewhere=0)


def message(key: str, number: int) -> bytes:
    """As the connector sends it, as far as the sink reads it."""
    return (
        b'{"body":{"xdmEntity":{"_id":"4647d7b7-0000-4000-8000-%012d","identityMap":'
        b'{"CapillaryCustomerId":[{"id":"%s","authenticatedState":"authenticated"}]}}}}'
        % (number, key.encode())
    )


def body(*messages: bytes) -> bytes:
    return b'{"messages":[' + b",".join(messages) + b"]}"


def test_first_acceptances_in_the_order_of_a_key_are_in_order_whatever_the_others_do() -> None:
    order = Order()

    order.read(body(message("a", 1), message("b", 9)))
    order.read(body(message("b", 12), message("a", 2)))

    assert order.report() == {"keys": 2, "messages": 4, "late": 0}


@pytest.mark.parametrize(
    "bodies",
    [
        [body(message("a", 2)), body(message("a", 1))],
        [body(message("a", 2), message("b", 5), message("a", 1))],
    ],
)
def test_one_that_comes_after_a_later_one_of_its_key_is_late(bodies: list[bytes]) -> None:
    order = Order()

    for one in bodies:
        order.read(one)

    assert order.late == 1


def test_a_repeat_is_no_first_acceptance() -> None:
    order = Order()

    for number in (1, 2, 1, 2, 3):
        order.note(b"a", number)

    assert order.report() == {"keys": 1, "messages": 3, "late": 0}


def test_the_sink_looks_at_the_order_when_it_is_asked_to() -> None:
    counts = Counts()
    counts.reset(latency_s=0.0, sample=False, order=True)
    late = bytearray(body(message("a", 2), message("a", 1)))

    counts.take(late, 0, len(late))
    counts.look(late, 0, len(late))

    assert counts.report()["order"] == {"keys": 1, "messages": 2, "late": 1}


@pytest.mark.parametrize(
    ("result", "wrong"),
    [
        (GOOD, ""),
        (replace(GOOD, ordering="none", late=3), ""),
        (replace(GOOD, late=3), "3 messages were accepted after a later one of their key"),
        (replace(GOOD, messages=9), "the sink knew 9 of 10 messages"),
        (replace(GOOD, elsewhere=1), "1 records were not delivered"),
    ],
)
def test_a_run_that_shows_nothing_or_the_opposite_is_named(result: Ordered, wrong: str) -> None:
    assert what_is_wrong(result, 10) == wrong


def test_the_ratio_is_that_of_the_medians() -> None:
    rates = {"key": (4_000.0, 6_000.0, 1_000.0), "none": (8_000.0, 9_000.0, 2_000.0)}
    results = [
        replace(GOOD, ordering=ordering, records_per_s=rate)
        for ordering, of_it in rates.items()
        for rate in of_it
    ]

    assert medians(results) == {
        "key_records_per_s": 4_000,
        "none_records_per_s": 8_000,
        "ratio": 0.5,
    }
