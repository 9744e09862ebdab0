"""A real Kafka broker, one KRaft node, on loopback."""

import base64
import logging
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from processor.errors import Misconfigured, TryAgain
from processor.local import downloads
from processor.local.java import Java, find_java
from processor.local.ports import LOOPBACK, free_port, is_listening
from processor.local.process import Process
from processor.local.server import Server

FORMAT_TIMEOUT_S = 60.0
TOPIC_TIMEOUT_S = 30.0
PORT_ATTEMPTS = 5
PORT_TAKEN = "Address already in use"
POLL_S = 0.05

LOG4J = """\
log4j.rootLogger=INFO, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d{ISO8601} %p %m (%c)%n
"""

NO_LOGS = logging.getLogger(f"{__name__}.clients")
NO_LOGS.addHandler(logging.NullHandler())
NO_LOGS.propagate = False
"""Takes librdkafka's lines: a client that waits for a broker complains of what is expected."""


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """What a broker is started from.

    Attributes:
        classpath: its jars in a fixed order, which a class archive needs.
        archive: class archive, `None` without one.
    """

    java: Java
    classpath: str
    archive: Path | None


def install(
    cache: Path | None = None,
    progress: downloads.Progress = downloads.silent,
    environ: Mapping[str, str] = os.environ,
) -> BrokerFiles:
    """The broker's files in the cache, fetched and prepared at first use.

    Raises:
        Misconfigured: Java or Maven is missing, or Maven could not fetch the jars.
    """
    cache = cache or downloads.cache_directory(environ)
    java = find_java(environ)
    libs = downloads.kafka_jars(cache, progress, environ)
    classpath = os.pathsep.join(str(jar) for jar in sorted(libs.glob("*.jar")))

    def train(directory: Path) -> None:
        progress("Preparing the broker to start faster (once).")
        archive = directory / "classes.jsa"
        broker = Broker(BrokerFiles(java, classpath, None), directory / "run")
        broker.java_options += (f"-XX:ArchiveClassesAtExit={archive}",)
        with broker:
            broker.stop()

    trained = downloads.once(cache, java.archive_name("kafka-classes", classpath), train)
    archive = trained / "classes.jsa"
    return BrokerFiles(java, classpath, archive if archive.is_file() else None)


class Broker(Server):
    """A broker whose data outlive its process, so that it can be killed and come back.

    It has two listeners for clients. What is under test uses the first, which may be advertised
    at the port of a proxy; what watches it uses the second, which nothing stands in front of.
    There may be more, with a security of their own.

    Attributes:
        bootstrap_servers: of the first listener, at the proxy's port when there is one.
        direct_servers: of the second listener.
        java_options: flags of the Java runtime, changeable before a start.
    """

    name = "The Kafka broker"

    def __init__(
        self,
        files: BrokerFiles,
        directory: Path,
        *,
        advertised_port: int | None = None,
        properties: Mapping[str, str] | None = None,
        more_listeners: Mapping[str, str] | None = None,
        heap_mb: int = 128,
        full_jit: bool = False,
    ) -> None:
        """Choose ports; nothing runs before :meth:`start`.

        Args:
            files: as :func:`install` gives them.
            directory: holds configuration, log and data; made when missing.
            advertised_port: loopback port of a proxy to :attr:`port`.
            properties: server properties added to ours, or in place of them.
            more_listeners: security protocols by the listener's name, such as ``{"MTLS": "SSL"}``;
                what they need stands in `properties`.
            heap_mb: size of the Java heap in MiB.
            full_jit: also compile with the optimising compiler: slower to start, faster to run.
        """
        self.directory = directory
        self.log = directory / "broker.log"
        self.properties = dict(properties or {})
        self.java_options: tuple[str, ...] = (f"-Xmx{heap_mb}m", "-XX:+UseSerialGC")
        if not full_jit:
            self.java_options += ("-XX:TieredStopAtLevel=1",)
        self._files = files
        self._advertised_port = advertised_port
        self._more_listeners = dict(more_listeners or {})
        self._formatted = False
        self._choose_ports()

    @property
    def bootstrap_servers(self) -> str:
        """Address for the clients under test."""
        return f"{LOOPBACK}:{self._advertised_port or self.port}"

    @property
    def direct_servers(self) -> str:
        """Address that no proxy stands in front of."""
        return f"{LOOPBACK}:{self._direct_port}"

    def servers(self, listener: str) -> str:
        """Address of one of the listeners that were added."""
        return f"{LOOPBACK}:{self._more_ports[listener]}"

    def start(self) -> None:
        """Start it, again after a stop or a kill on the same port, and wait until it answers.

        Raises:
            Misconfigured: it ended or did not answer in time; the message holds the end of its log.
        """
        for attempt in range(1, PORT_ATTEMPTS + 1):
            first = not self._formatted
            if first:
                self._format()
            try:
                super().start()
            except Misconfigured as error:
                # Another program may take a port after we looked; a proxy knows only this one.
                movable = first and self._advertised_port is None and attempt < PORT_ATTEMPTS
                if not movable or PORT_TAKEN not in str(error):
                    raise
                self._choose_ports()
                self._formatted = False
            else:
                return

    def admin(self) -> AdminClient:
        """An admin client on the second listener. Keep it in a variable while its futures run."""
        return AdminClient({"bootstrap.servers": self.direct_servers}, logger=NO_LOGS)

    def create_topic(self, name: str, partitions: int = 1, **config: Any) -> str:
        """Create a topic, wait until it is usable, and give its name.

        Args:
            name: the topic.
            partitions: how many.
            config: the topic's settings with underscores for dots, such as `retention_ms`.

        Raises:
            TryAgain: the broker did not create it in time.
        """
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
        admin = self.admin()
        try:
            admin.create_topics([topic], request_timeout=TOPIC_TIMEOUT_S)[name].result()
        except KafkaException as error:
            raise TryAgain(f"Topic {name} was not created: {error}.", reason="kafka") from error
        deadline_s = time.monotonic() + TOPIC_TIMEOUT_S
        # Creation is acknowledged by the controller before the broker itself knows of it.
        while not _is_usable(admin, name, partitions):
            if time.monotonic() > deadline_s:
                raise TryAgain(f"Topic {name} has no leaders yet.", reason="kafka")
            time.sleep(POLL_S)
        return name

    def _choose_ports(self) -> None:
        self.port = free_port()
        self._direct_port = free_port()
        self._controller_port = free_port()
        self._more_ports = {name: free_port() for name in self._more_listeners}

    def _launch(self) -> Process:
        return Process(self.name, self._java("kafka.Kafka", str(self._config)), log=self.log)

    def _answers(self) -> bool:
        if not is_listening(self._direct_port):
            return False
        try:
            return bool(self.admin().list_topics(timeout=2).brokers)
        except KafkaException:
            return False

    @property
    def _config(self) -> Path:
        return self.directory / "server.properties"

    def _format(self) -> None:
        data = self.directory / f"data-{self.port}"
        data.mkdir(parents=True)
        (self.directory / "log4j.properties").write_text(LOG4J)
        properties = self._server_properties(data) | self.properties
        self._config.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if cluster.startswith("-"):
            cluster = "A" + cluster[1:]  # the tool would take it for an option
        arguments = ("format", "--standalone", "-t", cluster, "-c", str(self._config))
        tool = Process(
            "Kafka's storage tool",
            self._java("kafka.tools.StorageTool", *arguments),
            log=self.log,
        )
        status = tool.wait(FORMAT_TIMEOUT_S)
        if status != 0:
            raise Misconfigured(
                f"Kafka's storage tool ended with status {status}:\n{tool.output()[-2000:]}"
            )
        self._formatted = True

    def _java(self, main: str, *arguments: str) -> list[str]:
        options = list(self.java_options)
        if self._files.archive is not None:
            options += [f"-XX:SharedArchiveFile={self._files.archive}", "-Xlog:cds=off"]
        if main != "kafka.Kafka":
            options = [option for option in options if "ArchiveClassesAtExit" not in option]
        return [
            str(self._files.java.program),
            *options,
            f"-Dlog4j.configuration=file:{self.directory / 'log4j.properties'}",
            "-cp",
            self._files.classpath,
            main,
            *arguments,
        ]

    def _server_properties(self, data: Path) -> dict[str, str]:
        """One KRaft node that is broker and controller, small enough for a laptop."""
        ports = {
            "CLIENTS": self.port,
            "DIRECT": self._direct_port,
            "CONTROLLER": self._controller_port,
            **self._more_ports,
        }
        protocols = {name: self._more_listeners.get(name, "PLAINTEXT") for name in ports}
        advertised = ports | {"CLIENTS": self._advertised_port or self.port}
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{self._controller_port}",
            "listeners": _listeners(ports),
            "advertised.listeners": _listeners(advertised),
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in protocols.items()
            ),
            "inter.broker.listener.name": "DIRECT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(data),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            # A killed broker is let in again when its old lease has ended: 9 s by default.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            # The cleaner's default buffer is 128 MB, as much as the whole heap here.
            "log.cleaner.dedupe.buffer.size": "16777216",
        }


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{LOOPBACK}:{port}" for name, port in ports.items())


def _is_usable(admin: AdminClient, topic: str, partitions: int) -> bool:
    try:
        known = admin.list_topics(topic, timeout=5).topics[topic]
    except KafkaException:
        return False
    leaders = [partition.leader >= 0 for partition in known.partitions.values()]
    return known.error is None and len(leaders) == partitions and all(leaders)
