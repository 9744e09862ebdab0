"""``dlq replay``: what would come of it with today's schemas, and doing it."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from processor.kafka.letter import now_rfc3339
from processor.operations.chosen import Chosen
from processor.operations.own_process import user_at_host
from processor.operations.reading import Reader
from processor.operations.rehearsal import predict, rehearsing
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.letters.forecast import Left, done, forecast, nothing_done
from processor.operations.replays.letters.plan_file import Plan
from processor.operations.replays.letters.run import LetterRun, counts_of
from processor.operations.replays.letters.state import Known, Wanted, left, tidy
from processor.operations.replays.letters.story import Stories
from processor.operations.replays.records import Kind, ReplayRecord, chosen_entries
from processor.operations.replays.replaying import (
    Outcome,
    Way,
    group_of,
    new_replay_id,
    replay,
    state_targets,
)
from processor.operations.replays.report import Report
from processor.operations.resolutions.claiming import Claiming, State, claiming
from processor.operations.resolutions.resolving import Resolving
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class How:
    """How letters are replayed.

    Attributes:
        max_replays: letters that were replayed so often are left alone.
        allow_stale: send to targets that hold a state, although a later record may be there.
        rate: messages a second; `None`: a share of the connector's.
    """

    max_replays: int = 5
    allow_stale: bool = False
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Which replay it is.

    Attributes:
        id: new, or that of the one that goes on.
        plan: digest of the plan that it executes, if any.
        selection: the options that chose its letters.
        earlier: its record, when it goes on.
        by: ``user@host``, or who a page knows; goes into the state topic.
    """

    id: str = field(default_factory=new_replay_id)
    plan: str = ""
    selection: dict[str, object] = field(default_factory=dict)
    earlier: ReplayRecord | None = None
    by: str = field(default_factory=user_at_host)


@dataclass(frozen=True, slots=True)
class LetterReplay:
    """A replay of the letters that were chosen.

    Attributes:
        left: which those are, and those that are left alone.
        known: what was done about letters before.
        wanted: which of them are meant, by that.
    """

    left: Left
    how: How
    run: Run
    known: Known
    wanted: Wanted
    _later: LaterRecords
    _settings: Settings
    _reader: Reader
    _state: State

    @property
    def letters(self) -> Chosen:
        """Which it takes."""
        return self.left.choice.letters

    def warnings(self) -> Iterator[str]:
        """What to know before it is done."""
        states = state_targets(self._settings, self.left.choice.targets)
        if states and self.how.allow_stale:
            yield (
                f"--allow-stale: targets that hold a state are among them ({', '.join(states)}); "
                "an old letter overwrites what a later record of the same key has set."
            )

    async def rehearse(self, looked_at: Callable[[int], None]) -> tuple[Report, Plan]:
        """Say what would come of it; nothing is sent, nothing is written.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us, or the schemas are wrong.
        """
        async with rehearsing(self._settings) as rehearsal:
            await self._later.look(rehearsal, self.left.choice.keyless)
            prediction = await predict(
                self._reader,
                rehearsal,
                self.letters,
                story=self._stories(self.known).of,
                looked_at=looked_at,
            )
        selection = {**self.run.selection, "max_replays": self.how.max_replays}
        plan = Plan(self.known.origin, now_rfc3339(), self.run.by, selection, prediction.letters)
        return forecast(prediction, self.left, self._later), plan

    async def execute(
        self, report: Callable[[Outcome], None], aborted: Callable[[], None]
    ) -> Report:
        """Replay them, until all have ended or a signal stops it.

        Raises:
            Misconfigured: the schemas are wrong; nothing was sent.
            TryAgain: Kafka does not answer, before anything was sent.
        """
        if not self.letters.count:
            return nothing_done(self.left)
        async with rehearsing(self._settings) as rehearsal:
            await self._later.look(rehearsal, self.left.choice.keyless)
            with claiming(self._state, self.run.id, new_replay_id()) as claim:
                got, entries = claim.take(self.letters)
                now = self.known.again(entries)
                letters = left(got.ours, now.resolutions, self.wanted)
                after = Left.after(self.left, got, got.ours.count - letters.count)
                if not letters.count:
                    return nothing_done(after)
                await self._later.look_again()
                outcome = await self._replay(letters, now, claim, report, aborted)
        return done(outcome, after, self._later)

    async def _replay(
        self,
        letters: Chosen,
        now: Known,
        claim: Claiming,
        report: Callable[[Outcome], None],
        aborted: Callable[[], None],
    ) -> Outcome:
        record = self._record(now, letters)
        chosen = chosen_entries(self.run.id, letters) if self.run.earlier is None else {}
        self._state.write_many({**chosen, record.key: record.document()})
        tidy(self._state, now.resolutions, self._reader)
        resolving = Resolving(
            self.run.id, self.run.by, dict(now.origin.topic_ids), now.resolutions.next_number
        )
        company = LetterRun(self._state, record, resolving, claim, self._later)
        outcome = Outcome(
            self.run.id, record.group, letters.count, failure="It ended unexpectedly."
        )
        try:
            outcome = await replay(
                self._settings,
                letters,
                replay_id=self.run.id,
                rate=self.how.rate,
                companion=company,
                way=Way(read_story=self._stories(now).of),
                report=report,
                aborted=aborted,
            )
        finally:
            await asyncio.to_thread(company.close, outcome)
        return outcome

    def _record(self, now: Known, letters: Chosen) -> ReplayRecord:
        """The record of this replay, with what it had done before."""
        earlier = self.run.earlier
        at = now_rfc3339()
        return ReplayRecord(
            id=self.run.id,
            kind=Kind.LETTERS,
            connector=self._settings.name,
            group=group_of(self._settings, self.run.id),
            by=self.run.by if earlier is None else earlier.by,
            created=at if earlier is None else earlier.created,
            options={
                **self.run.selection,
                "allow_stale": self.how.allow_stale,
                "rate": self.how.rate,
            },
            topic_ids=now.origin.topic_ids,
            plan=self.run.plan,
            chosen=letters.count if earlier is None else earlier.chosen,
            updated=at,
            counts=counts_of(now.resolutions.counts(self.run.id)),
        )

    def _stories(self, now: Known) -> Stories:
        states = frozenset(state_targets(self._settings))
        return Stories(self._later, now.resolutions, states, allow_stale=self.how.allow_stale)
