from pathlib import Path

import pytest

from processor.errors import Misconfigured, TryAgain
from processor.local.broker import Broker
from processor.local.environment import bring_up
from processor.local.ports import free_port, is_listening
from processor.local.registry import Registry


def test_given_parts_are_used_and_left_alone(
    broker: Broker, registry: Registry, tmp_path: Path
) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": registry.url,
    }

    with bring_up(tmp_path, environ=given) as environment:
        assert environment.given
        assert environment.bootstrap_servers == broker.bootstrap_servers
        environment.create_topic("given-parts", 3)
        with pytest.raises(TryAgain, match="given-parts was not created"):
            environment.create_topic("given-parts", 3)

    assert broker.running
    assert registry.running


def test_what_was_started_is_ended(tmp_path: Path) -> None:
    with bring_up(tmp_path) as environment:
        servers = environment.bootstrap_servers

    assert not is_listening(int(servers.rpartition(":")[2]))


def test_a_given_part_that_does_not_answer_is_named(broker: Broker, tmp_path: Path) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "SCHEMA_REGISTRY_URL": f"http://127.0.0.1:{free_port()}",
    }

    with (
        pytest.raises(Misconfigured, match="Nothing answers as a schema registry"),
        bring_up(tmp_path, environ=given),
    ):
        pass
