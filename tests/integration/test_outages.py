"""The moment's fault: nothing is lost, nothing is dead-lettered, and it resumes by itself."""

import json
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer

from processor.demo.events import SampleEvents
from processor.local.ports import free_port

LONG = "until_reset"
OUTAGES: dict[str, Any] = {
    "throttled": {"scope": "batch", "count": LONG, "status": 429, "retry_after": "1"},
    "throttled without Retry-After": {"scope": "batch", "count": LONG, "status": 429},
    "absurd Retry-After": {"scope": "batch", "count": 2, "status": 429, "retry_after": "-5"},
    "unavailable": {"scope": "batch", "count": LONG, "status": 503},
    "500 for everything": {"scope": "batch", "count": LONG, "status": 500},
    "reset before it is accepted": {
        "scope": "batch", "count": LONG, "connection": "reset", "accept": False,
    },
    "IMS unavailable": {"scope": "ims", "count": LONG, "status": 503},
    "IMS refuses the secret": {"scope": "ims", "revoke_secret": "all"},
    "token refused": {"scope": "batch", "count": LONG, "status": 401},
    "inlet unknown": {"scope": "batch", "count": LONG, "status": 404},
}  # fmt: skip


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_writes_no_dead_letter_and_loses_nothing(
    outage: str, capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Any, broker: Any, balanced: Any,
) -> None:  # fmt: skip
    fault = OUTAGES[outage]
    records, expected = capillary.records(200)
    simulator.faults([fault])
    produce(topic, records)

    passing = fault.get("count") == 2
    running = connector(connector_settings(topic), start=passing)
    if not passing:
        running.launch()
        eventually(lambda: waiting_for(running), what="the task says why it waits")
        assert running.readyz()[0] == 503
        assert in_flight(running) > 0
        assert is_live(running)
        simulator.reset()  # nothing was accepted yet that it could forget

    assert balanced(running)
    arrives(expected)
    eventually(lambda: running.readyz()[0] == 200, what="it is ready again by itself")
    eventually(lambda: running.metric("processor_records_in_flight") == 0)
    assert running.metric("processor_records_dead_lettered_total") == 0
    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics
    assert balanced(running)


def is_live(running: Any) -> bool:
    return httpx.get(f"{running.url}/livez", timeout=60, trust_env=False).is_success


def in_flight(running: Any) -> float:
    """Records in flight; 0 while the connector does not answer yet."""
    return float(running.metric("processor_records_in_flight")) if running.readyz()[0] else 0.0


def waiting_for(running: Any) -> set[str]:
    """Why the tasks wait, in the words of the metric's label."""
    reasons = running.readyz()[1].get("reasons", [])
    return {text.split(": ")[1] for text in reasons if text.count(": ") >= 2}


ANSWERS: dict[str, Any] = {
    "no list": {"multi_status": {"responses": "missing"}},
    "null": {"multi_status": {"responses": "null"}},
    "too short": {"multi_status": {"responses": "short"}},
    "too long": {"multi_status": {"responses": "long"}},
    "not a list": {"multi_status": {"responses": "object"}},
    "cut": {"connection": "cut"},
    "reset after it is accepted": {"connection": "reset", "accept": True},
    "HTML": {"status": 200, "body": "<html>", "content_type": "text/html", "accept": True},
    "gzip bomb": {"gzip_bomb_bytes": 50_000_000, "accept": True},
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_cannot_be_read_is_no_success_and_is_asked_for_again(
    answer: str, capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    simulator.faults([{"scope": "batch", "count": 3, **ANSWERS[answer]}])
    records, expected = capillary.records(100)
    produce(topic, records)

    running = connector(connector_settings(topic))

    arrives(expected, once=False)
    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    assert running.metric("processor_records_dead_lettered_total") == 0
    assert running.metric("processor_retries_total") >= 3


@pytest.mark.parametrize("shape", ["status", "statusCode"])
@pytest.mark.parametrize("ids", ["accepted", "all", "none"])
def test_one_bad_message_among_many_is_found_in_each_documented_shape(
    shape: str, ids: str, capillary: Any, topic: str, produce: Any, connector: Any,
    connector_settings: Any, simulator: Any, arrives: Any, eventually: Any, read_topic: Any,
) -> None:  # fmt: skip
    bad = capillary.events.of("transactionAdded")
    simulator.faults(
        [
            {"scope": "batch", "count": LONG, "multi_status": {"key": shape, "xaction_id": ids,
             "ids": "dash" if shape == "status" else "colon"}},
            {"scope": "batch", "match": {"event_id": bad["eventId"]}, "refuse": {"status": 400}},
        ]
    )  # fmt: skip
    records, expected = capillary.records(200)
    record = capillary.record(bad)
    produce(topic, [*records[:100], record, *records[100:]])

    running = connector(connector_settings(topic), start=ids != "none")

    if ids == "none":
        running.launch()
        # Nothing says that a message was accepted: no such answer may count as success.
        eventually(lambda: waiting_for(running) == {"experience_platform"})
        assert running.metric("processor_records_delivered_total") == 0
        return
    arrives(expected)
    eventually(lambda: running.metric("processor_records_dead_lettered_total") == 1)
    assert [letter.value() for letter in read_topic(f"{topic}.dlq")] == [record["value"]]


def test_one_message_that_always_gets_500_is_convicted_and_its_neighbours_arrive(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Any, read_topic: Any,
) -> None:  # fmt: skip
    bad = capillary.events.of("transactionAdded")
    simulator.faults([{"scope": "batch", "match": {"event_id": bad["eventId"]}, "status": 500}])
    records, expected = capillary.records(200)
    record = capillary.record(bad)
    produce(topic, [*records[:100], record, *records[100:]])

    running = connector(connector_settings(topic))

    arrives(expected)
    more, arriving = capillary.records(50)
    produce(topic, more)
    for target, found in arriving.items():
        expected.setdefault(target, set()).update(found)
    arrives(expected)
    eventually(
        lambda: running.metric("processor_records_dead_lettered_total", code="delivery.poison") == 1
    )
    assert [letter.value() for letter in read_topic(f"{topic}.dlq")] == [record["value"]]


def test_the_registry_away_is_waited_for(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    arrives: Any, eventually: Any, registry: Any,
) -> None:  # fmt: skip
    settings = connector_settings(topic)
    settings["schema_registry"]["url"] = f"http://127.0.0.1:{free_port()}"
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}  # it is killed further down
    records, expected = capillary.records(60)
    produce(topic, records)
    running = connector(settings, start=False)
    running.launch()
    eventually(lambda: in_flight(running) == len(records))
    eventually(lambda: waiting_for(running), what="it says why they wait")
    assert waiting_for(running) == {"schema_registry"}
    assert running.readyz()[0] == 503
    running.kill()
    settings["schema_registry"]["url"] = registry.url
    again = connector(settings)

    arrives(expected)
    assert again.metric("processor_records_dead_lettered_total") == 0


def test_the_broker_away_is_waited_for(
    make_broker: Any, registry: Any, connector: Any, connector_settings: Any, simulator: Any,
    eventually: Any, balanced: Any, fresh_name: Any,
) -> None:  # fmt: skip
    broker = make_broker()
    topic = broker.create_topic(fresh_name("events"), partitions=2)
    settings = connector_settings(topic)
    settings["kafka"]["bootstrap_servers"] = broker.bootstrap_servers
    events = [SampleEvents(seed).of("transactionAdded") for seed in range(200)]

    def send(some: list[dict[str, Any]]) -> None:
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for event in some:
            producer.produce(topic, json.dumps(event).encode())
        assert producer.flush(30) == 0

    send(events[:100])
    running = connector(settings)
    eventually(lambda: running.metric("processor_records_delivered_total") == 100)

    broker.kill()
    eventually(lambda: running.readyz()[0] == 503, timeout_s=60)
    assert any("kafka" in text for text in running.readyz()[1]["reasons"])
    broker.start()
    send(events[100:])

    eventually(lambda: running.metric("processor_records_delivered_total") >= 200, timeout_s=90)
    eventually(lambda: running.readyz()[0] == 200, timeout_s=60)
    assert {m["_id"] for m in simulator.accepted("event")} == {e["eventId"] for e in events}
    assert running.metric("processor_records_dead_lettered_total") == 0
    assert balanced(running)
