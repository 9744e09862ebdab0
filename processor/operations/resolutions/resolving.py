"""Gathers what became of letters while a replay runs, as entries of the state topic (pure)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from processor.kafka.state_entry import Document
from processor.operations.chosen import Offsets
from processor.operations.resolutions.resolutions import Outcome, Place, Resolved
from processor.operations.resolutions.runs import of_any, union
from processor.record import Position, TopicPartition

FULL_RUNS = 1_000
"""An entry with so many runs is left as it is, and the next one begun: each is written again with
what is new, so a small one costs little."""


@dataclass(slots=True)
class _Page:
    """What the latest entry of a partition says."""

    number: int
    known: dict[Outcome, Offsets] = field(default_factory=dict)
    new: dict[Outcome, list[int]] = field(default_factory=dict)


class Resolving:
    """Outcomes of one run's letters, to be written in batches.

    Args:
        run: the id of the replay.
        by: ``user@host``.
        topic_ids: of the dead-letter topics.
        next_number: the number of the first entry in a partition: the run may have begun before.
    """

    def __init__(
        self,
        run: str,
        by: str,
        topic_ids: dict[str, str],
        next_number: Callable[[TopicPartition, str], int],
    ) -> None:
        self._run = run
        self._by = by
        self._topic_ids = topic_ids
        self._next_number = next_number
        self._pages: dict[TopicPartition, _Page] = {}

    def note(self, letter: Position, outcome: Outcome) -> None:
        """Say what became of a letter."""
        partition = TopicPartition(letter.topic, letter.partition)
        page = self._pages.get(partition)
        if page is None:
            number = self._next_number(partition, self._run)
            page = self._pages[partition] = _Page(number)
        page.new.setdefault(outcome, []).append(letter.offset)

    @property
    def waiting(self) -> int:
        """Outcomes that are not known to be written."""
        return sum(len(new) for page in self._pages.values() for new in page.new.values())

    def entries(self, *, at: str) -> "Batch":
        """What is to be written now; tell :meth:`written` when it has been."""
        documents: dict[str, Document] = {}
        said: list[tuple[TopicPartition, dict[Outcome, Offsets], dict[Outcome, int]]] = []
        for partition, page in self._pages.items():
            if not page.new:
                continue
            known = dict(page.known)
            for outcome, offsets in page.new.items():
                known[outcome] = union(known.get(outcome, Offsets()), of_any(offsets))
            resolved = Resolved(known, self._by, at, self._topic_ids.get(partition.topic, ""))
            documents[Place(partition, self._run, page.number).key] = resolved.document()
            counts = {outcome: len(offsets) for outcome, offsets in page.new.items()}
            said.append((partition, known, counts))
        return Batch(documents, said)

    def written(self, batch: "Batch") -> None:
        """These entries are in the state topic."""
        for partition, known, counts in batch.said:
            page = self._pages[partition]
            page.known = known
            for outcome, count in counts.items():
                del page.new[outcome][:count]
                if not page.new[outcome]:
                    del page.new[outcome]
            if sum(1 for _ in _runs(known.values())) >= FULL_RUNS:
                page.number, page.known = page.number + 1, {}


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries to write, and what they say that was not written before.

    Attributes:
        documents: by key.
    """

    documents: dict[str, Document]
    said: list[tuple[TopicPartition, dict[Outcome, Offsets], dict[Outcome, int]]]


def _runs(sets: Iterable[Offsets]) -> Iterable[tuple[int, int]]:
    for offsets in sets:
        yield from offsets.runs()
