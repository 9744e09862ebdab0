"""A dead letter for each cause: byte-identical, with its whole story; neighbours unharmed."""

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

import pytest

REFUSED_CUSTOMER = 900_001
OWN_HEADERS = [
    ("capillary", b"\x00\xff binary"),
    ("capillary", None),
    ("traceparent", b"00-ab-cd-01"),
]
ALWAYS = {
    "__connect.errors.topic", "__connect.errors.partition", "__connect.errors.offset",
    "__connect.errors.connector.name", "__connect.errors.task.id", "__connect.errors.stage",
    "__connect.errors.class.name", "__connect.errors.exception.class.name",
    "__connect.errors.exception.message", "__connect.errors.exception.stacktrace",
    "processor.code", "processor.fingerprint", "processor.targets", "processor.attempts",
    "processor.errors", "processor.failed.at", "processor.source.timestamp",
    "processor.replay.count", "processor.version",
}  # fmt: skip
DECODED = {"processor.event.id", "processor.event.name", "processor.schema.id"}


def truncated(capillary: Any) -> dict[str, Any]:
    record = capillary.record(capillary.events.of("pointsIssued"))
    return {**record, "value": record["value"][: len(record["value"]) // 2]}


def unknown_schema(capillary: Any) -> dict[str, Any]:
    record = capillary.record(capillary.events.of("pointsIssued"))
    return {**record, "value": b"\x00" + struct.pack(">I", 9_999_999) + record["value"][5:]}


def unknown_event(capillary: Any) -> dict[str, Any]:
    event = {**capillary.events.of("transactionAdded"), "eventName": "pointsTeleported"}
    return {"key": b"k", "value": json.dumps(event).encode()}


def invalid(capillary: Any) -> dict[str, Any]:
    event = {**capillary.events.of("pointsIssued"), "orgId": "rupees"}
    return {"key": b"k", "value": json.dumps(event).encode()}


def no_identity(capillary: Any) -> dict[str, Any]:
    event = capillary.events.of("transactionAdded")
    event["data"]["customerIdentifiers"] = None
    record: dict[str, Any] = capillary.record(event)
    return record


def violation(capillary: Any) -> dict[str, Any]:
    event = capillary.events.of("transactionAdded")
    event["data"]["currencyCode"] = "rupees"
    record: dict[str, Any] = capillary.record(event)
    return record


def refused(capillary: Any) -> dict[str, Any]:
    event = capillary.events.of("transactionAdded")
    event["data"]["customerIdentifiers"] = {"customerId": REFUSED_CUSTOMER}
    record: dict[str, Any] = capillary.record(event)
    return record


CAUSES: Mapping[str, tuple[Callable[[Any], dict[str, Any]], str, str, set[str]]] = {
    "decode.truncated": (
        truncated,
        "VALUE_CONVERTER",
        "",
        {"processor.schema.id", "processor.event.name"},
    ),
    "event.invalid": (
        invalid,
        "VALUE_CONVERTER",
        "",
        {"processor.event.id", "processor.event.name"},
    ),
    "decode.unknown_schema_id": (unknown_schema, "VALUE_CONVERTER", "", {"processor.schema.id"}),
    "event.unknown": (unknown_event, "VALUE_CONVERTER", "", {"processor.event.name"}),
    "mapping.no_identity": (no_identity, "TRANSFORMATION", "event", DECODED),
    "gate.violation": (violation, "TRANSFORMATION", "event", DECODED),
    "delivery.refused": (refused, "TASK_PUT", "event", DECODED | {"processor.http.status"}),
}


@pytest.mark.parametrize("code", CAUSES)
def test_a_record_at_fault_becomes_a_whole_dead_letter_and_its_neighbours_arrive(
    code: str, capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Any, read_topic: Any, balanced: Any,
) -> None:  # fmt: skip
    make, stage, target, more = CAUSES[code]
    simulator.faults(
        [
            {
                "scope": "batch",
                "match": {"identity": f"CapillaryCustomerId:{REFUSED_CUSTOMER}"},
                "refuse": {"status": 400, "message": "Message is invalid"},
            }
        ]
    )
    good, expected = capillary.records(40)
    bad = {**make(capillary), "headers": OWN_HEADERS, "partition": 1}
    produce(topic, [*good[:20], bad, *good[20:]])

    running = connector(connector_settings(topic))

    arrives(expected)
    eventually(lambda: running.metric("processor_records_dead_lettered_total", code=code) == 1)
    (letter,) = read_topic(f"{topic}.dlq")
    (source,) = [m for m in read_topic(topic) if m.value() == bad["value"]]
    headers = letter.headers()
    added = {name: value.decode() for name, value in headers[len(OWN_HEADERS) :]}
    assert (letter.key(), letter.value()) == (bad["key"], bad["value"])
    assert headers[: len(OWN_HEADERS)] == OWN_HEADERS
    assert letter.partition() == source.partition() == 1
    assert set(added) == ALWAYS | more
    assert added["__connect.errors.topic"] == topic
    assert int(added["__connect.errors.partition"]) == source.partition()
    assert int(added["__connect.errors.offset"]) == source.offset()
    assert added["__connect.errors.connector.name"] == running.settings["name"]
    assert added["__connect.errors.stage"] == stage
    assert added["processor.code"] == code
    assert added["processor.targets"] == target
    assert int(added["processor.source.timestamp"]) == source.timestamp()[1]
    assert letter.timestamp()[1] >= source.timestamp()[1]
    if code == "gate.violation":
        (found,) = json.loads(added["processor.errors"])
        assert found["pointerToViolation"] == "#/commerce/order/currencyCode"
    assert "rupees" not in json.dumps(added)
    assert "@example.com" not in json.dumps(added)
    assert balanced(running)


def test_filtered_records_are_counted_by_reason_and_leave_no_letter(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    eventually: Any, broker: Any, balanced: Any,
) -> None:  # fmt: skip
    unmapped = {**capillary.events.of("transactionAdded"), "eventName": "groupCreated"}
    produce(topic, [None, json.dumps(unmapped).encode(), None], key=b"k")

    running = connector(connector_settings(topic))

    def filtered(reason: str) -> float:
        found: float = running.metric("processor_records_filtered_total", reason=reason)
        return found

    eventually(lambda: filtered("tombstone") == 2)
    eventually(lambda: filtered("unmapped_event") == 1)
    assert running.metric("processor_unmapped_events_total", event="groupCreated") == 1
    assert balanced(running)
    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics


def test_one_target_s_failure_keeps_no_other_back(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Any, read_topic: Any,
) -> None:  # fmt: skip
    event = capillary.events.of("pointsIssued")
    customer = event["data"]["customerIdentifiers"]["customerId"]
    simulator.faults(
        [
            {
                "scope": "batch",
                "inlet": "loyalty",
                "match": {"identity": f"CapillaryCustomerId:{customer}"},
                "refuse": {"status": 400, "message": "Message is invalid"},
            }
        ]
    )
    produce(topic, [capillary.record(event)])

    running = connector(connector_settings(topic))

    eventually(lambda: running.metric("processor_records_dead_lettered_total") == 1)
    (letter,) = read_topic(f"{topic}.dlq")
    assert dict(letter.headers())["processor.targets"] == b"loyalty"
    assert [m["_id"] for m in simulator.accepted("event")] == [event["eventId"]]
    assert simulator.accepted("loyalty") == []
