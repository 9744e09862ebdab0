"""Which part of which topics a command is about: the words of its options, read and checked."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from processor.errors import Misconfigured
from processor.record import Position, TopicPartition
from processor.settings.masking import printable
from processor.settings.topics import is_topic_name

LARGEST_OFFSET = 2**63 - 1
LARGEST_PARTITION = 2**31 - 1

_DIGITS = re.compile(r"[0-9]{1,20}")
_DURATION = re.compile(r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
_AS_DURATION = TypeAdapter(timedelta)
_SHOWN_CHARACTERS = 60


class TopicChoice(NamedTuple):
    """A topic, and which of its partitions; `None` means all."""

    topic: str
    partitions: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where to begin and where to end, in every partition; `None` means the log's own limit.

    Attributes:
        from_offset: first offset.
        from_ms: the first record at or after this time, in milliseconds since the epoch.
        to_offset: the offset after the last.
        to_ms: end before the first record at or after this time.
    """

    from_offset: int | None = None
    from_ms: int | None = None
    to_offset: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BoundOptions:
    """The options of `interface.md` that bound a range, as they were given."""

    from_earliest: bool = False
    from_offset: str | None = None
    from_datetime: str | None = None
    by_duration: str | None = None
    to_latest: bool = False
    to_offset: str | None = None
    to_datetime: str | None = None

    @property
    def begins(self) -> bool:
        """Whether any of them says where to begin."""
        given = (self.from_offset, self.from_datetime, self.by_duration)
        return self.from_earliest or any(value is not None for value in given)

    def read(self, now: datetime) -> Bounds:
        """Read them.

        Args:
            now: what ``--by-duration`` counts back from.

        Raises:
            Misconfigured: one of them is malformed, two contradict, or the range is empty.
        """
        one_of(
            {
                "--from-earliest": self.from_earliest,
                "--from-offset": self.from_offset,
                "--from-datetime": self.from_datetime,
                "--by-duration": self.by_duration,
            }
        )
        one_of(
            {
                "--to-latest": self.to_latest,
                "--to-offset": self.to_offset,
                "--to-datetime": self.to_datetime,
            }
        )
        bounds = Bounds(
            from_offset=_given(self.from_offset, lambda text: offset("--from-offset", text)),
            from_ms=_given(self.from_datetime, lambda text: moment_ms("--from-datetime", text))
            if self.by_duration is None
            else before_ms(now, self.by_duration),
            to_offset=_given(self.to_offset, lambda text: offset("--to-offset", text)),
            to_ms=_given(self.to_datetime, lambda text: moment_ms("--to-datetime", text)),
        )
        for begin, end in ((bounds.from_offset, bounds.to_offset), (bounds.from_ms, bounds.to_ms)):
            if begin is not None and end is not None and end <= begin:
                raise Misconfigured("The range is empty: it ends at or before its begin.")
        return bounds


def offset(option: str, text: str) -> int:
    """An offset: a whole number from 0 to 2^63-1.

    Raises:
        Misconfigured: it is none.
    """
    return whole_number(option, text, LARGEST_OFFSET, "an offset")


def topic_choice(option: str, text: str) -> TopicChoice:
    """``TOPIC`` or ``TOPIC:PARTITION,…``, as ``kafka-consumer-groups`` takes it.

    Raises:
        Misconfigured: it is neither.
    """
    topic, colon, listed = text.partition(":")
    if not is_topic_name(topic):
        raise wrong(option, text, "the name of a topic, or TOPIC:PARTITION,PARTITION…")
    if not colon:
        return TopicChoice(topic, None)
    numbers = {
        whole_number(option, part, LARGEST_PARTITION, "a partition") for part in listed.split(",")
    }
    return TopicChoice(topic, tuple(sorted(numbers)))


def position(option: str, text: str) -> Position:
    """``TOPIC:PARTITION:OFFSET``.

    Raises:
        Misconfigured: it is not.
    """
    topic, partition, number = source_place(option, text)
    if partition is None or number is None:
        raise wrong(option, text, "TOPIC:PARTITION:OFFSET")
    return Position(topic, partition, number)


def source_place(option: str, text: str) -> tuple[str, int | None, int | None]:
    """``TOPIC``, ``TOPIC:PARTITION`` or ``TOPIC:PARTITION:OFFSET``; `None` for what is left out.

    Raises:
        Misconfigured: it is none of them.
    """
    topic, *numbers = text.split(":")
    if len(numbers) > 2 or not is_topic_name(topic):  # noqa: PLR2004 - partition and offset
        raise wrong(option, text, "TOPIC, TOPIC:PARTITION or TOPIC:PARTITION:OFFSET")
    limits = ((LARGEST_PARTITION, "a partition"), (LARGEST_OFFSET, "an offset"))
    read = [
        whole_number(option, number, *limit) for number, limit in zip(numbers, limits, strict=False)
    ]
    partition, offset_ = (*read, None, None)[:2]
    return topic, partition, offset_


def moment_ms(option: str, text: str) -> int:
    """A time in ISO 8601, UTC unless it says otherwise, in milliseconds since the epoch.

    Raises:
        Misconfigured: it is none, or lies before 1970.
    """
    wanted = "a time in ISO 8601, such as 2026-01-31T12:00:00Z; UTC unless it has an offset"
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError):
        raise wrong(option, text, wanted) from None
    if since < timedelta(0):
        raise wrong(option, text, f"{wanted}; Kafka's times begin in 1970")
    return since // timedelta(milliseconds=1)


def duration(option: str, text: str) -> timedelta:
    """A duration ``PnDTnHnMnS``, as ``kafka-consumer-groups --by-duration`` takes it.

    Raises:
        Misconfigured: it is none; weeks, months and years have no fixed length there.
    """
    wanted = "a duration PnDTnHnMnS, such as PT6H or P1DT12H"
    if _DURATION.fullmatch(text) is None:
        raise wrong(option, text, wanted)
    try:
        return _AS_DURATION.validate_python(text)
    except ValidationError:
        raise wrong(option, text, wanted) from None


def partitions_of(choices: Iterable[TopicChoice], known: Mapping[str, int]) -> list[TopicPartition]:
    """The partitions that were chosen, each once.

    Args:
        choices: topics with their partitions.
        known: partitions of each topic that exists.

    Raises:
        Misconfigured: a topic or a partition does not exist.
    """
    found: dict[TopicPartition, None] = {}
    for topic, numbers in choices:
        count = known.get(topic)
        if count is None:
            raise Misconfigured(f"Topic {topic} does not exist, or we may not see it.")
        for number in range(count) if numbers is None else numbers:
            if number >= count:
                raise Misconfigured(
                    f"Topic {topic} has no partition {number}; it has {count}, from 0."
                )
            found[TopicPartition(topic, number)] = None
    return list(found)


class Log(Protocol):
    """Tells which offsets partitions hold."""

    def starts(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset of the first record that is still there."""

    def ends(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset after the last record."""

    def at(
        self, partitions: Collection[TopicPartition], timestamp_ms: int
    ) -> Mapping[TopicPartition, int | None]:
        """The first offset at or after a time; `None` where there is none."""


def spans_of(
    log: Log, partitions: Collection[TopicPartition], bounds: Bounds
) -> dict[TopicPartition, tuple[int, int]]:
    """The offsets within the bounds, cut to what the log holds; ends are pinned by this call.

    Partitions with nothing to read are left out.

    Raises:
        TryAgain: no broker answers.
        Misconfigured: Kafka refuses us.
    """
    lows, highs = log.starts(partitions), log.ends(partitions)
    begins: Mapping[TopicPartition, int | None] = (
        log.at(partitions, bounds.from_ms)
        if bounds.from_ms is not None
        else dict.fromkeys(partitions, bounds.from_offset or 0)
    )
    ends: Mapping[TopicPartition, int | None] = (
        log.at(partitions, bounds.to_ms)
        if bounds.to_ms is not None
        else dict.fromkeys(partitions, bounds.to_offset)
    )
    spans = {}
    for partition in partitions:
        begin, end, high = begins[partition], ends[partition], highs[partition]
        # No record at or after that time: a range that begins there is empty.
        start = high if begin is None else max(begin, lows[partition])
        stop = high if end is None else min(end, high)
        if start < stop:
            spans[partition] = (start, stop)
    return spans


def before_ms(now: datetime, text: str) -> int:
    """The time that lies ``--by-duration`` back, in milliseconds since the epoch; 1970 at most.

    Raises:
        Misconfigured: it is no duration.
    """
    length = duration("--by-duration", text)
    since = now - datetime(1970, 1, 1, tzinfo=UTC)
    return max(since - length, timedelta(0)) // timedelta(milliseconds=1)


def _given(text: str | None, read: Callable[[str], int]) -> int | None:
    return None if text is None else read(text)


def one_of(options: Mapping[str, object]) -> None:
    """Check that at most one of these options is given.

    Raises:
        Misconfigured: more are.
    """
    given = [name for name, value in options.items() if value not in (None, False)]
    if len(given) > 1:
        raise Misconfigured(f"{' and '.join(given)} contradict each other.", mend="Give one.")


def whole_number(option: str, text: str, largest: int, what: str) -> int:
    """A whole number from 0 to the largest, in ASCII digits.

    Raises:
        Misconfigured: it is none.
    """
    if _DIGITS.fullmatch(text) is None or int(text) > largest:
        raise wrong(option, text, f"{what}: a whole number from 0 to {largest}")
    return int(text)


def wrong(option: str, text: str, wanted: str) -> Misconfigured:
    """What is raised for an option's value that is not what it takes."""
    shown = printable(text[:_SHOWN_CHARACTERS])
    return Misconfigured(f"{option} takes {wanted}; «{shown}» is not that.")
