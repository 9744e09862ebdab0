"""The walk-through of the page about dead letters: its commands run, and print what it says."""

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from processor.schemas.folder import builtin_directory
from tests.integration.conftest import Capillary, counted

TOPIC = "capillary.events"
PAGE = Path(__file__).parents[2] / "docs" / "dead-letters-and-replay.md"
BLOCK = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ANYTHING, PROMPT = "…", "$ "
MISTAKES = {
    "pointsIssued/to-loyalty.json": '"data.programCurrentPoints"',
    "transactionAdded/to-event.json": '"eventLogId"',
    "customerAdded/to-profile.json": '"orgId"',
}
"""By mapping set, what somebody put ``eventId`` in place of."""


def blocks() -> Iterator[list[tuple[str, str]]]:
    """By block, each command and what it prints."""
    section = PAGE.read_text().partition("\n## A walk-through\n")[2].partition("\n## ")[0]
    for block in BLOCK.findall(section):
        commands = block.split(PROMPT)[1:]
        yield [(said.partition("\n")[0], said.partition("\n")[2]) for said in commands]


def matches(printed: str, said: str) -> bool:
    """Whether this was printed; a line that is no more than ``…`` stands for any lines."""
    pattern = re.escape(said)
    pattern = re.sub(rf"(?m)^{ANYTHING}\n", "(.*\\\\n)*", pattern.replace("\\\n", "\n"))
    return re.fullmatch(pattern.replace(ANYTHING, ".*"), printed) is not None


@pytest.fixture
def world(
    make_broker: Any, registry: Any, connector_settings: Any, tmp_path: Path
) -> tuple[Capillary, Any, dict[str, Any], Callable[..., None]]:
    broker = make_broker()
    broker.create_topic(TOPIC, partitions=2)
    settings = connector_settings(TOPIC)
    settings["kafka"]["bootstrap_servers"] = broker.bootstrap_servers
    settings["errors"] |= {"systemic_min": 1_000_000, "systemic_window": 1_000_000}
    schemas = tmp_path / "schemas"
    settings["schemas"] = {"directory": str(schemas)}
    for name in ("common", "pointsIssued", "transactionAdded", "customerAdded"):
        shutil.copytree(builtin_directory() / name, schemas / name)

    def change(*, mended: bool) -> None:
        for file, right in MISTAKES.items():
            text = (builtin_directory() / file).read_text()
            assert right in text
            (schemas / file).write_text(text if mended else text.replace(right, '"eventId"'))

    return Capillary(registry.url, TOPIC), broker, settings, change


def test_the_walk_through(
    world: Any, connector: Any, eventually: Any, run_cli: Any, simulator: Any, tmp_path: Path
) -> None:
    capillary, broker, settings, change = world
    events = [
        capillary.events.of(name)
        for name, count in (("pointsIssued", 30), ("transactionAdded", 20), ("customerAdded", 10))
        for _ in range(count)
    ]
    for number, event in enumerate(events):
        event["data"]["customerIdentifiers"] |= {"customerId": number}
    records, expected = capillary.of(events)
    change(mended=False)
    with Producer({"bootstrap.servers": broker.bootstrap_servers}) as producer:
        for record in records:
            producer.produce(TOPIC, **record)
        assert producer.flush(30) == 0
    running = connector(settings)
    eventually(lambda: running.metric("processor_records_dead_lettered_total") == len(events))
    assert running.stop() == 0
    before = sum(map(len, counted(simulator).values()))

    shown = list(blocks())
    assert sum(len(block) for block in shown) >= 7
    for block in shown:
        for command, said in block:
            if "--plan" in command:
                change(mended=True)
            program, *arguments = shlex.split(command)
            ran = run_cli(*arguments, env={"PROCESSOR_CONFIG": str(running.config)}, cwd=tmp_path)
            assert (program, ran.status) == ("processor", 0), f"{command}: {ran.stdout}{ran.stderr}"
            assert matches(ran.stdout, said), f"{command} printed:\n{ran.stdout}"

    got = counted(simulator)
    assert {target: set(ids) for target, ids in got.items()} == expected
    assert {count for ids in got.values() for count in ids.values()} == {1}
    assert (before, sum(map(len, got.values()))) == (40, 100)


def test_what_is_said_has_to_be_printed() -> None:
    assert matches("a 1 b\nx\ny\nend\n", "a … b\n…\nend\n")
    assert not matches("a 1 c\nx\nend\n", "a … b\n…\nend\n")
    assert not matches("a\nb\n", "a\n")
