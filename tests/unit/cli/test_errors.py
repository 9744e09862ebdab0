"""``processor errors`` as a command: what it prints, and its exit status."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from processor.connector.hold import Hold
from processor.connector.hold_entries import STALE_S, TaskHold
from processor.connector.judge import Kind
from processor.errors import Code
from processor.kafka.state_entry import Document, Entry
from processor.operations import held as module
from processor.operations.held import held_now, release
from processor.record import Position

KIND = Kind(Code.DELIVERY_REFUSED, "event")


def now() -> float:
    return 1_800_000_000.0


class Topic:
    """A state topic in memory; a release is obeyed at once unless nobody listens."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.written: list[str] = []
        self.obeyed = True

    def hold(self, task: int = 0, age_s: float = 0.0) -> None:
        hold = Hold(
            KIND.id, KIND.code.value, KIND.target, "2026", 21, Position("e", 0, 9), "Why.\x1b[2J", 3
        )
        said = TaskHold("a:1", task, hold)
        at_ms = int((1_800_000_000 - age_s) * 1000)
        self.entries[said.key] = Entry(said.key, said.document(), 0, at_ms)

    def read(self, prefix: str) -> Mapping[str, Entry]:
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefix)}

    def write_many(self, documents: Mapping[str, Document | None]) -> None:
        self.written += documents
        if self.obeyed and any(key.startswith("release/") for key in documents):
            self.entries.clear()


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    topic = Topic()
    monkeypatch.setattr("processor.kafka.state.StateTopic", lambda *_: topic)
    monkeypatch.setattr(module, "held_now", partial(held_now, clock=now))
    monkeypatch.setattr(
        module, "release", partial(release, wait_s=0.1, sleep=lambda _s: None, wall_clock=now)
    )
    return topic


@pytest.fixture
def errors(topic: Topic, command: Any, settings_file: Path) -> Any:
    del topic
    return lambda *arguments: command("errors", *arguments, "--config", str(settings_file))


def test_nothing_holds(errors: Any) -> None:
    assert errors("list") == (0, "", "Nothing holds.\n")
    assert errors("list", "--json") == (0, "", "Nothing holds.\n")
    assert errors("release", "--all", "--execute") == (0, "", "Nothing holds.\n")


def test_a_list_without_a_terminal_is_lines_of_tabs(errors: Any, topic: Topic) -> None:
    topic.hold()

    status, out, err = errors("list")

    head, row = (line.split("\t") for line in out.splitlines())
    assert status == 0
    assert dict(zip(head, row, strict=True)) == {
        "KIND": KIND.id,
        "CODE": "delivery.refused",
        "TARGET": "event",
        "WORKER": "a:1",
        "TASK": "0",
        "SINCE": "2026",
        "RECORDS": "21",
        "FIRST": "e-0@9",
        "PROBES": "3",
        "HEARD_S": "0.0",
        "STALE": "False",
        "MESSAGE": "Why.\\x1b[2J",
    }
    assert err == "1 hold.\n"


def test_a_list_on_a_terminal_is_a_table(
    errors: Any, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic.hold(age_s=STALE_S + 1)
    monkeypatch.setenv("FORCE_COLOR", "1")

    _, out, err = errors("list")

    assert KIND.id in out
    assert "21 records since 2026, first e-0@9, 3 tried again" in out
    assert "task 0 of a:1, heard 31 s ago, probably gone" in out
    assert "its worker is probably gone" in err


def test_json_is_one_object_a_line(errors: Any, topic: Topic) -> None:
    topic.hold(0)
    topic.hold(1, age_s=STALE_S + 1)

    _, out, _ = errors("list", "--json")

    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["task"], row["stale"]) for row in rows] == [(0, False), (1, True)]


def test_without_execute_nothing_is_written(errors: Any, topic: Topic) -> None:
    topic.hold()

    status, out, err = errors("release", KIND.id)

    assert status == 0
    assert out.startswith(f"Would let go {KIND.id} (delivery.refused event): 21 records of task 0")
    assert "--execute" in err
    assert topic.written == []


def test_a_release_is_ordered_and_its_end_is_said(errors: Any, topic: Topic) -> None:
    topic.hold(0)
    topic.hold(1, age_s=STALE_S + 1)

    status, out, _ = errors("release", KIND.id, "--execute", "--json")

    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [(row["task"], row["fate"]) for row in rows] == [(0, "let_go"), (1, "gone")]
    assert topic.written[0] == f"release/{KIND.id}"


def test_what_is_not_let_go_in_time_is_said_with_what_to_look_at(errors: Any, topic: Topic) -> None:
    topic.hold()
    topic.obeyed = False

    status, out, err = errors("release", "--all", "--execute")

    assert status == 3
    assert out.startswith(f"Still holds {KIND.id}")
    assert "/readyz" in err


def test_an_unknown_kind_is_a_mistake_of_the_command_line(errors: Any, topic: Topic) -> None:
    topic.hold()

    status, out, err = errors("release", "000000000000", "--execute")

    assert (status, out) == (2, "")
    assert KIND.id in err
    assert errors("release")[0] == 2
    assert topic.written == []
