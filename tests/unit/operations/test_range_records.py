"""What is kept of a range and of its replay, as files and entries hold it."""

import json
import stat
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Misconfigured
from processor.kafka.intake import Start
from processor.kafka.progress import Origin, Run, write
from processor.kafka.state_entry import Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.reading import Reader
from processor.operations.replays.ranges.manner import Elsewhere, Manner
from processor.operations.replays.ranges.pinned import (
    Pinned,
    read_pinned,
    require_same_place,
    require_same_topics,
)
from processor.operations.replays.ranges.plan_file import load, save
from processor.operations.replays.ranges.progress import Committed, ended_before, starts_of
from processor.operations.replays.ranges.records import (
    RangeRecord,
    offset_entries,
    pinned_of,
    read_range,
)
from processor.operations.replays.records import Kind, ReplayRecord, Status
from processor.record import TopicPartition

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)
ORIGIN = Origin("cluster", "topic-id")
OTHER = Elsewhere("sandbox trial", "d1")


def offsets(*numbers: int) -> Offsets:
    made = Offsets()
    for number in numbers:
        made.add(number)
    return made


def pinned(*numbers: int, **changes: Any) -> Pinned:
    spans = {T0: (10, 20), T1: (0, 5)}
    records = Chosen({T0: offsets(*numbers)}) if numbers else Chosen.whole(spans)
    given: dict[str, Any] = {
        "spans": spans,
        "records": records,
        "exact": bool(numbers),
        "keys": 1,
        "fields": ("data.a",),
        "origins": {"t": ORIGIN},
        "manner": Manner(5.0, ("loyalty",), True, "again", OTHER),
    }
    return Pinned(**(given | changes))


def same(one: Pinned, other: Pinned) -> bool:
    return (one.document(), one.spans, one.origins, one.records.by_partition, one.manner) == (
        other.document(), other.spans, other.origins, other.records.by_partition, other.manner,
    )  # fmt: skip


@pytest.mark.parametrize("made", [pinned(), pinned(11, 12, 19), pinned(manner=Manner())])
def test_a_plan_is_read_as_it_was_written(made: Pinned, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"

    save(path, made, connector="c", created="now", by="me@here", force=False)

    assert same(load(path, connector="c"), made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Misconfigured, match="there already"):
        save(path, made, connector="c", created="now", by="me@here", force=False)
    save(path, pinned(13), connector="c", created="now", by="me@here", force=True)
    assert load(path, connector="c").records.count == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "another version"),
        ({"kind": "letters"}, "no plan of `processor replay plan`"),
        ({"connector": "other"}, "of the connector other"),
        ({"chosen": 4}, "damaged"),
        ({"partitions": [{}]}, "damaged"),
        ({"topic_ids": None}, "damaged"),
    ],
)
def test_a_plan_that_is_none_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save(path, pinned(11), connector="c", created="now", by="me@here", force=False)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(Misconfigured, match=said):
        load(path, connector="c")


def test_a_plan_names_no_records_outside_its_range(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save(path, pinned(11), connector="c", created="now", by="me@here", force=False)
    document = json.loads(path.read_text())
    document["partitions"][0]["to_offset"] = 11
    path.write_text(json.dumps(document))

    with pytest.raises(Misconfigured, match="damaged"):
        load(path, connector="c")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"kind": "range"}'])
def test_any_other_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    with pytest.raises(Misconfigured):
        load(path, connector="c")
    with pytest.raises(Misconfigured, match="cannot be read"):
        load(tmp_path / "gone.json", connector="c")


def test_topics_have_to_be_the_same_ones() -> None:
    made = pinned()

    require_same_topics(made, {"t": ORIGIN}, "It")
    require_same_topics(pinned(origins={}), {}, "It")
    for now, said in (
        ({}, "does not tell"),
        ({"t": Origin("cluster", "new-id")}, "another one has its name"),
        ({"t": Origin("elsewhere", "topic-id")}, "leads to elsewhere"),
    ):
        with pytest.raises(Misconfigured, match=said):
            require_same_topics(made, now, "It")


def test_it_goes_on_only_to_the_same_place() -> None:
    require_same_place(pinned(), Manner(elsewhere=OTHER), "It")
    require_same_place(pinned(manner=Manner()), Manner(), "It")
    with pytest.raises(Misconfigured, match="Give --target-override"):
        require_same_place(pinned(), Manner(), "It")
    with pytest.raises(Misconfigured, match="sandbox trial"):
        require_same_place(pinned(), Manner(elsewhere=Elsewhere("sandbox trial", "d2")), "It")
    with pytest.raises(Misconfigured, match="Leave out --target-override"):
        require_same_place(pinned(manner=Manner()), Manner(elsewhere=OTHER), "It")


def replay_of(made: Pinned, status: Status = Status.RUNNING, **changes: Any) -> RangeRecord:
    base = ReplayRecord(
        "r", Kind.RECORDS, "c", "g", "me@here", "now", {}, {}, "", made.records.count, status
    )
    return RangeRecord(base, made.document(), "p", "run", **changes)


def entry(key: str, document: Any) -> Entry:
    return Entry(key, json.loads(json.dumps(document)), 1, 2)


@pytest.mark.parametrize("made", [pinned(), pinned(*range(10, 20, 2))])
def test_a_record_is_read_as_it_was_written(made: Pinned) -> None:
    written = replay_of(made, Status.FAILED, failure="x", resumed=2, ended_before=3)

    found = read_range(entry("replay/r", written.document()))
    entries = [entry(key, document) for key, document in offset_entries("r", made).items()]

    assert found == written
    assert found is not None
    assert same(pinned_of(found, entries), made)
    assert {e.key.rpartition("/")[0] for e in entries} <= {"replay-chosen/r/t/0"}


@given(st.sets(st.integers(0, 100_000), min_size=1, max_size=200))
def test_chosen_offsets_come_back(numbers: set[int]) -> None:
    made = pinned(
        spans={T0: (0, 100_001)}, records=Chosen({T0: offsets(*sorted(numbers))}), exact=True
    )
    entries = [entry(key, document) for key, document in offset_entries("r", made).items()]

    assert pinned_of(replay_of(made), entries).records.by_partition == made.records.by_partition


@pytest.mark.parametrize(
    "change", [{"kind": "letters"}, {"status": "no"}, {"pinned": None}, {"resumed": None}]
)
def test_what_is_no_record_of_a_range_is_left_alone(change: dict[str, Any]) -> None:
    document = {**replay_of(pinned()).document(), **change}

    assert read_range(entry("replay/r", document)) is None
    assert read_range(Entry("replay/r", None, 1, 2)) is None


def test_offsets_that_are_missing_are_noticed() -> None:
    made = pinned(11)

    with pytest.raises(ValueError, match="not those"):
        pinned_of(replay_of(made), [])


def test_what_ended_before_is_counted_from_offsets_and_metadata() -> None:
    chosen = Chosen({T0: offsets(10, 12, 14, 16, 18), T1: Offsets.of(0, 5)})
    metadata = write(13, [Run(16, 19)], ORIGIN)

    def at(offset: int, metadata: str = "", end: int = 30) -> dict[TopicPartition, Start]:
        return {T0: Start(offset, metadata, ORIGIN, end), T1: Start(0)}

    assert ended_before(chosen, at(10)) == 0
    assert ended_before(chosen, at(13)) == 2
    assert ended_before(chosen, at(13, metadata)) == 4
    assert ended_before(chosen, at(14, metadata)) == 2, "metadata of another offset says nothing"
    assert ended_before(chosen, at(19)) == 5
    assert ended_before(chosen, {T1: Start(5)}) == 5


def test_a_range_that_is_read_back_is_whole_or_nothing() -> None:
    document = pinned(11, 12).document()

    with pytest.raises(ValueError, match="not those"):
        read_pinned(document, [(T0, offsets(11, 25))])


class Ends:
    """Knows where logs end."""

    def ends(self, partitions: Any) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 30)


def test_a_replay_begins_where_its_group_stands_and_commits_whose_offsets_they_are() -> None:
    committed = {T0: Committed(13, "metadata"), T1: Committed(2, "")}
    firsts = {T0: 10, T1: 5, TopicPartition("u", 0): 7}

    starts = starts_of(cast("Reader", Ends()), firsts, {"t": ORIGIN}, committed, firsts)

    assert starts == {
        T0: Start(13, "metadata", ORIGIN, 30),
        T1: Start(5, origin=ORIGIN),
        TopicPartition("u", 0): Start(7),
    }, "an offset before the range is another's"
