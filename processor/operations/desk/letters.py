"""What is asked about dead letters: kinds of failure, the letters of one, and one of them.

Each function does a piece of work for :class:`processor.operations.desk.apart.Apart`; what it gives
is ready to be shown, masked unless a reveal was asked for.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from processor.errors import Misconfigured
from processor.operations.bounds import BoundOptions, Bounds
from processor.operations.desk.apart import Tell
from processor.operations.letters.done import LettersDone
from processor.operations.letters.fields import fields_of
from processor.operations.letters.find import is_letter_topic, source_topics
from processor.operations.letters.meant import OPEN, LookOptions, Selection, selecting
from processor.operations.letters.newest import newest, newest_of
from processor.operations.letters.options import LetterOptions
from processor.operations.letters.stats import stats_of
from processor.operations.letters.view import look
from processor.operations.reading import Reader
from processor.record import Position
from processor.settings import Settings

COUNTED = 50_000
"""The newest dead letters that are counted when nobody asks for more."""

ALL = 10**12
KINDS_SHOWN = 200
PAGE = 25


@dataclass(frozen=True, slots=True)
class Asked:
    """Which dead letters are asked for; empty: all.

    Attributes:
        topic: a source topic or a dead-letter topic of the connector.
        since: how far back, as ``--by-duration`` takes it.
        resolution: as ``--resolution`` takes it.
        everything: count all of them, and not only the newest `COUNTED`.
        limit: letters of a page.
        before: where the page before ended.
    """

    topic: str = ""
    fingerprint: str = ""
    code: str = ""
    since: str = ""
    resolution: str = OPEN
    everything: bool = False
    limit: int = PAGE
    before: tuple[Position, ...] = field(default=())

    def options(self, bounds: Bounds | None = None) -> LookOptions:
        """As the commands take them."""
        chosen = LetterOptions(
            topics=(self.topic,) if self.topic else (),
            codes=(self.code,) if self.code else (),
            fingerprints=(self.fingerprint,) if self.fingerprint else (),
        )
        if bounds is None:
            bounds = BoundOptions(by_duration=self.since or None).read(datetime.now(UTC))
        return LookOptions(chosen, bounds, resolution=self.resolution)


class Kinds(NamedTuple):
    """Kinds of failure, the most frequent first.

    Attributes:
        rows: as ``dlq stats --json`` has them.
        more: kinds that are not among the rows.
        letters: how many were counted.
        looked_at: offsets that were looked at, of so many that there are.
    """

    rows: list[dict[str, Any]]
    more: int
    letters: int
    looked_at: int
    offsets: int


class Letters(NamedTuple):
    """A page of dead letters, the newest first.

    Attributes:
        rows: as ``dlq list --json`` has them.
        before: where the next page begins; empty: this is all.
        cut: whether it ended because so much was looked at.
    """

    rows: list[dict[str, Any]]
    before: tuple[Position, ...]
    looked_at: int
    cut: bool


class Place(NamedTuple):
    """One dead letter.

    Attributes:
        who: reads it; named in the log when it is revealed.
    """

    position: Position
    reveal: bool = False
    who: str = ""


def kinds(settings: Settings, asked: Asked, _tell: Tell) -> Kinds:
    """Count dead letters by kind of failure.

    Raises:
        TryAgain: Kafka does not answer.
        Misconfigured: what is asked for is malformed, or none of our topics.
    """
    allowed(settings, asked.topic)
    with selecting(settings, asked.options(), done=LettersDone(settings)) as chosen:
        spans = newest_of(chosen.spans, ALL if asked.everything else COUNTED)
        some = Selection(chosen.reader, spans, chosen.meant)
        found = stats_of(some, lambda _done: None)
        rows = [kind.fields() for kind in found.kinds()]
        more = max(0, len(rows) - KINDS_SHOWN)
        others = [found.others_fields()] if found.others else []
        shown = rows[:KINDS_SHOWN] + others
        return Kinds(shown, more, found.letters, some.offsets, chosen.offsets)


def letters(settings: Settings, asked: Asked, _tell: Tell) -> Letters:
    """A page of dead letters, the newest first; keys are masked.

    Raises:
        TryAgain: Kafka does not answer.
        Misconfigured: what is asked for is malformed, or none of our topics.
    """
    allowed(settings, asked.topic)
    for place in asked.before:
        allowed(settings, place.topic)
    with selecting(settings, asked.options(), done=LettersDone(settings)) as chosen:
        page = newest(
            chosen.reader,
            chosen.spans,
            chosen.meant.look,
            limit=asked.limit,
            before=asked.before,
        )
        rows = [
            fields_of(found, resolution=chosen.meant.label(found.position))
            for found in page.letters
        ]
    return Letters(rows, page.before, page.looked_at, page.cut)


def letter(settings: Settings, asked: Place, _tell: Tell) -> dict[str, Any]:
    """Everything about one dead letter, as ``dlq show --json`` has it; a reveal is logged first.

    Raises:
        TryAgain: Kafka or the schema registry does not answer.
        Misconfigured: no dead letter of this connector stands there.
    """
    position = asked.position
    if not is_letter_topic(settings, position.topic):
        raise Misconfigured(f"{position.topic} is no dead-letter topic of this connector.")
    allowed(settings, position.topic)
    shown = asyncio.run(
        look(settings, position, all_connectors=False, reveal=asked.reveal, who=asked.who)
    )
    label = LettersDone(settings)(position).label
    document: Mapping[str, Any] = shown.document()
    return {**document, "resolution": label}


def allowed(settings: Settings, topic: str) -> None:
    """Let only topics through that the connector reads, and their dead-letter topics.

    Raises:
        Misconfigured: it is another one.
    """
    if not topic:
        return
    if settings.kafka.topics:
        sources = list(settings.kafka.topics)
    else:
        sources = source_topics(settings, Reader(settings).topics())
    if topic not in {*sources, *map(settings.dead_letter_topic, sources)}:
        raise Misconfigured("That is no topic of this connector.")
