"""Apache Kafka's own Connect worker, as a real process: what ours is compared with."""

import os
import shutil
from pathlib import Path
from typing import Any

import httpx

from processor.local import downloads
from processor.local.broker import Broker
from processor.local.java import Java, find_java
from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from processor.local.server import Server

LOG4J_VERSION = "2.24.3"
"""Of Kafka 4.1's distribution; ``/admin/loggers`` works with no other logging."""

POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>processor.tests</groupId>
  <artifactId>connect</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>connect-runtime</artifactId>
      <version>{downloads.KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>connect-file</artifactId>
      <version>{downloads.KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId>
      <version>{LOG4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

LOG4J = """\
status = WARN
appender.console.type = Console
appender.console.name = STDOUT
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %m (%c)%n
rootLogger.level = INFO
rootLogger.appenderRef.stdout.ref = STDOUT
"""


def connect_jars(cache: Path | None = None) -> Path:
    """The jars of Connect's runtime and of its file connectors, fetched at first use."""

    def fetch(directory: Path) -> None:
        downloads.copy_dependencies(POM, directory)

    name = f"connect-{downloads.KAFKA_VERSION}"
    return downloads.once(cache or downloads.cache_directory(), name, fetch) / "libs"


class KafkaConnect(Server):
    """A distributed worker on a free port, with the file sink on its class path.

    Attributes:
        url: where it answers.
    """

    name = "Kafka Connect"

    def __init__(
        self,
        libs: Path,
        broker: Broker,
        directory: Path,
        *,
        plugin: Path | None = None,
        for_speed: bool = False,
    ) -> None:
        """Choose a port; nothing runs before :meth:`start`.

        Args:
            libs: the jars of Connect's runtime.
            broker: where it keeps its own topics, and reads.
            directory: holds settings, plugins and log; made when missing.
            plugin: a folder with the jars of one more plugin, which is copied.
            for_speed: with more memory and every compiler, as in production.
        """
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.log = directory / "connect.log"
        self._java: Java = find_java()
        self._libs = libs
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._plugins = directory / "plugins"
        self._plugins.mkdir()
        if plugin is not None:
            shutil.copytree(plugin, self._plugins / plugin.name)
        self._discovery = "hybrid_warn" if plugin is not None else "service_load"
        self._for_speed = for_speed
        (directory / "log4j2.properties").write_text(LOG4J)
        properties = self._properties(broker)
        (directory / "connect.properties").write_text(
            "".join(f"{key}={value}\n" for key, value in properties.items())
        )

    def _properties(self, broker: Broker) -> dict[str, Any]:
        converter = "org.apache.kafka.connect.converters.ByteArrayConverter"
        group = f"connect-cluster-{self.port}"
        return {
            "bootstrap.servers": broker.direct_servers,
            "group.id": group,
            "key.converter": converter,
            "value.converter": converter,
            "offset.flush.interval.ms": 1000,
            "offset.storage.topic": f"{group}-offsets",
            "offset.storage.replication.factor": 1,
            "offset.storage.partitions": 1,
            "config.storage.topic": f"{group}-configs",
            "config.storage.replication.factor": 1,
            "status.storage.topic": f"{group}-status",
            "status.storage.replication.factor": 1,
            "status.storage.partitions": 1,
            "listeners": self.url,
            "plugin.path": self._plugins,
            "plugin.discovery": self._discovery,
        }

    def _launch(self) -> Process:
        quick = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return Process(
            self.name,
            [
                str(self._java.program),
                *(["-Xmx2g"] if self._for_speed else quick),
                f"-Dlog4j2.configurationFile={self._directory / 'log4j2.properties'}",
                "-cp",
                os.pathsep.join(str(jar) for jar in sorted(self._libs.glob("*.jar"))),
                "org.apache.kafka.connect.cli.ConnectDistributed",
                str(self._directory / "connect.properties"),
            ],
            log=self.log,
        )

    def _answers(self) -> bool:
        try:
            answer = httpx.get(f"{self.url}/health", timeout=10, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK
