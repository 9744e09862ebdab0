"""The systemic brake: holds records that fail alike, so that no topic drains into dead letters.

============  ===================================================================================
A kind is     What happens to records that fail so
============  ===================================================================================
not judged    each becomes a dead letter, at most ``errors.systemic_min`` of a window
suspected     they wait, others go on; a window of records, or a minute, tells
held          nothing new is started; one record at a time is tried again, with back-off. When one
              passes, all go on in their order, and only to where they had failed; but those of
              its key that stand before it, and were tried in vain just now, become dead letters
let go        somebody released it: each becomes a dead letter, until the kind is rare
============  ===================================================================================

What is held keeps its offset. It ends nowhere but in this process: a stop or a revocation gives it
back, and its next owner reads it again.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from processor.connector.backoff import Backoff
from processor.connector.chains import Chain, Ordered, chain_of
from processor.connector.hold import Hold
from processor.connector.judge import CODES, Judge, Kind, Step, Verdict
from processor.connector.mends import mend_of
from processor.connector.passage import Passage
from processor.connector.pauses import Pauses
from processor.connector.probing import Probing, next_to_try
from processor.errors import Stage
from processor.kafka.letter import now_rfc3339
from processor.record import TopicPartition

REASON = "systemic"
DECODED: Step = (Stage.VALUE_CONVERTER, "")
LOOK_S = 0.05
"""How often to look whether what was on its way has come back."""


class Lane(Protocol):
    """Where records go on."""

    def probe(self, passage: Passage) -> None:
        """Try one record again, at once."""

    def again(self, passages: Sequence[Passage]) -> None:
        """Start these again, each before those that stand behind it in its partition."""

    def bury(self, passage: Passage) -> None:
        """Write the dead letter."""

    def idle(self) -> bool:
        """Whether nothing is on its way to Experience Platform."""


class Brake:
    """Holds the failed records of one task.

    Args:
        ordered: what the targets ask for; where they do, a record that a later one of its key
            overtakes becomes a dead letter: old news never overwrites newer.
        room: so many records may wait while their kind is only suspected.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        judge: Judge,
        *,
        ordered: Ordered,
        room: int,
        backoff: Backoff,
        pauses: Pauses,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._judge = judge
        self._ordered = ordered
        self._room = room
        self._backoff = backoff
        self._pauses = pauses
        self._clock = clock
        self._held: dict[Kind, dict[Passage, int]] = {}
        self._holding: dict[Kind, Probing] = {}
        self._chains: dict[Chain, dict[Passage, None]] = {}
        self._overtaken: list[Passage] = []
        self._decide_now = False
        self._released: list[Kind] = []
        self._wake = asyncio.Event()

    @property
    def on(self) -> bool:
        """Whether a kind holds, so that nothing new is started."""
        return bool(self._holding)

    def is_probe(self, passage: Passage) -> bool:
        """Whether this is a record that is tried now."""
        return any(holding.probe is passage for holding in self._holding.values())

    def resting(self) -> Counter[TopicPartition]:
        """Records that wait for a mend, by partition; nothing else ends their waiting."""
        held = (passage for passages in self._held.values() for passage in passages)
        return Counter(passage.partition for passage in held) if self._holding else Counter()

    def holds(self, passage: Passage) -> bool:
        """Judge a record that failed; whether it waits, else its dead letter is to be written."""
        kinds = list(dict.fromkeys(kinds_of(passage)))
        tried = self._tried(passage)
        if tried is not None and tried in kinds:
            self._holding[tried].in_vain(self._clock(), self._backoff)
            self._keep(tried, passage)
            return True
        self._tried_in_vain(tried)
        self._passed_elsewhere(passage, kinds)
        verdicts = {kind: self._judge.failed(kind) for kind in kinds if kind.code in CODES}
        for kind, verdict in verdicts.items():
            if verdict is Verdict.SET_UP and kind not in self._holding:
                self._begin(kind, str(error_of(passage, kind)))
        for kind, verdict in verdicts.items():
            if kind in self._holding or verdict is Verdict.UNDECIDED:
                self._keep(kind, passage)
                return True
        return False

    def decoded(self) -> None:
        """A record was decoded."""
        self._sound(DECODED)

    def shaped(self, passage: Passage) -> None:
        """Messages were made of a record, for all its targets or some."""
        failed = {kind.target for kind in kinds_of(passage)} if passage.failures else ()
        for target in passage.targets:
            if target not in failed:
                self._sound((Stage.TRANSFORMATION, target))

    def passed(self, passage: Passage) -> None:
        """A record was delivered."""
        for target in passage.targets:
            self._sound((Stage.TASK_PUT, target))
        if self._holding and (tried := self._tried(passage)) is not None:
            self._holding[tried].mended = True
            self._wake.set()
        self._overtakes(passage)

    def dead_lettered(self, passage: Passage) -> None:
        """A dead letter was acknowledged; some of its messages may have been accepted."""
        if set(passage.targets) - {kind.target for kind in kinds_of(passage)}:
            self._overtakes(passage)

    def left_out(self, passage: Passage) -> None:
        """A record was filtered, which says nothing of the set-up."""
        self._tried_in_vain(self._tried(passage))

    def sweep(self, wanted: Callable[[Passage], bool]) -> None:
        """Drop the records that are not wanted any more: partitions were given back."""
        for held in self._held.values():
            for passage in [passage for passage in held if not wanted(passage)]:
                self._let_go(held, passage)
        for holding in self._holding.values():
            tried = filter(None, [holding.probe, *holding.round])
            holding.sweep([passage for passage in tried if not wanted(passage)], self._clock())
        self._wake.set()

    def hurry(self) -> None:
        """Decide now what is suspected: a drain waits for it."""
        self._decide_now = True
        self._wake.set()

    def release(self, kind: Kind) -> None:
        """Let those go that failed so, and those that will: dead letters, until they are rare."""
        self._released.append(kind)
        self._wake.set()

    def holdings(self) -> tuple[Hold, ...]:
        """What holds now."""
        return tuple(
            Hold(
                kind.id,
                kind.code.value,
                kind.target,
                holding.since,
                len(self._of(kind)) + (holding.probe is not None),
                next((passage.record.position for passage in self._of(kind)), None),
                holding.message,
                holding.attempts - 1,
            )
            for kind, holding in self._holding.items()
        )

    async def run(self, lane: Lane) -> None:
        """Decide, try and let go, until cancelled."""
        while True:
            self._wake.clear()
            before = self.on
            while self._overtaken:
                lane.bury(self._overtaken.pop())
            self._decide(lane)
            if lane.idle():
                self._resume(lane)
                self._try(lane)
            if self.on is not before:
                lane.again(())
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._pause_s())

    # What is held.

    def _of(self, kind: Kind) -> dict[Passage, int]:
        return self._held.get(kind, {})

    def _keep(self, kind: Kind, passage: Passage) -> None:
        holding = self._holding.get(kind)
        tries = 0
        if holding is not None and holding.probe is passage:
            holding.probe, tries = None, holding.attempts
        self._held.setdefault(kind, {})[passage] = tries
        chain = chain_of(passage, self._ordered)
        if chain is not None:
            self._chains.setdefault(chain, {})[passage] = None
        if holding is None and sum(map(len, self._held.values())) > self._room:
            self._decide_now = True
        self._wake.set()

    def _let_go(self, held: dict[Passage, int], passage: Passage) -> None:
        del held[passage]
        chain = chain_of(passage, self._ordered)
        if chain is not None:
            del self._chains[chain][passage]
            if not self._chains[chain]:
                del self._chains[chain]

    def _passed_elsewhere(self, passage: Passage, kinds: Iterable[Kind]) -> None:
        """Let the judge know where the record did not fail, or not in a way it judges."""
        judged = {kind.step for kind in kinds if kind.code in CODES}
        failed = {kind.step for kind in kinds}
        made = {(Stage.TASK_PUT, target) for target in passage.targets}
        for step in (made | failed) - judged:
            self._sound(step)

    def _sound(self, step: Step) -> None:
        self._judge.sound(step)
        if self._judge.ripe:
            self._wake.set()

    def _tried(self, passage: Passage) -> Kind | None:
        """The kind for which this record is tried, if it is."""
        for kind, holding in self._holding.items():
            if holding.probe is passage:
                return kind
        return None

    def _tried_in_vain(self, tried: Kind | None) -> None:
        """What was tried says nothing of this kind: another one is tried."""
        if tried is not None:
            holding = self._holding[tried]
            holding.probe, holding.due_s = None, self._clock()
            self._wake.set()

    def _overtakes(self, passage: Passage) -> None:
        """Give up those held that are older than what was accepted of their key."""
        chain = chain_of(passage, self._ordered)
        if chain not in self._chains:
            return
        older = [p for p in self._chains[chain] if p.record.offset < passage.record.offset]
        for held in self._held.values():
            for overtaken in held.keys() & older if older else ():
                self._let_go(held, overtaken)
                self._overtaken.append(overtaken)
        self._wake.set()

    # What becomes of it.

    def _begin(self, kind: Kind, error: str) -> None:
        self._judge.drop(kind)
        alike, total = self._judge.share(kind)
        where = f" for target {kind.target}" if kind.target else ""
        message = (
            f"{alike} of the last {total} records{where} failed alike ({kind.code}: {error}). "
            f"They wait, their offsets are kept. {mend_of(kind.code, kind.target)} One record at "
            f"a time is tried again. If the records themselves are at fault, 'processor errors "
            f"release {kind.id}' makes them dead letters."
        )
        due_s = self._clock() + self._backoff.wait_s(1)
        self._holding[kind] = Probing(now_rfc3339(), message, due_s)
        self._pauses.begin(REASON, message, who=kind.id, of_setup=True)
        self._wake.set()

    def _decide(self, lane: Lane) -> None:
        kinds = self._judge.suspected() if self._decide_now else self._judge.due()
        self._decide_now = False
        for kind in kinds:
            if self._holding:
                break  # no records come by which one could tell
            if self._judge.decide(kind) is Verdict.RECORD:
                self._bury(kind, lane)
            elif self._of(kind):
                self._begin(kind, str(error_of(next(iter(self._of(kind))), kind)))
        while self._released:
            kind = self._released.pop()
            self._judge.let_be(kind)
            if kind in self._holding:
                self._end(kind)
            self._bury(kind, lane)

    def _bury(self, kind: Kind, lane: Lane) -> None:
        held = self._of(kind)
        for passage in list(held):
            self._let_go(held, passage)
            lane.bury(passage)

    def _resume(self, lane: Lane) -> None:
        """Let all go on when one has passed; of another kind, too, for of one key they keep order.

        If that one is not mended, the first that fails so again is held: the judge forgets nothing
        of it.
        """
        mended = [kind for kind, holding in self._holding.items() if holding.mended]
        for kind, holding in list(self._holding.items()):
            if mended or (holding.probe is None and not self._of(kind)):
                self._end(kind)
        for kind in mended:
            self._judge.clear(kind)
        if mended:
            passages = [passage for held in self._held.values() for passage in held]
            for kind in self._judge.suspected():
                self._judge.drop(kind)
            self._held.clear()
            self._chains.clear()
            lane.again(passages)

    def _end(self, kind: Kind) -> None:
        del self._holding[kind]
        self._pauses.end(REASON, who=kind.id)

    def _try(self, lane: Lane) -> None:
        """Send one record, of the kind that has waited longest for it."""
        due = [
            (holding.due_s, kind)
            for kind, holding in self._holding.items()
            if holding.probe is None and self._clock() >= holding.due_s
        ]
        for _, kind in sorted(due):
            holding, held = self._holding[kind], self._of(kind)
            passage = self._next(holding, held)
            if passage is None and holding.round:
                holding.rest(self._clock(), self._backoff)
            elif passage is not None:
                holding.begin(passage, again=bool(held[passage]) and self._has_order(passage))
                self._let_go(held, passage)
                lane.probe(passage)
                return

    def _next(self, holding: Probing, held: dict[Passage, int]) -> Passage | None:
        every = [passage for passages in self._held.values() for passage in passages]
        of_held_kinds = [passage for kind in self._holding for passage in self._of(kind)]
        return next_to_try(held, every, of_held_kinds, holding.round, self._ordered)

    def _has_order(self, passage: Passage) -> bool:
        return chain_of(passage, self._ordered) is not None

    def _pause_s(self) -> float | None:
        """How long nothing has to be done without anybody waking us."""
        holdings = self._holding.values()
        due = [holding.due_s for holding in holdings if holding.probe is None or holding.mended]
        if self._judge.due_s is not None and not self._holding:
            due.append(self._judge.due_s)
        if not due:
            return None
        return max(LOOK_S, min(due) - self._clock())


def kinds_of(passage: Passage) -> Iterable[Kind]:
    """What a passage failed by; a message's index says nothing about the kind."""
    return (Kind(f.error.code, f.target.partition("#")[0]) for f in passage.failures)


def error_of(passage: Passage, kind: Kind) -> Exception:
    """The error of the passage that is of this kind."""
    return next(
        failure.error
        for failure, found in zip(passage.failures, kinds_of(passage), strict=True)
        if found == kind
    )
