"""Real parts for the tests that need them: broker, registry, simulator, connector."""

import asyncio
import contextlib
import itertools
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from processor.demo.events import FEEDS, SampleEvents
from processor.demo.topic import register_events
from processor.local import broker as brokers
from processor.local import registry as registries
from processor.local.broker import Broker, BrokerFiles
from processor.local.process import Process
from processor.local.programs import (
    ConnectorProcess,
    SimulatorProcess,
    clean_environment,
    processor_command,
    toml,
)
from processor.local.registry import Registry, RegistryFiles
from processor.schemas import wire
from processor.schemas.folder import SchemaFolder
from processor.settings import SchemaRegistrySettings, SchemasSettings
from tests.faults.tally import Tally, tally
from tests.integration.feeding import Load

ORG_ID = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
TARGETS = ("event", "loyalty", "profile", "tier")
PRODUCE_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 20.0
GRANT_S = 60.0
TAIL_LINES = 60
ALICE_PASSWORD = "acl-canary-password"


class MakeBroker(Protocol):
    def __call__(self, *, advertised_port: int | None = None, **properties: str) -> Broker: ...


class MakeConnector(Protocol):
    def __call__(
        self, settings: Mapping[str, Any], *, start: bool = True, **environment: str
    ) -> ConnectorProcess: ...


@pytest.fixture(scope="session")
def broker_files() -> BrokerFiles:
    return brokers.install()


@pytest.fixture(scope="session")
def registry_files() -> RegistryFiles:
    return registries.install()


@pytest.fixture(scope="session")
def broker(broker_files: BrokerFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that all tests share. Do not stop or fill it: `make_broker` gives one's own."""
    with Broker(broker_files, tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def make_broker(broker_files: BrokerFiles, tmp_path: Path) -> Iterator[MakeBroker]:
    """``make_broker(advertised_port=None, **properties)``: a broker of the test's own, started.

    Underscores in property names stand for dots.
    """
    numbers = itertools.count(1)
    with contextlib.ExitStack() as running:

        def make(*, advertised_port: int | None = None, **properties: str) -> Broker:
            own = Broker(
                broker_files,
                tmp_path / f"broker-{next(numbers)}",
                advertised_port=advertised_port,
                properties={key.replace("_", "."): value for key, value in properties.items()},
            )
            return running.enter_context(own)

        yield make


@pytest.fixture(scope="session")
def registry(
    registry_files: RegistryFiles, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Registry]:
    """The schema registry that all tests share; subjects have fresh names with fresh topics."""
    with Registry(registry_files, tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """``fresh_name("topic")``: a name that nothing in the broker has yet."""
    return lambda prefix: f"{prefix}-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def topic(broker: Broker, fresh_name: Callable[[str], str]) -> str:
    """A fresh topic with two partitions."""
    return broker.create_topic(fresh_name("events"), partitions=2)


@pytest.fixture
def group(fresh_name: Callable[[str], str]) -> str:
    """A fresh consumer group's name."""
    return fresh_name("group")


@pytest.fixture(scope="session")
def shared_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    with SimulatorProcess(tmp_path_factory.mktemp("simulator")) as running:
        yield running


@pytest.fixture
def simulator(shared_simulator: SimulatorProcess) -> Iterator[SimulatorProcess]:
    """IMS and Experience Platform, as new. A test that ends it starts one of its own."""
    shared_simulator.start()
    shared_simulator.reset()
    yield shared_simulator
    if shared_simulator.running:
        shared_simulator.reset()


@pytest.fixture
def client_secret_file(client_secret: str, tmp_path: Path) -> Path:
    """The file of a secret that nothing may print."""
    path = tmp_path / "ims_client_secret"
    path.write_text(f"{client_secret}\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def connector_settings(
    broker: Broker,
    registry: Registry,
    simulator: SimulatorProcess,
    fresh_name: Callable[[str], str],
    client_secret_file: Path,
) -> Callable[..., dict[str, Any]]:
    """``connector_settings(topic)``: tables of a settings file for the real parts."""

    def tables(*topics: str) -> dict[str, Any]:
        return {
            "name": fresh_name("connector"),
            "kafka": {"bootstrap_servers": broker.bootstrap_servers, "topics": list(topics)},
            "schema_registry": {"url": registry.url, "unknown_id_grace_s": 1},
            "ims": {
                "token_url": f"{simulator.url}/ims/token/v2",
                "client_id": "test-client",
                "client_secret_file": str(client_secret_file),
            },
            "experience_platform": {
                "endpoint": simulator.url,
                "platform_endpoint": simulator.url,
                "org_id": ORG_ID,
                "tenant": "acme",
                "targets": {
                    name: {
                        "inlet_id": name,
                        "dataset_id": f"dataset-of-{name}",
                        "schema_id": f"https://ns.adobe.com/acme/schemas/{name}",
                        "ordering": "none" if name == "event" else "key",
                    }
                    for name in TARGETS
                },
            },
            "delivery": {"linger_ms": 20},
            "errors": {
                "deadletterqueue_topic_replication_factor": 1,
                "retry_delay_max_s": 1,
            },
            "state": {"replication_factor": 1},
            # What no log may hold is looked for in all of them, at the end of the whole run.
            "logging": {"level": "DEBUG"},
        }

    return tables


@pytest.fixture
def connector(tmp_path: Path) -> Iterator[MakeConnector]:
    """``connector(settings, start=True, **environment)``: ``processor run`` as a real process.

    With `start` it is ready when it is given back. It is ended with everything that it started
    when the test ends, and the end of its log is shown when the test fails.
    """
    made: list[ConnectorProcess] = []

    def make(
        settings: Mapping[str, Any], *, start: bool = True, **environment: str
    ) -> ConnectorProcess:
        process = ConnectorProcess(tmp_path / f"connector-{len(made) + 1}", settings)
        process.environment |= environment
        made.append(process)
        if start:
            process.start()
        return process

    yield make

    for process in made:
        process.close()
        if process.log.exists():
            tail = process.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            print(f"The end of {process.log}:", *tail, sep="\n")  # noqa: T201 - for the report


@pytest.fixture
def produce(broker: Broker) -> Callable[..., None]:
    """``produce(topic, values, key=None, …)``: send bytes, acknowledged before it returns.

    `values` are bytes (or `None`), or mappings of `Producer.produce`'s arguments.
    """

    def send(topic: str, values: Iterable[Any], **common: Any) -> None:
        failures: list[Any] = []
        producer = Producer({"bootstrap.servers": broker.direct_servers, "linger.ms": 5})
        for value in values:
            arguments = dict(value) if isinstance(value, Mapping) else {"value": value}
            producer.produce(
                topic,
                **{**common, **arguments},
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
            producer.poll(0)
        assert producer.flush(PRODUCE_TIMEOUT_S) == 0
        assert failures == []

    return send


@pytest.fixture
def read_topic(broker: Broker, fresh_name: Callable[[str], str]) -> Callable[[str], list[Message]]:
    """``read_topic(topic)``: every committed record that the topic holds now."""

    def read(topic: str) -> list[Message]:
        consumer = Consumer(
            {
                "bootstrap.servers": broker.direct_servers,
                "group.id": fresh_name("reader"),
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        try:
            known = consumer.list_topics(topic, timeout=READ_TIMEOUT_S).topics[topic]
            assert known.error is None, known.error
            consumer.assign([TopicPartition(topic, number, 0) for number in known.partitions])
            found: list[Message] = []
            ended: set[int | None] = set()
            while len(ended) < len(known.partitions):
                message = consumer.poll(READ_TIMEOUT_S)
                assert message is not None, f"{topic} gave nothing within {READ_TIMEOUT_S:g} s"
                if message.error() is None:
                    found.append(message)
                else:
                    ended.add(message.partition())
            return found
        finally:
            consumer.close()

    return read


@pytest.fixture
def offsets_of(broker: Broker) -> Callable[[str], dict[tuple[str, int], int]]:
    """``offsets_of(group)``: what a group has committed."""

    def ask(group: str) -> dict[tuple[str, int], int]:
        admin = broker.admin()
        wanted = [ConsumerGroupTopicPartitions(group)]
        found = admin.list_consumer_group_offsets(wanted)[group].result().topic_partitions
        return {(p.topic, p.partition): p.offset for p in found}

    return ask


class Capillary:
    """Invented events as the bytes of a topic, in Confluent framing with the shared registry."""

    def __init__(self, registry_url: str, topic: str) -> None:
        self.events = SampleEvents()
        self._folder = SchemaFolder.load(SchemasSettings())
        registry = SchemaRegistrySettings(url=registry_url)
        self._ids = asyncio.run(register_events(self._folder, registry, topic))

    def record(self, event: Mapping[str, Any]) -> dict[str, bytes]:
        """Key and value of one event, for ``produce``."""
        schema = self._folder.events[event["eventName"]].parsed
        payload = schema.write(schema.from_json(event))
        identifiers = event["data"]["customerIdentifiers"] or {}
        value = wire.confluent(self._ids[event["eventName"]], payload)
        return {"key": str(identifiers.get("customerId", "")).encode(), "value": value}

    def records(self, count: int) -> tuple[list[dict[str, bytes]], dict[str, set[str]]]:
        """So many good records, and by target the ``_id``s that should arrive."""
        return self.of(self.events.mixed(count))

    def of(
        self, events: Iterable[Mapping[str, Any]]
    ) -> tuple[list[dict[str, bytes]], dict[str, set[str]]]:
        """The records of these events, and by target the ``_id``s that should arrive."""
        expected: dict[str, set[str]] = {}
        made = []
        for event in events:
            made.append(self.record(event))
            for target in FEEDS[event["eventName"]]:
                expected.setdefault(target, set()).add(event["eventId"])
        return made, expected


@pytest.fixture
def capillary(registry: Registry, topic: str) -> Capillary:
    """``capillary.records(100)``: good records for `topic`, and what should arrive of them."""
    return Capillary(registry.url, topic)


@pytest.fixture
def load(capillary: Capillary, topic: str, produce: Callable[..., None]) -> Iterator[Load]:
    """Records that keep coming into `topic`; ``load.end()`` gives what should arrive of them."""
    coming = Load(lambda records: produce(topic, records), capillary)
    yield coming
    coming.end()


def counted(simulator: SimulatorProcess) -> dict[str, dict[str, int]]:
    """By inlet and ``_id``, how often a message was accepted."""
    counts: dict[str, dict[str, int]] = {}
    for message in simulator.accepted():
        of_inlet = counts.setdefault(message["inlet"], {})
        of_inlet[message["_id"]] = of_inlet.get(message["_id"], 0) + 1
    return counts


class Arrivals(Protocol):
    def __call__(self, expected: Mapping[str, set[str]], *, once: bool = True) -> None: ...


@pytest.fixture
def arrives(simulator: SimulatorProcess, eventually: Callable[..., Any]) -> Arrivals:
    """``arrives(expected)``: wait until exactly these messages were accepted, each once.

    With ``once=False`` a message may have come again, with the same ``_id``.
    """

    def arrive(expected: Mapping[str, set[str]], *, once: bool = True) -> None:
        eventually(
            lambda: (
                {t: ids - counted(simulator).get(t, {}).keys() for t, ids in expected.items()}
                == {t: set() for t in expected}
            ),
            timeout_s=120,
            what="every message arrives",
        )
        got = counted(simulator)
        assert {target: set(ids) for target, ids in got.items()} == expected
        repeats = [i for ids in got.values() for i, count in ids.items() if count > 1]
        assert not once or repeats == []

    return arrive


@pytest.fixture
def settle(
    simulator: Any, topic: str, broker: Any, read_topic: Any, eventually: Callable[..., Any]
) -> Callable[..., Tally]:
    """``settle("F1", expected, bad)``: wait until nothing is missing, then count."""

    def letters(before: Collection[bytes]) -> list[bytes]:
        dead = f"{topic}.dlq"
        known = dead in broker.admin().list_topics(timeout=10).topics
        found = [letter.value() for letter in read_topic(dead)] if known else []
        return [value for value in found if value not in before]

    def missing(expected: Mapping[str, set[str]]) -> bool:
        came = simulator.received(bodies=False)
        arrived = {(one["inlet"], one["_id"]) for one in came if one["accepted"]}
        return any((target, one) not in arrived for target, ids in expected.items() for one in ids)

    def count(
        row: str,
        expected: Mapping[str, set[str]],
        bad: tuple[bytes, ...] = (),
        *,
        repeats: str = "0",
        before: Collection[bytes] = (),
    ) -> Tally:
        eventually(lambda: not missing(expected), timeout_s=120, what=f"{row}: all arrives")
        if bad:
            eventually(lambda: {*bad} <= {*letters(before)}, timeout_s=120, what=f"{row}: letters")
        came = [one for one in simulator.received(bodies=False) if one["accepted"]]
        return tally(row, expected, came, letters=letters(before), bad=bad, repeats=repeats)

    return count


def records_by_fate(connector: ConnectorProcess) -> Counter[str]:
    """How many records it consumed and what became of them, of one moment: of a single scrape."""
    counts = Counter[str]()
    for (name, _), value in connector.metrics().items():
        if name.startswith("processor_records_"):
            counts[name.removeprefix("processor_records_").removesuffix("_total")] += int(value)
    return counts


def all_ended(connector: ConnectorProcess, records: int) -> bool:
    """Whether so many records were consumed, and none of them is in flight."""
    counts = records_by_fate(connector)
    return counts["consumed"] >= records and counts["in_flight"] == 0


@pytest.fixture
def balanced() -> Callable[[ConnectorProcess], bool]:
    """``balanced(connector)``: whether the accounting equation holds in its metrics now."""

    def balance(connector: ConnectorProcess) -> bool:
        counts = records_by_fate(connector)
        fates = ("delivered", "dead_lettered", "filtered", "released", "in_flight")
        return counts["consumed"] == sum(counts[fate] for fate in fates)

    return balance


class Guarded:
    """A broker that asks its clients who they are, and lets them do what is granted."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self._admin = broker.admin()

    def grant(self, kind: ResourceType, name: str, operations: Sequence[AclOperation]) -> None:
        bindings = {AclBinding(*_right(kind, name, operation)) for operation in operations}
        for future in self._admin.create_acls(list(bindings)).values():
            future.result(timeout=30)
        # A change is acknowledged by the controller before the broker itself knows of it.
        deadline_s = time.monotonic() + GRANT_S
        while not bindings <= self._known(kind, name):
            assert time.monotonic() < deadline_s, f"{name} is not granted"
            time.sleep(0.05)

    def _known(self, kind: ResourceType, name: str) -> set[AclBinding]:
        every = AclBindingFilter(*_right(kind, name, AclOperation.ANY))
        return set(self._admin.describe_acls(every).result(timeout=30))

    def take_away(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        filters = [AclBindingFilter(*_right(kind, name, operation))]
        for future in self._admin.delete_acls(filters).values():
            assert len(future.result(timeout=30)) == 1


def _right(kind: ResourceType, name: str, operation: AclOperation) -> tuple[Any, ...]:
    allow = AclPermissionType.ALLOW
    return kind, name, ResourcePatternType.LITERAL, "User:alice", "*", operation, allow


@pytest.fixture
def guarded(make_broker: MakeBroker) -> Guarded:
    """Its second listener knows no names and is allowed everything."""
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    login = f'{module} required user_alice="{ALICE_PASSWORD}";'
    return Guarded(
        make_broker(
            listener_security_protocol_map=(
                "CLIENTS:SASL_PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            sasl_enabled_mechanisms="PLAIN",
            listener_name_clients_plain_sasl_jaas_config=login,
            authorizer_class_name="org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            super_users="User:ANONYMOUS",
        )
    )


@pytest.fixture
def as_alice(
    guarded: Guarded, connector_settings: Callable[..., dict[str, Any]]
) -> Callable[[str], dict[str, Any]]:
    """``as_alice(topic)``: settings for the guarded broker, with a user that has no rights yet."""

    def tables(topic: str) -> dict[str, Any]:
        made = connector_settings(topic)
        made["kafka"] |= {
            "bootstrap_servers": guarded.broker.bootstrap_servers,
            "properties": {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": "alice",
                "sasl.password": ALICE_PASSWORD,
            },
        }
        return made

    return tables


@pytest.fixture
def settings(connector_settings: Callable[..., dict[str, Any]], topic: str) -> dict[str, Any]:
    """Settings of a connector for `topic`; a test may change them, a file may have its own."""
    return connector_settings(topic)


@pytest.fixture
def config(settings: dict[str, Any], tmp_path: Path) -> Callable[[], Path]:
    """``config()``: the settings as they are now, in a file."""

    def write() -> Path:
        path = tmp_path / "processor.toml"
        path.write_text(toml(settings))
        return path

    return write


@pytest.fixture
def started(
    tmp_path: Path, config: Callable[[], Path], canary: Any
) -> Iterator[Callable[..., Process]]:
    """``started("dlq", "replay", …)``: a command, with --json, that runs while the test goes on."""
    numbers = itertools.count(1)
    with contextlib.ExitStack() as running:

        def start(*arguments: str) -> Process:
            process = Process(
                "The command",
                processor_command(*arguments, "--json", "--config", str(config())),
                log=tmp_path / f"command-{next(numbers)}.log",
                environment=clean_environment(),
                directory=tmp_path,
            )
            running.callback(process.close)
            return process

        yield start


@pytest.fixture
def dead(
    connector: MakeConnector, settings: dict[str, Any], eventually: Any, topic: str, produce: Any
) -> Callable[..., None]:
    """``dead(records, letters)``: run the connector until so many of these are dead letters."""

    def run(records: Sequence[Any], letters: int) -> None:
        produce(topic, records)
        running = connector(settings)
        eventually(lambda: all_ended(running, len(records)), what="all records have ended")
        assert running.metric("processor_records_dead_lettered_total") == letters
        assert running.stop() == 0

    return run


@pytest.fixture
def settings_file(
    tmp_path: Path, connector_settings: Callable[..., dict[str, Any]]
) -> Callable[..., Path]:
    """``settings_file(topic, **changes)``: the settings file of the connector ``ours``."""

    def write(topic: str, **changes: Any) -> Path:
        path = tmp_path / "processor.toml"
        path.write_text(toml({**connector_settings(topic), "name": "ours", **changes}))
        return path

    return write


@pytest.fixture
def letters_topic(broker: Broker, topic: str) -> str:
    """The dead-letter topic of `topic`, with two partitions, as the connector makes it."""
    return broker.create_topic(f"{topic}.dlq", partitions=2, message_timestamp_type="LogAppendTime")
