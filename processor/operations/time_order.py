"""Items of several partitions in the order of their time, within bounded memory (pure)."""

import heapq
from collections import deque
from collections.abc import Collection, Iterator
from typing import Generic, TypeVar

from processor.record import TopicPartition

Item = TypeVar("Item")

NEVER = float("-inf")


class TimeOrder(Generic[Item]):
    """Holds back what arrived until nothing earlier can arrive any more.

    Within a partition the order of the offsets stands, whatever the times say: a record is never
    earlier than one before it.

    Args:
        partitions: all that will be read.
        ahead: items that one partition may have waiting before :meth:`full` names it; it goes on
            to name it until no more than a quarter is left.
    """

    def __init__(self, partitions: Collection[TopicPartition], *, ahead: int) -> None:
        self._ahead = ahead
        self._waiting: dict[TopicPartition, deque[tuple[float, Item]]] = {
            partition: deque() for partition in partitions
        }
        self._seen_ms = dict.fromkeys(partitions, NEVER)
        self._starved = set(partitions)
        self._unfinished = set(partitions)
        self._heads: list[tuple[float, TopicPartition]] = []
        self._full: set[TopicPartition] = set()

    def add(self, partition: TopicPartition, timestamp_ms: int | None, item: Item | None) -> None:
        """Take what was read next in a partition; `None` for a record that nobody wants."""
        time_ms = self._seen_ms[partition]
        if timestamp_ms is not None:
            time_ms = self._seen_ms[partition] = max(time_ms, timestamp_ms)
        if item is None:
            return
        waiting = self._waiting[partition]
        waiting.append((time_ms, item))
        if len(waiting) == 1:
            self._starved.discard(partition)
            heapq.heappush(self._heads, (time_ms, partition))

    def end(self, partition: TopicPartition) -> None:
        """Say that a partition has been read to its end."""
        self._unfinished.discard(partition)
        self._starved.discard(partition)

    def ready(self) -> Iterator[Item]:
        """What may go now, in order."""
        horizon_ms = min((self._seen_ms[partition] for partition in self._starved), default=None)
        while self._heads and (horizon_ms is None or self._heads[0][0] <= horizon_ms):
            _, partition = heapq.heappop(self._heads)
            waiting = self._waiting[partition]
            _, item = waiting.popleft()
            if waiting:
                heapq.heappush(self._heads, (waiting[0][0], partition))
            elif partition in self._unfinished:
                self._starved.add(partition)
                seen_ms = self._seen_ms[partition]
                horizon_ms = seen_ms if horizon_ms is None else min(horizon_ms, seen_ms)
            yield item

    def full(self) -> set[TopicPartition]:
        """The partitions to read no more of until the others have caught up."""
        relieved = self._ahead // 4
        self._full = {
            partition
            for partition in self._unfinished
            if len(self._waiting[partition])
            > (relieved if partition in self._full else self._ahead - 1)
        }
        return self._full
