"""One partition while it is ours: what is open, and so where a commit may stand (pure)."""

from dataclasses import dataclass, field
from typing import NamedTuple

from processor.kafka.progress import NOTHING, Ended, Mark, Origin, Run, most_bits, write


class Held(NamedTuple):
    """What is in flight of one partition.

    Attributes:
        size_bytes: of key and value of the records, and of the messages made of them.
        made_bytes: of the messages alone.
    """

    records: int
    size_bytes: int
    made_bytes: int


@dataclass(slots=True)
class Assignment:
    """A partition while it is ours.

    ``open`` maps the offsets in flight to their bytes, in the order in which they were taken,
    which is the order of the offsets. Only offsets that were really seen are tracked: compaction
    and transaction markers leave gaps, and nothing may ever wait for an offset in a gap.
    ``made`` are the bytes of the messages of those that have some; ``open_bytes`` and
    ``made_bytes`` are the sums.
    ``ended_before`` are offsets still to come that an earlier assignment ended; ``full`` says that
    the metadata has no room for more open records.
    """

    epoch: int
    next_offset: int | None
    generation: int
    open: dict[int, int] = field(default_factory=dict)
    made: dict[int, int] = field(default_factory=dict)
    open_bytes: int = 0
    made_bytes: int = 0
    open_runs: int = 0
    committed: Mark | None = None
    ended_before: Ended = NOTHING
    origin: Origin | None = None
    full: bool = False

    def mark(self) -> Mark | None:
        """The lowest open offset, or the one after the last seen; `None` before the first.

        With what has ended beyond it.
        """
        offset = next(iter(self.open), self.next_offset)
        if offset is None or self.origin is None:
            return None if offset is None else Mark(offset, generation=self.generation)
        ended = self._ended(offset, self.next_offset or 0)
        if ended and ended[0].start == offset:
            offset = ended.pop(0).stop
        return Mark(offset, write(offset, ended, self.origin), self.generation)

    def _ended(self, place: int, after: int) -> list[Run]:
        """What has ended from the lowest open offset on; gaps too, for nothing will come there."""
        runs: list[Run] = []
        for offset in self.open:
            if offset != place:
                runs.append(Run(place, offset))
            place = offset + 1
        for run in (Run(place, after), *self.ended_before.after(after)):
            if runs and runs[-1].stop == run.start:
                runs[-1] = Run(runs[-1].start, run.stop)
            elif run.start < run.stop:
                runs.append(run)
        return runs

    @property
    def held(self) -> Held:
        """What is in flight of it."""
        return Held(len(self.open), self.open_bytes + self.made_bytes, self.made_bytes)

    def most_bits(self) -> float:
        """The most that the metadata could take, whichever of the open records end next."""
        if not self.open or self.next_offset is None:
            return 0.0
        return most_bits(len(self.open), self.open_runs, self.next_offset - next(iter(self.open)))
