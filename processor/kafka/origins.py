"""Asks the broker for the ids of its cluster and of topics, which tell whose offsets they are."""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from processor.kafka.progress import Origin
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

LOOKUP_S = 2.0
"""A rebalance waits for this, once: a late answer only means that a crash repeats more."""

NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""Sixteen zeros: the topic id of a broker that has none (before Kafka 2.8)."""

Origins = Callable[[Collection[str]], Mapping[str, Origin]]
"""By topic, whose offsets they are; a topic of which the broker does not tell is left out."""


def origins_unknown(_topics: Collection[str]) -> Mapping[str, Origin]:
    """For a consumer whose commits say nothing beyond the offset."""
    return {}


def look_up(
    properties: Mapping[str, Any], topics: Collection[str], *, within_s: float = LOOKUP_S
) -> dict[str, Origin]:
    """Ask; a topic of which the broker does not tell in time is left out, with a warning.

    Args:
        properties: of an admin client. It lives for this question only: an assignment is rare, and
            a client costs threads and connections.
        topics: names.
        within_s: how long to wait for all answers together.
    """
    if not topics:
        return {}
    until_s = time.monotonic() + within_s
    found: dict[str, Origin] = {}
    why: Exception | str = "the broker has no such ids"
    try:
        admin = AdminClient(dict(properties))
        asked = admin.describe_cluster(request_timeout=within_s)
        described = admin.describe_topics(TopicCollection(list(topics)), request_timeout=within_s)
        cluster_id = _answer(asked, until_s).cluster_id
        for topic, answer in described.items():
            try:
                topic_id = str(_answer(answer, until_s).topic_id)
            except (KafkaException, Late) as raised:
                why = raised
            else:
                if cluster_id and topic_id != NO_ID:
                    found[topic] = Origin(cluster_id, topic_id)
    except (KafkaException, Late) as raised:
        why = raised
    if missing := sorted(set(topics) - found.keys()):
        log.warning(
            "Kafka did not tell the ids of cluster and topic: a crash would repeat more records.",
            topics=missing,
            error=str(why) or "no answer in time",
        )
    return found


def _answer(future: Future[Any], until_s: float) -> Any:
    return future.result(max(0.0, until_s - time.monotonic()))
