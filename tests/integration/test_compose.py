"""docker-compose.yml, carried out without an engine.

Each service's process is started with exactly the command, environment and files that the compose
file gives it; only host names, ports and mount points are translated to this machine. It is healthy
when the compose file's own health check says so.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from processor.local import containers
from processor.local.broker import LOG4J, Broker, BrokerFiles
from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from processor.local.programs import SimulatorProcess, clean_environment, processor_command
from processor.local.registry import Registry, RegistryFiles
from processor.settings import AdminSettings

ROOT = Path(__file__).parents[2]
VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
HEALTHY_S = 90.0
EVERYWHERE = "0.0.0.0"  # noqa: S104 - looked for, and replaced
OURS = ("simulator", "events", "processor-demo", "processor")
PORTS = {
    "kafka": (9092, 19092, 19093),
    "schema-registry": (8080,),
    "topic": (),
    "simulator": (8090,),
    "events": (),
    "processor-demo": (8083,),
    "processor": (8083,),
}


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """The compose file with its variables filled in."""
    text = VARIABLE.sub(
        lambda found: variables.get(found[1], found[2] or ""),
        (ROOT / "docker-compose.yml").read_text(),
    )
    content: dict[str, Any] = yaml.safe_load(text)
    return content


SERVICES: dict[str, dict[str, Any]] = compose({})["services"]
ours = pytest.mark.parametrize("name", OURS)
every = pytest.mark.parametrize("name", SERVICES)
monitoring = pytest.mark.parametrize("name", ["prometheus", "grafana"])


class Stack:
    """The services of the compose file as processes of this machine."""

    def __init__(
        self,
        directory: Path,
        kafka: BrokerFiles,
        registry: RegistryFiles,
        eventually: Callable[..., Any],
        client_secret: str,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        self._kafka = kafka
        self._registry = registry
        self._eventually = eventually
        self._variables = {
            "IMS_CLIENT_ID": "a-client",
            "AEP_ORG_ID": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "IMS_CLIENT_SECRET_FILE": self._file("client_secret", client_secret),
            "ADMIN_TOKEN_FILE": self._file("admin_token", "an-admin-token-of-the-tests"),
            **(variables or {}),
        }
        self._content = compose(self._variables)
        self._ports = {
            (service, port): free_port() for service, ports in PORTS.items() for port in ports
        }
        self._processes: dict[str, Process] = {}
        self.beside: dict[str, str] = {}
        """Variables added to those of the compose file, for what lies outside of it."""

    def url(self, service: str) -> str:
        (port,) = (self._ports[service, port] for port in PORTS[service])
        return f"http://{LOOPBACK}:{port}"

    def up(self, name: str, profiles: set[str]) -> Process:
        """Start a service after all of these profiles that it depends on, and wait for those."""
        if name in self._processes:
            return self._processes[name]
        service = self._content["services"][name]
        for other, want in service.get("depends_on", {}).items():
            if not profiles & set(self._content["services"][other]["profiles"]):
                assert want.get("required") is False, f"{name} cannot start without {other}"
                continue
            self._is_as_wanted(self.up(other, profiles), other, want["condition"])
        start = {
            "kafka": self._start_kafka,
            "topic": self._start_tool,
            "schema-registry": self._start_registry,
        }
        environment = {
            key: self._here(name, value) for key, value in service.get("environment", {}).items()
        }
        process = start.get(name, self._start_processor)(name, environment)
        self._processes[name] = process
        return process

    @property
    def running(self) -> set[str]:
        return {name for name, process in self._processes.items() if process.running}

    def healthy(self, name: str) -> bool:
        """Whether the health check of the compose file passes."""
        command = self._content["services"][name]["healthcheck"]["test"]
        assert command[0] == "CMD"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        checked = subprocess.run(
            [self._here(name, part) for part in command[1:]],
            env={**os.environ, "PATH": path},
            capture_output=True,
            check=False,
            timeout=30,
        )
        return checked.returncode == 0

    def close(self) -> None:
        for process in reversed(self._processes.values()):
            process.close()

    def _is_as_wanted(self, process: Process, name: str, condition: str) -> None:
        if condition == "service_completed_successfully":
            assert process.wait(HEALTHY_S) == 0, process.output()
            return
        assert condition == "service_healthy"
        self._eventually(
            lambda: self.healthy(name) or not process.running, HEALTHY_S, what=f"{name} healthy"
        )
        assert process.running, process.output()

    def _here(self, name: str, text: str) -> str:
        """A text of the compose file with this machine's addresses and files."""
        service = self._content["services"][name]
        for volume in service.get("volumes", ()):
            source, inside, *_ = volume.split(":")
            here = ROOT / source if source.startswith(".") else self._directory / source
            text = re.sub(rf"^{inside}(?=/|$)", str(here), text)
        for secret in service.get("secrets", ()):
            given = Path(self._content["secrets"][secret]["file"])
            text = text.replace(f"/run/secrets/{secret}", str(ROOT / given))
        for (other, port), local in self._ports.items():
            text = re.sub(rf"\b{other}:{port}\b", f"{LOOPBACK}:{local}", text)
            if other == name:
                text = re.sub(rf"(^|[:/]){port}\b", rf"\g<1>{local}", text)
        return re.sub(r"(?<=://)(?=:\d)", LOOPBACK, text.replace(EVERYWHERE, LOOPBACK))

    def _start_kafka(self, name: str, environment: dict[str, str]) -> Process:
        """As the image does: variables become server properties, the log directory is formatted."""
        directory = self._directory / name
        directory.mkdir()
        (directory / "log4j.properties").write_text(LOG4J)
        config = directory / "server.properties"
        config.write_text(
            "".join(
                f"{key.removeprefix('KAFKA_').lower().replace('_', '.')}={value}\n"
                for key, value in environment.items()
            )
        )
        java = [
            str(self._kafka.java.program),
            "-Xmx256m",
            "-XX:TieredStopAtLevel=1",
            f"-XX:SharedArchiveFile={self._kafka.archive}",
            f"-Dlog4j.configuration=file:{directory / 'log4j.properties'}",
            "-cp",
            self._kafka.classpath,
        ]
        tool = ["kafka.tools.StorageTool", "format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c"]
        subprocess.run([*java, *tool, str(config)], check=True, capture_output=True)
        return Process(name, [*java, "kafka.Kafka", str(config)], log=directory / "kafka.log")

    def _start_tool(self, name: str, environment: dict[str, str]) -> Process:
        """One of Kafka's command-line tools, whose script does no more than this."""
        script, *arguments = self._content["services"][name]["command"]
        java = [str(self._kafka.java.program), "-Xmx128m", "-cp", self._kafka.classpath]
        tool = {"/opt/kafka/bin/kafka-topics.sh": "org.apache.kafka.tools.TopicCommand"}[script]
        return Process(
            name,
            [*java, tool, *(self._here(name, argument) for argument in arguments)],
            log=self._directory / f"{name}.log",
            environment={**os.environ, **environment},
        )

    def _start_registry(self, name: str, environment: dict[str, str]) -> Process:
        command = [str(self._registry.java.program), "-Xmx256m", "-Dquarkus.http.host=127.0.0.1"]
        return Process(
            name,
            [*command, "-jar", str(self._registry.runner)],
            log=self._directory / f"{name}.log",
            environment={**os.environ, **environment},
        )

    def _start_processor(self, name: str, environment: dict[str, str]) -> Process:
        ports = {"PROCESSOR_ADMIN__PORT": str(self._ports.get((name, 8083), 8083))}
        command = [self._here(name, part) for part in self._content["services"][name]["command"]]
        return Process(
            name,
            processor_command(*command),
            log=self._directory / f"{name}.log",
            environment={**clean_environment(), **environment, **ports, **self.beside},
        )

    def _file(self, name: str, content: str) -> str:
        path = self._directory / name
        path.write_text(f"{content}\n")
        return str(path)


@pytest.fixture(scope="module")
def stack(
    broker_files: BrokerFiles,
    registry_files: RegistryFiles,
    eventually: Callable[..., Any],
    client_secret: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("compose")
    running = Stack(directory, broker_files, registry_files, eventually, client_secret)

    yield running

    running.close()


def test_the_demo_delivers_its_example_events(stack: Stack, eventually: Callable[..., Any]) -> None:
    process = stack.up("processor-demo", {"demo"})
    eventually(lambda: stack.healthy("processor-demo") or not process.running, HEALTHY_S)
    assert process.running, process.output()

    def accepted() -> dict[str, int]:
        received = httpx.get(f"{stack.url('simulator')}/simulator/received", timeout=60).json()
        inlets = [message["inlet"] for message in received if message["accepted"]]
        return {inlet: inlets.count(inlet) for inlet in inlets}

    eventually(lambda: accepted() == {"event": 6, "loyalty": 2, "profile": 1, "tier": 1}, 60)


def test_the_connector_for_a_real_platform_becomes_healthy(
    stack: Stack, eventually: Callable[..., Any]
) -> None:
    stack.up("processor-demo", {"demo"})
    stack.beside = {
        "PROCESSOR_EXPERIENCE_PLATFORM__ENDPOINT": stack.url("simulator"),
        "PROCESSOR_IMS__TOKEN_URL": f"{stack.url('simulator')}/ims/token/v2",
    }

    process = stack.up("processor", {"aep"})

    eventually(lambda: stack.healthy("processor") or not process.running, HEALTHY_S)
    assert process.running, process.output()


def test_beside_a_given_cluster_nothing_is_started_but_the_connector(
    broker_files: BrokerFiles,
    registry_files: RegistryFiles,
    eventually: Callable[..., Any],
    client_secret: str,
    tmp_path: Path,
    broker: Broker,
    registry: Registry,
    simulator: SimulatorProcess,
) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": registry.url,
    }
    alone = Stack(tmp_path, broker_files, registry_files, eventually, client_secret, given)
    alone.beside = {
        "PROCESSOR_EXPERIENCE_PLATFORM__ENDPOINT": simulator.url,
        "PROCESSOR_IMS__TOKEN_URL": f"{simulator.url}/ims/token/v2",
    }
    broker.create_topic("capillary.events", partitions=1)
    try:
        process = alone.up("processor", {"production"})

        eventually(lambda: alone.healthy("processor") or not process.running, HEALTHY_S)
        assert process.running, process.output()
        assert alone.running == {"processor"}
    finally:
        alone.close()


@every
def test_a_service_has_the_tag_of_a_version_and_no_rights_that_it_does_not_use(name: str) -> None:
    service = SERVICES[name]

    assert re.search(r":v?\d+\.\d+\.\d+", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert service["mem_limit"]


@ours
def test_our_own_containers_can_write_nothing(name: str) -> None:
    assert SERVICES[name]["read_only"] is True
    assert SERVICES[name]["tmpfs"] == ["/tmp:size=16m,mode=1777,noexec,nosuid,nodev"]
    assert all(volume.endswith(":ro") for volume in SERVICES[name].get("volumes", ()))


@ours
def test_no_variable_holds_a_secret(name: str) -> None:
    secrets = [
        key
        for key in SERVICES[name].get("environment", {})
        if re.search(r"(?i)password|secret|token$|key$", key) and not key.endswith("_FILE")
    ]

    assert not secrets


@monitoring
def test_what_monitors_writes_into_its_volume_only_and_knows_no_password(name: str) -> None:
    service = SERVICES[name]

    assert service["profiles"] == ["monitoring"]
    assert service["read_only"] is True
    (writable,) = [volume for volume in service["volumes"] if not volume.endswith(":ro")]
    assert writable.startswith(f"{name}-data:")
    assert not [key for key in service.get("environment", {}) if "PASSWORD" in key]


@monitoring
def test_the_files_that_a_monitor_is_given_are_there(name: str) -> None:
    given = [volume.split(":")[0] for volume in SERVICES[name]["volumes"] if volume[0] == "."]

    assert given
    assert all((ROOT / path).is_file() for path in given)


def test_prometheus_scrapes_each_connector_at_a_port_that_it_opens_to_others() -> None:
    config = yaml.safe_load((ROOT / "deploy/monitoring/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    (scraped,) = job["dns_sd_configs"]
    connectors = [name for name in OURS if SERVICES[name]["command"] == ["run"]]

    assert sorted(scraped["names"]) == sorted(connectors)
    assert scraped["port"] == AdminSettings().port
    for name in connectors:
        environment = SERVICES[name]["environment"]
        assert environment["PROCESSOR_ADMIN__HOST"] == EVERYWHERE
        assert environment["PROCESSOR_ADMIN__TOKEN_FILE"].startswith("/run/secrets/")


def test_grafana_shows_our_dashboard_from_our_prometheus() -> None:
    folder = ROOT / "deploy/monitoring/grafana"
    (source,) = yaml.safe_load((folder / "datasource.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards.yml").read_text())["providers"]
    mounted = [volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]]

    assert source["url"] == "http://prometheus:9090"
    assert f"{provider['options']['path']}/dashboard.json" in mounted
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in mounted


def test_the_images_are_those_of_the_demo_without_compose() -> None:
    assert SERVICES["kafka"]["image"] == containers.KAFKA_IMAGE
    assert SERVICES["schema-registry"]["image"] == containers.REGISTRY_IMAGE


def test_a_drain_has_time_to_end_before_docker_kills() -> None:
    from processor.connector.supervisor import STOP_MARGIN_S
    from processor.settings import DeliverySettings

    grace_s = int(SERVICES["processor"]["stop_grace_period"].removesuffix("s"))

    assert grace_s >= DeliverySettings().drain_timeout_s + STOP_MARGIN_S
