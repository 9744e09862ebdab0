"""``processor offsets show`` and ``reset`` against a real broker."""

import json
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AclOperation, ResourceType

from processor.kafka.origins import look_up
from processor.kafka.progress import Mark, Origin, Run, write
from processor.local.programs import toml

Tables = dict[str, Any]
T0_MS = time.time_ns() // 1_000_000 - 3_600_000
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@pytest.fixture
def tables(connector_settings: Callable[..., Tables], topic: str) -> Tables:
    return connector_settings(topic)


@pytest.fixture
def offsets(run_cli: Any, tables: Tables, tmp_path: Path) -> Callable[..., Any]:
    """``offsets("show", "--json")``: the command with the settings of `tables`."""

    def run(*arguments: str | Path) -> Any:
        config = tmp_path / "offsets.toml"
        config.write_text(toml(tables))
        return run_cli("offsets", *arguments, "--config", config)

    return run


class Group:
    """The connector's group, as another program sees it."""

    def __init__(self, servers: str, name: str, topic: str) -> None:
        self.name, self.topic = name, topic
        self._servers = {"bootstrap.servers": servers}
        self._consumer = Consumer({**self._servers, "group.id": name, "enable.auto.commit": False})

    def commit(self, marks: Mapping[int, Mark]) -> None:
        places = [
            TopicPartition(self.topic, p, mark.offset, metadata=mark.metadata)
            for p, mark in marks.items()
        ]
        for answer in self._consumer.commit(offsets=places, asynchronous=False):
            assert answer.error is None, answer.error

    def committed(self) -> dict[int, Mark]:
        places = [TopicPartition(self.topic, number) for number in range(2)]
        found = self._consumer.committed(places, timeout=20)
        return {p.partition: Mark(p.offset, p.metadata or "") for p in found if p.offset >= 0}

    def origin(self) -> Origin:
        return look_up(self._servers, [self.topic])[self.topic]

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def ours(broker: Any, tables: Tables, topic: str) -> Iterator[Group]:
    made = Group(broker.direct_servers, f"connect-{tables['name']}", topic)
    yield made
    made.close()


@pytest.fixture
def log(broker: Any, topic: str, produce: Any, ours: Group) -> Group:
    """Partition 0 holds offsets 2 to 9, a second apart; 5 is committed, and 7 and 8 have ended."""
    produce(
        topic,
        [{"value": b"v", "timestamp": T0_MS + 1_000 * number} for number in range(10)],
        partition=0,
    )
    place = TopicPartition(topic, 0, 2)
    admin = broker.admin()
    admin.delete_records([place])[place].result(timeout=30)
    ours.commit({0: Mark(5, write(5, [Run(7, 9)], ours.origin()))})
    return ours


def joined(broker: Any, group: Group, protocol: str, eventually: Any) -> Consumer:
    """Somebody in the group who commits nothing."""
    member = Consumer(
        {"bootstrap.servers": broker.direct_servers, "group.id": group.name}
        | {"group.protocol": protocol, "enable.auto.commit": False}
    )
    member.subscribe([group.topic])
    eventually(lambda: member.poll(0.2) is None and member.assignment())
    return member


def rows(ran: Any) -> list[dict[str, Any]]:
    assert ran.status == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_show_says_where_the_connector_stands(log: Group, offsets: Any, topic: str) -> None:
    first, second = rows(offsets("show", "--json"))

    assert first == {
        "group": log.name, "group_state": "empty", "topic": topic, "partition": 0,
        "committed_offset": 5, "ended_beyond": 2, "metadata_ignored": None, "log_start": 2,
        "log_end": 10, "lag": 5, "consumed": True, "member": None,
    }  # fmt: skip
    assert (second["committed_offset"], second["lag"], second["log_end"]) == (None, None, 0)
    ran = offsets("show", "--topic", f"{topic}:0")
    heading, line = (text.split() for text in ran.stdout.splitlines())
    assert dict(zip(heading, line, strict=True)) == {
        "TOPIC": topic, "PARTITION": "0", "COMMITTED": "5", "ENDED-BEYOND": "2", "LOG-START": "2",
        "LOG-END": "10", "LAG": "5", "MEMBER": "-",
    }  # fmt: skip
    assert f"Group {log.name} is empty." in ran.stderr
    assert log.committed()[0].metadata, "nothing was committed"


def test_show_says_why_metadata_is_ignored(log: Group, offsets: Any) -> None:
    text = log.committed()[0].metadata
    log.commit({0: Mark(6, text), 1: Mark(0, "somebody's own")})

    first, second = rows(offsets("show", "--json"))

    assert (first["ended_beyond"], first["metadata_ignored"]) == (0, "it is about another offset")
    assert second["metadata_ignored"] == "its format is not known to this version"


@BOTH_PROTOCOLS
def test_a_running_connector_is_named_and_its_offsets_are_left_alone(
    protocol: str, log: Group, offsets: Any, tables: Tables, connector: Any, eventually: Any,
    tmp_path: Path, simulator: Any,
) -> None:  # fmt: skip
    simulator.faults([{"scope": "batch", "count": "until_reset", "status": 503}])
    tables["kafka"]["consumer"] = {"group.protocol": protocol}
    running = connector(tables, start=False)
    running.launch()
    eventually(lambda: any(row["member"] for row in rows(offsets("show", "--json"))))
    undo = tmp_path / "undo.csv"

    dry = offsets("reset", "--to-earliest")
    ran = offsets("reset", "--to-earliest", "--execute", "--undo", undo)
    shown = rows(offsets("show", "--json"))

    assert dry.status == 0
    assert "With --execute this is refused" in dry.stderr
    assert (ran.status, ran.stdout) == (1, "")
    assert shown[0]["member"]["client_id"] in ran.stderr
    assert "Nothing was changed" in ran.stderr
    assert not undo.exists()
    assert min(mark.offset for mark in log.committed().values()) >= 0
    assert log.committed()[0].offset >= 5
    running.stop()
    assert offsets("reset", "--to-earliest", "--execute").status == 0
    assert log.committed()[0] == Mark(2)


@BOTH_PROTOCOLS
def test_the_broker_itself_refuses_when_somebody_joins_meanwhile(
    protocol: str, log: Group, broker: Any, topic: str, tables: Tables, eventually: Any
) -> None:
    from processor.errors import TryAgain
    from processor.operations.offsets.group import GroupWriter
    from processor.record import TopicPartition as Place
    from processor.settings import Settings

    settings = Settings.model_validate(tables)
    before = log.committed()
    member = joined(broker, log, protocol, eventually)
    try:
        with pytest.raises(TryAgain, match="somebody has joined it"):
            GroupWriter(settings).set_marks(log.name, {Place(topic, 0): Mark(3)})
        with pytest.raises(TryAgain, match="somebody has joined it"):
            GroupWriter(settings).forget(log.name)
    finally:
        member.close()
    assert log.committed() == before


@pytest.mark.parametrize(
    ("words", "new", "again", "skipped"),
    [
        (["--to-earliest"], 2, 5, 0),
        (["--to-latest"], 10, 0, 3),
        (["--to-offset", "4"], 4, 3, 0),
        (["--to-offset", "5"], 5, 2, 0),
        (["--to-offset", "8"], 8, 1, 2),
        (["--to-offset", "0"], 2, 5, 0),
        (["--to-offset", str(2**63 - 1)], 10, 0, 3),
        (["--shift-by", "-2"], 3, 4, 0),
        (["--shift-by", "1"], 6, 2, 1),
        (["--shift-by", "-99"], 2, 5, 0),
        (["--to-datetime", datetime.fromtimestamp(T0_MS / 1000 + 6, UTC).isoformat()], 6, 2, 1),
        (["--to-datetime", "2099-01-01T00:00:00Z"], 10, 0, 3),
        (["--by-duration", "PT0S"], 10, 0, 3),
        (["--by-duration", "P99999D"], 2, 5, 0),
    ],
)
def test_every_word_of_kafka_s_tool(
    words: list[str], new: int, again: int, skipped: int, log: Group, offsets: Any, topic: str
) -> None:
    before = log.committed()
    reset = ("reset", *words, "--topic", f"{topic}:0")

    planned, total = rows(offsets(*reset, "--json"))

    assert log.committed() == before
    told = {key: planned[key] for key in ("committed_offset", "new_offset", "read_again")}
    assert told == {"committed_offset": 5, "new_offset": new, "read_again": again}
    assert (total["executed"], total["skipped"]) == (False, skipped)
    if skipped:
        refused = offsets(*reset, "--execute")
        assert (refused.status, refused.stdout) == (2, "")
        assert f"skips {skipped} records" in refused.stderr
        assert log.committed() == before
    ran = offsets(*reset, "--execute", "--skip-records")
    assert ran.status == 0, ran.stderr
    assert log.committed() == {0: Mark(new)}, "and no metadata"
    assert ran.stdout == f"{topic},0,5\n"


def test_what_lies_outside_the_log_is_said(log: Group, offsets: Any) -> None:
    low, high = offsets("reset", "--to-offset", "1"), offsets("reset", "--to-offset", "11")

    assert "offset 1 is no longer in the log; its start is taken, 2" in low.stderr
    assert "offset 11 is beyond the log; its end is taken, 10" in high.stderr


def test_an_undo_file_restores_exactly_what_was_committed(
    log: Group, offsets: Any, topic: str, tmp_path: Path, produce: Any
) -> None:
    produce(topic, [b"v"] * 3, partition=1)
    undo = tmp_path / "undo.csv"

    ran = offsets("reset", "--to-earliest", "--execute", "--undo", undo)

    assert (ran.status, ran.stdout) == (0, "")
    assert log.committed() == {0: Mark(2), 1: Mark(0)}
    assert undo.read_text() == f"{topic},0,5\n{topic},1,none\n"
    assert stat.S_IMODE(undo.stat().st_mode) == 0o600
    told = ran.stderr.strip().splitlines()[-1]
    assert told == (
        f"To undo it: processor offsets reset --from-file {undo} --execute --skip-records"
    )
    again = offsets("reset", "--to-latest", "--execute", "--skip-records", "--undo", undo)
    assert (again.status, log.committed()[0]) == (2, Mark(2))
    assert "exists already" in again.stderr
    back = offsets("reset", "--from-file", undo, "--execute", "--skip-records")
    assert back.status == 0, back.stderr
    assert log.committed() == {0: Mark(5)}
    assert back.stdout == f"{topic},0,2\n{topic},1,0\n"


@BOTH_PROTOCOLS
def test_a_deleted_offset_leaves_those_of_other_partitions_with_their_metadata(
    protocol: str, log: Group, offsets: Any, topic: str, tmp_path: Path, broker: Any,
    eventually: Any,
) -> None:  # fmt: skip
    member = joined(broker, log, protocol, eventually)
    member.close()
    kept = log.committed()[0]
    log.commit({1: Mark(0)})
    file = tmp_path / "offsets.csv"
    file.write_text(f'"topic","partition","offset"\n"{topic}",1,none\n')

    ran = offsets("reset", "--from-file", file, "--execute")

    assert ran.status == 0, ran.stderr
    assert log.committed() == {0: kept}
    assert ran.stdout == f"{topic},0,5\n{topic},1,0\n", "all of the group's, for it was deleted"


def test_what_had_ended_beyond_is_read_again_with_the_same_ids(
    ours: Group, offsets: Any, topic: str, tables: Tables, capillary: Any, produce: Any,
    connector: Any, arrives: Any, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    events = list(capillary.events.mixed(30))
    records, expected = capillary.of(events)
    produce(topic, records, partition=0)
    running = connector(tables)
    arrives(expected)
    eventually(lambda: ours.committed().get(0) == Mark(30))
    assert running.stop() == 0
    ours.commit({0: Mark(10, write(10, [Run(12, 30)], ours.origin()))})

    ran = offsets("reset", "--to-offset", "10", "--topic", f"{topic}:0", "--execute")

    assert ran.status == 0, ran.stderr
    assert "18 records will be read again" in ran.stderr
    assert ours.committed() == {0: Mark(10)}
    simulator.reset()
    connector(tables)
    ids = {event["eventId"] for event in events[10:]}
    arrives({t: found & ids for t, found in expected.items() if found & ids})


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--to-earliest", "--to-latest"],
        ["--to-offset", "-1"],
        ["--to-offset", str(2**63)],
        ["--to-offset", "text"],
        ["--to-offset", "5..3"],
        ["--shift-by", "1.5"],
        ["--shift-by", "5..3"],
        ["--shift-by", str(2**63)],
        ["--shift-by", "1", "--topic", "TOPIC:1"],
        ["--to-datetime", "1700000000000"],
        ["--to-datetime", "31/01/2026"],
        ["--to-datetime", "yesterday"],
        ["--by-duration", "1 day"],
        ["--to-earliest", "--topic", "TOPIC:999"],
        ["--to-earliest", "--topic", "TOPIC:-1"],
        ["--to-earliest", "--topic", "no.such.topic"],
        ["--to-earliest", "--topic", "TOPIC.dlq"],
        ["--to-earliest", "--topic", "__consumer_offsets:0"],
        ["--from-file", "missing.csv"],
        ["--from-file", "bad.csv"],
        ["--from-file", "bad.csv", "--topic", "TOPIC"],
        ["--to-earliest", "--undo", "bad.csv"],
        ["--to-earliest", "--undo", "no-such-directory/undo.csv"],
    ],
)
def test_a_wrong_argument_is_one_sentence_and_nothing_is_touched(
    words: list[str], log: Group, offsets: Any, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.csv").write_text(f"{topic},0,-1\n")
    before = log.committed()
    given = [word.replace("TOPIC", topic) for word in words]

    ran = offsets("reset", *given, "--execute", "--skip-records")

    assert (ran.status, ran.stdout) == (2, "")
    (_sentence,) = ran.stderr.strip().splitlines()
    assert log.committed() == before


def test_json_carries_the_undo_file_too(log: Group, offsets: Any, topic: str) -> None:
    reset = ("reset", "--to-earliest", "--topic", f"{topic}:0")

    undo, change, total = rows(offsets(*reset, "--execute", "--json"))

    assert undo == {"undo": f"{topic},0,5\n"}
    assert (change["new_offset"], change["changes"], total["executed"]) == (2, True, True)
    again = rows(offsets(*reset, "--execute", "--json"))
    assert [row.get("changes") for row in again] == [False, None]


def test_show_of_another_group(
    broker: Any, topic: str, offsets: Any, log: Group, fresh_name: Any
) -> None:
    other = Group(broker.direct_servers, fresh_name("replay"), topic)
    other.commit({1: Mark(0)})
    other.close()

    (row,) = rows(offsets("show", "--group", other.name, "--json"))

    assert (row["group"], row["partition"], row["committed_offset"]) == (other.name, 1, 0)
    nobody = fresh_name("nobody")
    assert rows(offsets("show", "--group", nobody, "--json")) == []
    told = offsets("show", "--group", nobody)
    assert (told.stdout, told.status) == ("", 0)
    assert f"There is no consumer group {nobody}" in told.stderr


def test_each_right_that_is_missing_is_named(
    guarded: Any, as_alice: Any, run_cli: Any, tmp_path: Path
) -> None:
    topic = guarded.broker.create_topic("events", partitions=1)
    tables = as_alice(topic)
    group = f"connect-{tables['name']}"
    config = tmp_path / "alice.toml"
    config.write_text(toml(tables))
    guarded.grant(ResourceType.TOPIC, topic, [AclOperation.DESCRIBE])

    def offsets(*words: str) -> Any:
        return run_cli("offsets", *words, "--config", config)

    denied = offsets("show")
    guarded.grant(ResourceType.GROUP, group, [AclOperation.DESCRIBE])
    shown = offsets("show")
    reset = ("reset", "--to-earliest", "--execute")
    unchanged = offsets(*reset)
    guarded.grant(ResourceType.GROUP, group, [AclOperation.READ])
    guarded.grant(ResourceType.TOPIC, topic, [AclOperation.READ])
    done = offsets(*reset)
    undo = tmp_path / "undo.csv"
    undo.write_text(done.stdout)
    kept = offsets("reset", "--from-file", str(undo), "--execute")
    guarded.grant(ResourceType.GROUP, group, [AclOperation.DELETE])
    undone = offsets("reset", "--from-file", str(undo), "--execute")

    for ran in (denied, unchanged, kept):
        assert ran.status == 2, ran.stderr
        assert "Grant this client" in ran.stderr
    assert shown.status == done.status == undone.status == 0, undone.stderr
    assert done.stdout == f"{topic},0,none\n"


def test_no_broker_is_one_sentence(tables: Tables, offsets: Any) -> None:
    from processor.local.ports import free_port

    tables["kafka"]["bootstrap_servers"] = nowhere = f"127.0.0.1:{free_port()}"
    started_s = time.monotonic()

    for words in (("show",), ("reset", "--to-earliest", "--execute")):
        ran = offsets(*words)

        assert (ran.status, ran.stdout) == (1, "")
        (sentence,) = ran.stderr.strip().splitlines()
        assert nowhere in sentence
    assert time.monotonic() - started_s < 60
