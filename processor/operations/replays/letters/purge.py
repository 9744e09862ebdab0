"""``dlq purge``: removes old dead letters from Kafka, for good."""

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from processor.errors import Misconfigured
from processor.kafka.purging import delete_before
from processor.kafka.state import StateTopic
from processor.operations.bounds import moment_ms, topic_choice
from processor.operations.letters.find import letter_partitions, scan
from processor.operations.reading import Reader, Spans
from processor.operations.replays.letters.discard import Kind, kind_lines, kind_rows
from processor.operations.replays.letters.state import Known, known, tidy
from processor.operations.replays.report import Report, counted
from processor.operations.resolutions.claiming import State, StillRunning, at_work
from processor.record import Position, TopicPartition
from processor.settings import Settings

SHOWN = 10
DRY_RUN = "Nothing was done: this is a dry run; --execute removes them from Kafka."


@dataclass(frozen=True, slots=True)
class Purge:
    """What a purge would remove.

    Attributes:
        spans: the offsets, by partition.
        letters: how many dead letters of this connector lie there; likewise ``others``' ones.
        open: of ours, those that are open, by kind.
        first_open: the first of them.
    """

    spans: Spans
    letters: int
    others: int
    open: Counter[Kind]
    first_open: tuple[Position, ...]
    _known: Known
    _settings: Settings
    _reader: Reader
    _state: State

    def describe(self) -> Report:
        """Say what would be removed; nothing is done."""
        first = ", ".join(f"{p.topic}:{p.partition}:{p.offset}" for p in self.first_open)
        more = ", …" if self.open.total() > len(self.first_open) else ""
        lines = (
            f"{self.letters} dead letters{self._where} would be removed. {DRY_RUN}",
            counted(self.open.total(), f"of them are open (--open-too): {first}{more}"),
            *kind_lines(self.open),
            counted(self.others, "more are other connectors' (--all-connectors)"),
        )
        return Report({"execute": False, **self._document()}, tuple(filter(None, lines)))

    def execute(self, *, open_too: bool, all_connectors: bool) -> Report:
        """Remove them.

        Args:
            open_too: also letters about which nothing was done.
            all_connectors: also letters of other connectors, which may be open for them.

        Raises:
            Misconfigured: there are such letters, or Kafka refuses; nothing was removed.
            StillRunning: some of them are being replayed.
            TryAgain: Kafka does not answer; some may have been removed.
        """
        if self.open and not open_too:
            raise Misconfigured(
                f"{self.open.total()} of the {self.letters} dead letters are open: nothing was "
                "done about them, and they would be lost. Nothing was removed.",
                mend="Replay or discard them first, or add --open-too.",
            )
        if self.others and not all_connectors:
            raise Misconfigured(
                f"{self.others} dead letters there are other connectors'. Nothing was removed.",
                mend="Add --all-connectors if these may go as well.",
            )
        if (who := at_work(self._known.entries, self.spans)) is not None:
            raise StillRunning(f"{who.what} of {who.by} is at work on some of these letters.")
        ends = {place: end for place, (_, end) in self.spans.items()}
        delete_before(self._settings.kafka, f"{self._settings.name}-purge", ends)
        tidy(self._state, self._known.resolutions, self._reader)
        line = f"{self.letters} dead letters{self._where} were removed from Kafka."
        return Report({"execute": True, **self._document()}, (line,))

    @property
    def _where(self) -> str:
        """The topics that they lie in, for whoever named the source topic; empty: none has any."""
        topics = ", ".join(sorted({place.topic for place in self.spans}))
        return f" of {topics}" if topics else ""

    def _document(self) -> dict[str, Any]:
        return {
            "letters": self.letters,
            "open": self.open.total(),
            "open_kinds": kind_rows(self.open),
            "first_open": [position._asdict() for position in self.first_open],
            "other_connectors": self.others,
            "partitions": [
                {**place._asdict(), "before_offset": end}
                for place, (_, end) in sorted(self.spans.items())
            ],
        }


def prepare(settings: Settings, topic: str, before: str) -> Purge:
    """Look at what is older than a time.

    Args:
        settings: the connector's.
        topic: a dead-letter topic, or the source topic of one, with or without partitions.
        before: the time, ISO 8601.

    Raises:
        Misconfigured: an option is malformed, or names what does not exist.
        TryAgain: no broker answers.
    """
    before_ms = moment_ms("--before", before)
    if before_ms > datetime.now(UTC).timestamp() * 1000:
        raise Misconfigured("--before takes a time in the past.")
    reader = Reader(settings)
    state = StateTopic(settings, f"{settings.name}-purge")
    places = letter_partitions(reader, settings, [topic_choice("--topic", topic)])
    spans = _older(reader, places, before_ms)
    now = known(settings, state, {place.topic for place in spans})
    count, others, still_open = 0, 0, Counter[Kind]()
    first: list[Position] = []
    with closing(scan(reader, spans, None)) as letters:
        for found in letters:
            if found.letter.connector != settings.name:
                others += 1
                continue
            count += 1
            if now.is_open(found.position):
                still_open[found.letter.code, found.letter.fingerprint] += 1
                if len(first) < SHOWN:
                    first.append(found.position)
    return Purge(spans, count, others, still_open, tuple(first), now, settings, reader, state)


def _older(
    reader: Reader, places: list[TopicPartition], before_ms: int
) -> Mapping[TopicPartition, tuple[int, int]]:
    starts, ends, cuts = reader.starts(places), reader.ends(places), reader.at(places, before_ms)
    spans = {}
    for place in places:
        cut = cuts[place]
        end = ends[place] if cut is None else cut
        if starts[place] < end:
            spans[place] = starts[place], end
    return spans
