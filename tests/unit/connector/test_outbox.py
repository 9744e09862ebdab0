import math
from collections.abc import Callable

from processor.connector.batching import Batcher, body_bytes
from processor.connector.outbox import Outbox
from processor.connector.passage import Parcel, Passage
from processor.record import Message, Record


def parcels(*numbers: int) -> list[Parcel]:
    return [
        Parcel(Message("event", 0, str(n), b"{}", None), Passage(Record("events", 0, n), 1))
        for n in numbers
    ]


def numbers_of(some: list[Parcel]) -> list[int]:
    return [int(parcel.message.id) for parcel in some]


def outbox(*fresh: int, max_records: int = 4, linger_s: float = 5.0) -> Outbox:
    box = Outbox(Batcher(max_records, 10_000, linger_s))
    for parcel in parcels(*fresh):
        box.add(parcel, 0.0)
    return box


def failing(box: Outbox, *numbers: int) -> None:
    whole = outbox(*numbers, max_records=len(numbers)).take(0.0)
    assert whole is not None
    box.last([whole])


def test_a_probe_that_is_to_be_alone_leaves_the_rest_of_its_batch_whole() -> None:
    box = outbox(0, 1, 2, 3)

    single = box.probe(0.0, alone=True)
    rest = box.take(0.0)

    assert single is not None
    assert rest is not None
    assert numbers_of(list(single.parcels)) == [0]
    assert numbers_of(list(rest.parcels)) == [1, 2, 3]
    assert rest.size_bytes == body_bytes(rest.parcels)
    assert not box


def test_a_probe_takes_the_fresh_before_what_failed() -> None:
    box = outbox(10, 11, 12, 13)
    failing(box, 0, 1)

    probed = [box.probe(0.0, alone=False) for _ in range(3)]

    assert [numbers_of(list(batch.parcels)) for batch in probed if batch] == [
        [10, 11, 12, 13],
        [0, 1],
    ]


def test_the_parcels_that_were_tried_least_probe_first() -> None:
    box = outbox()
    failing(box, 0)
    failing(box, 1, 2)

    probed = []
    for _ in range(6):
        batch = box.probe(0.0, alone=True)
        assert batch is not None
        batch.attempts += 1
        probed += numbers_of(list(batch.parcels))
        box.last([batch])

    assert sorted(probed) == [0, 0, 1, 1, 2, 2]


def test_with_nothing_but_lingering_parcels_a_probe_falls_due_when_they_do() -> None:
    box = outbox(0, linger_s=5.0)

    assert box.probe(1.0, alone=True) is None
    assert box.probe_due_s == 5.0


def test_what_failed_or_is_full_can_probe_at_once_and_an_empty_outbox_cannot_at_all() -> None:
    full, failed = outbox(0, 1, 2, 3), outbox()
    failing(failed, 0)

    assert full.probe_due_s == failed.probe_due_s == -math.inf
    assert outbox().probe_due_s is None


def test_what_is_dropped_leaves_no_empty_batch() -> None:
    box = outbox(4, 5)
    failing(box, 0, 1)
    failing(box, 2, 3)
    below: Callable[[Parcel], bool] = lambda parcel: int(parcel.message.id) < 3  # noqa: E731

    dropped = box.drop(below)
    again = box.take(0.0)

    assert numbers_of(dropped) == [0, 1, 2]
    assert again is not None
    assert numbers_of(list(again.parcels)) == [3]
    assert again.size_bytes == body_bytes(again.parcels)
