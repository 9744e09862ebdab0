"""The examples in ``--help`` run as they are written."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from processor.cli.app import command
from processor.local.programs import toml

COMMANDS = ("offsets show", "offsets reset", "trace")
TOPIC = "capillary.events"


def examples(name: str) -> list[list[str]]:
    found: Any = command()
    for word in name.split():
        found = found.commands[word]
    _, _, text = found.epilog.partition(": ")
    return [shlex.split(example) for example in text.split(" · ")]


@pytest.mark.parametrize("name", COMMANDS)
def test_they_run_as_written(
    name: str, make_broker: Any, connector_settings: Any, run_cli: Any, tmp_path: Path
) -> None:
    own = make_broker()
    for topic in (TOPIC, f"{TOPIC}.dlq"):
        own.create_topic(topic, partitions=2)
    tables = connector_settings(TOPIC)
    tables["kafka"]["bootstrap_servers"] = own.bootstrap_servers
    group = f"connect-{tables['name']}"
    consumer = Consumer({"bootstrap.servers": own.direct_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(TOPIC, 0, 0)], asynchronous=False)
    consumer.close()
    config = tmp_path / "processor.toml"
    config.write_text(toml(tables))

    written = examples(name)

    assert len(written) > 1
    for program, *arguments in written:
        ran = run_cli(*arguments, env={"PROCESSOR_CONFIG": str(config)}, cwd=tmp_path)
        assert program == "processor"
        assert ran.status == 0, (arguments, ran.stderr)
