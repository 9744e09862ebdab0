"""Preflight of time: will Kafka delete records before the connector has read them?"""

import time
from collections.abc import Callable, Iterator, Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import OffsetSpec

from processor.operations.checks.cluster import DENIED, Cluster, is_one
from processor.operations.checks.finding import Finding, bad, ok, skipped, warning
from processor.operations.checks.rights import odd
from processor.record import TopicPartition
from processor.settings import Settings

EARLY = 0.5
LATE = 0.9
"""Shares of the retention time: unread records older than that are worth a warning, and are about
to be deleted."""

_HOUR_MS = 3_600_000


def lag(
    cluster: Cluster,
    settings: Settings,
    topics: Mapping[str, int],
    *,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Iterator[Finding]:
    """Compare what the group has committed with how long each topic keeps its records.

    Args:
        cluster: where they are.
        settings: the group, and what happens to an offset out of range.
        topics: source topics that can be read, with their partitions.
        now_ms: this host's clock.
    """
    try:
        committed = cluster.committed(settings.group_id)
    except KafkaException as error:
        if is_one(error, DENIED):
            yield skipped("lag", "The group's offsets cannot be seen.", "See the group's line.")
        else:
            yield odd("lag", error)
        return
    for topic, count in topics.items():
        mine = {
            p: committed[p] for n in range(count) if (p := TopicPartition(topic, n)) in committed
        }
        try:
            yield _of_topic(cluster, settings, topic, mine, now_ms())
        except KafkaException as error:
            yield odd(f"lag of {topic}", error)


def _of_topic(
    cluster: Cluster,
    settings: Settings,
    topic: str,
    committed: Mapping[TopicPartition, int],
    now_ms: int,
) -> Finding:
    subject = f"lag of {topic}"
    if not committed:
        begins = settings.kafka.auto_offset_reset
        return ok(subject, f"nothing is committed yet; reading begins at the {begins} record")
    starts, ends = cluster.starts(committed), cluster.ends(committed)
    gone = sum(max(0, starts[p] - offset) for p, offset in committed.items())
    if gone:
        return _gone(settings, subject, topic, gone)
    unread = sum(max(0, ends[p] - offset) for p, offset in committed.items())
    behind = f"{unread} records behind"
    configs = cluster.configs(topic)
    if configs is None:
        return skipped(
            subject,
            f"The group is {behind}; how long the topic keeps records cannot be seen.",
            f"Grant DESCRIBE_CONFIGS on topic {topic} to have that compared.",
        )
    kept_ms = int(configs.get("retention.ms", "-1"))
    if kept_ms < 0 or "delete" not in configs.get("cleanup.policy", "delete"):
        return ok(subject, f"{behind}; time deletes no record there")
    for share, finding in ((LATE, bad), (EARLY, warning)):
        older = _older(cluster, committed, ends, now_ms - int(kept_ms * share))
        if older:
            return finding(
                subject,
                f"The group is {behind}, and {older} of them are older than {share:.0%} of the "
                f"{kept_ms / _HOUR_MS:.1f} hours that the topic keeps them: Kafka deletes them, "
                "read or not.",
                f"Raise retention.ms on {topic}, and see why the connector is behind "
                "(docs/operate.md#lag-grows).",
            )
    limit = int(configs.get("retention.bytes", "-1"))
    size = "" if limit < 0 else f", if they are not more than {limit} bytes a partition"
    return ok(
        subject, f"{behind}, and Kafka keeps records for {kept_ms / _HOUR_MS:.0f} hours{size}"
    )


def _gone(settings: Settings, subject: str, topic: str, gone: int) -> Finding:
    message = f"Kafka has deleted {gone} offsets of {topic} that the group had not come to."
    choice = settings.kafka.on_offset_out_of_range
    if choice == "pause":
        return bad(
            subject,
            f"{message} The connector would pause there.",
            "Go on at the first record that is left with `processor offsets reset --to-earliest "
            "--skip-records --execute`, and raise retention.ms.",
        )
    return warning(subject, f"{message} It would go on at the {choice} one.", "Raise retention.ms.")


def _older(
    cluster: Cluster,
    committed: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    before_ms: int,
) -> int:
    """How many unread records were written before a time, counted by offsets."""
    younger = cluster.offsets(committed, OffsetSpec.for_timestamp(before_ms))
    return sum(
        max(0, (younger[p] if younger[p] >= 0 else ends[p]) - offset)
        for p, offset in committed.items()
    )
