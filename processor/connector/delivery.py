"""Batches to outcomes: every message gets exactly one verdict, and an outage convicts nobody.

What an answer means, and what happens next (:class:`Inlet` holds the rules):

==================  ===========================================================================
The answer          What happens
==================  ===========================================================================
one verdict each    accepted, or refused (dead letter); a message told to come again is sent again
429, 503, unreached trouble: nothing is sent but one probe at a time, until one is answered
unreadable, 500,    sent again with the same ``_id``s, then bisected; :mod:`.doubts` says when a
broken off, late    message that fails alone is convicted. A 500 for each message is the same
413                 split; a single message is refused
401, 403            the token is replaced, once; refused again: trouble, of the set-up
404, redirects      trouble, of the set-up
400 for a request   split until the message at fault stands alone
==================  ===========================================================================
"""

import asyncio
import time
from collections.abc import Callable

from processor.connector.backoff import Backoff
from processor.connector.batching import Batch, Lanes, Suspects
from processor.connector.courier import Courier, Rate, Share, answered, label_of, words_of
from processor.connector.doubts import BROKEN_OFF, DOUBTS_500, DOUBTS_UNREADABLE, Doubts
from processor.connector.outbox import Outbox
from processor.connector.passage import Failure, Outcome, Parcel
from processor.connector.pauses import Pauses
from processor.connector.trouble import Trouble
from processor.errors import Code, Refused
from processor.experience_platform.answers import (
    Accepted,
    Again,
    Answer,
    Away,
    Rejected,
    RequestRefused,
    ServerError,
    Settled,
    SetupFault,
    TokenRefused,
    TooLarge,
    Unreadable,
)
from processor.experience_platform.envelope import Envelope
from processor.experience_platform.ims import Token
from processor.settings import DeliverySettings, TargetSettings
from processor.telemetry.metrics import TaskMetrics

THROTTLED = 429
INTERNAL_ERROR = 500
DOUBTS_BEFORE_SPLIT = 2
"""A batch without a verdict is sent once more as it is, then bisected."""

BAD_IN_A_ROW = 3
"""So many answers without a verdict, with none between that has one, are an outage."""


class Inlet:
    """Delivers the parcels of one target.

    Args:
        outcome: called exactly once for each parcel that was submitted and is still wanted.
        wanted: whether a parcel's record is still ours; others are dropped before they are sent,
            for their next owner sends them, and newer ones of their keys.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        target: str,
        settings: TargetSettings,
        delivery: DeliverySettings,
        *,
        envelope: Envelope,
        courier: Courier,
        share: Share,
        outcome: Outcome,
        wanted: Callable[[Parcel], bool],
        backoff: Backoff,
        pauses: Pauses,
        metrics: TaskMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.target = target
        self._envelope = envelope
        self._courier = courier
        self._outcome = outcome
        self._unwanted: Callable[[Parcel], bool] = lambda parcel: not wanted(parcel)
        self._backoff = backoff
        self._pauses = pauses
        self._metrics = metrics
        self._clock = clock
        self._rate = Rate(settings.messages_per_second, share)
        self._outbox = Outbox.of(delivery)
        self._lanes = Lanes()
        self._doubts = Doubts()
        self._running = 0
        self._chosen = False
        self._bad_in_a_row = 0
        self._trouble: Trouble | None = None
        self._draining = False
        self._wake = asyncio.Event()

    def submit(self, parcel: Parcel) -> None:
        """Take a parcel; it goes at once, or after the earlier ones of its key."""
        if self._lanes.enter(parcel):
            self._outbox.add(parcel, self._clock())
            self._wake.set()

    def drain(self, *, draining: bool = True) -> None:
        """Send what was collected without waiting for more."""
        self._draining = draining
        self._wake.set()

    def sweep(self) -> None:
        """Drop the parcels that are not wanted any more: partitions were given back."""
        for parcel in self._outbox.drop(self._unwanted):
            self._let_follow(parcel)
        self._rest()
        self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether there is nothing to send, and nothing on its way."""
        return not (self._outbox or self._running or self._chosen)

    async def run(self) -> None:
        """Deliver until cancelled.

        Raises:
            ExceptionGroup: a defect; every problem of the outside ends in a retry or an outcome.
        """
        async with asyncio.TaskGroup() as requests:
            while True:
                batch = await self._next()
                self._chosen = True
                # Our own rate before the slot, which others could use meanwhile.
                await self._rate.spend(count := len(batch))
                await self._courier.slot()
                self._chosen = False
                # While we waited, partitions may have gone and trouble begun.
                self._keep_wanted(batch)
                if not batch.parcels or not self._may_send(self._clock()):
                    self._courier.leave()
                    self._rate.give_back(count)
                    self._take_back(batch)
                    continue
                self._running += 1
                requests.create_task(self._carry(batch))

    def _take_back(self, batch: Batch) -> None:
        if batch.parcels:
            self._outbox.first([batch])
        else:
            self._rest()

    def _rest(self) -> None:
        """With nothing left to send there is no trouble either, and nobody would end it."""
        if self.idle:
            self._flowing()

    async def _next(self) -> Batch:
        """Wait for a batch that may be sent now."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if self._draining:
                self._outbox.hurry()
            now_s = self._clock()
            batch = self._choose(now_s)
            if batch is not None:
                return batch
            due_s = self._due_s()
            timer = (
                None if due_s is None else loop.call_later(max(0.0, due_s - now_s), self._wake.set)
            )
            await self._wake.wait()
            if timer is not None:
                timer.cancel()

    def _may_send(self, now_s: float) -> bool:
        trouble = self._trouble
        return trouble is None or (not self._running and now_s >= trouble.until_s)

    def _choose(self, now_s: float) -> Batch | None:
        if not self._may_send(now_s):
            return None
        if self._trouble is not None:
            return self._outbox.probe(now_s, alone=self._trouble.alone)
        return self._outbox.take(now_s)

    def _due_s(self) -> float | None:
        """When something may fall due without anybody waking us."""
        if self._trouble is None:
            return self._outbox.due_s
        due_s = self._outbox.probe_due_s
        return None if self._running or due_s is None else max(due_s, self._trouble.until_s)

    async def _carry(self, batch: Batch) -> None:
        try:
            token = await self._courier.admit(len(batch))
            # IMS may have been away, and partitions may have gone: their next owner sends these.
            self._keep_wanted(batch)
            if batch.parcels:
                await self._post(batch, token)
        finally:
            self._running -= 1
            self._courier.leave()
            self._rest()
            self._wake.set()

    async def _post(self, batch: Batch, token: Token) -> None:
        batch.attempts += 1
        self._doubts.sending(batch)
        body = self._envelope.join([parcel.message.body for parcel in batch.parcels])
        answer = await self._courier.post(self.target, body, batch, token=token)
        self._settle(batch, answer)

    def _settle(self, batch: Batch, answer: Answer) -> None:
        if not isinstance(answer, Settled | RequestRefused | TooLarge):
            self._metrics.retries.labels(self.target, label_of(answer)).inc()
        if not isinstance(answer, TokenRefused):
            batch.token_refusals = 0
        match answer:
            case Settled():
                self._settled(batch, answer)
            case Away(may_have_arrived=True, status=status) if status in BROKEN_OFF:
                self._doubt(
                    batch, words_of(answer), Code.DELIVERY_NO_VERDICT, DOUBTS_UNREADABLE, status
                )
            case Away():
                self._away(batch, answer)
            case Unreadable(why=why):
                message = f"Experience Platform's answer could not be used ({why})."
                self._doubt(batch, message, Code.DELIVERY_NO_VERDICT, DOUBTS_UNREADABLE, None)
            case ServerError(status=status):
                self._doubt(batch, answered(status), Code.DELIVERY_POISON, DOUBTS_500, status)
            case TooLarge():
                self._refuse_or_split(
                    batch,
                    Refused(
                        "Experience Platform refused the message as too large (413).",
                        code=Code.DELIVERY_TOO_LARGE,
                        http_status=413,
                    ),
                )
            case RequestRefused(error=error):
                self._refuse_or_split(batch, error)
            case TokenRefused(status=status):
                self._token_refused(batch, status)
            case SetupFault(message=message, mend=mend):
                self._outbox.first([batch])
                self._in_trouble("set_up", f"{message} {mend}", of_setup=True)

    def _settled(self, batch: Batch, answer: Settled) -> None:
        again: list[Parcel] = []
        asked: list[Again] = []
        accepted = 0
        for parcel, verdict in zip(batch.parcels, answer.verdicts, strict=True):
            match verdict:
                case Accepted():
                    accepted += 1
                    self._end(parcel, None)
                case Rejected(error=error):
                    self._end(parcel, Failure(parcel.name, error, batch.attempts))
                case Again():
                    again.append(parcel)
                    asked.append(verdict)
        self._doubts.accepted(batch, accepted)
        self._metrics.messages_sent.labels(self.target).inc(accepted)
        if len(again) < len(batch):
            self._flowing()
        if again:
            self._put_off(batch, again, asked, accepted)

    def _put_off(
        self, batch: Batch, again: list[Parcel], asked: list[Again], accepted: int
    ) -> None:
        """Some messages, or all of them, are to come again."""
        status = asked[-1].status
        self._metrics.retries.labels(self.target, str(status)).inc()
        nothing_settled = len(again) == len(batch)
        blamed = all(verdict.status == INTERNAL_ERROR for verdict in asked)
        if nothing_settled and blamed:
            self._doubt(batch, answered(status), Code.DELIVERY_POISON, DOUBTS_500, status)
            return
        waits_s = [v.retry_after_s for v in asked if v.retry_after_s is not None]
        longest_s = max(waits_s, default=None)
        rest = batch.part(again)
        rest.not_before_s = self._clock() + self._backoff.wait_s(batch.attempts, longest_s)
        if blamed and accepted:
            rest.suspects += (Suspects(len(again)),)
        self._outbox.last([rest])
        if nothing_settled:
            self._in_trouble(
                "experience_platform",
                f"Experience Platform put every message off ({status}).",
                retry_after_s=longest_s,
            )

    def _away(self, batch: Batch, answer: Away) -> None:
        self._outbox.last([batch])  # so that another one probes: it may be at fault itself
        self._in_trouble(
            "throttled" if answer.status == THROTTLED else "experience_platform",
            words_of(answer),
            retry_after_s=answer.retry_after_s,
        )
        if answer.status == THROTTLED and self._trouble is not None:
            self._courier.hold(self._trouble.until_s - self._clock())

    def _doubt(
        self, batch: Batch, message: str, code: Code, enough: int, status: int | None
    ) -> None:
        """Nobody knows what became of the batch; nobody is convicted by one such answer."""
        self._bad_in_a_row += 1
        doubts = self._doubts.doubt(batch)
        unknown = code is Code.DELIVERY_NO_VERDICT and self._doubts.may_be_chance(batch)
        if len(batch) == 1 and doubts >= self._doubts.enough(enough) and not unknown:
            error = Refused(
                f"{message} The message failed so whenever sent alone, others were accepted.",
                code=code,
                http_status=status,
            )
            self._refuse_or_split(batch, error)
            return
        if len(batch) > 1 and (batch.lasting or doubts >= DOUBTS_BEFORE_SPLIT):
            self._outbox.last(batch.halves(in_doubt=True))
        else:
            batch.not_before_s = self._clock() + self._backoff.wait_s(batch.attempts)
            self._outbox.last([batch])
        if self._bad_in_a_row >= BAD_IN_A_ROW or self._trouble is not None:
            self._in_trouble("experience_platform", message, alone=True)

    def _refuse_or_split(self, batch: Batch, error: Refused) -> None:
        """The request was refused whole, which is an answer: find out which message it was."""
        self._flowing()
        if len(batch) > 1:
            self._outbox.first(batch.halves(in_doubt=False))
            return
        self._end(batch.parcels[0], Failure(batch.parcels[0].name, error, batch.attempts))

    def _token_refused(self, batch: Batch, status: int) -> None:
        batch.token_refusals += 1
        trouble = self._trouble
        if batch.token_refusals > 1 or (trouble is not None and trouble.reason == "token_refused"):
            # Last, and not at once when others are taken: it alone may be what is not allowed.
            batch.not_before_s = self._clock() + self._backoff.wait_s(min(batch.token_refusals, 6))
            self._outbox.last([batch])
            self._in_trouble(
                "token_refused",
                f"Experience Platform answered {status} to a new token. Check that the credential "
                "has the Experience Platform API and a role with access to the sandbox.",
                of_setup=True,
            )
            return
        self._outbox.first([batch])
        if trouble is not None:
            trouble.failed(self._backoff, self._clock(), None)

    def _in_trouble(
        self,
        reason: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        of_setup: bool = False,
        alone: bool = False,
    ) -> None:
        now_s = self._clock()
        if self._trouble is None:
            self._trouble = Trouble.begin(reason, self._backoff, now_s, retry_after_s)
        else:
            self._trouble.failed(self._backoff, now_s, retry_after_s)
        self._trouble.alone = alone
        self._pauses.begin(reason, message, who=self.target, of_setup=of_setup)

    def _flowing(self) -> None:
        self._bad_in_a_row = 0
        if self._trouble is not None:
            self._trouble = None
            self._pauses.end_all_of(self.target)

    def _end(self, parcel: Parcel, failure: Failure | None) -> None:
        self._outcome(parcel, failure)
        self._let_follow(parcel)

    def _let_follow(self, parcel: Parcel) -> None:
        """Let the next of a parcel's key go, of those that are wanted."""
        following = self._lanes.leave(parcel)
        while following is not None and self._unwanted(following):
            following = self._lanes.leave(following)
        if following is not None:
            self._outbox.follow(following, self._clock())

    def _keep_wanted(self, batch: Batch) -> None:
        for parcel in batch.drop(self._unwanted):
            self._let_follow(parcel)
