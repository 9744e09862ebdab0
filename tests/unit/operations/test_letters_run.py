"""The company of a replay: what it writes while letters are sent, and at the end."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest

from processor.connector.ledger import DELIVERED, DeadLettered
from processor.connector.passage import Passage
from processor.errors import Code, TryAgain
from processor.kafka.state_entry import Document, Entry
from processor.operations.chosen import Chosen, Offsets
from processor.operations.replays import look
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.letters import run as letters_run
from processor.operations.replays.letters.run import LetterRun
from processor.operations.replays.records import (
    Kind,
    ReplayRecord,
    Status,
    chosen_entries,
    read_chosen,
    read_replays,
)
from processor.operations.replays.replaying import Outcome
from processor.operations.resolutions.claiming import Claiming
from processor.operations.resolutions.claims import Claimant
from processor.operations.resolutions.resolutions import Resolutions
from processor.operations.resolutions.resolving import Resolving
from processor.record import Record, TopicPartition
from processor.settings import Settings
from processor.settings.models import DeliverySettings, StateSettings

PLACE = TopicPartition("t.dlq", 0)
LETTERS = Chosen({PLACE: Offsets.of(0, 10)})
RECORD = ReplayRecord(
    "r", Kind.LETTERS, "ours", "g", "ann@host", "2026-01-31T12:00:00Z", {}, {}, "", 10,
    counts={"delivered": 1, "failed": {"decode.json": 2}},
)  # fmt: skip


class Memory:
    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.away = False
        self._written = 0

    def read(self, prefix: str = "") -> Mapping[str, Entry]:
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefix)}

    def write(self, key: str, document: Document | None) -> int:
        self.write_many({key: document})
        return self._written

    def write_many(self, documents: Mapping[str, Document | None]) -> Mapping[str, int]:
        if self.away:
            raise TryAgain("Kafka is away.", reason="kafka")
        for key, document in documents.items():
            self._written += 1
            self.entries.pop(key, None)
            if document is not None:
                self.entries[key] = Entry(key, document, self._written, 1_000)
        return {}

    @property
    def record(self) -> ReplayRecord:
        return read_replays(self.entries.values())["r"]

    def is_open(self, offset: int) -> bool:
        return Resolutions(self.entries.values(), {}).is_open(PLACE, offset)


class Later:
    looked = 0

    async def look_again(self) -> None:
        self.looked += 1


class Company:
    """A run and what is around it."""

    def __init__(self) -> None:
        self.state, self.later, self.ended = Memory(), Later(), list[str]()
        self.state.write_many({RECORD.key: RECORD.document(), **chosen_entries("r", LETTERS)})
        self.claim = Claiming(self.state, Claimant("a", "r", "ann@host", ""))
        self.claim.take(LETTERS)
        self.outcome = Outcome("r", "g", 10)
        self.run = LetterRun(
            self.state,
            RECORD,
            Resolving("r", "ann@host", {}, lambda _place, _run: 0),
            self.claim,
            cast("LaterRecords", self.later),
        )

    def note(self, offset: int, ending: Any = DELIVERED) -> None:
        passage = Passage(Record("t.dlq", 0, offset), 0)
        self.outcome.count(passage, ending)
        self.run.ended(passage, ending)

    async def until(self, condition: Callable[[], object]) -> None:
        running = asyncio.create_task(self.run.run(self.outcome, self.ended.append))
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def company(monkeypatch: pytest.MonkeyPatch) -> Company:
    monkeypatch.setattr(letters_run, "WRITE_EVERY_S", 0.001)
    monkeypatch.setattr(letters_run, "RENEW_EVERY_S", 0.001)
    return Company()


async def test_what_became_of_letters_is_written_while_others_are_sent(company: Company) -> None:
    company.note(0)
    company.note(1, DeadLettered(Code.GATE_VIOLATION))

    await company.until(lambda: company.later.looked and not company.state.is_open(1))

    assert not company.state.is_open(0)
    assert company.state.is_open(2)
    assert company.state.record.status is Status.RUNNING
    assert company.state.record.counts["failed"] == {"decode.json": 2, "gate.violation": 1}
    assert company.ended == []


async def test_a_state_topic_that_is_away_is_written_later(company: Company) -> None:
    company.note(0)
    company.state.away = True

    def back() -> bool:
        company.state.away = False
        return not company.state.is_open(0)

    await company.until(back)

    assert company.ended == []


async def test_it_ends_the_replay_when_somebody_cancels_it(company: Company) -> None:
    company.state.write_many({"replay-cancel/r": {"by": "bob@host"}})

    await company.until(lambda: company.ended)
    company.run.close(company.outcome)

    assert company.ended[0] == "The replay was cancelled by bob@host."
    assert company.state.record.status is Status.CANCELLED
    assert (company.state.entries[RECORD.key].document or {})["cancelled_by"] == "bob@host"
    assert not company.state.read("replay-cancel/")


async def test_while_it_drains_it_goes_on_saying_that_it_runs(company: Company) -> None:
    company.state.write_many({"replay-cancel/r": {"by": "bob@host"}})
    said: list[int] = []

    def said_again() -> bool:
        if company.ended:
            said.append(company.state.entries[RECORD.key].offset)
        return len(set(said)) > 2

    await company.until(said_again)

    assert company.state.record.status is Status.RUNNING


async def test_one_that_was_taken_for_dead_hears_that_it_was_cancelled(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_construct(
        name="ours", delivery=DeliverySettings(), state=StateSettings()
    )
    monkeypatch.setattr(look, "StateTopic", lambda *_: company.state)
    monkeypatch.setattr(look, "is_at_work", lambda *_: False)

    assert look.cancel(settings, "r", execute=True, by="bob").document["status"] == "cancelled"
    await company.until(lambda: company.ended)
    company.run.close(company.outcome)

    assert company.ended[0] == "The replay was cancelled by bob."
    assert company.state.record.status is Status.CANCELLED


async def test_it_ends_the_replay_when_others_have_its_letters(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Claiming, "renew", lambda _claim: "others have them")

    await company.until(lambda: company.ended)

    assert company.ended[0] == "others have them"


@pytest.mark.parametrize(
    ("changes", "status", "left"),
    [
        ({"finished": True}, Status.FINISHED, 0),
        ({"finished": True, "interrupted": True}, Status.INTERRUPTED, 10),
        ({"finished": True, "failure": "x"}, Status.INTERRUPTED, 10),
        ({}, Status.INTERRUPTED, 10),
    ],
)
def test_at_the_end_it_says_how_it_ended_and_lets_go(
    company: Company, changes: dict[str, Any], status: Status, left: int
) -> None:
    company.note(3)
    for name, value in changes.items():
        setattr(company.outcome, name, value)

    company.run.close(company.outcome)

    assert not company.state.is_open(3)
    assert company.state.record.status is status
    assert company.state.record.counts["delivered"] == 2
    assert read_chosen(company.state.entries.values(), "r").count == left
    assert not [key for key in company.state.entries if key.startswith(("claim/", "renewal/"))]


def test_what_could_not_be_written_is_said(company: Company) -> None:
    company.note(3)
    company.outcome.finished = True
    company.state.away = True

    company.run.close(company.outcome)

    assert "(1 of them)" in company.outcome.failure
    assert company.outcome.status == 1
