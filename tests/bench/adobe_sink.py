"""Adobe's own sink connector in Kafka's own Connect worker, and what a run of it came to."""

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
from confluent_kafka import Producer

from processor.local.broker import Broker
from tests.rig.kafka_connect import KafkaConnect, connect_jars

CONNECTOR = "com.adobe.platform.streaming.sink.impl.AEPSinkConnector"
INLET = "event"
CLIENT_SECRET = "bench-secret"

LARGE_BATCHES = {"aep.flush.bytes.kb": "900"}
"""Requests as large as Experience Platform takes, instead of 4 KB; a poll brings 500 records."""

START_S, TIMEOUT_S, FLUSH_S = 120.0, 30.0, 120.0


class AdobeSink:
    """A worker with the plugin, and one connector of it at a time.

    Args:
        plugin: the folder with the connector's jars.
    """

    def __init__(self, broker: Broker, directory: Path, plugin: Path) -> None:
        self._broker = broker
        self._worker = KafkaConnect(
            connect_jars(), broker, directory / "adobe", plugin=plugin, for_speed=True
        )
        self._client = httpx.Client(base_url=self._worker.url, timeout=TIMEOUT_S, trust_env=False)
        self._numbers = itertools.count(1)
        self._name = ""

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self._worker.pid

    @property
    def running(self) -> bool:
        """Whether the worker lives; its task may have failed all the same."""
        return self._worker.running

    @property
    def log(self) -> str:
        """All that the worker has written."""
        return self._worker.log.read_text()

    def __enter__(self) -> Self:
        self._worker.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        self._client.close()
        self._worker.close()

    def fill(self, topic: str, messages: Sequence[Mapping[str, Any]], count: int) -> None:
        """Produce so many of these messages, which are complete: the sink only passes them on."""
        made = [json.dumps(message, separators=(",", ":")).encode() for message in messages]
        producer = Producer(
            {"bootstrap.servers": self._broker.bootstrap_servers, "compression.type": "lz4"}
        )
        for value in itertools.islice(itertools.cycle(made), count):
            while True:
                try:
                    producer.produce(topic, value=value)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(FLUSH_S) == 0

    @contextlib.contextmanager
    def connector(
        self, topic: str, url: str, *, dead_letters: str = "", **extra: str
    ) -> Iterator[None]:
        """Have it read a topic with one task, and deliver to this endpoint."""
        self._name = f"adobe-{next(self._numbers)}"
        config = {
            "connector.class": CONNECTOR,
            "tasks.max": "1",
            "topics": topic,
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": "false",
            "aep.endpoint": f"{url}/collection/{INLET}",
            "aep.connection.auth.enabled": "true",
            "aep.connection.auth.token.type": "oauth2_access_token",
            "aep.connection.auth.client.id": "bench",
            "aep.connection.auth.client.secret": CLIENT_SECRET,
            "aep.connection.auth.endpoint": url,
            **extra,
        }
        if dead_letters:
            config |= {
                "errors.tolerance": "all",
                "errors.deadletterqueue.topic.name": dead_letters,
                "errors.deadletterqueue.topic.replication.factor": "1",
            }
        self._client.put(f"/connectors/{self._name}/config", json=config).raise_for_status()
        try:
            self._await_start()
            yield
        finally:
            self._client.delete(f"/connectors/{self._name}").raise_for_status()

    def _await_start(self) -> None:
        deadline_s = time.monotonic() + START_S
        while not self.task_state():
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"Adobe's connector did not start; see {self._worker.log}.")
            time.sleep(0.1)

    def restart(self) -> None:
        """Restart the connector and its task, as somebody would who finds it failed."""
        query = {"includeTasks": "true"}
        self._client.post(f"/connectors/{self._name}/restart", params=query).raise_for_status()
        self._await_start()

    def task_state(self) -> str:
        """What the worker says of the only task; empty before it has started."""
        answer = self._client.get(f"/connectors/{self._name}/status")
        tasks = answer.json().get("tasks", []) if answer.is_success else []
        return str(tasks[0]["state"]) if tasks else ""
