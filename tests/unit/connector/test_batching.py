import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.connector.batching import FRAME_BYTES, Batch, Batcher, Lanes, body_bytes
from processor.connector.passage import Parcel, Passage
from processor.experience_platform.envelope import Envelope
from processor.record import Message, Record
from processor.settings.models import ExperiencePlatformSettings, TargetSettings

ENVELOPE = Envelope(
    ExperiencePlatformSettings(org_id=f"{'A' * 24}@AdobeOrg", tenant="acme"),
    TargetSettings(inlet_id="inlet", dataset_id="dataset", schema_id="schema"),
)


def parcel(number: int = 0, *, size: int = 10, key: bytes | None = None) -> Parcel:
    message = Message("event", 0, str(number), b"7" * size, key)
    return Parcel(message, Passage(Record("events", 0, number), 1))


def batcher(max_records: int = 3, max_bytes: int = 10_000, linger_s: float = 0.1) -> Batcher:
    return Batcher(max_records, max_bytes, linger_s)


def drained(filled: Batcher) -> list[Batch]:
    filled.hurry()
    batches = []
    while (batch := filled.take(0.0)) is not None:
        batches.append(batch)
    return batches


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 7), st.integers(50, 600)
)
def test_a_body_is_never_larger_than_allowed_unless_one_message_alone_is(
    sizes: list[int], most: int, limit: int
) -> None:
    filled = batcher(most, limit)
    parcels = [parcel(n, size=size) for n, size in enumerate(sizes)]

    for each in parcels:
        filled.add(each, 0.0)
    batches = drained(filled)

    assert [p for batch in batches for p in batch.parcels] == parcels
    for batch in batches:
        body = ENVELOPE.join([p.message.body for p in batch.parcels])
        assert batch.size_bytes == len(body) == body_bytes(batch.parcels)
        assert len(batch) <= most
        assert len(body) <= limit or len(batch) == 1


def test_a_batch_that_fits_to_the_byte_is_one_batch() -> None:
    filled = batcher(10, FRAME_BYTES + 10 + 1 + 10)

    filled.add(parcel(0), 0.0)
    filled.add(parcel(1), 0.0)

    assert [len(batch) for batch in drained(filled)] == [2]


def test_one_byte_more_is_two_batches() -> None:
    filled = batcher(10, FRAME_BYTES + 10 + 1 + 9)

    filled.add(parcel(0), 0.0)
    filled.add(parcel(1), 0.0)

    assert [len(batch) for batch in drained(filled)] == [1, 1]


def test_a_full_batch_goes_at_once() -> None:
    filled = batcher(2)

    filled.add(parcel(0), 5.0)
    filled.add(parcel(1), 5.0)

    batch = filled.take(5.0)
    assert batch is not None
    assert len(batch) == 2
    assert filled.due_s is None


def test_the_first_parcel_lingers_and_no_longer() -> None:
    filled = batcher(linger_s=0.1)
    filled.add(parcel(0), 5.0)
    filled.add(parcel(1), 5.09)

    early, due_s, late = filled.take(5.09), filled.due_s, filled.take(5.1)

    assert early is None
    assert due_s == pytest.approx(5.1)
    assert late is not None
    assert len(late) == 2


def test_a_drain_does_not_linger() -> None:
    filled = batcher()
    filled.add(parcel(0), 5.0)

    filled.hurry()

    assert filled.take(5.0) is not None
    assert len(filled) == 0


def test_what_is_not_wanted_any_more_is_dropped_wherever_it_waits() -> None:
    filled = batcher(2)
    parcels = [parcel(n) for n in range(5)]
    for each in parcels:
        filled.add(each, 5.0)

    dropped = filled.drop(lambda each: each.message.id in {"1", "4"})

    assert dropped == [parcels[1], parcels[4]]
    assert len(filled) == 3
    assert [p.message.id for batch in drained(filled) for p in batch.parcels] == ["0", "2", "3"]


@given(st.integers(2, 50))
def test_halves_hold_everything_and_know_what_happened(count: int) -> None:
    parcels = [parcel(n) for n in range(count)]
    whole = Batch(parcels, body_bytes(parcels), attempts=2)

    first, second = whole.halves(in_doubt=True)

    assert [*first.parcels, *second.parcels] == parcels
    assert abs(len(first) - len(second)) <= 1
    assert first.size_bytes == body_bytes(first.parcels)
    assert (first.attempts, first.lasting, first.doubts) == (2, True, 0)
    assert first.suspects == second.suspects
    assert first.suspects[0].uncleared == count


def test_a_split_for_size_suspects_nobody() -> None:
    parcels = [parcel(0), parcel(1)]

    first, _ = Batch(parcels, body_bytes(parcels)).halves(in_doubt=False)

    assert first.suspects == ()


def test_one_parcel_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        Batch([parcel()], 25).halves(in_doubt=True)


def test_a_hot_key_keeps_its_order_and_nobody_else_waiting() -> None:
    lanes = Lanes()
    hot = [parcel(n, key=b"hot") for n in range(3)]

    entered = [lanes.enter(p) for p in hot]
    others = [lanes.enter(parcel(9, key=b"cold")), lanes.enter(parcel(8))]
    followed = [lanes.leave(p) for p in hot]

    assert entered == [True, False, False]
    assert others == [True, True]
    assert followed == [hot[1], hot[2], None]


def test_a_key_without_open_parcels_takes_no_memory() -> None:
    lanes = Lanes()
    first, again = parcel(0, key=b"k"), parcel(1, key=b"k")

    lanes.enter(first)
    lanes.leave(first)

    assert lanes.enter(again)
    assert lanes.leave(again) is None
    assert lanes.leave(parcel(2)) is None


@given(st.lists(st.sampled_from([b"a", b"b", b"c", None]), max_size=30), st.data())
def test_two_of_one_key_are_never_open_together(
    keys: list[bytes | None], data: st.DataObject
) -> None:
    lanes = Lanes()
    parcels = [parcel(n, key=key) for n, key in enumerate(keys)]
    going = [p for p in parcels if lanes.enter(p)]
    gone: list[int] = []

    while going:
        keyed = [p.message.order_key for p in going if p.message.order_key is not None]
        assert len(keyed) == len(set(keyed))
        ended = going.pop(data.draw(st.integers(0, len(going) - 1)))
        gone.append(int(ended.message.id))
        following = lanes.leave(ended)
        if following is not None:
            going.append(following)

    assert sorted(gone) == list(range(len(keys)))
    for key in {key for key in keys if key is not None}:
        order = [n for n in gone if keys[n] == key]
        assert order == sorted(order)


def test_what_was_sent_is_the_body_that_was_counted() -> None:
    bodies = [ENVELOPE.wrap(orjson.dumps({"n": n})) for n in range(3)]
    parcels = [
        Parcel(Message("event", 0, "", body), Passage(Record("e", 0, 0), 1)) for body in bodies
    ]

    assert body_bytes(parcels) == len(ENVELOPE.join(bodies))
