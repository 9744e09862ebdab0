"""IMS, Experience Platform and the registry over TLS with an own authority, and through a proxy."""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from processor.local.ports import free_port
from processor.local.programs import ConnectorProcess, SimulatorProcess
from processor.local.registry import Registry
from tests.rig.certificates import Authority
from tests.rig.http_proxy import HttpProxy
from tests.rig.https_front import HttpsFront

RECORDS = 30
SECONDS = 90.0
REGISTRY_USER = "processor"


class Authorities(NamedTuple):
    """Ours, and one that nobody trusts; files of certificates of ours."""

    ours: Authority
    stranger: Authority
    good: Path
    expired: Path
    elsewhere: Path


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    directory = tmp_path_factory.mktemp("authorities")
    ours = Authority(directory / "ours")
    return Authorities(
        ours,
        Authority(directory / "stranger"),
        ours.issue("good").both,
        ours.issue("expired", expired=True).both,
        ours.issue("elsewhere", addresses="DNS:elsewhere.example").both,
    )


@pytest.fixture
def adobe(simulator: SimulatorProcess, authorities: Authorities) -> Iterator[HttpsFront]:
    """IMS and Experience Platform behind TLS."""
    with HttpsFront(simulator.url, authorities.good) as front:
        yield front


@pytest.fixture
def secured(
    topic: str,
    adobe: HttpsFront,
    authorities: Authorities,
    connector_settings: Callable[..., dict[str, Any]],
) -> dict[str, Any]:
    """Settings that reach Adobe through TLS only."""
    tables = connector_settings(topic)
    authority = str(authorities.ours.file)
    tables["ims"] |= {"token_url": f"{adobe.url}/ims/token/v2", "ca_file": authority}
    tables["experience_platform"] |= {"endpoint": adobe.url, "ca_file": authority}
    return tables


def says(running: ConnectorProcess, *words: str) -> bool:
    status, body = running.readyz()
    return status == 503 and all(word in json.dumps(body) for word in words)


def test_records_pass_through_a_proxy_to_servers_of_an_own_authority(
    secured: dict[str, Any],
    topic: str,
    adobe: HttpsFront,
    canary: Any,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    run_cli: Any,
) -> None:
    with HttpProxy("us", canary.watch_for("proxy-canary-password")) as proxy:
        secured["ims"]["proxy"] = secured["experience_platform"]["proxy"] = proxy.url
        records, expected = capillary.records(RECORDS)
        produce(topic, records)
        running = connector(secured)

        arrives(expected)
        Path(running.config).chmod(0o600)  # the proxy's password stands in it
        status = run_cli("auth", "status", "--config", running.config)
        checked = run_cli("check", "--json", "--config", running.config)

    assert status.status == 0
    findings = [json.loads(line) for line in checked.stdout.splitlines()]
    assert [one for one in findings if one["status"] not in {"ok", "skipped"}] == []
    assert set(proxy.tunnels) == {adobe.url.removeprefix("https://")}
    assert proxy.refused == 0
    assert running.stop() == 0


def test_no_proxy_and_no_authority_is_taken_from_the_environment(
    secured: dict[str, Any],
    topic: str,
    authorities: Authorities,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    environment = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"), nowhere)
    stranger = str(authorities.stranger.file)
    records, expected = capillary.records(RECORDS)
    produce(topic, records)

    connector(secured, **environment, SSL_CERT_FILE=stranger, REQUESTS_CA_BUNDLE=stranger)

    arrives(expected)


@pytest.mark.parametrize("where", ["ims", "experience_platform"])
@pytest.mark.parametrize("what", ["stranger", "expired", "elsewhere", "TLS 1.1"])
def test_a_server_that_proves_nothing_is_waited_for_and_gets_nothing(
    where: str,
    what: str,
    secured: dict[str, Any],
    topic: str,
    simulator: SimulatorProcess,
    authorities: Authorities,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    broker: Any,
    eventually: Callable[..., Any],
) -> None:
    certificate = {"expired": authorities.expired, "elsewhere": authorities.elsewhere}.get(
        what, authorities.good
    )
    newest = ssl.TLSVersion.TLSv1_1 if what == "TLS 1.1" else ssl.TLSVersion.MAXIMUM_SUPPORTED
    with HttpsFront(simulator.url, certificate, newest_tls=newest) as front:
        if where == "ims":
            secured["ims"]["token_url"] = f"{front.url}/ims/token/v2"
        else:
            secured["experience_platform"]["endpoint"] = front.url
        if what == "stranger":
            secured[where]["ca_file"] = str(authorities.stranger.file)
        records, _ = capillary.records(1)
        produce(topic, records)
        running = connector(secured, start=False)
        running.launch()

        eventually(lambda: says(running, f"{where}.ca_file"), SECONDS, what="/readyz says it")

        assert front.statuses == []
    assert simulator.received() == []
    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics


def test_a_proxy_that_refuses_us_is_the_set_ups_fault_and_its_password_is_never_told(
    secured: dict[str, Any],
    topic: str,
    canary: Any,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    simulator: SimulatorProcess,
    eventually: Callable[..., Any],
) -> None:
    wrong = canary.watch_for("wrong-proxy-canary")
    with HttpProxy("us", "right") as proxy:
        address = proxy.address.removeprefix("http://")
        secured["ims"]["proxy"] = f"http://us:{wrong}@{address}"
        records, _ = capillary.records(1)
        produce(topic, records)
        running = connector(secured, start=False)
        running.launch()

        eventually(lambda: says(running, "ims.proxy", "407"), SECONDS, what="/readyz says it")

        assert proxy.refused > 0
        assert proxy.tunnels == []
    assert simulator.received() == []


def test_a_redirect_takes_nothing_to_another_server(
    secured: dict[str, Any],
    topic: str,
    adobe: HttpsFront,
    simulator: SimulatorProcess,
    authorities: Authorities,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    eventually: Callable[..., Any],
) -> None:
    with HttpsFront(simulator.url, authorities.good) as other:
        records, _ = capillary.records(1)
        produce(topic, records)
        adobe.elsewhere = other.url
        running = connector(secured, start=False)
        running.launch()

        eventually(lambda: 307 in adobe.statuses, SECONDS, what="a redirect was answered")
        eventually(lambda: says(running, "ims"), SECONDS, what="/readyz says it")

        assert other.statuses == []


@pytest.fixture
def guarded_registry(
    registry: Registry, authorities: Authorities, canary: Any
) -> Iterator[HttpsFront]:
    """The registry behind TLS and a password."""
    login = (REGISTRY_USER, canary.watch_for("registry-canary+&%=#"))
    with HttpsFront(registry.url, authorities.good, login=login) as front:
        yield front


@pytest.fixture
def registry_settings(
    topic: str,
    guarded_registry: HttpsFront,
    authorities: Authorities,
    connector_settings: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> dict[str, Any]:
    assert guarded_registry.login is not None
    password = tmp_path / "registry_password"
    password.write_text(f"{guarded_registry.login[1]}\n")
    password.chmod(0o600)
    tables = connector_settings(topic)
    tables["schema_registry"] |= {
        "url": guarded_registry.url,
        "username": REGISTRY_USER,
        "password_file": str(password),
        "ca_file": str(authorities.ours.file),
    }
    return tables


def test_a_registry_with_tls_and_a_password_gives_its_schemas(
    registry_settings: dict[str, Any],
    topic: str,
    guarded_registry: HttpsFront,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    run_cli: Any,
) -> None:
    records, expected = capillary.records(RECORDS)
    produce(topic, records)

    running = connector(registry_settings)

    arrives(expected)
    checked = run_cli("check", "--json", "--config", running.config)
    findings = {one["subject"]: one for one in map(json.loads, checked.stdout.splitlines())}
    assert findings["schema registry"]["status"] == "ok"
    assert 401 not in guarded_registry.statuses
    assert running.stop() == 0


def test_a_registry_that_refuses_the_password_is_waited_for_until_its_file_is_right(
    registry_settings: dict[str, Any],
    topic: str,
    guarded_registry: HttpsFront,
    canary: Any,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
    broker: Any,
    eventually: Callable[..., Any],
) -> None:
    password = Path(registry_settings["schema_registry"]["password_file"])
    right = password.read_text()
    password.write_text(canary.watch_for("wrong-registry-canary"))
    records, expected = capillary.records(RECORDS)
    produce(topic, records)
    running = connector(registry_settings, start=False)
    running.launch()

    eventually(
        lambda: says(running, "schema_registry.password", "401"), SECONDS, what="/readyz says it"
    )
    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics
    password.write_text(right)

    arrives(expected)
    assert running.stop() == 0


def test_a_registry_of_another_authority_is_the_set_ups_fault(
    registry_settings: dict[str, Any],
    topic: str,
    authorities: Authorities,
    capillary: Any,
    produce: Callable[..., None],
    connector: Callable[..., ConnectorProcess],
    broker: Any,
    eventually: Callable[..., Any],
) -> None:
    registry_settings["schema_registry"]["ca_file"] = str(authorities.stranger.file)
    records, _ = capillary.records(1)
    produce(topic, records)
    running = connector(registry_settings, start=False)
    running.launch()

    eventually(lambda: says(running, "schema_registry.ca_file"), SECONDS, what="/readyz says it")

    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics
