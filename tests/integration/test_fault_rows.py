"""Rows of the table of faults with real parts; each prints lost, repeated, dead-lettered."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions

from processor.demo.events import SampleEvents
from tests.faults.tally import Tally, tally
from tests.integration.process_tree import alive, children

LONG = "until_reset"
LISTS = ("short", "long", "empty", "missing", "null", "object", "string", "number", "strings",
         "nulls")  # fmt: skip
SHAPES: dict[str, dict[str, Any]] = {
    "statusCode, colon": {"multi_status": {"key": "statusCode", "ids": "colon"}},
    "status, dash": {"multi_status": {"key": "status", "ids": "dash"}},
    "status as text": {"multi_status": {"key": "status", "value": "string"}},
    "an id on every entry": {"multi_status": {"xaction_id": "all"}},
    "a status on every entry": {"multi_status": {"accepted_status": 200}},
    "under 200": {"multi_status": {}, "status": 200},
    **{f"a list: {name}": {"multi_status": {"responses": name}, "count": 2} for name in LISTS},
    "a cut answer": {"connection": "cut", "count": 2},
    "accepted and reset": {"connection": "reset", "accept": True, "count": 2},
    "accepted and HTML": {
        "status": 200, "body": "<html>", "content_type": "text/html", "accept": True, "count": 2,
    },
}  # fmt: skip
"""How answers look; those that cannot be read come twice."""


def merged(expected: dict[str, set[str]], more: Mapping[str, set[str]]) -> None:
    for target, ids in more.items():
        expected.setdefault(target, set()).update(ids)


def test_one_bad_record_among_500_is_found_in_each_shape_of_answer(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, settle: Any, eventually: Any,
) -> None:  # fmt: skip
    running = connector(connector_settings(topic))
    before: set[bytes] = set()
    for shape, fault in SHAPES.items():
        event = capillary.events.of("transactionAdded")
        refused = {"match": {"event_id": event["eventId"]}, "refuse": {"status": 400}}
        simulator.reset()
        simulator.faults(
            [{"scope": "batch", "count": LONG, **fault}, {"scope": "batch", **refused}]
        )
        records, expected = capillary.records(499)
        record = capillary.record(event)

        produce(topic, [*records[:250], record, *records[250:]])

        again = "those without a verdict" if "count" in fault else "0"
        row = f"F34 to F36, {shape}"
        found = settle(row, expected, (record["value"],), repeats=again, before=before)
        assert (found.lost, found.dead_lettered, found.strangers) == (0, 1, 0), shape
        assert again != "0" or found.repeated == 0, shape
        before.add(record["value"])
        eventually(lambda: running.metric("processor_records_in_flight") == 0)


def test_one_record_that_is_too_large_takes_no_other_along(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, settle: Any,
) -> None:  # fmt: skip
    event = capillary.events.of("transactionAdded")
    simulator.faults([{"scope": "batch", "match": {"event_id": event["eventId"]}, "status": 413}])
    records, expected = capillary.records(499)
    record = capillary.record(event)
    connector(connector_settings(topic))

    produce(topic, [*records[:250], record, *records[250:]])

    found = settle("F37", expected, (record["value"],), repeats="0")
    assert (found.lost, found.repeated, found.dead_lettered, found.strangers) == (0, 0, 1, 0)


def hung_up(simulator: Any) -> bool:
    """Whether it has seen that whoever waited for answers is gone."""
    batches = [one for one in simulator.requests() if one["scope"] == "batch"]
    return all(one["outcome"] != "open" for one in batches)


@pytest.mark.parametrize("accepts", [False, True], ids=["F1", "F2"])
def test_kill_9_while_a_request_waits_for_its_answer(
    accepts: bool, capillary: Any, topic: str, produce: Any, connector: Any,
    connector_settings: Any, simulator: Any, settle: Any, eventually: Any,
) -> None:  # fmt: skip
    settings = connector_settings(topic)
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    simulator.faults([{"scope": "batch", "count": LONG, "connection": "hang", "accept": accepts}])
    records, expected = capillary.records(100)
    produce(topic, records)
    first = connector(settings)
    eventually(lambda: first.metric("processor_records_in_flight") == len(records))
    if accepts:
        eventually(simulator.accepted, what="it accepts and does not say so")
    else:
        eventually(lambda: [r for r in simulator.requests() if r["scope"] == "batch"])

    below = children(first.pid)
    first.kill()

    eventually(lambda: not any(alive(pid) for pid in below), what="the tasks die with it")
    eventually(lambda: hung_up(simulator), what="nothing of it is on its way")
    simulator.faults_over()
    before = simulator.accepted()
    connector(settings)
    found = settle("F2" if accepts else "F1", expected, repeats=f"at most {len(before)}")
    assert (found.lost, found.dead_lettered) == (0, 0)
    assert found.repeated <= len(before)
    first_life = {(m["inlet"], m["_id"]): m["message"] for m in before}
    for message in simulator.accepted():
        key = (message["inlet"], message["_id"])
        assert first_life.get(key, message["message"]) == message["message"], "the same bytes"


def test_kill_9_between_a_dead_letter_and_the_commit(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, broker: Any, settle: Any, eventually: Any,
) -> None:  # fmt: skip
    settings = connector_settings(topic)
    settings["kafka"]["consumer"] = {"session.timeout.ms": 6_000}
    simulator.faults([{"scope": "batch", "count": LONG, "connection": "hang", "accept": False}])
    records, expected = capillary.records(90)
    bad = tuple(b"\x01broken %d" % number for number in range(10))
    mixed = [r for n, one in enumerate(bad) for r in (*records[n * 9 : n * 9 + 9], {"value": one})]
    produce(topic, mixed)
    first = connector(settings)
    eventually(lambda: first.metric("processor_records_dead_lettered_total") == len(bad))

    below = children(first.pid)
    first.kill()

    eventually(lambda: not any(alive(pid) for pid in below), what="the tasks die with it")
    eventually(lambda: hung_up(simulator), what="nothing of it is on its way")
    simulator.faults_over()
    connector(settings)
    found = settle("F4", expected, bad)
    assert (found.lost, found.repeated, found.strangers) == (0, 0, 0)
    assert found.dead_lettered >= len(bad), "a letter may come twice"


def test_partitions_that_are_added_are_read(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    broker: Any, settle: Any,
) -> None:  # fmt: skip
    settings = connector_settings(topic)
    settings["kafka"]["consumer"] = {"topic.metadata.refresh.interval.ms": 500}
    records, expected = capillary.records(50)
    produce(topic, records)
    connector(settings)
    admin = broker.admin()

    admin.create_partitions([NewPartitions(topic, 4)])[topic].result(30)

    more, arriving = capillary.records(50)
    merged(expected, arriving)
    produce(topic, more[:25], partition=2)
    produce(topic, more[25:], partition=3)
    assert settle("F27", expected) == Tally(0, 0, 0, 0)


def test_a_dead_letter_topic_that_takes_too_little_holds_the_offset_until_it_is_mended(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    broker: Any, settle: Any, eventually: Any, simulator: Any,
) -> None:  # fmt: skip
    dead = broker.create_topic(f"{topic}.dlq", partitions=2)
    admin = broker.admin()
    resize(admin, dead, "200")
    records, expected = capillary.records(50)
    bad = b"\x01" + b"broken" * 100
    produce(topic, [*records[:25], {"value": bad}, *records[25:]])
    running = connector(connector_settings(topic), start=False)
    running.launch()
    eventually(lambda: "dead_letter_topic" in str(running.readyz()[1]))
    eventually(lambda: running.metric("processor_records_in_flight") == 1)

    resize(admin, dead, "1000000")

    assert settle("F29", expected, (bad,)) == Tally(0, 0, 1, 0)
    eventually(lambda: running.readyz()[0] == 200)


def resize(admin: Any, topic: str, size: str) -> None:
    entry = ConfigEntry("max.message.bytes", size, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(30)


def test_members_that_join_and_leave_lose_and_repeat_nothing(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    broker: Any, simulator: Any, settle: Any, eventually: Any,
) -> None:  # fmt: skip
    settings = connector_settings(topic)
    settings["delivery"] |= {"batch_max_records": 50}
    simulator.faults([{"scope": "batch", "count": LONG, "latency_ms": 200}])
    settings["kafka"]["consumer"] = {"heartbeat.interval.ms": 500}
    records, expected = capillary.records(200)
    produce(topic, records[:50])
    running = connector(settings)

    for turn in range(3):
        guest = Consumer({
            "bootstrap.servers": broker.direct_servers,
            "group.id": f"connect-{settings['name']}",
            "partition.assignment.strategy": "cooperative-sticky",
            "enable.auto.commit": False,
            "heartbeat.interval.ms": 500,
        })  # fmt: skip
        try:
            guest.subscribe([topic])
            produce(topic, records[50 + turn * 50 : 100 + turn * 50])
            # It reads, ends nothing and commits nothing.
            eventually(lambda guest=guest: (guest.poll(0.1), guest.assignment())[1])
        finally:
            guest.close()

    assert settle("F19", expected) == Tally(0, 0, 0, 0)
    assert running.metric("processor_rebalances_total") > 3


def test_slow_and_uneven_answers_lose_and_repeat_nothing(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, settle: Any,
) -> None:  # fmt: skip
    slow = {"scope": "batch", "count": LONG, "latency_ms": 50, "jitter_ms": 950}
    simulator.faults([slow, {"scope": "batch", "count": 1, "latency_ms": 5_000}])
    settings = connector_settings(topic)
    settings["delivery"] |= {"batch_max_records": 50}
    records, expected = capillary.records(500)
    produce(topic, records)

    connector(settings)

    assert settle("F33", expected) == Tally(0, 0, 0, 0)


def test_a_secret_that_is_revoked_under_load_gives_way_to_the_next(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, settle: Any, canary: Any, tmp_path: Any, eventually: Any,
) -> None:  # fmt: skip
    following = tmp_path / "next_secret"
    following.write_text(canary.watch_for(f"p8e-next+{os.urandom(8).hex()}/=%&"))
    following.chmod(0o600)
    settings = connector_settings(topic)
    settings["ims"]["client_secret_next_file"] = str(following)
    records, expected = capillary.records(200)
    produce(topic, records[:100])
    running = connector(settings)
    eventually(lambda: len(simulator.accepted()) >= 50)
    asked = sum(r["scope"] == "ims" for r in simulator.requests())

    simulator.faults(
        [{"scope": "ims", "revoke_secret": 0}, {"scope": "ims", "expire_tokens": True}]
    )
    produce(topic, records[100:])

    assert settle("F53", expected) == Tally(0, 0, 0, 0)
    again = [r["status"] for r in simulator.requests() if r["scope"] == "ims"][asked:]
    assert again == [400, 200], "one refused request for the old secret, then the next one"
    eventually(lambda: running.readyz()[0] == 200)


def test_the_broker_stops_and_comes_back(
    make_broker: Any, connector: Any, connector_settings: Any, simulator: Any, eventually: Any,
    topic: str,
) -> None:  # fmt: skip
    own = make_broker()
    name = own.create_topic(topic, partitions=2)
    settings = connector_settings(name)
    settings["kafka"]["bootstrap_servers"] = own.bootstrap_servers
    events = [SampleEvents(seed).of("transactionAdded") for seed in range(200)]

    def send(some: list[dict[str, Any]]) -> None:
        producer = Producer({"bootstrap.servers": own.bootstrap_servers})
        for event in some:
            producer.produce(name, json.dumps(event).encode())
        assert producer.flush(30) == 0

    send(events[:100])
    running = connector(settings)
    eventually(lambda: running.metric("processor_records_delivered_total") == 100)

    with_offsets = {
        "bootstrap.servers": own.direct_servers,
        "group.id": f"connect-{settings['name']}",
    }
    eventually(lambda: committed(with_offsets, name) == 100)

    own.stop()
    eventually(lambda: running.readyz()[0] == 503)
    own.start()
    send(events[100:])

    eventually(lambda: running.metric("processor_records_delivered_total") >= 200)
    eventually(lambda: running.readyz()[0] == 200)
    expected = {"event": {event["eventId"] for event in events}}
    assert tally("F13", expected, simulator.accepted()) == Tally(0, 0, 0, 0)
    assert running.metric("processor_records_dead_lettered_total") == 0


def committed(properties: Mapping[str, str], topic: str) -> int:
    """Records of two partitions that the group has committed."""
    consumer = Consumer(dict(properties))
    try:
        places = consumer.committed([TopicPartition(topic, n) for n in range(2)], timeout=20)
    finally:
        consumer.close()
    return sum(max(0, place.offset) for place in places)
