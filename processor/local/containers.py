"""Broker and registry as containers, for a machine with a Docker engine but without Java."""

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from processor.errors import Misconfigured
from processor.local.ports import LOOPBACK, free_port
from processor.local.registry import API

KAFKA_IMAGE = "apache/kafka:4.1.0"
REGISTRY_IMAGE = "apicurio/apicurio-registry-mem:2.6.13.Final"
"""The same images as in docker-compose.yml; a test compares them."""
ENGINE_TIMEOUT_S = 20
PULL_TIMEOUT_S = 900


@dataclass(slots=True)
class Container:
    """One container with one port on loopback, removed at the end.

    The engine is no child of ours, so a container outlives us when we are killed (kill -9);
    its name begins with ``processor-demo``.

    Attributes:
        image: name and tag.
        inside: the port that its program listens on.
        environment: variables of its program.
    """

    image: str
    inside: int
    port: int = field(default_factory=free_port)
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = field(default_factory=lambda: f"processor-demo-{uuid.uuid4().hex[:8]}")

    def start(self) -> None:
        """Start it; what it serves may need some seconds more.

        Raises:
            Misconfigured: the engine refused, or could not fetch the image.
        """
        variables = [f"--env={key}={value}" for key, value in self.environment.items()]
        publish = f"--publish={LOOPBACK}:{self.port}:{self.inside}"
        name = f"--name={self.name}"
        _docker(["run", "--detach", "--rm", name, publish, *variables, self.image], PULL_TIMEOUT_S)

    def close(self) -> None:
        """Remove it; harmless when it is gone."""
        _docker(["rm", "--force", self.name], ENGINE_TIMEOUT_S, check=False)


def engine_runs(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a Docker engine that answers."""
    program = shutil.which("docker", path=environ.get("PATH", os.defpath))
    if program is None:
        return False
    try:
        answer = subprocess.run(
            [program, "info"], capture_output=True, check=False, timeout=ENGINE_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def kafka_container() -> Container:
    """A broker that clients reach at its loopback port."""
    port = free_port()
    # Any variable switches the image's own configuration off, so all of it stands here.
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    return Container(KAFKA_IMAGE, 9092, port, environment)


def registry_container() -> tuple[Container, str]:
    """A schema registry, and the URL of its API."""
    container = Container(REGISTRY_IMAGE, 8080)
    return container, f"http://{LOOPBACK}:{container.port}{API}"


def _docker(arguments: Sequence[str], timeout_s: float, *, check: bool = True) -> None:
    try:
        answer = subprocess.run(
            ["docker", *arguments], capture_output=True, text=True, check=False, timeout=timeout_s
        )
    except subprocess.TimeoutExpired as error:
        raise Misconfigured(f"Docker did not answer within {timeout_s:g} s.") from error
    if check and answer.returncode != 0:
        raise Misconfigured(f"Docker could not {arguments[0]} a container: {answer.stderr.strip()}")
