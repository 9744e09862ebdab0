"""A record on its way through the processor: what is still open, and what failed."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from processor.errors import Refused
from processor.record import Headers, Message, Record, TopicPartition
from processor.schemas.wire import schema_id_of


@dataclass(frozen=True, slots=True)
class Failure:
    """One target, or one message of it, that the record failed at.

    Of where the error was raised only the text is kept. Its frames would hold what was read of the
    record, and the passage itself: none of them would be let go before the garbage collector
    comes, which it rarely does.

    Attributes:
        target: ``target`` or ``target#index``; empty when the record failed before any target.
        error: why.
        attempts: requests made with the message, 0 when none was.
        frames: where it was raised, as a traceback has it.
    """

    target: str
    error: Refused
    attempts: int = 0
    frames: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        error = self.error
        object.__setattr__(self, "frames", "".join(traceback.format_tb(error.__traceback__)))
        error.__traceback__ = error.__cause__ = error.__context__ = None


@dataclass(frozen=True, slots=True)
class Story:
    """What a record from a dead-letter topic says of its first life.

    Attributes:
        topic: where the original record stands; likewise ``partition`` and ``offset``.
        timestamp_ms: the original record's own time.
        targets: what had failed (``target`` or ``target#index``); empty: everything.
        replay_count: replays before this one.
        headers: the original record's own headers.
        newer: whether the source topic holds a later record that sets a target's state for a key
            (of a record without one: a customer id; for `None`: any record), or cannot tell. The
            target is then left out. `None`: nobody asks.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None
    targets: frozenset[str]
    replay_count: int
    headers: Headers = field(default=(), repr=False)
    newer: Callable[[str, bytes | None], bool] | None = field(
        default=None, repr=False, compare=False
    )


class Named(NamedTuple):
    """What a dead letter says of its event.

    The event itself is let go as soon as its messages are made: thousands of bodies in flight
    cost memory, and the garbage collector a tenth of the processor's time.
    """

    name: str
    event_id: str | None
    schema_id: str


@dataclass(slots=True, eq=False)
class Passage:
    """One record from poll to ending.

    Attributes:
        epoch: of the assignment that took the record.
        open: messages without an outcome.
        failures: what failed so far; not empty at the end: the record becomes a dead letter.
        event: what is kept of the decoded event, `None` before decoding, or when that failed before
            it knew the event's name.
        story: set when the record was read from a dead-letter topic.
        targets: those for which something could be made of the event.
        only: what is to be made again (``target`` or ``target#index``) because the rest was
            accepted; empty: everything.
        stale: what was left out because the source topic holds a later record of the key, as
            ``target`` or ``target#index``.
    """

    record: Record
    epoch: int
    open: int = 0
    failures: list[Failure] = field(default_factory=list)
    event: Named | None = None
    story: Story | None = None
    targets: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    stale: tuple[str, ...] = ()

    def start_again(self) -> None:
        """Go back to the beginning, to send what had failed."""
        self.only = frozenset(f.target for f in self.failures if f.target) or self.only
        self.failures, self.event, self.open = [], None, 0

    def keep_name(self, name: str, event_id: str | None = None) -> None:
        """Keep which event it is when decoding gave up; an empty name says nothing."""
        if name:
            schema_id = schema_id_of(self.record.value, self.record.headers)
            self.event = Named(name, event_id, schema_id)

    @property
    def partition(self) -> TopicPartition:
        """The partition that the record was read from."""
        return TopicPartition(self.record.topic, self.record.partition)

    @property
    def timestamp_ms(self) -> int | None:
        """The original record's Kafka timestamp: a replay maps as the first life did."""
        return self.record.timestamp_ms if self.story is None else self.story.timestamp_ms


@dataclass(slots=True, eq=False)
class Parcel:
    """A message and the passage that waits for its outcome."""

    message: Message
    passage: Passage
    several: bool = False

    @property
    def name(self) -> str:
        """``target``, or ``target#index`` when the event gives several messages for it."""
        message = self.message
        return f"{message.target}#{message.index}" if self.several else message.target


Outcome = Callable[[Parcel, Failure | None], None]
"""Called once for each parcel: `None` when it was accepted, else why it was not."""
