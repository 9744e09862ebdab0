"""A replay of a range of source topics: what it is, what would come of it, and doing it."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from processor.connector.graveyard import Names
from processor.errors import Misconfigured
from processor.kafka.intake import Start
from processor.kafka.letter import now_rfc3339
from processor.kafka.state import StateTopic
from processor.operations.own_process import this_process, user_at_host
from processor.operations.reading import Reader
from processor.operations.rehearsal import rehearsing
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.ranges.forecast import foresee
from processor.operations.replays.ranges.manner import names_of, require_topic_names, warnings_of
from processor.operations.replays.ranges.news import asks_for_news, later_than
from processor.operations.replays.ranges.pinned import Pinned
from processor.operations.replays.ranges.plan_file import save
from processor.operations.replays.ranges.progress import (
    Committed,
    committed_by,
    ended_before,
    starts_of,
)
from processor.operations.replays.ranges.records import RangeRecord, offset_entries
from processor.operations.replays.ranges.run import RangeRun
from processor.operations.replays.ranges.selection import Selection
from processor.operations.replays.ranges.told import described, foretold, nothing, told
from processor.operations.replays.records import Kind, ReplayRecord
from processor.operations.replays.replaying import (
    Outcome,
    Way,
    group_of,
    new_replay_id,
    replay,
    state_targets,
    with_rate,
)
from processor.operations.replays.report import Report
from processor.record import TopicPartition
from processor.settings import Settings


@dataclass(frozen=True, slots=True)
class RangeReplay:
    """A replay of records that are chosen.

    Attributes:
        id: names it.
        pinned: what it takes and how.
        selection: how they were chosen; `None` when a plan or an earlier attempt names them.
        earlier: the record of the attempt that this one goes on with.
    """

    id: str
    pinned: Pinned
    selection: Selection | None
    earlier: RangeRecord | None
    _settings: Settings
    _reader: Reader

    @classmethod
    def new(
        cls, pinned: Pinned, selection: Selection | None, settings: Settings, reader: Reader
    ) -> "RangeReplay":
        """One that begins.

        Args:
            pinned: what it takes and how.
            selection: how its records were chosen.
            settings: with its targets alone.
            reader: of Kafka.
        """
        return cls(new_replay_id(), pinned, selection, None, settings, reader)

    @property
    def names(self) -> Names:
        """Who writes its dead letters, and where to."""
        return names_of(self._settings, self.pinned.manner, self.id)

    def warnings(self, *, execute: bool) -> Iterator[str]:
        """What to know before it is done; where it is not yet, its id is another then."""
        manner = self.pinned.manner
        names = self.names if execute else names_of(self._settings, manner, "ID")
        yield from warnings_of(manner, names, self.pinned.topics)
        states = ", ".join(state_targets(self._settings))
        if states and manner.allow_stale:
            yield (
                f"--allow-stale: targets that hold a state are among them ({states}); an old "
                "record overwrites what a later record of the same key has set."
            )
        elif states:
            yield (
                f"Targets that hold a state ({states}) get no record of which the source topic "
                "holds a later one of the same key outside the range (--allow-stale sends it)."
            )

    def describe(self) -> Report:
        """Say which records they are; nothing is sent.

        Raises:
            TryAgain: no broker answers.
            Misconfigured: Kafka refuses us the offsets of the replay's group.
        """
        before = 0
        if self.earlier is not None:
            before = ended_before(self.pinned.records, self._starts(self.earlier.base.group))
        return described(self.pinned, self.selection, before)

    def save(self, path: Path, *, force: bool) -> None:
        """Write it as a plan.

        Raises:
            Misconfigured: a file is there and `force` is not given, or it cannot be written.
        """
        save(
            path,
            self.pinned,
            connector=self._settings.name,
            created=now_rfc3339(),
            by=user_at_host(),
            force=force,
        )

    async def foresee(self, looked_at: Callable[[int], None]) -> Report:
        """Say what would come of it; nothing is sent.

        Raises:
            TryAgain: Kafka or the schema registry does not answer.
            Misconfigured: one of them refuses us, or the schemas are wrong.
        """
        async with AsyncExitStack() as stack:
            later = await self._news(stack, looked_at)
            rehearsal = await stack.enter_async_context(
                rehearsing(self._settings, newer=None if later is None else later.newer)
            )
            forecast = await foresee(
                self._reader, rehearsal, self.pinned.records, looked_at=looked_at
            )
        rate = self.pinned.manner.rate
        paced = self._settings if rate is None else with_rate(self._settings, rate)
        return foretold(self.pinned, self.selection, forecast, paced)

    async def execute(
        self, report: Callable[[Outcome], None], aborted: Callable[[], None]
    ) -> Report:
        """Replay them, until all have ended, or a signal or somebody's word stops it.

        Raises:
            Misconfigured: the schemas are wrong, or Kafka refuses us; nothing was sent.
            TryAgain: Kafka or the schema registry does not answer, before anything was sent.
        """
        records = self.pinned.records
        require_topic_names(self.names, self.pinned.topics)
        if not records.count:
            return nothing(self.selection)
        state = StateTopic(self._settings, f"{self._settings.name}-replay")
        async with AsyncExitStack() as stack:
            later = await self._news(stack, lambda _count: None)
            record = self._record()
            await asyncio.to_thread(self._begin, state, record)
            way, record = await asyncio.to_thread(self._way, record, later)
            company = RangeRun(self._settings, state, record, later)
            try:
                outcome = await replay(
                    self._settings,
                    records,
                    replay_id=self.id,
                    exact=self.pinned.exact,
                    rate=self.pinned.manner.rate,
                    companion=company,
                    way=way,
                    report=report,
                    aborted=aborted,
                )
            except Misconfigured as error:
                outcome = Outcome(self.id, record.base.group, records.count, failure=str(error))
                await asyncio.to_thread(company.close, outcome)
                raise
            await asyncio.to_thread(company.close, outcome)
        return told(outcome, company.stale, self.selection, self.names, self.pinned)

    async def _news(
        self, stack: AsyncExitStack, looked_at: Callable[[int], None]
    ) -> LaterRecords | None:
        if not asks_for_news(self._settings, self.pinned.manner):
            return None
        news = later_than(self._settings, self._reader, self.pinned.records, looked_at=looked_at)
        return await stack.enter_async_context(news)

    def _record(self) -> RangeRecord:
        """As it stands when this attempt begins."""
        process, run = this_process(), secrets.token_hex(8)
        if self.earlier is not None:
            return self.earlier.again(process, run, at=now_rfc3339())
        topic_ids = {topic: origin.topic_id for topic, origin in self.pinned.origins.items()}
        base = ReplayRecord(
            id=self.id,
            kind=Kind.RECORDS,
            connector=self._settings.name,
            group=group_of(self._settings, self.id),
            by=user_at_host(),
            created=now_rfc3339(),
            options=self.pinned.manner.document(),
            topic_ids=topic_ids,
            plan="",
            chosen=self.pinned.records.count,
            updated=now_rfc3339(),
        )
        return RangeRecord(base, self.pinned.document(), process, run)

    def _begin(self, state: StateTopic, record: RangeRecord) -> None:
        """Tell the state topic, before anything is sent: what is not known cannot be ended."""
        offsets = offset_entries(self.id, self.pinned) if self.earlier is None else {}
        state.write_many({**offsets, record.base.key: record.document()})

    def _starts(self, group: str) -> dict[TopicPartition, Start]:
        """Where each partition begins, by what an earlier attempt has committed."""
        committed: dict[TopicPartition, Committed] = {}
        if self.earlier is not None:
            committed = committed_by(self._settings, group)
        partitions = self.pinned.records.by_partition
        firsts = {partition: offsets.span[0] for partition, offsets in partitions.items()}
        return starts_of(self._reader, partitions, self.pinned.origins, committed, firsts)

    def _way(self, record: RangeRecord, later: LaterRecords | None) -> tuple[Way, RangeRecord]:
        """How it is sent, and from where on; blocks."""
        starts = self._starts(record.base.group)
        before = ended_before(self.pinned.records, starts)
        way = Way(
            names=self.names,
            starts=starts,
            newer=None if later is None else later.newer,
            id_label=self.pinned.manner.id_label,
            before=before,
        )
        return way, record.beginning(before)
