"""Which records have to keep their order among each other, before anything of them is decoded."""

from collections.abc import Iterable
from enum import Enum

from processor.connector.passage import Passage
from processor.record import TopicPartition

Chain = tuple[TopicPartition, bytes | None]


class Ordered(Enum):
    """The strictest order that any target asks for."""

    NOT = "none"
    BY_KEY = "key"
    BY_PARTITION = "partition"

    @classmethod
    def of(cls, orderings: Iterable[str]) -> "Ordered":
        """The strictest of these settings."""
        wanted = set(orderings)
        return next((o for o in (cls.BY_PARTITION, cls.BY_KEY) if o.value in wanted), cls.NOT)


def chain_of(passage: Passage, ordered: Ordered) -> Chain | None:
    """The record's chain; `None` when it has no order to keep.

    Records without a key are ordered by what only decoding tells, so they make one chain.
    """
    if ordered is Ordered.NOT:
        return None
    return passage.partition, passage.record.key if ordered is Ordered.BY_KEY else None


def unpreceded(
    passages: Iterable[Passage], waiting: Iterable[Passage], ordered: Ordered
) -> list[Passage]:
    """Those of the passages before which none that waits stands in their chain."""
    first: dict[Chain, int] = {}
    for passage in waiting:
        chain, offset = chain_of(passage, ordered), passage.record.offset
        if chain is not None:
            first[chain] = min(offset, first.get(chain, offset))
    chained = ((passage, chain_of(passage, ordered)) for passage in passages)
    return [p for p, c in chained if c is None or p.record.offset <= first.get(c, p.record.offset)]
