"""A range as it was pinned: what a plan's file holds, and a replay's record (pure).

Records that were chosen by key or field stand as their offsets, and of the conditions only how many
keys and which fields: who resumes, or executes a plan, needs no customer's value, and none is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from processor.errors import Misconfigured
from processor.kafka.progress import Origin
from processor.operations.chosen import Chosen, Offsets
from processor.operations.replays.ranges.manner import Manner, read_manner
from processor.operations.resolutions.runs import both
from processor.record import TopicPartition

Spans = Mapping[TopicPartition, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Pinned:
    """Records of source topics, chosen once for all.

    Attributes:
        spans: the range: by partition, first offset and the one after the last.
        records: those that are sent.
        exact: whether each was looked at; else some of the offsets may hold no record.
        keys: how many keys were asked for.
        fields: fields of the decoded event that had to have a value, by their dotted paths.
        origins: whose offsets they are, by topic; one of which the broker did not tell is left out.
        manner: how they are sent.
    """

    spans: Spans
    records: Chosen
    exact: bool
    keys: int
    fields: tuple[str, ...]
    origins: Mapping[str, Origin]
    manner: Manner

    @property
    def topics(self) -> list[str]:
        """The source topics, each once."""
        return sorted({partition.topic for partition in self.spans})

    def document(self) -> dict[str, Any]:
        """Without the offsets of single records."""
        return {
            "partitions": [
                {
                    "topic": partition.topic,
                    "partition": partition.partition,
                    "from_offset": start,
                    "to_offset": end,
                    "records": self._count(partition),
                }
                for partition, (start, end) in sorted(self.spans.items())
            ],
            "chosen": self.records.count,
            "exact": self.exact,
            "conditions": {"keys": self.keys, "where": list(self.fields)},
            "cluster_id": next((origin.cluster_id for origin in self.origins.values()), None),
            "topic_ids": {topic: origin.topic_id for topic, origin in self.origins.items()},
            **self.manner.document(),
        }

    def singled_out(self) -> Iterator[tuple[TopicPartition, Offsets]]:
        """The offsets that the document does not tell, by partition."""
        if self.exact:
            yield from self.records.by_partition.items()

    def _count(self, partition: TopicPartition) -> int:
        return len(self.records.by_partition.get(partition, ()))


def read_pinned(
    document: Mapping[str, Any], singled_out: Iterable[tuple[TopicPartition, Offsets]]
) -> Pinned:
    """What :meth:`Pinned.document` and :meth:`Pinned.singled_out` told.

    Raises:
        KeyError: it is not of that form; likewise TypeError, ValueError and AttributeError.
    """
    rows = document["partitions"]
    spans: dict[TopicPartition, tuple[int, int]] = {}
    for row in rows:
        partition = TopicPartition(str(row["topic"]), int(row["partition"]))
        spans[partition] = int(row["from_offset"]), int(row["to_offset"])
    exact = document["exact"] is True
    records = Chosen(dict(singled_out)) if exact else Chosen.whole(spans)
    if records.count != document["chosen"] or not _lies_within(records, spans):
        raise ValueError("its records are not those that it names")
    cluster_id = document["cluster_id"]
    origins = {
        str(topic): Origin(str(cluster_id), str(id_))
        for topic, id_ in document["topic_ids"].items()
    }
    conditions = document["conditions"]
    return Pinned(
        spans,
        records,
        exact,
        int(conditions["keys"]),
        tuple(map(str, conditions["where"])),
        origins,
        read_manner(document),
    )


def _lies_within(records: Chosen, spans: Spans) -> bool:
    return all(
        partition in spans and len(both(offsets, Offsets.of(*spans[partition]))) == len(offsets)
        for partition, offsets in records.by_partition.items()
    )


def require_same_topics(pinned: Pinned, now: Mapping[str, Origin], what: str) -> None:
    """Refuse offsets of topics that are others now, or of another cluster.

    Args:
        pinned: as it was.
        now: the ids as the broker tells them; a topic that it does not know is left out.
        what: names the plan or the replay.

    Raises:
        Misconfigured: they are.
    """
    for topic, then in sorted(pinned.origins.items()):
        found = now.get(topic)
        if found is None:
            raise Misconfigured(
                f"{what} is of topic {topic}, of which the broker does not tell the id: it is gone,"
                " or this client may not describe it."
            )
        if found.cluster_id != then.cluster_id:
            raise Misconfigured(
                f"{what} is of the Kafka cluster {then.cluster_id}; kafka.bootstrap_servers leads "
                f"to {found.cluster_id}."
            )
        if found.topic_id != then.topic_id:
            raise Misconfigured(
                f"{what} is of a topic {topic} that was deleted; another one has its name now.",
                mend="Choose the range anew.",
            )


def require_same_place(pinned: Pinned, now: Manner, what: str) -> None:
    """Refuse to go on to other targets than those that were meant.

    Args:
        pinned: as it was.
        now: as the options say.
        what: names the plan or the replay.

    Raises:
        Misconfigured: they are others.
    """
    then = pinned.manner.elsewhere
    if then == now.elsewhere:
        return
    if then is None:
        raise Misconfigured(
            f"{what} is for the configured targets.", mend="Leave out --target-override."
        )
    raise Misconfigured(
        f"{what} is for {then.where}.", mend="Give --target-override with the same tables."
    )
