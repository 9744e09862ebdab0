"""Does a source topic hold a later record of a key? Then a replay of the earlier one is old news.

A target that holds a state keeps what came last, so a record that is replayed could overwrite what
a later one has set. Kafka alone tells: each source partition is read once, from the lowest record
that is meant to its end, and again what was written since. A later record of a key counts for the
targets that today's schemas send it to: a purchase says nothing new of a balance. So records of the
keys that are meant are decoded and mapped, until for each target a later one is known. Kept is one
number for each key and target.

Where it cannot tell, the answer is yes: retention has removed what may have been later, the topic
is gone, another topic has its name, or the later record itself cannot be decoded or mapped.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import blake2b

from processor.operations.chosen import Chosen
from processor.operations.letters.find import read_story
from processor.operations.reading import Reader
from processor.operations.rehearsal import Rehearsal, Rehearsed, chosen_records
from processor.record import Position, Record, TopicPartition

NONE_YET = -1
SAMPLE = 1_000
"""So many records of a partition are compared with what their letters say of them."""


def source_of_letter(record: Record) -> Position | None:
    """Where the record of a dead letter stands; `None`: it is no letter."""
    story = read_story(record)
    return None if story is None else Position(story.topic, story.partition, story.offset)


class LaterRecords:
    """For each key that is meant, the last record of it in its source partition.

    Args:
        reader: of Kafka.
        states: the targets that hold a state; only of them is anything asked.
        ours: records of source topics that do not count: they are replayed too, in their order.
        source_of: where the record stands in its source topic that a record tells of.

    Attributes:
        allowed: how many records were let through although there is a later one.
        untold: how often nobody could tell, by why.
    """

    def __init__(
        self,
        reader: Reader,
        states: Collection[str],
        *,
        ours: Chosen | None = None,
        source_of: Callable[[Record], Position | None] = source_of_letter,
    ) -> None:
        self.allowed = 0
        self.untold: Counter[str] = Counter()
        self._reader = reader
        self._states = frozenset(states)
        self._ours = Chosen() if ours is None else ours
        self._source_of = source_of
        self._others: dict[TopicPartition, int] = {}
        self._rehearsal: Rehearsal | None = None
        self._meant: defaultdict[TopicPartition, dict[int, int]] = defaultdict(dict)
        self._last: defaultdict[TopicPartition, dict[str, dict[int, int]]] = defaultdict(dict)
        self._lowest: dict[TopicPartition, int] = {}
        self._keyless: set[TopicPartition] = set()
        self._sample: dict[TopicPartition, dict[int, tuple[int | None, int | None]]] = {}
        self._starts: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._untold: dict[TopicPartition, str] = {}

    def want(self, source: Position, key: bytes | None, timestamp_ms: int | None) -> None:
        """Mean a record of a source topic; before :meth:`look`."""
        place = TopicPartition(source.topic, source.partition)
        self._lowest[place] = min(source.offset, self._lowest.get(place, source.offset))
        if key is None:
            self._keyless.add(place)
        else:
            self._mean(source, key)
        sample = self._sample.setdefault(place, {})
        if len(sample) < SAMPLE:
            sample[source.offset] = timestamp_ms, None if key is None else _number(key)

    async def look(
        self,
        rehearsal: Rehearsal,
        keyless: Chosen,
        looked_at: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Read the source partitions of what is meant to their ends.

        Args:
            rehearsal: decodes records without a key: their customer id stands for it.
            keyless: of what tells of the records that are meant, those without a key.
            looked_at: called now and then with how many records were read.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us.
        """
        self._rehearsal = rehearsal
        for records in chosen_records(self._reader, keyless):
            for record in records:
                if (source := self._source_of(record)) is not None:
                    for _, customer in _customers(await rehearsal.rehearse(record)):
                        self._mean(source, customer)
        known = self._reader.topics()
        there = [place for place in self._lowest if place.partition < known.get(place.topic, 0)]
        self._untold |= dict.fromkeys(self._lowest.keys() - there, "its source topic is gone")
        self._starts, self._ends = self._reader.starts(there), self._reader.ends(there)
        begins = {
            place: max(self._ours.first_left(place, self._lowest[place]), self._starts[place])
            for place in there
        }
        done = 0
        with self._reader.reading({p: (begins[p], self._ends[p]) for p in there}) as reading:
            for records in reading:
                for record in records:
                    if not self._see(record):
                        await self._see_what_it_sets(record)
                done += len(records)
                looked_at(done)
                await asyncio.sleep(0)  # an interrupt is delivered here

    async def look_again(self) -> None:
        """Read what was written since, without holding up the loop.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us.
        """
        for record in await asyncio.to_thread(self._read_on):
            await self._see_what_it_sets(record)

    def _read_on(self) -> list[Record]:
        """Read what was written since; the records of which is still to be seen what they set."""
        ends = self._reader.ends(list(self._ends))
        with self._reader.reading({p: (self._ends[p], end) for p, end in ends.items()}) as reading:
            left = [r for records in reading for r in records if not self._see(r)]
        self._ends |= ends
        return left

    def newer(self, source: Position, target: str, key: bytes | None) -> bool:
        """Whether there is a later record, or nobody can tell.

        Args:
            source: where the record stands in its source topic.
            target: one that holds a state.
            key: its key, or its customer id; `None` asks for any record of the partition.
        """
        if self.cannot_tell(source):
            return True
        place = TopicPartition(source.topic, source.partition)
        if key is None:
            return self._others.get(place, NONE_YET) > source.offset
        number = _number(key)
        if number not in self._meant[place]:
            return True
        return self._last[place].get(target, {}).get(number, NONE_YET) > source.offset

    def cannot_tell(self, source: Position) -> str:
        """Why nobody can tell whether there is a later record; empty where one can."""
        place = TopicPartition(source.topic, source.partition)
        if place in self._untold:
            return self._untold[place]
        if place not in self._starts:
            return "its source topic was not looked at"
        if self._starts[place] > source.offset + 1:
            return "its source topic has dropped what may have been later"
        if self._ends[place] <= source.offset:
            return "another source topic has its name now"
        return ""

    def _mean(self, source: Position, key: bytes) -> None:
        meant, number = self._meant[TopicPartition(source.topic, source.partition)], _number(key)
        meant[number] = max(source.offset, meant.get(number, NONE_YET))

    def _see(self, record: Record) -> bool:
        """Note a record; False when it is still to be seen what it sets."""
        place = TopicPartition(record.topic, record.partition)
        if self._ours.has(place, record.offset):
            return True
        self._others[place] = record.offset
        number = None if record.key is None else _number(record.key)
        said = self._sample.get(place, {}).get(record.offset)
        if said is not None and not _is_same(said, (record.timestamp_ms, number)):
            self._untold[place] = "another source topic has its name now"
        if number is None:
            return place not in self._keyless
        return number not in self._meant[place] or self._is_settled(place, number)

    def _is_settled(self, place: TopicPartition, number: int) -> bool:
        """Whether a later record than any that is meant is known for each target."""
        last, highest = self._last[place], self._meant[place][number]
        return all(last.get(t, {}).get(number, NONE_YET) > highest for t in self._states)

    async def _see_what_it_sets(self, record: Record) -> None:
        if self._rehearsal is None:
            raise AssertionError("look comes first")
        rehearsed = await self._rehearsal.rehearse(record)
        if record.key is None:
            sets = _customers(rehearsed)
        else:
            sets = {(target, record.key) for target in self._targets(rehearsed)}
        place = TopicPartition(record.topic, record.partition)
        for target, key in sets:
            number = _number(key)
            if number in self._meant[place]:
                self._last[place].setdefault(target, {})[number] = record.offset

    def _targets(self, rehearsed: Rehearsed) -> frozenset[str]:
        """Those that a record sets, or may have set: what fails today need not have failed then."""
        failed = {failure.target.partition("#")[0] for failure in rehearsed.passage.failures}
        if "" in failed:
            return self._states
        return self._states & (failed | {parcel.message.target for parcel in rehearsed.parcels})


@dataclass(slots=True, eq=False)
class Newer:
    """Asks for one record; what a `Story` holds.

    Attributes:
        source: where it stands in its source topic.
        allowed: let it through all the same.
        found: whether there was a later record.
    """

    later: LaterRecords
    source: Position
    allowed: bool
    found: bool = False

    def __call__(self, target: str, key: bytes | None) -> bool:
        """Whether it is to be left out there: a later record of this key is, or may be."""
        newer = self.later.newer(self.source, target, key)
        if newer and not self.found:
            self.found = True
            self.later.allowed += self.allowed
            if why := self.later.cannot_tell(self.source):
                self.later.untold[why] += 1
        return newer and not self.allowed


def _customers(rehearsed: Rehearsed) -> set[tuple[str, bytes]]:
    """Of a record without a key, the targets that it sets and for which customer."""
    record = rehearsed.passage.record
    place = len(f"{record.topic}\x00{record.partition}\x00".encode())
    messages = (parcel.message for parcel in rehearsed.parcels)
    return {(m.target, m.order_key[place:]) for m in messages if m.order_key is not None}


def _number(key: bytes) -> int:
    """Eight bytes of a hash: few enough to keep, too many for two keys to meet."""
    return int.from_bytes(blake2b(key, digest_size=8).digest())


def _is_same(said: tuple[int | None, int | None], found: tuple[int | None, int | None]) -> bool:
    return said[1] == found[1] and (said[0] is None or said[0] == found[0])
