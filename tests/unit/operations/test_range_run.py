"""What goes along with a replay of a range: its record, who cancels it, who takes it over."""

import time
from collections.abc import Mapping
from typing import Any, cast

import pytest

from processor.connector.ledger import DELIVERED
from processor.connector.passage import Passage
from processor.errors import Misconfigured, TryAgain
from processor.kafka.state import StateTopic
from processor.kafka.state_entry import Document, Entry
from processor.operations.own_process import this_process
from processor.operations.replays import look as replays_look
from processor.operations.replays.look import all_replays, cancel
from processor.operations.replays.ranges import prepare as range_prepare
from processor.operations.replays.ranges.prepare import is_at_work
from processor.operations.replays.ranges.records import RangeRecord, read_range
from processor.operations.replays.ranges.run import RangeRun
from processor.operations.replays.records import Kind, ReplayRecord, Status
from processor.operations.replays.replaying import Outcome
from processor.record import Record
from processor.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "name": "c",
        "kafka": {"bootstrap_servers": "b:1"},
        "ims": {"client_id": "c"},
        "experience_platform": {
            "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "tenant": "t",
            "targets": {},
        },
    }
)


class Topic:
    """A state topic in memory; fails so often first."""

    name = "c.state"

    def __init__(self, *, failures: int = 0) -> None:
        self.entries: dict[str, Entry] = {}
        self.failures = failures
        self.offset = 0

    def read(self, prefix: str = "") -> dict[str, Entry]:
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefix)}

    def write(self, key: str, document: Document | None) -> int:
        return self.write_many({key: document})[key]

    def write_many(self, documents: Mapping[str, Document | None]) -> dict[str, int]:
        if self.failures:
            self.failures -= 1
            raise TryAgain("Away.", reason="kafka")
        for key, document in documents.items():
            self.offset += 1
            if document is None:
                self.entries.pop(key, None)
            else:
                now_ms = time.time_ns() // 1_000_000
                self.entries[key] = Entry(key, dict(document), self.offset, now_ms)
        return dict.fromkeys(documents, self.offset)


def record(process: str = "", status: Status = Status.RUNNING, **changes: Any) -> RangeRecord:
    base = ReplayRecord("r", Kind.RECORDS, "c", "g", "me@here", "now", {}, {}, "", 10, status)
    return RangeRecord(base, {"chosen": 10}, process, "run-1", **changes)


def company(topic: Topic, mine: RangeRecord | None = None) -> RangeRun:
    mine = mine or record()
    topic.write(mine.base.key, mine.document())
    topic.write("replay-chosen/r/t/0/0", {"runs": ""})
    return RangeRun(SETTINGS, topic, mine, None)


def written(topic: Topic) -> RangeRecord:
    found = read_range(topic.entries["replay/r"])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("changes", "status", "kept"),
    [
        ({"finished": True}, Status.FINISHED, False),
        ({"finished": True, "interrupted": True}, Status.INTERRUPTED, True),
        ({"finished": False}, Status.FAILED, True),
        ({"finished": True, "failure": "IMS is away."}, Status.FAILED, True),
    ],
)
def test_how_it_ended_is_written_and_what_it_chose_is_kept_while_it_can_go_on(
    changes: dict[str, Any], status: Status, *, kept: bool
) -> None:
    topic = Topic()
    going = company(topic)
    passage = Passage(Record("t", 0, 1), 0, stale=("loyalty#1", "loyalty#2", "tier"))
    going.ended(passage, DELIVERED)
    going.ended(Passage(Record("t", 0, 2), 0), DELIVERED)

    going.close(Outcome("r", "g", 10, delivered=4, **changes))

    found = written(topic)
    assert found.base.status is status
    assert found.base.counts["delivered"] == 4
    assert found.base.counts["stale_by_target"] == {"loyalty": 1, "tier": 1}
    assert found.failure == changes.get("failure", "")
    assert ("replay-chosen/r/t/0/0" in topic.entries) is kept


def test_counts_of_all_attempts_are_added() -> None:
    topic = Topic()
    first = company(topic)
    first.close(Outcome("r", "g", 10, delivered=4, interrupted=True, finished=True))
    again = written(topic).again("p2", "run-2", at="later").beginning(4)

    company(topic, again).close(Outcome("r", "g", 10, delivered=6, finished=True, before=4))

    found = written(topic)
    assert (found.base.counts["delivered"], found.resumed, found.ended_before) == (10, 1, 4)
    assert found.base.status is Status.FINISHED


def test_who_cancels_it_ends_it_and_is_named() -> None:
    topic, ends = Topic(), list[str]()
    going = company(topic)
    going._heard.end = ends.append  # noqa: SLF001 - the follower calls it from its thread
    topic.write("replay-cancel/r", {"by": "her@there"})

    going._heard.history(topic.read())  # noqa: SLF001

    assert ends == ["The replay was cancelled by her@there."]
    going.close(Outcome("r", "g", 10, delivered=4, finished=True, failure=ends[0]))
    found = written(topic)
    assert (found.base.status, found.cancelled_by) == (Status.CANCELLED, "her@there")
    assert set(topic.entries) == {"replay/r"}


def test_one_that_another_process_goes_on_with_ends_and_writes_no_more() -> None:
    topic, ends = Topic(), list[str]()
    going = company(topic)
    going._heard.end = ends.append  # noqa: SLF001
    going._heard.history(topic.read())  # noqa: SLF001 - its own record is no news
    assert ends == []
    other = record().again("p2", "run-2", at="later")
    topic.write(other.base.key, other.document())

    going._heard.news(topic.entries["replay/r"])  # noqa: SLF001
    going.close(Outcome("r", "g", 10, delivered=4, finished=True))

    assert len(ends) == 1
    assert written(topic).run == "run-2"
    assert written(topic).base.status is Status.RUNNING


def test_a_state_topic_that_is_away_for_a_moment_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _s: None)
    topic = Topic()
    going = company(topic)
    topic.failures = 3

    going.close(Outcome("r", "g", 10, finished=True))

    assert written(topic).base.status is Status.FINISHED


# From outside.


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(replays_look, "StateTopic", lambda *_: made)
    monkeypatch.setattr(range_prepare, "SILENT_S", 0.2)
    monkeypatch.setattr(range_prepare, "LOOK_EVERY_S", 0.01)
    return made


def entry(topic: Topic, mine: RangeRecord) -> Entry:
    topic.write(mine.base.key, mine.document())
    return topic.entries[mine.base.key]


def test_a_process_of_this_host_is_known_to_be_gone_or_there(topic: Topic) -> None:
    state, waited = cast("StateTopic", topic), list[str]()
    found = entry(topic, record(this_process()))

    assert not is_at_work(state, found, "x", waited.append, gone=lambda _: True)
    assert waited == []
    assert not is_at_work(state, found, "", waited.append, gone=lambda _: False), "it is silent"
    assert len(waited) == 1


@pytest.mark.parametrize(("status", "runs"), [(Status.RUNNING, True), (Status.FINISHED, False)])
def test_a_process_elsewhere_is_known_by_what_it_writes(
    status: Status, topic: Topic, *, runs: bool
) -> None:
    before = entry(topic, record("elsewhere"))
    entry(topic, record("elsewhere", status))

    state = cast("StateTopic", topic)
    assert is_at_work(state, before, "elsewhere", lambda _: None, gone=lambda _: False) is runs


def test_a_dry_run_cancels_nothing(topic: Topic) -> None:
    entry(topic, record(status=Status.INTERRUPTED))

    report = cancel(SETTINGS, "r", execute=False)

    assert report.document["status"] == "interrupted"
    assert set(topic.entries) == {"replay/r"}
    assert written(topic).base.status is Status.INTERRUPTED


def test_one_that_nobody_runs_is_marked(topic: Topic) -> None:
    entry(topic, record(status=Status.INTERRUPTED))
    topic.write("replay-chosen/r/t/0/0", {"runs": ""})

    report = cancel(SETTINGS, "r", execute=True)

    assert (report.document["status"], report.status) == ("cancelled", 0)
    assert written(topic).base.status is Status.CANCELLED
    assert written(topic).cancelled_by
    assert set(topic.entries) == {"replay/r"}


def test_one_that_ends_while_it_is_looked_at_is_not_told_of_as_interrupted(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(topic, record("elsewhere"))

    def gone(_process: str) -> bool:
        entry(topic, record("elsewhere", Status.FINISHED))
        return True

    monkeypatch.setattr(replays_look, "is_gone", gone)

    assert [one.status for one in all_replays(SETTINGS)] == [Status.FINISHED]


def test_one_that_was_only_silent_still_hears_that_it_was_cancelled(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(topic, record("elsewhere"))
    monkeypatch.setattr(replays_look, "is_at_work", lambda *_: False)

    assert cancel(SETTINGS, "r", execute=True, by="bob").document["status"] == "cancelled"
    assert (topic.entries["replay-cancel/r"].document or {})["by"] == "bob"


@pytest.mark.parametrize("status", [Status.FINISHED, Status.CANCELLED])
def test_one_that_has_ended_for_good_is_not_cancelled(status: Status, topic: Topic) -> None:
    entry(topic, record(status=status))

    with pytest.raises(Misconfigured, match=f"is {status.value} already"):
        cancel(SETTINGS, "r", execute=True)
    assert set(topic.entries) == {"replay/r"}


def test_one_that_is_not_there_is_not_cancelled(topic: Topic) -> None:
    with pytest.raises(Misconfigured, match="There is no replay r"):
        cancel(SETTINGS, "r", execute=True)
    assert topic.entries == {}


def test_replays_of_dead_letters_are_listed_and_cancelled_too(topic: Topic) -> None:
    letters = ReplayRecord("l", Kind.LETTERS, "c", "g", "me@here", "now", {}, {}, "", 3)
    topic.write(letters.key, letters.document())
    entry(topic, record("elsewhere"))
    topic.write("replay/broken", {"kind": "range"})

    listed = {one.base.id: one for one in all_replays(SETTINGS)}

    assert set(listed) == {"l", "r"}
    assert listed["l"].status is Status.INTERRUPTED, "nobody claims its letters"
    assert listed["r"].status is Status.RUNNING
    assert listed["l"].document["partitions"] is None
    assert cancel(SETTINGS, "l", execute=True).document["status"] == "cancelled"
    assert (topic.entries["replay/l"].document or {})["status"] == "cancelled"
