from pathlib import Path

import pytest

from processor.errors import Misconfigured
from processor.local import containers
from processor.local.environment import bring_up


def test_without_anything_one_sentence_says_all_that_would_do(tmp_path: Path) -> None:
    with (
        pytest.raises(Misconfigured) as caught,
        bring_up(tmp_path, environ={"PATH": str(tmp_path)}),
    ):
        pass

    for way in ("Java 17", "Maven", "Docker", "KAFKA_BOOTSTRAP_SERVERS", "SCHEMA_REGISTRY_URL"):
        assert way in str(caught.value)


@pytest.mark.parametrize(("status", "runs"), [(0, True), (1, False)])
def test_an_engine_runs_when_docker_says_so(tmp_path: Path, status: int, runs: bool) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ntest $1 = info && exit {status}\n")
    docker.chmod(0o755)

    assert containers.engine_runs({"PATH": f"{tmp_path}:/bin"}) is runs


def test_a_container_broker_sends_its_clients_to_loopback() -> None:
    container = containers.kafka_container()

    advertised = container.environment["KAFKA_ADVERTISED_LISTENERS"]

    assert advertised == f"PLAINTEXT://127.0.0.1:{container.port}"
