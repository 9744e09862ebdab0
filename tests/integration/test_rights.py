"""Each work with exactly the rights of docs/security.md, on a broker that denies the rest."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from processor.local.broker import Broker, BrokerFiles
from processor.local.programs import ConnectorProcess, toml
from tests.security.rights import LOOK, REPLAY, RESET, RIGHTS, RUN, Right

PASSWORD = "rights-canary-password"
USERS = 40
RECORDS = 20
BAD = b"\x00\x7f\xff\xff\xff no schema has this id"
SECONDS = 90.0
OPERATIONS = {
    "Read": AclOperation.READ,
    "Write": AclOperation.WRITE,
    "Create": AclOperation.CREATE,
    "Delete": AclOperation.DELETE,
    "Describe": AclOperation.DESCRIBE,
    "DescribeConfigs": AclOperation.DESCRIBE_CONFIGS,
}
KINDS = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}


class Strict:
    """A broker that denies what is not granted; a topic with records in it, and users.

    Attributes:
        names: what the names of the rights stand for.
    """

    def __init__(self, broker: Broker, users: Iterator[str]) -> None:
        self.broker = broker
        self._users = users
        self._admin = broker.admin()

    def user(self, names: dict[str, str], rights: Sequence[Right]) -> str:
        """Somebody who has these rights and no others."""
        user = next(self._users)
        bindings = []
        for right in rights:
            name = right.name.format(**names)
            pattern = ResourcePatternType.LITERAL
            if name.endswith("*"):
                name, pattern = name[:-1], ResourcePatternType.PREFIXED
            bindings += [
                AclBinding(
                    KINDS[right.on],
                    name,
                    pattern,
                    f"User:{user}",
                    "*",
                    OPERATIONS[operation],
                    AclPermissionType.ALLOW,
                )
                for operation in right.operations
            ]
        for future in self._admin.create_acls(bindings).values():
            future.result(timeout=30)
        return user


@pytest.fixture(scope="module")
def strict(broker_files: BrokerFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    users = [f"user-{number}" for number in range(USERS)]
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    known = " ".join(f'user_{user}="{PASSWORD}"' for user in users)
    own = Broker(
        broker_files,
        tmp_path_factory.mktemp("strict"),
        properties={
            "listener.security.protocol.map": (
                "CLIENTS:SASL_PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "sasl.enabled.mechanisms": "PLAIN",
            "listener.name.clients.plain.sasl.jaas.config": f"{module} required {known};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "allow.everyone.if.no.acl.found": "false",
            "super.users": "User:ANONYMOUS",
        },
    )
    with own:
        yield Strict(own, iter(users))


class Site:
    """A topic with good records and a bad one, and the connector's settings for it."""

    def __init__(self, strict: Strict, topic: str, tables: dict[str, Any]) -> None:
        self.strict = strict
        self.topic = topic
        self._tables = tables
        name = tables["name"]
        self.names = {
            "source": topic,
            "letters": f"{topic}.dlq",
            "state": f"{name}.state",
            "group": f"connect-{name}",
        }

    def settings(self, rights: Sequence[Right]) -> dict[str, Any]:
        """For somebody who has these rights and no others."""
        tables = {**self._tables, "kafka": dict(self._tables["kafka"])}
        tables["kafka"] |= {
            "bootstrap_servers": self.strict.broker.bootstrap_servers,
            "properties": {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanisms": "PLAIN",
                "sasl.username": self.strict.user(self.names, rights),
                "sasl.password": PASSWORD,
            },
        }
        return tables

    def everything(self) -> dict[str, Any]:
        """For the listener that asks nobody."""
        tables = {**self._tables, "kafka": dict(self._tables["kafka"])}
        tables["kafka"]["bootstrap_servers"] = self.strict.broker.direct_servers
        return tables

    def send(self, records: Sequence[dict[str, bytes]]) -> None:
        producer = Producer({"bootstrap.servers": self.strict.broker.direct_servers})
        for record in records:
            producer.produce(self.topic, key=record["key"], value=record["value"])
        assert producer.flush(60) == 0


@pytest.fixture
def site(
    strict: Strict,
    topic: str,
    connector_settings: Callable[..., dict[str, Any]],
) -> Site:
    # The name is that of a topic of the shared broker, for which `capillary` registers schemas.
    strict.broker.create_topic(topic, partitions=2)
    return Site(strict, topic, connector_settings(topic))


@pytest.fixture
def filled(site: Site, capillary: Any) -> dict[str, set[str]]:
    """By target what should arrive of the records in the topic; one more is bad."""
    records, expected = capillary.records(RECORDS)
    site.send([*records, {"key": b"bad", "value": BAD}])
    arriving: dict[str, set[str]] = expected
    return arriving


def letters(running: ConnectorProcess) -> float:
    return running.metric("processor_records_dead_lettered_total")


def test_the_connector_runs_with_what_is_listed_and_no_more(
    site: Site,
    filled: dict[str, set[str]],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    eventually: Callable[..., Any],
) -> None:
    running = connector(site.settings(RIGHTS[RUN]))

    arrives(filled)
    eventually(lambda: letters(running) == 1, SECONDS, what="the dead letter")
    assert running.stop() == 0
    log = running.log.read_text()
    assert "uthoriz" not in log
    assert "refuse" not in log


MISSING = {
    "read of the source": (("topic", "{source}"), "{source}"),
    "read of the group": (("group", "{group}"), "group"),
    "write of letters": (("topic", "{letters}"), "{letters}"),
}


@pytest.mark.parametrize("what", MISSING)
def test_a_right_that_the_connector_lacks_is_complained_about_by_name(
    what: str,
    site: Site,
    filled: dict[str, set[str]],
    connector: Callable[..., ConnectorProcess],
    eventually: Callable[..., Any],
) -> None:
    taken, named = MISSING[what]
    running = connector(
        site.settings([one for one in RIGHTS[RUN] if (one.on, one.name) != taken]), start=False
    )
    running.launch()
    named = named.format(**site.names)

    def said() -> bool:
        status, body = running.readyz()
        text = json.dumps(body)
        return status == 503 and named in text and "refuse" in text

    eventually(said, SECONDS, what=f"/readyz names {named}")
    assert running.running


def test_without_the_state_topic_records_flow_and_the_log_says_so(
    site: Site,
    filled: dict[str, set[str]],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    eventually: Callable[..., Any],
) -> None:
    running = connector(site.settings([one for one in RIGHTS[RUN] if one.name != "{state}"]))

    arrives(filled)
    eventually(lambda: letters(running) == 1, SECONDS, what="the dead letter")
    eventually(lambda: site.names["state"] in running.log.read_text(), SECONDS, what="the log")
    assert running.stop() == 0


@pytest.fixture
def config(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """``config(tables)``: a settings file."""
    numbers = itertools.count()

    def write(tables: dict[str, Any]) -> Path:
        path = tmp_path / f"somebody-{next(numbers)}.toml"
        path.write_text(toml(tables))
        return path

    return write


@pytest.fixture
def ended(
    site: Site,
    filled: dict[str, set[str]],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    eventually: Callable[..., Any],
) -> Site:
    """The records have ended; nothing runs any more."""
    running = connector(site.everything())
    arrives(filled)
    eventually(lambda: letters(running) == 1, SECONDS, what="the dead letter")
    assert running.stop() == 0
    return site


def test_whoever_looks_needs_no_right_to_change_anything(
    ended: Site, config: Callable[..., Path], run_cli: Any
) -> None:
    somebody = config(ended.settings(RIGHTS[LOOK]))

    def looks(*command: str) -> Any:
        ran = run_cli(*command, "--config", somebody)
        assert ran.status == 0, ran.stderr
        return ran

    listed = looks("dlq", "list", "--json")
    letter = json.loads(listed.stdout.splitlines()[0])
    looks("dlq", "show", *(str(letter[part]) for part in ("topic", "partition", "offset")))
    looks("dlq", "stats")
    looks("offsets", "show")
    looks("replay", "list")
    looks("trace", ended.topic, str(letter["source_partition"]), str(letter["source_offset"]))
    looks("reconcile", "--topic", ended.topic)  # exits with 3 unless the books balance


@pytest.mark.parametrize(
    ("taken", "command"),
    [
        ("{letters}", ("dlq", "list")),
        ("{source}", ("trace", "{source}", "0", "0")),
        ("{group}", ("offsets", "show")),
        ("{state}", ("replay", "list")),
    ],
)
def test_a_right_that_is_missing_for_a_look_is_named(
    taken: str, command: tuple[str, ...], ended: Site, config: Callable[..., Path], run_cli: Any
) -> None:
    less = [one for one in RIGHTS[LOOK] if one.name != taken]

    words = (word.format(**ended.names) for word in command)
    ran = run_cli(*words, "--config", config(ended.settings(less)))

    assert ran.status == 2
    assert ended.names[taken.strip("{}")] in ran.stderr
    assert "Grant" in ran.stderr or "may not see it" in ran.stderr


def test_a_replay_needs_its_own_group_and_no_right_to_the_connectors(
    ended: Site, config: Callable[..., Path], run_cli: Any
) -> None:
    somebody = config(ended.settings(RIGHTS[REPLAY]))

    range_of = ("--topic", ended.topic, "--from-earliest", "--allow-stale")
    again = run_cli("replay", "run", *range_of, "--execute", "--config", somebody)
    chosen = ("--code", "decode.unknown_schema_id")
    letter = run_cli("dlq", "replay", *chosen, "--execute", "--config", somebody)

    assert again.status in {0, 3}, again.stderr
    assert "uthoriz" not in again.stderr
    assert letter.status in {0, 3}, letter.stderr
    assert "uthoriz" not in letter.stderr


def test_offsets_are_reset_with_rights_to_the_group_and_to_the_topic(
    ended: Site, config: Callable[..., Path], run_cli: Any
) -> None:
    somebody = config(ended.settings(RIGHTS[RESET]))
    arguments = ("offsets", "reset", "--to-earliest", "--execute", "--config")

    done = run_cli(*arguments, somebody)
    less = [one for one in RIGHTS[RESET] if one.on != "group"]
    refused = run_cli(*arguments, config(ended.settings(less)))

    assert done.status == 0, done.stderr
    assert refused.status == 2
    assert "Grant" in refused.stderr
