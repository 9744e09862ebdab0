"""The examples of ``--help`` and the commands of the runbook run as they are written.

A group of commands, or a command of its own, joins by a line in `GROUPS` and a fixture of its name.
"""

import json
import re
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from processor.cli.app import command
from processor.errors import Code
from processor.kafka.state import StateTopic
from processor.operations.chosen import Chosen
from processor.operations.replays.ranges.manner import Manner
from processor.operations.replays.ranges.pinned import Pinned
from processor.operations.replays.ranges.progress import origins_of
from processor.operations.replays.ranges.records import RangeRecord
from processor.operations.replays.records import Kind, ReplayRecord, Status
from processor.operations.replays.replaying import group_of
from processor.record import TopicPartition as Place
from processor.schemas.folder import builtin_directory
from processor.settings import load
from tests.integration.conftest import Capillary
from tests.integration.letters import letter
from tests.pages import commands

EPILOG = re.compile(r"Examples?: (.*)", re.DOTALL)
BETWEEN = " · "
EVERY_S = 0.5
TOPIC = "capillary.events"
Environment = Mapping[str, str]


def examples(group: str) -> list[str]:
    """Every example of a group's commands, in the order of its help."""
    given: Any = command().commands[group]  # type: ignore[attr-defined] # a click group
    found: list[str] = []
    for name, one in getattr(given, "commands", {"": given}).items():
        written = EPILOG.match(one.epilog or "")
        assert written is not None, f"{group} {name} has no example"
        found += written[1].split(BETWEEN)
    return found


@pytest.fixture
def own(make_broker: Any) -> Any:
    """A broker of the test's own with the topics that examples name, and no records."""
    broker = make_broker()
    for name in (TOPIC, f"{TOPIC}.dlq"):
        broker.create_topic(name, partitions=2)
    return broker


@pytest.fixture
def configured(own: Any, settings_file: Any) -> Environment:
    kafka = {"bootstrap_servers": own.bootstrap_servers, "topics": [TOPIC]}
    return {"PROCESSOR_CONFIG": str(settings_file(TOPIC, kafka=kafka))}


@pytest.fixture
def check(configured: Environment, registry: Any, simulator: Any, tmp_path: Path) -> Environment:
    """A set-up that works, where the example looks for its settings."""
    (tmp_path / "processor.toml").chmod(0o600)
    return configured


@pytest.fixture
def offsets(own: Any, configured: Environment) -> Environment:
    """The group has committed an offset."""
    consumer = Consumer({"bootstrap.servers": own.direct_servers, "group.id": "connect-ours"})
    consumer.commit(offsets=[TopicPartition(TOPIC, 0, 0)], asynchronous=False)
    consumer.close()
    return configured


@pytest.fixture
def trace(offsets: Environment) -> Environment:
    """No record stands at the coordinates; that is a story too."""
    return offsets


@pytest.fixture
def dlq(own: Any, configured: Environment, registry: Any, simulator: Any) -> Iterator[Environment]:
    """Thirty dead letters of events that today's schemas take, and more that go on coming."""
    capillary = Capillary(registry.url, TOPIC)
    codes = (Code.GATE_VIOLATION, Code.MAPPING_EXPRESSION, Code.DELIVERY_REFUSED)

    def write(producer: Producer, number: int, partition: int) -> None:
        record = capillary.record(capillary.events.of("pointsIssued"))
        made = letter(number, **record, code=codes[number % 3], targets=("event",))
        producer.produce(f"{TOPIC}.dlq", **made, partition=partition)

    with Producer({"bootstrap.servers": own.bootstrap_servers}) as producer:
        for number in range(30):
            write(producer, number, partition=0)
        assert producer.flush(30) == 0
        with _again_and_again(lambda number: write(producer, 30 + number, partition=1)):
            yield configured


@pytest.fixture
def replay(own: Any, configured: Environment, registry: Any, simulator: Any) -> Environment:
    """A topic of a thousand events, and replays of it that were interrupted."""
    capillary = Capillary(registry.url, TOPIC)
    with Producer({"bootstrap.servers": own.bootstrap_servers}) as producer:
        for _ in range(1_050):
            record = capillary.record(capillary.events.of("pointsIssued"))
            producer.produce(TOPIC, record["value"], record["key"], partition=0)
        assert producer.flush(30) == 0
    settings = load(Path(configured["PROCESSOR_CONFIG"]), {})
    spans = {Place(TOPIC, 0): (0, 10)}
    pinned = Pinned(
        spans, Chosen.whole(spans), exact=False, keys=0, fields=(),
        origins=origins_of(settings, [TOPIC]), manner=Manner(),
    )  # fmt: skip
    state = StateTopic(settings, "test")
    for name in ("20260131t120000-9f3a", "20260131t130000-07be"):
        group = group_of(settings, name)
        base = ReplayRecord(
            name, Kind.RECORDS, settings.name, group, "me@here", "2026-01-31T12:00:00Z", {}, {}, "",
            10, Status.INTERRUPTED,
        )  # fmt: skip
        state.write(base.key, RangeRecord(base, pinned.document(), "", "run").document())
    return configured


@pytest.fixture
def schemas(own: Any, registry: Any, settings_file: Any, tmp_path: Path) -> Environment:
    """A folder of the operator's own, and ours beside it, as in a checkout."""
    del registry
    (tmp_path / "schemas").symlink_to(builtin_directory())
    (tmp_path / "own").mkdir()
    kafka = {"bootstrap_servers": own.bootstrap_servers, "topics": [TOPIC]}
    file = settings_file(TOPIC, kafka=kafka, schemas={"directory": str(tmp_path / "own")})
    return {"PROCESSOR_CONFIG": str(file)}


GROUPS = {"check": {0}, "dlq": {0}, "offsets": {0}, "replay": {0, 3}, "schemas": {0}, "trace": {0}}
"""By group, the exit statuses that its help lets an example have; its fixture has its name."""


@pytest.mark.parametrize("group", GROUPS)
def test_the_examples_of_help_run_as_they_are_written(
    group: str, request: pytest.FixtureRequest, run_cli: Any
) -> None:
    environment = request.getfixturevalue(group)
    for example in examples(group):
        program, *arguments = shlex.split(example)
        assert (program, arguments[0]) == ("processor", group), example

        ran = run_cli(*arguments, env=environment)

        assert ran.status in GROUPS[group], f"{example}: {ran.stderr}"
        assert "Traceback" not in ran.stderr, example
        if "--json" in arguments:
            assert [json.loads(line) for line in ran.stdout.splitlines()], example


RUNBOOK = Path(__file__).parents[2] / "docs" / "operate.md"
REFERENCE = "## What check looks at"
FINISHED = {0, 3}
"""Of commands that look for what is wrong, a bad verdict is a good answer."""


@pytest.mark.timeout(900)  # two dozen processes, one after the other
def test_the_commands_of_the_runbook_run_as_they_are_written(
    dlq: Environment, offsets: Environment, run_cli: Any
) -> None:
    assert offsets == dlq  # one set-up, with letters and a group
    shown = list(commands(RUNBOOK.read_text().partition(REFERENCE)[0]))

    for words in shown:
        ran = run_cli(*words, env=dlq)

        assert ran.status in FINISHED, f"{words}: {ran.stderr}"
        assert "Traceback" not in ran.stderr, words
    assert len(shown) > len(command().commands)  # type: ignore[attr-defined] # a click group


@contextmanager
def _again_and_again(do: Callable[[int], None]) -> Iterator[None]:
    """Call something twice a second from a thread of its own."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(EVERY_S):
            do(number)
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
