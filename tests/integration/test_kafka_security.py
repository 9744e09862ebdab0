"""Every way to prove to Kafka who we are, against a broker that asks for it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from processor.local.broker import BrokerFiles
from processor.local.programs import ConnectorProcess, SimulatorProcess, toml
from processor.local.registry import Registry
from processor.operations.checks.kafka import check_kafka
from processor.settings import load
from tests.rig.identity_provider import IdentityProvider
from tests.rig.secured import USER, Secured

RECORDS = 30
BAD = b"\x00\x7f\xff\xff\xff no schema has this id"
SECONDS = 90.0


class Secrets(NamedTuple):
    password: str
    client_secret: str
    key_password: str


@pytest.fixture(scope="module")
def secrets(canary: Any) -> Secrets:
    """With the characters that URLs and JAAS escape; no output may hold them."""
    names = ("scram", "oauth", "key")
    return Secrets(*(canary.watch_for(f"{name}-canary+&%=#") for name in names))


@pytest.fixture(scope="module")
def secured(
    broker_files: BrokerFiles, tmp_path_factory: pytest.TempPathFactory, secrets: Secrets
) -> Iterator[Secured]:
    """The broker that the tests of this file share."""
    directory = tmp_path_factory.mktemp("secured")
    with IdentityProvider(directory / "identity", USER, secrets.client_secret) as provider:
        made = Secured(broker_files, directory, provider, key_password=secrets.key_password)
        with made.broker:
            made.set_password(secrets.password)
            yield made


class Ways(NamedTuple):
    """Files of secrets, and by name the listener and client properties of each way in."""

    password: Path
    client_secret: Path
    all: dict[str, tuple[str, dict[str, Any]]]


@pytest.fixture
def ways(secured: Secured, secrets: Secrets, tmp_path: Path) -> Ways:
    def file(name: str, secret: str) -> Path:
        path = tmp_path / name
        path.write_text(f"{secret}\n")
        path.chmod(0o600)
        return path

    password = file("kafka_password", secrets.password)
    client_secret = file("kafka_client_secret", secrets.client_secret)
    key_password = file("key_password", secrets.key_password)
    encrypted = {
        **secured.tls(),
        "ssl.certificate.location": str(secured.encrypted.certificate),
        "ssl.key.location": str(secured.encrypted.key),
        "ssl.key.password_file": str(key_password),
    }
    return Ways(
        password,
        client_secret,
        {
            "TLS": ("TLS", secured.tls()),
            "mTLS": ("MTLS", secured.mtls()),
            "mTLS with an encrypted key": ("MTLS", encrypted),
            "SCRAM-SHA-512": ("SCRAM", secured.scram(password_file=str(password))),
            "OAUTHBEARER": ("OAUTH", secured.oauth(client_secret_file=str(client_secret))),
        },
    )


class Site(NamedTuple):
    """A topic of the secured broker, records in it, and what should arrive of them."""

    topic: str
    expected: dict[str, set[str]]
    tables: Callable[..., dict[str, Any]]


def send(secured: Secured, topic: str, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records through the listener that asks nothing."""
    producer = Producer({"bootstrap.servers": secured.broker.direct_servers})
    for record in records:
        producer.produce(topic, **record)
    assert producer.flush(60) == 0


@pytest.fixture
def site(
    secured: Secured,
    registry: Registry,
    fresh_name: Callable[[str], str],
    connector_settings: Callable[..., dict[str, Any]],
) -> Site:
    from tests.integration.conftest import Capillary

    topic = secured.broker.create_topic(fresh_name("events"), partitions=2)
    records, expected = Capillary(registry.url, topic).records(RECORDS)
    send(secured, topic, [*records, {"key": b"bad", "value": BAD}])

    def tables(listener: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        made = connector_settings(topic)
        made["kafka"] |= {
            "bootstrap_servers": secured.broker.servers(listener),
            "properties": {"reconnect.backoff.max.ms": 500, **properties},
        }
        return made

    return Site(topic, expected, tables)


WAYS = ("TLS", "mTLS", "mTLS with an encrypted key", "SCRAM-SHA-512", "OAUTHBEARER")


@pytest.mark.parametrize("way", WAYS)
def test_records_and_dead_letters_pass_and_the_commands_look_at_them(
    way: str,
    site: Site,
    ways: Ways,
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    run_cli: Any,
    eventually: Callable[..., Any],
) -> None:
    tables = site.tables(*ways.all[way])

    running = connector(tables)

    arrives(site.expected)
    eventually(
        lambda: running.metric("processor_records_dead_lettered_total") == 1, what="the letter"
    )
    listed = run_cli("dlq", "list", "--json", "--config", running.config)
    assert [json.loads(line)["code"] for line in listed.stdout.splitlines()] == [
        "decode.unknown_schema_id"
    ]
    assert (listed.status, listed.stderr) == (0, "1 dead letter.\n")
    shown = run_cli("offsets", "show", "--json", "--config", running.config)
    assert shown.status == 0
    replays = run_cli("replay", "list", "--json", "--config", running.config)
    assert (replays.status, replays.stdout) == (0, "")
    checked = run_cli("check", "--json", "--config", running.config)
    findings = [json.loads(line) for line in checked.stdout.splitlines()]
    assert [one for one in findings if one["status"] not in {"ok", "skipped"}] == []
    assert running.stop() == 0


REFUSALS = {
    "another authority": ("TLS", "ssl.ca.location", "unable to get local issuer certificate"),
    "an expired certificate": ("EXPIRED", "ssl.ca.location", "certificate has expired"),
    "another host's certificate": ("ELSEWHERE", "ssl.ca.location", "IP address mismatch"),
    "no certificate of ours": ("MTLS", "ssl.certificate.location", ""),
    "a certificate of a stranger": ("MTLS", "ssl.certificate.location", ""),
    "our certificate has expired": ("MTLS", "ssl.certificate.location", ""),
    "a wrong password": ("SCRAM", "sasl.password", ""),
    "another mechanism": ("SCRAM", "sasl.mechanism", ""),
    "a wrong client secret": ("OAUTH", "sasl.oauthbearer.client.secret", ""),
    "TLS to a broker without": ("", "security.protocol", ""),
}
"""By what is wrong: the listener, the setting that the complaint names, and what `check` adds."""


@pytest.fixture
def refused(secured: Secured, tmp_path: Path, canary: Any) -> Callable[..., dict[str, Any]]:
    """Settings of one refusal."""

    def settings(what: str, site: Site) -> dict[str, Any]:
        listener = REFUSALS[what][0]
        wrong = tmp_path / "wrong"
        wrong.write_text(canary.watch_for("wrong-canary-password"))
        wrong.chmod(0o600)
        ours = None
        if what == "a certificate of a stranger":
            ours = secured.stranger.issue(tmp_path.name)
        if what == "our certificate has expired":
            ours = secured.authority.issue(tmp_path.name, expired=True)
        made = {
            "SCRAM": secured.scram(password_file=str(wrong)),
            "OAUTH": secured.oauth(client_secret_file=str(wrong)),
        }.get(listener, secured.tls())
        if ours is not None:
            made["ssl.certificate.location"] = str(ours.certificate)
            made["ssl.key.location"] = str(ours.key)
        if what == "another authority":
            made["ssl.ca.location"] = str(secured.stranger.file)
        if what == "another mechanism":
            made["sasl.mechanism"] = "PLAIN"
        tables = site.tables(listener or "TLS", made)
        if not listener:
            tables["kafka"]["bootstrap_servers"] = secured.broker.bootstrap_servers
        return tables

    return settings


@pytest.mark.parametrize("what", REFUSALS)
def test_the_check_tells_why_a_broker_refuses_us_and_the_setting_to_mend(
    what: str, site: Site, refused: Callable[..., Any], tmp_path: Path
) -> None:
    _, setting, reason = REFUSALS[what]
    file = tmp_path / "refused.toml"
    file.write_text(toml(refused(what, site)))

    (finding,) = check_kafka(load(file, {}), metadata_s=3.0)

    assert (finding.subject, finding.status) == ("kafka", "bad")
    assert setting in finding.mend
    assert reason in finding.message


@pytest.mark.parametrize(
    "what",
    ["another authority", "no certificate of ours", "a wrong password", "a wrong client secret"],
)
def test_what_a_broker_refuses_is_waited_for_and_never_a_dead_letter(
    what: str,
    secured: Secured,
    site: Site,
    refused: Callable[..., Any],
    simulator: SimulatorProcess,
    connector: Callable[..., ConnectorProcess],
    run_cli: Any,
    eventually: Callable[..., Any],
) -> None:
    setting = REFUSALS[what][1]
    running = connector(refused(what, site), start=False)
    running.launch()

    def said() -> bool:
        status, body = running.readyz()
        return status == 503 and setting in json.dumps(body)

    eventually(said, SECONDS, what=f"/readyz names {setting}")
    listed = run_cli("dlq", "list", "--config", running.config)
    assert listed.status == 2
    assert setting in listed.stderr
    assert simulator.received() == []
    assert f"{site.topic}.dlq" not in secured.broker.admin().list_topics(timeout=10).topics
    log = running.log.read_text()
    assert log.count('"reason": "kafka"') == 1
    assert "The task ended" not in log
    assert running.stop() == 0


def test_a_password_that_is_put_right_in_its_file_is_taken_without_a_restart(
    site: Site,
    ways: Ways,
    secrets: Secrets,
    canary: Any,
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    eventually: Callable[..., Any],
) -> None:
    ways.password.write_text(canary.watch_for("not-yet-the-canary"))
    running = connector(site.tables(*ways.all["SCRAM-SHA-512"]), start=False)
    running.launch()
    eventually(lambda: "sasl.password" in json.dumps(running.readyz()[1]), SECONDS, what="refused")

    # As Kubernetes does it: another file takes the place of the old one.
    new = ways.password.with_suffix(".new")
    new.write_text(secrets.password)
    new.replace(ways.password)

    arrives(site.expected)
    eventually(lambda: running.readyz()[0] == 200, SECONDS, what="ready")
    eventually(
        lambda: running.metric("processor_records_dead_lettered_total") == 1, what="the letter"
    )
    assert "The password for Kafka has changed" in running.log.read_text()


def test_a_password_that_changes_while_records_flow_costs_nothing(
    secured: Secured,
    site: Site,
    secrets: Secrets,
    ways: Ways,
    canary: Any,
    registry: Registry,
    simulator: SimulatorProcess,
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    eventually: Callable[..., Any],
) -> None:
    from tests.integration.conftest import Capillary

    running = connector(site.tables(*ways.all["SCRAM-SHA-512"]))
    arrives(site.expected)
    another = canary.watch_for("another-canary+&%=#")
    try:
        secured.set_password(another)
        ways.password.write_text(another)
        eventually(
            lambda: running.log.read_text().count("The password for Kafka has changed") >= 2,
            what="consumer and producer know",
        )
        # Every connection is closed, so the new ones need the new password.
        secured.broker.restart()
        records, expected = Capillary(registry.url, site.topic).records(RECORDS)
        send(secured, site.topic, [*records, {"key": b"bad", "value": BAD}])

        arrives({name: site.expected[name] | expected[name] for name in expected}, once=False)
        eventually(
            lambda: running.metric("processor_records_dead_lettered_total") == 2, what="letters"
        )
    finally:
        secured.set_password(secrets.password)
    assert running.stop() == 0
