"""``processor produce`` against a real broker and a real registry, and back through the decoder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message

from processor.errors import Refused
from processor.local.broker import Broker
from processor.local.ports import free_port
from processor.local.registry import Registry
from processor.record import Event, Record
from processor.schemas.decoder import Decoder, SchemaMissing
from processor.schemas.folder import SchemaFolder
from processor.schemas.registry import SchemaKey, SchemaRegistry
from processor.settings import (
    CapillarySettings,
    ConverterSettings,
    SchemaRegistrySettings,
    SchemasSettings,
)

EVENT: dict[str, Any] = {
    "eventName": "pointsIssued",
    "eventId": "e-1",
    "orgId": 51186,
    "createdAt": 1750224535590,
    "data": {"customerIdentifiers": {"customerId": 387979652}, "totalPointsIssued": 100},
}
CUSTOMER: dict[str, Any] = {
    "eventName": "customerAdded",
    "eventId": "e-2",
    "orgId": 51186,
    "createdAt": 1750224535591,
    "data": {"customerIdentifiers": {"customerId": 7}},
}
ReadTopic = Callable[[str], list[Message]]


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.jsonl"
    path.write_text(f"{json.dumps(EVENT)}\n{json.dumps(CUSTOMER)}\n")
    return path


async def decoded(messages: list[Message], registry: SchemaRegistry) -> list[Event]:
    """The events of records, with every schema fetched from the registry when it is asked for."""
    folder = SchemaFolder.load(SchemasSettings())
    decoder = Decoder(folder, ConverterSettings(), CapillarySettings(), registry=True)
    found = []
    for message in messages:
        record = Record("t", 0, message.offset() or 0, value=message.value())
        try:
            found.append(decoder.decode(record))
        except SchemaMissing as missing:
            decoder.learn(missing.key, await registry.fetch(missing.key))
            found.append(decoder.decode(record))
    return found


@pytest.fixture
def send(
    broker: Broker, topic: str, events: Path, run_cli: Callable[..., Any]
) -> Callable[..., Any]:
    """Runs the command for the events, the topic and the broker."""
    common = ("--topic", topic, "--bootstrap-servers", broker.bootstrap_servers, "--json")
    return lambda *more: run_cli("produce", events, *common, *more)


async def test_events_come_back_from_kafka_as_they_went(
    send: Callable[..., Any], registry: Registry, topic: str, read_topic: ReadTopic
) -> None:
    framed = send("--registry", registry.url)
    single = send()
    plain = send("--format", "json", "--key-field", "eventId")

    assert [ran.status for ran in (framed, single, plain)] == [0, 0, 0], framed.stderr
    said = json.loads(framed.stdout)
    assert (said["sent"], said["failed"]) == (2, 0)
    assert said["events"] == {"pointsIssued": 1, "customerAdded": 1}
    assert set(said["schema_ids"]) == {"pointsIssued", "customerAdded"}
    messages = read_topic(topic)
    client = SchemaRegistry(SchemaRegistrySettings(url=registry.url))
    found = await decoded(messages, client)
    await client.aclose()
    points = [event for event in found if event.name == "pointsIssued"]
    assert len(found) == 6
    assert len(points) == 3
    assert points[0].body == points[1].body == points[2].body
    assert sorted(m.key() or b"" for m in messages) == sorted(
        [b"387979652", b"7", b"387979652", b"7", b"e-1", b"e-2"]
    )


async def test_a_real_registry_tells_an_unknown_id_from_being_no_registry(
    registry: Registry,
) -> None:
    client = SchemaRegistry(SchemaRegistrySettings(url=registry.url))

    with pytest.raises(Refused) as caught:
        await client.fetch(SchemaKey(2**31 - 1))
    await client.aclose()

    assert caught.value.code == "decode.unknown_schema_id"


def test_a_broker_that_is_away_is_said_in_one_sentence(
    events: Path, run_cli: Callable[..., Any]
) -> None:
    port = free_port()

    ran = run_cli("produce", events, "--topic", "t", "--bootstrap-servers", f"127.0.0.1:{port}")

    assert ran.status == 1
    assert ran.stderr.startswith(f"No Kafka broker at 127.0.0.1:{port} answered within 10 s")
    assert len(ran.stderr.splitlines()) == 1


def test_records_that_the_broker_does_not_take_are_counted(
    broker: Broker, fresh_name: Callable[[str], str], events: Path, run_cli: Callable[..., Any]
) -> None:
    tiny = broker.create_topic(fresh_name("tiny"), max_message_bytes=100)

    ran = run_cli(
        *("produce", events, "--topic", tiny, "--json", "--format", "json"),
        *("--bootstrap-servers", broker.bootstrap_servers),
    )

    said = json.loads(ran.stdout)
    assert ran.status == 3
    assert (said["sent"], said["failed"]) == (0, 2)
    assert "too large" in said["reasons"][0]


def test_a_topic_that_does_not_exist_is_named_at_once(
    broker: Broker, events: Path, run_cli: Callable[..., Any]
) -> None:
    ran = run_cli(
        "produce",
        str(events),
        "--topic",
        "nowhere",
        "--bootstrap-servers",
        broker.bootstrap_servers,
    )

    assert ran.status == 2
    assert ran.stderr.strip().startswith("Topic nowhere does not exist")
