"""What is read back from the broker, from logs and from the simulator, in its binary and text."""

import json
import struct
from typing import Any

import pytest

from processor.kafka.progress import Origin, Run, write
from tests.rig.history import Committed, Owned, Taskdeath
from tests.rig.observer import Cursor, scrape_of
from tests.rig.readback import commit_of, leaks, log_rows, runs_of

ORIGIN = Origin("cluster", "topic-id")


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def key(version: int = 1, group: str = "g") -> bytes:
    return struct.pack(">h", version) + text(group) + text("t") + struct.pack(">i", 3)


METADATA = write(40, [Run(42, 45), Run(50, 51)], ORIGIN)
LONG = "m" * 300
VALUES = {
    "1": struct.pack(">hq", 1, 40) + text(METADATA) + struct.pack(">qq", 1_000, 2_000),
    "2": struct.pack(">hq", 2, 40) + text(METADATA) + struct.pack(">q", 1_000),
    "3": struct.pack(">hqi", 3, 40, 7) + text(METADATA) + struct.pack(">q", 1_000),
    "4": struct.pack(">hqi", 4, 40, 7)
    + bytes([len(METADATA) + 2]) + METADATA.encode() + b"\0" + struct.pack(">q", 1_000) + b"\0",
}  # fmt: skip


@pytest.mark.parametrize("version", VALUES)
def test_a_commit_is_read_in_every_version(version: str) -> None:
    runs = [[42, 45], [50, 51]]

    assert commit_of(key(), VALUES[version], 9) == Committed(
        group="g", topic="t", partition=3, offset=40, at_ms=1_000, order=9, ended=runs
    )


def test_a_long_compact_text_is_read() -> None:
    value = struct.pack(">hqi", 4, 40, 7) + b"\xad\x02" + LONG.encode() + struct.pack(">q", 5)

    found = commit_of(key(), value, 0)

    assert found is not None
    assert (found.at_ms, found.ended) == (5, [])


def test_what_is_no_commit_is_left_out() -> None:
    assert commit_of(key(2), b"", 0) is None
    assert commit_of(key(), None, 0) is None


@pytest.mark.parametrize(
    "metadata", ["", "of another program", METADATA[:-1] + "!", "1;a;b;40;x;y"]
)
def test_metadata_that_is_not_ours_says_nothing(metadata: str) -> None:
    assert runs_of(metadata, 40) == []


def test_a_log_says_what_came_and_went() -> None:
    fields: list[dict[str, Any]] = [
        {"message": "Assigned.", "partitions": ["a-b-0", "a-b-1"]},
        {"message": "Gave a partition back.", "partition": "a-b-0", "why": "lost", "open": 4},
        {"message": "A task died; it is started again.", "status": -9},
        {"message": "Something else."},
        {"message": "The connector stopped.", "drained": True},
    ]
    lines = [
        json.dumps({"timestamp": f"1970-01-01T00:00:0{number}Z", **line})
        for number, line in enumerate(fields, start=1)
    ]
    log = "\n".join(["Not JSON", *lines, lines[0][:40]])

    assert list(log_rows("c.1", log)) == [
        Owned(instance="c.1", topic="a-b", partition=0, at_ms=1_000, what="assigned"),
        Owned(instance="c.1", topic="a-b", partition=1, at_ms=1_000, what="assigned"),
        Owned(instance="c.1", topic="a-b", partition=0, at_ms=2_000, what="lost", open=4),
        Taskdeath(instance="c.1", at_ms=3_000, status=-9),
        Owned(instance="c.1", topic="a-b", partition=1, at_ms=5_000, what="stopped"),
    ]


def test_leaks_are_found_in_every_form_and_not_repeated_whole() -> None:
    found = leaks("…a%2Fsecret…", ["a/secret", "another"], lambda s: {s, s.replace("/", "%2F")})

    assert found == ["a/secret…"]


def test_a_scrape_adds_up_by_partition_and_reason() -> None:
    metrics = """
processor_records_consumed_total{partition="0",topic="t"} 7.0
processor_records_delivered_total{partition="0",topic="t"} 3.0
processor_records_dead_lettered_total{code="a",partition="0",stage="s",topic="t"} 1.0
processor_records_dead_lettered_total{code="b",partition="0",stage="s",topic="t"} 1.0
processor_records_filtered_total{partition="0",reason="tombstone",topic="t"} 1.0
processor_records_in_flight{partition="0",topic="t"} 1.0
processor_commits_total{outcome="ok"} 5.0
processor_commits_total{outcome="failed"} 1.0
processor_concurrency_limit 16.0
"""

    found = scrape_of(metrics, instance="c.1", at_ms=5.0)

    assert found.books == {
        "t-0": {
            "consumed": 7, "delivered": 3, "dead_lettered": 2, "filtered": 1, "released": 0,
            "in_flight": 1,
        }
    }  # fmt: skip
    assert found.filtered == {"tombstone": 1}
    assert found.counters == {"processor_commits_total": 6.0}


def rows(*outcomes: str, first: int = 1) -> list[dict[str, Any]]:
    return [{"order": first + n, "outcome": outcome} for n, outcome in enumerate(outcomes)]


def test_a_row_is_taken_once_and_only_when_it_is_closed() -> None:
    cursor = Cursor("order")

    first = cursor.fresh(rows("answered", "open", "reset"), open_too=False)
    second = cursor.fresh(rows("answered", "reset", "open", first=2), open_too=False)
    third = cursor.fresh(rows("open", first=4), open_too=True)

    assert [row["order"] for row in first] == [1, 3]
    assert cursor.after == 4
    assert [row["order"] for row in second] == [2]
    assert [row["order"] for row in third] == [4]
