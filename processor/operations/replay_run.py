"""``replay run``: a range of a source topic once more; what it is, and doing it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from processor.errors import Misconfigured
from processor.operations.bounds import BoundOptions, topic_choice
from processor.operations.letters_fields import rfc3339
from processor.operations.letters_options import keys
from processor.operations.reading import Reader, Spans
from processor.operations.rehearsal import rehearsing
from processor.operations.replay_range import (
    Conditions,
    Selection,
    matching,
    source_spans,
    whole,
)
from processor.operations.replay_report import DRY_RUN, Report, counted, told
from processor.operations.replaying import Outcome, new_replay_id, replay, state_targets
from processor.operations.where import where
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was given for ``--topic``, ``--key`` and ``--where``."""

    topics: Sequence[str]
    keys: Sequence[str] = field(default=(), repr=False)
    where: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RangeReplay:
    """A replay of a range, its ends pinned.

    Attributes:
        spans: first offset and the one after the last, by partition.
        conditions: what a record has to be like.
    """

    spans: Spans
    conditions: Conditions
    _settings: Settings
    _reader: Reader

    @property
    def offsets(self) -> int:
        """Offsets in the range."""
        return sum(end - start for start, end in self.spans.values())

    def warnings(self) -> Iterator[str]:
        """What to know before it is done."""
        states = state_targets(self._settings)
        if states:
            yield (
                f"Targets that hold a state are among them ({', '.join(states)}): an old record "
                "can overwrite what a later record of the same key has set."
            )

    async def select(self, looked_at: Callable[[int], None]) -> Selection:
        """The records that are meant; reads the range only where there are conditions.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us, or the schemas are wrong.
        """
        if not self.conditions:
            return whole(self._reader, self.spans)
        async with rehearsing(self._settings) as rehearsal:
            return await matching(
                self._reader, self.spans, self.conditions, rehearsal, looked_at=looked_at
            )

    def describe(self, selection: Selection) -> Report:
        """Say which records they are; nothing is sent."""
        first, last = rfc3339(selection.first_ms), rfc3339(selection.last_ms)
        rows = [
            (partition, *self.spans[partition], selection.counts.get(partition, 0))
            for partition in sorted(self.spans)
        ]
        document = {
            "execute": False,
            "chosen": selection.records.count,
            "partitions": [
                {
                    "topic": partition.topic,
                    "partition": partition.partition,
                    "from_offset": start,
                    "to_offset": end,
                    "records": count,
                }
                for partition, start, end, count in rows
            ],
            "first_timestamp": first,
            "last_timestamp": last,
            "undecodable": selection.undecodable,
        }
        lines = (
            f"{selection.records.count} records chosen. {DRY_RUN}",
            *(
                f"{count:>9}  in {partition}, offsets {start} to before {end}"
                for partition, start, end, count in rows
            ),
            f"           from {first} to {last}" if first and last else "",
            self._undecodable(selection),
        )
        return Report(document, tuple(filter(None, lines)))

    async def execute(
        self,
        selection: Selection,
        report: Callable[[Outcome], None],
        aborted: Callable[[], None],
    ) -> Report:
        """Replay them, until all have ended or a signal stops it.

        Raises:
            Misconfigured: the schemas are wrong; nothing was read.
        """
        if not selection.records.count:
            document = {"execute": True, "chosen": 0, "undecodable": selection.undecodable}
            lines = ("No record was chosen; nothing was sent.", self._undecodable(selection))
            return Report(document, tuple(filter(None, lines)))
        outcome = await replay(
            self._settings,
            selection.records,
            replay_id=new_replay_id(),
            exact=bool(self.conditions),
            report=report,
            aborted=aborted,
        )
        document, told_lines = told(outcome)
        document["undecodable"] = selection.undecodable
        return Report(
            document,
            tuple(filter(None, (*told_lines, self._undecodable(selection)))),
            outcome.status,
        )

    @staticmethod
    def _undecodable(selection: Selection) -> str:
        return counted(
            selection.undecodable, "could not be decoded, so --where was not tried on them"
        )


def prepare(
    settings: Settings, options: RunOptions, bounds: BoundOptions, *, now: datetime
) -> RangeReplay:
    """Read the options and pin the range.

    Raises:
        Misconfigured: an option is malformed, or names what does not exist.
        TryAgain: no broker answers.
    """
    limits = bounds.read(now)
    if not bounds.begins:
        raise Misconfigured(
            "Say where the replay begins: --from-earliest, --from-offset, --from-datetime or "
            "--by-duration."
        )
    choices = [topic_choice("--topic", text) for text in options.topics]
    conditions = Conditions(keys(options.keys), tuple(where(text) for text in options.where))
    reader = Reader(settings)
    spans = source_spans(reader, settings, choices, limits)
    return RangeReplay(spans, conditions, settings, reader)
