"""``processor replay list``: whole ids, on a narrow terminal as in a pipe."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from processor.kafka.state_entry import Document, Entry
from processor.operations.replays.records import REPLAY, Kind, ReplayRecord, Status

ID = "20260131t120000-9f3a"


@pytest.fixture
def listed(
    command: Callable[..., Any], settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    record = ReplayRecord(
        ID, Kind.LETTERS, "capillary-aep", f"connect-capillary-aep-replay-{ID}", "ops@a-long.host",
        "2026-01-31T12:00:00.000Z", {}, {}, "", 244, Status.FINISHED,
        counts={"delivered": 44},
    )  # fmt: skip

    class Topic:
        def read(self, prefix: str = "") -> Mapping[str, Entry]:
            document: Document = record.document()
            key = f"{REPLAY}{ID}"
            return {key: Entry(key, document, 0, 0)} if key.startswith(prefix) else {}

    monkeypatch.setattr("processor.operations.replays.look.StateTopic", lambda *_: Topic())
    return lambda: command("replay", "list", "--config", str(settings_file))


def test_a_pipe_gets_a_line_each_with_tabs(listed: Callable[[], Any]) -> None:
    ran = listed()

    assert ran.status == 0
    assert [line.split("\t") for line in ran.out.splitlines()] == [
        ["REPLAY", "OF", "STATUS", "DELIVERED", "CHOSEN", "BEGUN_BY", "AT"],
        [ID, "letters", "finished", "44", "244", "ops@a-long.host", "2026-01-31T12:00:00.000Z"],
    ]
    assert ran.err == "1 replay.\n"


def test_a_narrow_terminal_cuts_nothing(
    listed: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")

    out = listed().out

    assert ID in out
    assert "finished: 44 delivered of 244" in out
    assert "…" not in out
