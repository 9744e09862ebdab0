"""Goes along with a replay of a range: says how far it is, hears who cancels it, looks for news."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping

from processor.connector.ledger import Ending
from processor.connector.passage import Passage
from processor.errors import ProcessorError
from processor.kafka.letter import now_rfc3339
from processor.kafka.state_entry import Entry
from processor.kafka.state_follower import Follower
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.ranges.forecast import plain
from processor.operations.replays.ranges.records import (
    HEARD_EVERY_S,
    RangeRecord,
    offsets_prefix,
    read_range,
)
from processor.operations.replays.records import CANCEL, CANCELLED, REPLAY, Status
from processor.operations.replays.replaying import Outcome
from processor.operations.replays.uncut import uncut
from processor.operations.resolutions.claiming import State
from processor.settings import Settings
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

NEWS_EVERY_S = 1.0
LAST_WRITES = 6
"""At the end it is tried so often to write how it ended."""


class RangeRun:
    """The company of one run, see :class:`processor.operations.replays.replaying.Companion`.

    Args:
        settings: of the connector.
        state: where the record is written; by one thread at a time.
        record: of the replay, as it is when this run begins.
        later: looks again at what the source topics have got; `None`: nobody asks.
    """

    def __init__(
        self,
        settings: Settings,
        state: State,
        record: RangeRecord,
        later: LaterRecords | None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._record = record
        self._later = later
        self._stale: Counter[str] = Counter()
        self._heard = _Heard(record)

    @property
    def stale(self) -> dict[str, int]:
        """Records that were not sent to a target because they are old news, by target."""
        return dict(self._stale.most_common())

    def ended(self, passage: Passage, ending: Ending) -> None:
        """Count what was left out."""
        del ending
        self._stale.update(dict.fromkeys(map(plain, passage.stale), 1))

    async def run(self, outcome: Outcome, end: Callable[[str], None]) -> None:
        """Say how far it is, and end it when somebody cancels it, until cancelled itself."""
        self._heard.end = end
        follower = Follower(
            self._settings,
            f"{self._settings.name}-replay",
            (f"{CANCEL}{self._record.id}", f"{REPLAY}{self._record.id}"),
            self._heard,
            post=asyncio.get_running_loop().call_soon_threadsafe,
        )
        follower.start()
        try:
            await asyncio.gather(self._say_often(outcome), self._look_often())
        finally:
            follower.close()

    async def _say_often(self, outcome: Outcome) -> None:
        while True:
            await asyncio.sleep(HEARD_EVERY_S)
            if not self._heard.taken_over:
                try:
                    await uncut(self._say, Status.RUNNING, outcome)
                except ProcessorError as error:
                    log.warning("How far the replay is, is written later.", error=str(error))

    async def _look_often(self) -> None:
        while self._later is not None:
            await asyncio.sleep(NEWS_EVERY_S)
            try:
                await self._later.look_again()
            except ProcessorError as error:
                log.warning("Later records are looked for again.", error=str(error))

    def close(self, outcome: Outcome) -> None:
        """Write how it ended; blocks. When that cannot be written, the outcome says so."""
        if self._heard.taken_over:
            return
        status = self._status(outcome)
        for left in reversed(range(LAST_WRITES)):
            try:
                self._say(status, outcome)
                self._tidy(status)
            except ProcessorError as error:
                if not left:
                    log.warning("How the replay ended is not written.", error=str(error))
                    return
                time.sleep(NEWS_EVERY_S)
            else:
                return

    def _status(self, outcome: Outcome) -> Status:
        if self._heard.cancelled_by:
            return Status.CANCELLED
        if outcome.interrupted:
            return Status.INTERRUPTED
        return Status.FINISHED if outcome.finished and not outcome.failure else Status.FAILED

    def _say(self, status: Status, outcome: Outcome) -> None:
        now = self._record.now(
            status,
            {**outcome.counts(), "stale_by_target": self.stale},
            at=now_rfc3339(),
            failure=outcome.failure,
            cancelled_by=self._heard.cancelled_by,
        )
        self._state.write_many({now.base.key: now.document()})

    def _tidy(self, status: Status) -> None:
        """Forget which records were chosen, of a replay that nobody can go on with."""
        gone = [f"{CANCEL}{self._record.id}"] if self._heard.cancelled_by else []
        if status in {Status.FINISHED, Status.CANCELLED}:
            gone += self._state.read(offsets_prefix(self._record.id))
        if gone:
            self._state.write_many(dict.fromkeys(gone))


class _Heard:
    """What the state topic tells while a replay runs; on the loop.

    Attributes:
        cancelled_by: who cancelled it; empty: nobody.
        taken_over: whether another process goes on with it.
        end: ends the replay.
    """

    def __init__(self, record: RangeRecord) -> None:
        self.cancelled_by = ""
        self.taken_over = False
        self.end: Callable[[str], None] = lambda _why: None
        self._record = record

    def history(self, entries: Mapping[str, Entry]) -> None:
        for entry in entries.values():
            self.news(entry)

    def news(self, entry: Entry) -> None:
        if entry.key == f"{CANCEL}{self._record.id}" and entry.document is not None:
            self.cancelled_by = str(entry.document.get("by") or "somebody")
            self.end(f"{CANCELLED} by {self.cancelled_by}.")
        elif entry.key == self._record.base.key:
            found = read_range(entry)
            if found is not None and found.run != self._record.run and not self.taken_over:
                # Ours is in the topic before we follow it, so this one came after.
                self.taken_over = True
                self.end(f"The replay is gone on with by {found.base.by} in another process.")

    def trouble(self, message: str) -> None:
        log.warning("The state topic cannot be read: nobody can cancel this.", error=message)

    def trouble_over(self) -> None:
        log.info("The state topic can be read again.")
