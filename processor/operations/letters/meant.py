"""Which dead letters a look is about: by headers, by event, and by what was done about them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from processor.errors import Misconfigured
from processor.kafka.letter import Glance, glance
from processor.operations.bounds import Bounds
from processor.operations.letters.find import Criteria
from processor.operations.letters.options import LetterOptions, locate
from processor.operations.reading import Reader, Spans
from processor.operations.where import Where, where
from processor.record import Event, Position, Record
from processor.settings import Settings
from processor.settings.masking import printable

OPEN, REPLAYED, DISCARDED, ANY = "open", "replayed", "discarded", "any"
RESOLUTIONS = (OPEN, REPLAYED, DISCARDED, ANY)
SHOWN_CHARACTERS = 60


class Done(NamedTuple):
    """What was done about a dead letter.

    Attributes:
        label: as it is shown, such as ``discarded`` or ``replayed:delivered``; `None`: nothing.
        open: whether something is still to be done.
    """

    label: str | None = None
    open: bool = True


DoneAbout = Callable[[Position], Done]
"""Tells what was done about the letter at some coordinates."""

NOTHING = Done()


def nothing_done(_position: Position) -> Done:
    """Nothing was done about any letter."""
    return NOTHING


class Decoding(Protocol):
    """Decodes the events of dead letters."""

    def event(self, record: Record) -> Event | None:
        """The event, `None` when the record cannot be decoded today."""

    def shown(self, record: Record, *, reveal: bool) -> dict[str, Any] | None:
        """The event for people, masked or revealed."""


@dataclass(frozen=True, slots=True)
class LookOptions:
    """The options that say which letters are looked at, as they were given.

    Attributes:
        wheres: ``FIELD=VALUE``; all have to hold.
        resolution: one of `RESOLUTIONS`.
    """

    letters: LetterOptions
    bounds: Bounds
    wheres: Sequence[str] = ()
    resolution: str = OPEN


@dataclass(slots=True)
class Meant:
    """Says of each record of a dead-letter topic whether it is meant.

    Attributes:
        criteria: what its headers have to be like.
        wheres: what its event has to be like; then `decoding` is there.
        undecoded: letters that met the criteria and whose event could not be decoded; they do
            not match.
    """

    criteria: Criteria
    wheres: tuple[Where, ...] = ()
    decoding: Decoding | None = None
    resolution: str = OPEN
    done: DoneAbout = nothing_done
    undecoded: int = field(default=0, init=False)

    def look(self, record: Record) -> Glance | None:
        """What a letter says of itself; `None` when it is not meant, or none.

        Raises:
            TryAgain: the schema registry does not answer.
            Misconfigured: it refuses us.
        """
        seen = glance(record)
        if (
            seen is None
            or not self.criteria.take(record.position, seen)
            or not self._resolved(record.position)
            or not self._holds(record)
        ):
            return None
        return seen

    def label(self, position: Position) -> str | None:
        """What was done about a letter, as it is shown; `None`: nothing."""
        return self.done(position).label

    def _resolved(self, position: Position) -> bool:
        if self.resolution == ANY:
            return True
        done = self.done(position)
        if self.resolution == OPEN:
            return done.open
        return (done.label or "").partition(":")[0] == self.resolution

    def _holds(self, record: Record) -> bool:
        if self.decoding is None or not self.wheres:
            return True
        event = self.decoding.event(record)
        if event is None:
            self.undecoded += 1
            return False
        return all(where.holds(event) for where in self.wheres)


@dataclass(frozen=True, slots=True)
class Selection:
    """The letters that are looked at.

    Attributes:
        spans: where they stand; the ends are pinned.
        meant: which of the records there they are.
    """

    reader: Reader
    spans: Spans
    meant: Meant

    @property
    def offsets(self) -> int:
        """How many offsets there are to look at."""
        return sum(end - start for start, end in self.spans.values())

    def notes(self) -> Iterator[str]:
        """What is to be said at the end of the letters that were left out."""
        count = self.meant.undecoded
        if count:
            letters = "1 dead letter" if count == 1 else f"{count} dead letters"
            yield f"{letters} could not be decoded today and cannot meet a --where."


@contextmanager
def selecting(
    settings: Settings,
    options: LookOptions,
    *,
    done: DoneAbout = nothing_done,
    reader: Reader | None = None,
    decode: bool = False,
) -> Iterator[Selection]:
    """The letters that the options mean; ends of the topics are pinned by this call.

    Args:
        settings: name the topics.
        options: as they were given.
        done: what was done about a letter.
        reader: of Kafka, when there is one already.
        decode: with a decoder, though the options need none.

    Raises:
        Misconfigured: an option is malformed, or names what does not exist; or the schemas are
            wrong.
        TryAgain: no broker answers.
    """
    if options.resolution not in RESOLUTIONS:
        shown = printable(options.resolution[:SHOWN_CHARACTERS])
        raise Misconfigured(f"--resolution is one of {', '.join(RESOLUTIONS)}; «{shown}» is not.")
    wheres = tuple(map(where, options.wheres))
    with ExitStack() as parts:
        reader = reader or Reader(settings)
        criteria, place = locate(reader, settings, options.letters, options.bounds)
        meant = Meant(criteria, wheres, resolution=options.resolution, done=done)
        if wheres or decode:
            # Its imports take longer than a page of letters.
            from processor.operations.letters.events import decoding  # noqa: PLC0415

            meant.decoding = parts.enter_context(decoding(settings))
        yield Selection(reader, place.spans, meant)
