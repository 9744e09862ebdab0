"""For a range: which of its records are old news, for a later record of their key is not in it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from processor.operations.chosen import Chosen
from processor.operations.reading import Reader
from processor.operations.rehearsal import chosen_records, rehearsing
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.ranges.manner import Manner
from processor.operations.replays.replaying import state_targets
from processor.record import Position, Record
from processor.settings import Settings


def asks_for_news(settings: Settings, manner: Manner) -> bool:
    """Whether anything that is sent could overwrite what a later record has set.

    Args:
        settings: with the replay's targets alone.
        manner: how it is done.
    """
    return not manner.allow_stale and bool(state_targets(settings))


@asynccontextmanager
async def later_than(
    settings: Settings,
    reader: Reader,
    records: Chosen,
    *,
    looked_at: Callable[[int], None] = lambda _count: None,
) -> AsyncIterator[LaterRecords]:
    """Look for later records of the keys of these, but for these themselves.

    Reads them once for their keys, and what follows them to the topics' ends.

    Args:
        settings: with the replay's targets alone.
        reader: of Kafka.
        records: those that are replayed, each key in its order.
        looked_at: called now and then with how many records were read.

    Raises:
        TryAgain: Kafka or the schema registry does not answer.
        Misconfigured: one of them refuses us, or the schemas are wrong.
    """
    states = state_targets(settings)
    later = LaterRecords(reader, states, ours=records, source_of=_itself)
    keyless, done = Chosen(), 0
    for batch in chosen_records(reader, records):
        for record in batch:
            later.want(record.position, record.key, record.timestamp_ms)
            if record.key is None:
                keyless.add(record.position)
        done += len(batch)
        looked_at(done)
        await asyncio.sleep(0)  # an interrupt is delivered here
    async with rehearsing(settings) as rehearsal:
        await later.look(rehearsal, keyless, lambda more: looked_at(done + more))
        yield later


def _itself(record: Record) -> Position:
    return record.position
