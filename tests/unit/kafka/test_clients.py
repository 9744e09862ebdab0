from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from processor.kafka.clients import (
    FETCH_BYTES,
    LARGEST_RECORD_BYTES,
    admin_properties,
    consumer_properties,
    error_of,
    producer_properties,
)
from processor.settings.models import KafkaSettings


def settings(**tables: Any) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers="localhost:1", topics=["events"], **tables)


def test_a_consumer_commits_only_what_it_is_told_and_skips_nothing_silently() -> None:
    properties = consumer_properties(settings(), "group", "client")

    assert properties["enable.auto.commit"] is False
    assert properties["enable.auto.offset.store"] is False
    assert properties["auto.offset.reset"] == "error"
    assert properties["check.crcs"] is True
    assert properties["group.id"] == "group"


def test_the_user_s_properties_come_over_our_defaults_and_not_over_our_promises() -> None:
    chosen = settings(
        properties={"client.id": "mine", "session.timeout.ms": 9000, "acks": "1"},
        consumer={"check.crcs": False, "partition.assignment.strategy": "range"},
        producer={"enable.idempotence": False, "linger.ms": 50, "compression.type": "none"},
    )

    consumer = consumer_properties(chosen, "group", "client")
    producer = producer_properties(chosen, "client")

    assert consumer["client.id"] == "mine"
    assert consumer["session.timeout.ms"] == 9000
    assert consumer["partition.assignment.strategy"] == "range"
    assert consumer["check.crcs"] is True
    assert (producer["acks"], producer["enable.idempotence"]) == ("all", True)
    assert (producer["linger.ms"], producer["compression.type"]) == (50, "none")


@pytest.mark.parametrize("protocol", ["classic", "consumer", "Consumer"])
def test_librdkafka_takes_what_we_set_with_either_group_protocol(protocol: str) -> None:
    chosen = settings(properties={"group.protocol": protocol, "log_level": 0})

    consumer = Consumer(consumer_properties(chosen, "group", "client"))

    consumer.close()


@pytest.mark.parametrize(
    ("chosen", "fetched"),
    [
        ({}, FETCH_BYTES),
        ({"message.max.bytes": 5_000_000}, 5_000_000),
        ({"message.max.bytes": "5000000"}, 5_000_000),
        ({"message.max.bytes": 20_000}, FETCH_BYTES),
        ({"fetch.max.bytes": 65_536}, 65_536),
        ({"fetch.max.bytes": 8_000_000, "message.max.bytes": 5_000_000}, 8_000_000),
    ],
)
def test_a_fetch_is_small_unless_the_settings_want_more_of_it(
    chosen: dict[str, Any], fetched: int
) -> None:
    properties = consumer_properties(
        settings(properties={"log_level": 0, **chosen}), "group", "client"
    )

    Consumer(properties).close()

    assert properties["fetch.max.bytes"] == fetched


def test_librdkafka_takes_what_we_set_for_a_producer() -> None:
    properties = producer_properties(settings(properties={"log_level": 0}), "client")

    Producer(properties)

    assert properties["message.max.bytes"] == LARGEST_RECORD_BYTES


def test_no_client_creates_topics_by_asking_for_them() -> None:
    assert admin_properties(settings(), "client")["allow.auto.create.topics"] is False
    assert producer_properties(settings(), "client")["allow.auto.create.topics"] is False


def test_the_kafka_error_inside_an_exception() -> None:
    error = KafkaError(KafkaError.INVALID_TXN_STATE)

    assert error_of(KafkaException(error)) is error
    assert error_of(KafkaException("text")) is None
    assert error_of(ValueError()) is None
