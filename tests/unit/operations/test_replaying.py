"""What is said of a replay, and the status it ends with."""

import asyncio
import os
import signal
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from processor.connector.ledger import DELIVERED, DeadLettered, LeftOut
from processor.connector.passage import Passage
from processor.errors import Code, FilterReason, Misconfigured
from processor.operations.chosen import Chosen
from processor.operations.replays import replaying
from processor.operations.replays.letters.run import became_of, counts_of
from processor.operations.replays.replaying import (
    SHARE,
    Outcome,
    group_of,
    new_replay_id,
    state_targets,
    with_rate,
)
from processor.operations.replays.report import told
from processor.operations.resolutions.resolutions import Outcome as Became
from processor.operations.resolutions.resolutions import Word
from processor.record import Record
from processor.settings import Settings


def outcome(**changes: Any) -> Outcome:
    given: dict[str, Any] = {"chosen": 10, "finished": True} | changes
    return Outcome("r", "g", **given)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"delivered": 10}, 0),
        ({"delivered": 9, "filtered": Counter({FilterReason.NO_TARGET: 1})}, 0),
        ({"delivered": 9, "failed": Counter({Code.GATE_VIOLATION: 1})}, 3),
        ({"delivered": 9}, 3),
        ({"delivered": 9, "stale": 1}, 3),
        ({"delivered": 10, "partly": 1}, 3),
        ({"delivered": 9, "exact": False}, 0),
        ({"delivered": 9, "finished": False}, 1),
        ({"delivered": 9, "failure": "IMS is away."}, 1),
        ({"delivered": 10, "interrupted": True}, 130),
        ({"interrupted": True, "finished": False, "failure": "x"}, 130),
    ],
)
def test_the_status_says_how_it_ended(changes: dict[str, Any], status: int) -> None:
    assert outcome(**changes).status == status


def test_the_report_accounts_for_every_record() -> None:
    document, lines = told(
        outcome(
            delivered=5,
            failed=Counter({Code.GATE_VIOLATION: 2, Code.DECODE_JSON: 1}),
            filtered=Counter({FilterReason.NO_TARGET: 1}),
        )
    )

    assert document["chosen"] == (
        document["delivered"]
        + sum(document["failed"].values())
        + sum(document["filtered"].values())
        + document["not_sent"]
    )
    assert document["failed"] == {"gate.violation": 2, "decode.json": 1}
    assert any("1  are no longer there" in line for line in lines)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"interrupted": True}, "were not reached"),
        ({"exact": False}, "hold no record"),
        ({"failure": "The consumer cannot go on.", "finished": False}, "cannot go on"),
    ],
)
def test_the_report_says_what_was_not_sent_and_why(changes: dict[str, Any], sentence: str) -> None:
    _, lines = told(outcome(delivered=9, **changes))

    assert any(sentence in line for line in lines)


def test_ids_sort_by_time_and_name_the_group() -> None:
    early = new_replay_id(datetime(2026, 1, 31, 12, tzinfo=UTC))
    late = new_replay_id(datetime(2026, 2, 1, tzinfo=UTC))

    assert early.startswith("20260131t120000-")
    assert early < late
    assert new_replay_id() != new_replay_id()


def test_targets_that_keep_an_order_hold_a_state() -> None:
    target = {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}
    settings = settings_with(event={**target, "ordering": "none"}, loyalty=target)

    assert state_targets(settings) == ["loyalty"]
    assert state_targets(settings, {"event"}) == []
    assert state_targets(settings, {"event", None}) == ["loyalty"]
    assert group_of(settings, "r") == "connect-c-replay-r"


def test_each_ending_is_counted() -> None:
    done = outcome(chosen=5)
    whole, stale = Passage(Record("t", 0, 0), 0), Passage(Record("t", 0, 1), 0, stale=("loyalty",))

    for passage, ending in (
        (whole, DELIVERED),
        (stale, DELIVERED),
        (whole, DeadLettered(Code.DECODE_JSON)),
        (whole, LeftOut(FilterReason.TOMBSTONE)),
        (stale, LeftOut(FilterReason.NO_TARGET)),
    ):
        done.count(passage, ending)

    assert (done.ended, done.left) == (5, 0)
    assert done.counts() == {
        "delivered": 2,
        "failed": {"decode.json": 1},
        "filtered": {"tombstone": 1},
        "stale": 1,
        "partly_stale": 1,
    }
    assert [became_of(p, DELIVERED) for p in (whole, stale)] == [
        Became(Word.DELIVERED),
        Became(Word.PARTLY),
    ]
    assert became_of(stale, LeftOut(FilterReason.NO_TARGET)) is None
    became = Counter(
        {
            Became(Word.DELIVERED): 1,
            Became(Word.PARTLY): 1,
            Became(Word.FAILED, "decode.json"): 1,
            Became(Word.FILTERED, "tombstone"): 1,
        }
    )
    assert counts_of(became) == {**done.counts(), "stale": 0}


def test_a_rate_is_messages_a_second_and_not_above_the_connector_s() -> None:
    settings = settings_with()

    assert with_rate(settings, 5).delivery.messages_per_second * SHARE == 5
    with pytest.raises(Misconfigured, match="10000"):
        with_rate(settings, 10_001)


def settings_with(**targets: Any) -> Settings:
    return Settings.model_validate(
        {
            "name": "c",
            "kafka": {"bootstrap_servers": "b:1"},
            "ims": {"client_id": "c"},
            "experience_platform": {
                "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
                "tenant": "t",
                "targets": targets
                or {"event": {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}},
            },
        }
    )


async def test_a_signal_while_it_is_built_stops_it_as_one_that_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Interrupted:
        def __init__(self, *_: Any) -> None:
            self.outcome = outcome()
            self.stopped = asyncio.Event()
            os.kill(os.getpid(), signal.SIGINT)

        def stop(self) -> bool:
            self.outcome.interrupted = True
            self.stopped.set()
            return False

        async def run(self, _report: Any) -> Outcome:
            await asyncio.wait_for(self.stopped.wait(), 30)
            return self.outcome

    monkeypatch.setattr(replaying, "_Replay", Interrupted)

    ended = await replaying.replay(settings_with(), Chosen({}), replay_id="r")

    assert ended.status == 130
