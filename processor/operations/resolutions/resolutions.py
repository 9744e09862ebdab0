"""What was done about dead letters: how it stands in the state topic, and looking it up (pure).

An entry ``resolution/<dead-letter topic>/<partition>/<run>/<n>`` says of some letters what became
of them in one run: offsets as runs, by outcome. Later entries hold over earlier ones. An entry
carries the id of the topic, so that a topic that was deleted and made again begins with letters
that are all open.
"""

import heapq
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from operator import itemgetter
from typing import Any, NamedTuple

from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Offsets
from processor.operations.resolutions.runs import pack, unpack
from processor.record import TopicPartition

PREFIX = "resolution/"
LAYERS = 3
"""Runs that overlap are looked for in each layer; more of them are made one."""


class Word(StrEnum):
    """What became of a letter."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It failed again: a newer letter of the record tells what is missing."""
    FILTERED = "filtered"
    PARTLY = "partly"
    """Delivered but for targets of which the source topic holds a later record; still open."""
    DISCARDED = "discarded"


class Outcome(NamedTuple):
    """What became of a letter, and more of it: the code of a failure, why it was filtered."""

    word: Word
    detail: str = ""

    @property
    def label(self) -> str:
        """As it is shown: ``discarded``, ``replayed:delivered``, ``replayed:failed:<code>``."""
        if self.word is Word.DISCARDED:
            return self.word
        return ":".join(filter(None, ("replayed", self.word, self.detail)))


class Resolution(NamedTuple):
    """What was done about a letter.

    Attributes:
        by: ``user@host``.
        at: RFC 3339.
        run: the id of the replay, or of the action.
        reason: why it was discarded.
    """

    outcome: Outcome
    by: str
    at: str
    run: str
    reason: str = ""

    @property
    def open(self) -> bool:
        """Whether something is still to be done."""
        return self.outcome.word is Word.PARTLY


class Place(NamedTuple):
    """Which entry it is.

    Attributes:
        number: counts the entries of one run in one partition.
    """

    partition: TopicPartition
    run: str
    number: int

    @property
    def key(self) -> str:
        """The entry's key."""
        return f"{PREFIX}{self.partition.topic}/{self.partition.partition}/{self.run}/{self.number}"


class Resolved(NamedTuple):
    """What one entry says: the letters by what became of them, and whose letters they are.

    Attributes:
        topic_id: of the dead-letter topic; empty when the broker did not tell.
    """

    outcomes: Mapping[Outcome, Offsets]
    by: str
    at: str
    topic_id: str
    reason: str = ""

    def document(self) -> Document:
        """As the state topic holds it."""
        action = "discarded" if Word.DISCARDED in {o.word for o in self.outcomes} else "replayed"
        return {
            "action": action,
            "by": self.by,
            "at": self.at,
            "topic_id": self.topic_id,
            **({"reason": self.reason} if self.reason else {}),
            "outcomes": [
                {"outcome": outcome.word.value, "detail": outcome.detail, "runs": pack(offsets)}
                for outcome, offsets in self.outcomes.items()
                if len(offsets)
            ],
        }


def read_place(key: str) -> Place | None:
    """Which entry a key names; `None` when it is none of these."""
    parts = key.removeprefix(PREFIX).rsplit("/", 3) if key.startswith(PREFIX) else ()
    if len(parts) != 4 or not (parts[1].isdecimal() and parts[3].isdecimal()):  # noqa: PLR2004 - as in Place.key
        return None
    return Place(TopicPartition(parts[0], int(parts[1])), parts[2], int(parts[3]))


def read_resolved(document: Document) -> Resolved | None:
    """What an entry says; `None` when it is not of this form."""
    try:
        outcomes: dict[Outcome, Offsets] = {}
        for row in document["outcomes"]:
            outcomes[Outcome(Word(row["outcome"]), str(row["detail"]))] = unpack(row["runs"])
        by, at, topic_id = (str(document[name]) for name in ("by", "at", "topic_id"))
        return Resolved(outcomes, by, at, topic_id, str(document.get("reason", "")))
    except (KeyError, TypeError, ValueError):
        return None


class Resolutions:
    """What was done about each letter, by its coordinates.

    Args:
        entries: of the state topic; others than resolutions are passed over.
        topic_ids: the ids that the dead-letter topics have now; a topic that is not among them is
            taken for the one that is meant.
    """

    def __init__(self, entries: Iterable[Entry], topic_ids: Mapping[str, str]) -> None:
        self._known: list[Resolution] = []
        self._painted: dict[TopicPartition, _Painted] = {}
        self.outdated: list[str] = []
        self._counts: dict[str, Counter[Outcome]] = {}
        self._last: dict[tuple[TopicPartition, str], int] = {}
        self._reaches: dict[str, tuple[TopicPartition, int]] = {}
        for entry in sorted(entries, key=lambda entry: entry.offset):
            place = read_place(entry.key)
            if place is not None and entry.document is not None:
                self._take(place, entry.document, topic_ids)
        for painted in self._painted.values():
            painted.settle()

    def _take(self, place: Place, document: Document, topic_ids: Mapping[str, str]) -> None:
        resolved = read_resolved(document)
        if resolved is None:
            return
        now = topic_ids.get(place.partition.topic)
        if now and resolved.topic_id and now != resolved.topic_id:
            self.outdated.append(place.key)
            return
        last = place.partition, place.run
        self._last[last] = max(place.number, self._last.get(last, 0))
        painted = self._painted.setdefault(place.partition, _Painted())
        reach = 0
        so_far = self._counts.setdefault(place.run, Counter())
        for outcome, offsets in resolved.outcomes.items():
            so_far[outcome] += len(offsets)
            painted.paint(offsets, len(self._known))
            self._known.append(
                Resolution(outcome, resolved.by, resolved.at, place.run, resolved.reason)
            )
            reach = max(reach, offsets.span[1])
        self._reaches[place.key] = place.partition, reach

    def of(self, partition: TopicPartition, offset: int) -> Resolution | None:
        """What was done about a letter; `None`: nothing."""
        painted = self._painted.get(partition)
        number = None if painted is None else painted.find(offset)
        return None if number is None else self._known[number]

    def is_open(self, partition: TopicPartition, offset: int) -> bool:
        """Whether something is still to be done about a letter."""
        found = self.of(partition, offset)
        return found is None or found.open

    def partitions(self) -> list[TopicPartition]:
        """Where something was done about letters."""
        return sorted(self._painted)

    def counts(self, run: str) -> Counter[Outcome]:
        """How many letters a run has done something about, by what became of them."""
        return self._counts.get(run, Counter())

    def next_number(self, partition: TopicPartition, run: str) -> int:
        """The number that the next entry of a run has."""
        return self._last.get((partition, run), -1) + 1

    def below(self, starts: Mapping[TopicPartition, int]) -> list[str]:
        """Keys of the entries all of whose letters lie before these offsets, so are dropped."""
        return [
            key
            for key, (partition, end) in self._reaches.items()
            if end <= starts.get(partition, 0)
        ]


class _Painted:
    """Which number stands at each offset of a partition, where later ones are painted over earlier.

    What does not overlap is one layer: three arrays, appended to. A run over all letters makes one
    for each outcome, and they are merged when there are many.
    """

    def __init__(self) -> None:
        self._layers: list[tuple[array[int], array[int], array[int]]] = []

    def paint(self, offsets: Offsets, number: int) -> None:
        first = offsets.span[0]
        layer = next((layer for layer in self._layers if layer[1][-1] <= first), None)
        if layer is None:
            layer = array("q"), array("q"), array("q")
            if len(offsets):
                self._layers.append(layer)
        starts, ends, numbers = layer
        before = len(starts)
        for start, end in offsets.runs():
            starts.append(start)
            ends.append(end)
        numbers.extend([number] * (len(starts) - before))

    def find(self, offset: int) -> int | None:
        found = -1
        for starts, ends, numbers in self._layers:
            at = bisect_right(starts, offset) - 1
            if at >= 0 and offset < ends[at]:
                found = max(found, numbers[at])
        return None if found < 0 else found

    def settle(self) -> None:
        if len(self._layers) <= LAYERS:
            return
        starts, ends, numbers = array("q"), array("q"), array("q")
        for start, end, number in _topmost(self._layers):
            starts.append(start)
            ends.append(end)
            numbers.append(number)
        self._layers = [(starts, ends, numbers)]


def _topmost(layers: Iterable[tuple[Any, Any, Any]]) -> Iterator[tuple[int, int, int]]:
    """The runs of all layers in order, each with the highest number that stands there."""
    rows = sorted((row for layer in layers for row in zip(*layer, strict=True)), key=itemgetter(0))
    under: list[tuple[int, int]] = []  # number, negative; the end of its run
    place, at = 0, 0
    while at < len(rows) or under:
        if not under:
            place = rows[at][0]
        while at < len(rows) and rows[at][0] <= place:
            heapq.heappush(under, (-rows[at][2], rows[at][1]))
            at += 1
        while under and under[0][1] <= place:
            heapq.heappop(under)
        if under:
            number, end = under[0]
            stop = min(end, rows[at][0]) if at < len(rows) else end
            yield place, stop, -number
            place = stop
