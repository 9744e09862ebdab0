"""The options that select dead letters, as they were given, and what they mean."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from processor.errors import Code, Misconfigured, Stage
from processor.operations.bounds import (
    Bounds,
    TopicChoice,
    position,
    source_place,
    spans_of,
    topic_choice,
)
from processor.operations.letters.find import Criteria, Source, around, letter_partitions
from processor.operations.masking import key_bytes
from processor.operations.reading import Reader, Spans
from processor.record import TopicPartition
from processor.settings import Settings
from processor.settings.masking import printable

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class LetterOptions:
    """What was given for ``--topic``, ``--code`` and so on; none of them: every letter."""

    topics: Sequence[str] = ()
    codes: Sequence[str] = ()
    stages: Sequence[str] = ()
    fingerprints: Sequence[str] = ()
    events: Sequence[str] = ()
    keys: Sequence[str] = field(default=(), repr=False)
    sources: Sequence[str] = ()
    offsets: Sequence[str] = ()
    all_connectors: bool = False

    def criteria(self, settings: Settings) -> Criteria:
        """What a letter has to be like.

        Raises:
            Misconfigured: an option is malformed, or names a code or stage that does not exist.
        """
        return Criteria(
            connector=None if self.all_connectors else settings.name,
            codes=frozenset(_word("--code", Code, text) for text in self.codes),
            stages=frozenset(_word("--stage", Stage, text.upper()) for text in self.stages),
            fingerprints=frozenset(text.lower() for text in self.fingerprints),
            events=frozenset(self.events),
            keys=keys(self.keys),
            sources=tuple(Source(*source_place("--source", text)) for text in self.sources),
            positions=frozenset(position("--offset", text) for text in self.offsets),
        )

    def choices(self, criteria: Criteria) -> list[TopicChoice]:
        """The topics to look into; those of ``--offset`` where no topic was named.

        Raises:
            Misconfigured: ``--topic`` is malformed.
        """
        if self.topics or not criteria.positions:
            return [topic_choice("--topic", text) for text in self.topics]
        named: Mapping[str, set[int]] = {p.topic: set() for p in criteria.positions}
        for place in criteria.positions:
            named[place.topic].add(place.partition)
        return [TopicChoice(topic, tuple(sorted(numbers))) for topic, numbers in named.items()]


@dataclass(frozen=True, slots=True)
class Where:
    """Where the letters stand that are meant.

    Attributes:
        spans: the offsets to look at.
        later: the same, and everything written since; where a record's later letters are.
    """

    spans: Spans
    later: Spans


def locate(
    reader: Reader, settings: Settings, options: LetterOptions, bounds: Bounds
) -> tuple[Criteria, Where]:
    """What is meant, and where it stands; ends are pinned by this call.

    Raises:
        Misconfigured: an option is malformed, or what it names does not exist.
        TryAgain: no broker answers.
    """
    criteria = options.criteria(settings)
    choices = options.choices(criteria)
    partitions = letter_partitions(reader, settings, choices)
    spans = spans_of(reader, partitions, bounds)
    if criteria.positions:
        _all_there(criteria, spans)
        narrow = around(spans, criteria.positions)
        return criteria, Where(narrow, narrow)
    ends = reader.ends(list(spans))
    later = {partition: (start, ends[partition]) for partition, (start, _) in spans.items()}
    return criteria, Where(spans, later)


def keys(given: Sequence[str]) -> frozenset[bytes]:
    """The keys that ``--key`` names.

    Raises:
        Misconfigured: what follows ``hex:`` is not hexadecimal.
    """
    try:
        return frozenset(key_bytes(text) for text in given)
    except ValueError:
        raise Misconfigured(
            "--key takes text, or hex: and the key's bytes in hexadecimal."
        ) from None


def _all_there(criteria: Criteria, spans: Spans) -> None:
    for place in sorted(criteria.positions):
        start, end = spans.get(TopicPartition(place.topic, place.partition), (0, 0))
        if not start <= place.offset < end:
            raise Misconfigured(f"--offset: no dead letter stands at {place}.")


def _word(option: str, words: type[Word], text: str) -> Word:
    try:
        return words(text)
    except ValueError:
        near = difflib.get_close_matches(text, list(words), n=1)
        known = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(words)}."
        shown = printable(text[:60])
        raise Misconfigured(f"{option} {shown} does not exist; {known}") from None
