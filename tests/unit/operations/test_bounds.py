"""The words of the options that bound a range, right and wrong."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.operations.bounds import (
    BoundOptions,
    Bounds,
    TopicChoice,
    duration,
    moment_ms,
    offset,
    partitions_of,
    position,
    source_place,
    spans_of,
    topic_choice,
)
from processor.record import Position, TopicPartition

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NOON_MS = 1_769_947_200_000
T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


class Log:
    """A reader of two partitions that hold offsets 10 to 20 and 0 to 5, one record a second."""

    LOWS: Mapping[TopicPartition, int] = {T0: 10, T1: 0}
    HIGHS: Mapping[TopicPartition, int] = {T0: 20, T1: 5}

    def starts(self, partitions: Any) -> dict[TopicPartition, int]:
        return {p: self.LOWS[p] for p in partitions}

    def ends(self, partitions: Any) -> dict[TopicPartition, int]:
        return {p: self.HIGHS[p] for p in partitions}

    def at(self, partitions: Any, timestamp_ms: int) -> dict[TopicPartition, int | None]:
        found = -(-timestamp_ms // 1000)
        return {p: max(found, self.LOWS[p]) if found < self.HIGHS[p] else None for p in partitions}


@pytest.mark.parametrize(
    "text",
    ["-1", str(2**63), "9" * 5_000, "text", "5..3", "1.0", "", " 1", "\u0661", "0x10", "1_000"],
)
def test_an_offset_is_a_whole_number_that_kafka_knows(text: str) -> None:
    with pytest.raises(Misconfigured, match="--from-offset takes an offset"):
        offset("--from-offset", text)


def test_offsets_reach_from_0_to_the_largest() -> None:
    assert [offset("o", text) for text in ("0", "7", str(2**63 - 1))] == [0, 7, 2**63 - 1]


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-01T12:00:00Z",
        "2026-02-01T12:00:00",
        "2026-02-01 12:00",
        "20260201T173000+0530",
        "2026-02-01T12:00:00.000+00:00",
    ],
)
def test_times_are_iso_8601_and_utc_unless_they_say_otherwise(text: str) -> None:
    assert moment_ms("--from-datetime", text) == NOON_MS


@pytest.mark.parametrize(
    "text", ["yesterday", "1700000000000", "2026-02-30", "01/02/2026", "", "1969-12-31", "\x1b[2J"]
)
def test_what_is_no_time_is_said_so(text: str) -> None:
    with pytest.raises(Misconfigured, match="ISO 8601") as raised:
        moment_ms("--from-datetime", text)

    assert "\x1b" not in str(raised.value)


def test_durations_are_those_of_kafka_s_own_tool() -> None:
    assert duration("d", "P1DT2H3M4.5S") == timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    assert duration("d", "PT0S") == timedelta(0)


@pytest.mark.parametrize(
    "text", ["1 day", "3600", "P", "PT", "P1W", "P1M", "P1Y", "-P1D", "P1DT", "P99999999999D"]
)
def test_what_is_no_duration_is_said_so(text: str) -> None:
    with pytest.raises(Misconfigured, match="PnDTnHnMnS"):
        duration("--by-duration", text)


def test_topics_come_with_or_without_partitions() -> None:
    assert topic_choice("--topic", "t.x") == TopicChoice("t.x", None)
    assert topic_choice("--topic", "t:2,0,2") == TopicChoice("t", (0, 2))


@pytest.mark.parametrize("text", ["", "t:", "t:0-3", "t:a", "t:-1", "t:1:2", "a b", "t:2147483648"])
def test_a_malformed_topic_is_said_so(text: str) -> None:
    with pytest.raises(Misconfigured, match="--topic takes"):
        topic_choice("--topic", text)


def test_coordinates_are_topic_partition_and_offset() -> None:
    assert position("--offset", "t.dlq:0:17") == Position("t.dlq", 0, 17)
    assert source_place("--source", "t") == ("t", None, None)
    assert source_place("--source", "t:3") == ("t", 3, None)


@pytest.mark.parametrize("text", ["t", "t:0", "t:0:-1", "t:0:1:2", ":0:1", "t:999999999999:1"])
def test_malformed_coordinates_are_said_so(text: str) -> None:
    with pytest.raises(Misconfigured, match="--offset takes"):
        position("--offset", text)


def test_options_become_bounds() -> None:
    options = BoundOptions(by_duration="P1D", to_offset="9")

    assert options.read(NOW) == Bounds(from_ms=1_767_225_600_000, to_offset=9)
    assert options.begins
    assert BoundOptions(from_earliest=True).begins
    assert not BoundOptions(to_latest=True).begins
    assert BoundOptions(by_duration="P20000D").read(NOW).from_ms is not None
    assert BoundOptions(by_duration="P30000D").read(NOW).from_ms == 0


@pytest.mark.parametrize(
    "options",
    [
        BoundOptions(from_earliest=True, from_offset="1"),
        BoundOptions(from_datetime="2026-01-01", by_duration="P1D"),
        BoundOptions(to_latest=True, to_datetime="2026-01-01"),
        BoundOptions(from_offset="5", to_offset="5"),
        BoundOptions(from_datetime="2026-01-02", to_datetime="2026-01-01"),
        BoundOptions(from_offset=""),
    ],
)
def test_options_that_contradict_are_refused(options: BoundOptions) -> None:
    with pytest.raises(Misconfigured):
        options.read(NOW)


def test_partitions_that_do_not_exist_are_refused() -> None:
    assert partitions_of([TopicChoice("t", None), TopicChoice("t", (1,))], {"t": 2}) == [T0, T1]
    with pytest.raises(Misconfigured, match="no partition 999; it has 2"):
        partitions_of([TopicChoice("t", (999,))], {"t": 2})
    with pytest.raises(Misconfigured, match="does not exist"):
        partitions_of([TopicChoice("u", None)], {"t": 2})


@pytest.mark.parametrize(
    ("bounds", "spans"),
    [
        (Bounds(), {T0: (10, 20), T1: (0, 5)}),
        (Bounds(from_offset=3, to_offset=12), {T0: (10, 12), T1: (3, 5)}),
        (Bounds(from_offset=2**63 - 1), {}),
        (Bounds(from_ms=3_500, to_ms=15_000), {T0: (10, 15), T1: (4, 5)}),
        (Bounds(from_ms=99_000), {}),
        (Bounds(to_ms=99_000), {T0: (10, 20), T1: (0, 5)}),
    ],
)
def test_spans_are_cut_to_what_the_log_holds(
    bounds: Bounds, spans: Mapping[TopicPartition, tuple[int, int]]
) -> None:
    assert spans_of(Log(), [T0, T1], bounds) == spans
