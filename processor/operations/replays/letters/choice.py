"""Which dead letters a replay takes: those that are meant, less those that it must leave alone."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from processor.operations.chosen import Chosen
from processor.operations.letters.find import Criteria, Found
from processor.operations.letters.meant import Decoding
from processor.operations.reading import Spans, everything
from processor.operations.where import Where
from processor.record import Position, Record, TopicPartition


@dataclass(frozen=True, slots=True)
class Choice:
    """What a replay of dead letters takes, and what it leaves.

    Attributes:
        letters: coordinates in the dead-letter topics.
        targets: every target that failed in one of them; ``None`` is among them when a letter
            failed before any target.
        over_limit: letters that were replayed as often as is allowed.
        superseded: letters whose record was replayed and failed again: a later letter tells what
            is still missing, and only that one is taken.
        resolved: letters about which something was done.
        keyless: of the letters, those whose record has no key; `LaterRecords` asks who they are of.
    """

    letters: Chosen
    targets: frozenset[str | None]
    over_limit: int
    superseded: int
    resolved: int = 0
    keyless: Chosen = field(default_factory=Chosen)


def choose(
    letters: Iterable[Found],
    spans: Spans,
    criteria: Criteria,
    *,
    max_replays: int,
    within: Chosen | None = None,
    wanted: Callable[[TopicPartition, int], bool] = everything,
    holds: Callable[[Found], bool] = lambda _found: True,
    meant: Callable[[Found], None] = lambda _found: None,
) -> Choice:
    """Choose the letters to replay; only their coordinates are kept, about 40 bytes each.

    Args:
        letters: of the connector, those of each partition in their order: the ones in the spans,
            whatever they are like, and what was written since, for a later letter supersedes an
            earlier one.
        spans: where the letters stand that are meant.
        criteria: what they have to be like.
        max_replays: letters that were replayed so often are left alone.
        within: only these; `None`: any.
        wanted: whether anything is to be done about the letter at an offset of a partition.
        holds: whether what is asked of its event holds; asked last.
        meant: called for each letter that may be among the chosen.
    """
    choosing = _Choosing(
        spans, criteria, max_replays, within=within, wanted=wanted, holds=holds, meant=meant
    )
    for found in letters:
        choosing.look_at(found)
    return choosing.choice()


@dataclass(frozen=True, slots=True)
class Holds:
    """Asks for fields of the decoded event; all have to hold."""

    conditions: tuple[Where, ...]
    events: Decoding

    def __call__(self, found: Found) -> bool:
        """Whether the event of a letter, which is whole, has them."""
        letter, place = found.letter, found.position
        event = self.events.event(
            Record(*place, found.timestamp_ms, letter.key, letter.value, letter.headers)
        )
        return event is not None and all(where.holds(event) for where in self.conditions)


Moment = tuple[int, int]
"""When a letter was written: Kafka's time in milliseconds, then its offset."""


class _Choosing:
    """Looks at every letter once.

    Whether a letter is superseded is known only at the end, so each that is meant leaves its place
    and its record's in arrays; of all the others only those that were replayed are remembered.
    """

    def __init__(
        self,
        spans: Spans,
        criteria: Criteria,
        max_replays: int,
        *,
        within: Chosen | None,
        wanted: Callable[[TopicPartition, int], bool],
        holds: Callable[[Found], bool],
        meant: Callable[[Found], None],
    ) -> None:
        self._spans = spans
        self._criteria = criteria
        self._max_replays = max_replays
        self._within = within
        self._wanted = wanted
        self._holds = holds
        self._note = meant
        self._numbers: dict[TopicPartition, int] = {}
        self._meant = [array("q") for _ in range(5)]
        self._last: dict[tuple[int, int], Moment] = {}
        self._targets: set[str | None] = set()
        self._over_limit: set[tuple[int, int]] = set()
        self._keyless: set[tuple[int, int]] = set()
        self._resolved = 0

    def look_at(self, found: Found) -> None:
        letter, place = found.letter, found.position
        moment = (found.timestamp_ms or 0, place.offset)
        source = self._number(letter.source)
        record = source, letter.source.offset
        if letter.replay_count or record in self._last:
            self._last[record] = max(moment, self._last.get(record, moment))
        partition = TopicPartition(place.topic, place.partition)
        start, end = self._spans.get(partition, (0, 0))
        if not start <= place.offset < end or not self._criteria.take(place, letter):
            return
        if self._within is not None and not self._within.has(partition, place.offset):
            return
        if not self._wanted(partition, place.offset):
            self._resolved += 1
            return
        if not self._holds(found):
            return
        if letter.replay_count >= self._max_replays:
            self._over_limit.add((self._number(place), place.offset))
        else:
            self._targets.update(t.partition("#")[0] for t in letter.targets)
            if not letter.targets:
                self._targets.add(None)
            if letter.key is None:
                self._keyless.add((self._number(place), place.offset))
            self._note(found)
        row = (moment[0], self._number(place), place.offset, *record)
        for column, value in zip(self._meant, row, strict=True):
            column.append(value)

    def choice(self) -> Choice:
        partitions = list(self._numbers)
        chosen, keyless, over_limit, superseded = Chosen(), Chosen(), 0, 0
        for time_ms, where, offset, *record in zip(*self._meant, strict=True):
            moment = (time_ms, offset)
            if self._last.get((record[0], record[1]), moment) > moment:
                superseded += 1
            elif (where, offset) in self._over_limit:
                over_limit += 1
            else:
                place = Position(partitions[where].topic, partitions[where].partition, offset)
                chosen.add(place)
                if (where, offset) in self._keyless:
                    keyless.add(place)
        return Choice(
            chosen, frozenset(self._targets), over_limit, superseded, self._resolved, keyless
        )

    def _number(self, position: Position) -> int:
        partition = TopicPartition(position.topic, position.partition)
        return self._numbers.setdefault(partition, len(self._numbers))
