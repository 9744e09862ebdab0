"""The broker and the registry that the demo, the tests and the benchmark start."""

from collections.abc import Callable
from typing import Any

import httpx
from confluent_kafka import Message

from processor.local.broker import Broker
from processor.local.ports import free_port
from processor.local.registry import Registry


def test_a_killed_broker_comes_back_on_its_port_with_its_records(
    make_broker: Callable[..., Broker],
) -> None:
    broker = make_broker()
    address = broker.bootstrap_servers
    broker.create_topic("kept", partitions=3)

    broker.kill()
    broker.start()

    assert broker.bootstrap_servers == address
    assert len(broker.admin().list_topics("kept", timeout=10).topics["kept"].partitions) == 3


def test_clients_are_sent_to_the_advertised_port_and_watchers_are_not(
    make_broker: Callable[..., Broker],
) -> None:
    proxy_port = free_port()
    broker = make_broker(advertised_port=proxy_port)

    (seen,) = broker.admin().list_topics(timeout=10).brokers.values()

    assert broker.bootstrap_servers == f"127.0.0.1:{proxy_port}"
    assert broker.direct_servers == f"127.0.0.1:{seen.port}"
    assert seen.port not in {proxy_port, broker.port}


def test_server_properties_can_be_set(make_broker: Callable[..., Broker]) -> None:
    broker = make_broker(message_max_bytes="12345")

    log = broker.log.read_text()

    assert "message.max.bytes = 12345" in log


def test_a_topic_holds_what_was_produced(
    topic: str,
    produce: Callable[..., None],
    read_topic: Callable[[str], list[Message]],
) -> None:
    produce(topic, [b"one", None, {"value": b"two", "headers": [("h", b"1")]}], key=b"k")

    assert [message.value() for message in read_topic(topic)] == [b"one", None, b"two"]


def test_the_registry_speaks_confluents_api(registry: Registry, fresh_name: Any) -> None:
    subject = fresh_name("subject")
    body = {"schema": '{"type": "string"}'}

    registered = httpx.post(f"{registry.url}/subjects/{subject}/versions", json=body, timeout=60)
    found = httpx.get(f"{registry.url}/schemas/ids/{registered.json()['id']}", timeout=60)

    assert found.json()["schema"] == '{"type": "string"}'
