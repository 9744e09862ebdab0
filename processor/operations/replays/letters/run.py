"""Goes along with a replay of dead letters: resolutions, claim and record in the state topic.

What became of a letter is written within a second or two. After ``kill -9`` those that are not are
sent again, with the same ``_id``; one that failed again has a later letter, which tells.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from processor.connector.ledger import DeadLettered, Delivered, Ending, LeftOut
from processor.connector.passage import Passage
from processor.errors import Code, FilterReason, ProcessorError
from processor.kafka.letter import now_rfc3339
from processor.operations.replays.later_records import LaterRecords
from processor.operations.replays.records import CANCEL, CANCELLED, CHOSEN, ReplayRecord, Status
from processor.operations.replays.replaying import Outcome
from processor.operations.replays.uncut import uncut
from processor.operations.resolutions.claiming import Claiming, State
from processor.operations.resolutions.claims import RENEW_EVERY_S
from processor.operations.resolutions.resolutions import Outcome as Became
from processor.operations.resolutions.resolutions import Word
from processor.operations.resolutions.resolving import Resolving
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

WRITE_EVERY_S = 1.0
LAST_WRITES = 6
"""At the end it is tried so often to write what is left."""


class LetterRun:
    """The company of one run, see :class:`processor.operations.replays.replaying.Companion`.

    Args:
        record: of the replay; it is written here.
        resolving: gathers what became of the letters.
        claim: held while this runs.
        later: looks again at what the source topics have got.
    """

    def __init__(
        self,
        state: State,
        record: ReplayRecord,
        resolving: Resolving,
        claim: Claiming,
        later: LaterRecords,
    ) -> None:
        self._state = state
        self._record = record
        self._resolving = resolving
        self._claim = claim
        self._later = later
        self._cancelled_by = ""

    def ended(self, passage: Passage, ending: Ending) -> None:
        """Note what became of a letter."""
        became = became_of(passage, ending)
        if became is not None:
            self._resolving.note(passage.record.position, became)

    async def run(self, outcome: Outcome, end: Callable[[str], None]) -> None:
        """Write what became of letters, and hold the claim, until cancelled."""
        due_s = time.monotonic() + RENEW_EVERY_S
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            try:
                await uncut(self._write)
                if time.monotonic() >= due_s:
                    due_s = time.monotonic() + RENEW_EVERY_S
                    if why := await uncut(self._hold, outcome):
                        end(why)
                    await self._later.look_again()
            except ProcessorError as error:
                log.warning("The state of the replay is written later.", error=str(error))

    def close(self, outcome: Outcome) -> None:
        """Write the rest, and how it ended; let the claim go. Blocks.

        Where Kafka does not take it, the outcome says so: a failure.
        """
        for left in reversed(range(LAST_WRITES)):
            try:
                self._write()
                self._end(outcome)
            except ProcessorError as error:
                if not left:
                    outcome.failure = (
                        f"{error} What became of letters is not written ({self._resolving.waiting} "
                        "of them): a replay would send these again, with the same _id."
                    )
                    return
                time.sleep(WRITE_EVERY_S)
            else:
                return

    def _write(self) -> None:
        batch = self._resolving.entries(at=now_rfc3339())
        self._state.write_many(batch.documents)
        self._resolving.written(batch)

    def _hold(self, outcome: Outcome) -> str:
        """Renew the claim, say how far it is; why the replay has to end, if it has.

        While it drains it goes on saying that it runs: whoever cancelled it listens for that.
        """
        if why := self._claim.renew():
            return why
        for asked in self._state.read(f"{CANCEL}{self._record.id}").values():
            self._cancelled_by = str((asked.document or {}).get("by") or "somebody")
        self._say(Status.RUNNING, outcome)
        return f"{CANCELLED} by {self._cancelled_by}." if self._cancelled_by else ""

    def _end(self, outcome: Outcome) -> None:
        done = outcome.finished and not outcome.interrupted and not outcome.failure
        status = Status.FINISHED if done else Status.INTERRUPTED
        self._say(Status.CANCELLED if self._cancelled_by else status, outcome)
        if done:
            chosen = self._state.read(f"{CHOSEN}{self._record.id}/")
            self._state.write_many(dict.fromkeys(chosen))
        if self._cancelled_by:
            self._state.write_many({f"{CANCEL}{self._record.id}": None})
        self._claim.release()

    def _say(self, status: Status, outcome: Outcome) -> None:
        now = self._record.now(status, outcome.counts(), at=now_rfc3339())
        document = {**now.document(), "cancelled_by": self._cancelled_by}
        self._state.write_many({now.key: document})


def became_of(passage: Passage, ending: Ending) -> Became | None:
    """What became of a letter; `None`: nothing was done, so it stays as it is."""
    match ending:
        case Delivered():
            return Became(Word.PARTLY if passage.stale else Word.DELIVERED)
        case DeadLettered(code):
            return Became(Word.FAILED, code.value)
        case LeftOut() if passage.stale:
            return None
        case LeftOut(reason):
            return Became(Word.FILTERED, reason.value)


def counts_of(became: Counter[Became]) -> dict[str, Any]:
    """What became of letters, in the words of `Outcome.counts`."""
    outcome = Outcome("", "", 0)
    for (word, detail), count in became.items():
        match word:
            case Word.DELIVERED | Word.PARTLY:
                outcome.delivered += count
                outcome.partly += count if word is Word.PARTLY else 0
            case Word.FAILED:
                outcome.failed[Code(detail)] += count
            case Word.FILTERED:
                outcome.filtered[FilterReason(detail)] += count
    return outcome.counts()
