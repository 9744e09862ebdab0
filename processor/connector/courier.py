"""One request: a free slot, the rates, a token, the POST; shared by every inlet of a task."""

import asyncio
import math
import time
from collections.abc import Callable

from aiolimiter import AsyncLimiter
from anyio import CapacityLimiter

from processor.connector.backoff import Backoff
from processor.connector.batching import Batch
from processor.connector.concurrency import Concurrency
from processor.connector.pauses import Pauses
from processor.errors import Misconfigured, TryAgain
from processor.experience_platform.answers import (
    Again,
    Answer,
    Away,
    RequestRefused,
    ServerError,
    Settled,
    SetupFault,
    TokenRefused,
    TooLarge,
    Unreadable,
)
from processor.experience_platform.client import Collection
from processor.experience_platform.ims import ImsTokens, Token
from processor.settings import DeliverySettings
from processor.telemetry.metrics import TaskMetrics
from processor.telemetry.spans import NoSpans, Spans

TOKEN_KEPT_S = 5.0
"""How long a token is kept, at least, that replaced a refused one; doubled each time, for where
the new one is refused as well the token is not at fault, and IMS throttles who buys many."""

TOKEN_KEPT_MAX_S = 60.0
PUT_OFF = frozenset({429, 503})
REFUSALS_FORGOTTEN_S = 600.0


SPENT = 1e-9
"""What is left of an amount by rounding."""


class Share:
    """A task's part of the connector's rates; it changes as tasks come and go.

    Attributes:
        part: such as 0.5 for one of two tasks.
    """

    def __init__(self, part: float) -> None:
        self.part = part


WHOLE = Share(1.0)


class Rate:
    """A task's part of so many a second, in bursts of at most one second's worth.

    The whole rate is what is metered, and what the task sends costs as much more as its part is
    smaller: so the part may change at any time, and neither a burst nor a gap comes of it.

    Args:
        per_second: of the whole connector; 0 means no limit.
        share: looked at with each amount that is spent.
    """

    def __init__(self, per_second: float, share: Share = WHOLE) -> None:
        self._burst = max(1.0, per_second)
        self._limiter = (
            AsyncLimiter(self._burst, time_period=max(1.0, 1.0 / per_second))
            if per_second
            else None
        )
        self._share = share
        self._turn = asyncio.Lock()
        self._spared = 0.0

    def give_back(self, amount: float) -> None:
        """Say that this many did not go after all."""
        self._spared += amount

    async def spend(self, amount: float) -> None:
        """Wait until this many may go."""
        spared = min(amount, self._spared)
        self._spared -= spared
        amount -= spared
        if self._limiter is None or amount <= 0:
            return
        async with self._turn:  # what takes several steps is not mixed with what others take
            while amount > SPENT:
                part = self._share.part
                step = min(amount / part, self._burst)
                await self._limiter.acquire(step)
                amount -= step * part


class Courier:
    """Sends requests within the limits that all inlets share.

    Args:
        tokens: the access token; asked for before every request, bought when needed.
        collection: Experience Platform's streaming ingestion.
        settings: limits of the whole connector.
        share: this task's part of the connector's rates.
        spans: told of each request.
    """

    def __init__(
        self,
        tokens: ImsTokens,
        collection: Collection,
        settings: DeliverySettings,
        *,
        share: Share,
        backoff: Backoff,
        pauses: Pauses,
        metrics: TaskMetrics,
        spans: Spans | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._collection = collection
        self._backoff = backoff
        self._pauses = pauses
        self._metrics = metrics
        self._spans = spans or NoSpans()
        self._clock = clock
        self._concurrency = Concurrency(settings.max_in_flight)
        self._slots = CapacityLimiter(settings.max_in_flight)
        self._taken: list[object] = []
        self._requests = Rate(settings.requests_per_second, share)
        self._messages = Rate(settings.messages_per_second, share)
        self._token_lock = asyncio.Lock()
        self._hold_until_s = 0.0
        self._refused_at_s = -math.inf
        self._refused_generation = 0
        self._token_kept_s = 0.0
        metrics.concurrency_limit.set(settings.max_in_flight)

    async def slot(self) -> None:
        """Wait for one of the slots; :meth:`leave` gives it back."""
        slot = object()  # the limiter wants to know its borrowers; to us they are alike
        await self._slots.acquire_on_behalf_of(slot)
        self._taken.append(slot)

    def leave(self) -> None:
        """Give a slot back."""
        self._slots.release_on_behalf_of(self._taken.pop())

    def hold(self, seconds: float) -> None:
        """Send nothing for so long: Experience Platform throttles the whole organisation."""
        self._hold_until_s = max(self._hold_until_s, self._clock() + seconds)

    async def admit(self, count: int) -> Token:
        """Wait until a request of so many messages may go, however long IMS or a hold may take.

        Returns:
            The token to send it with, at once.
        """
        await self._requests.spend(1)
        await self._messages.spend(count)
        return await self._token_when_allowed()

    async def post(self, target: str, body: bytes, batch: Batch, *, token: Token) -> Answer:
        """Send an admitted batch, whose request body this is, and read the answer."""
        records = [parcel.passage.record for parcel in batch.parcels]
        started_s = self._clock()
        with self._spans.request(target, records) as span:
            answer = await self._collection.post(
                target, body, sent=len(batch), token=token, traceparent=span.traceparent
            )
            span.answered(label_of(answer))
        self._metrics.request_seconds.labels(target).observe(self._clock() - started_s)
        self._metrics.request_bytes.labels(target).observe(len(body))
        self._metrics.requests.labels(target, label_of(answer)).inc()
        if isinstance(answer, TokenRefused):
            self._replace(token)
        self._adapt(answer, started_s)
        return answer

    def _adapt(self, answer: Answer, started_s: float) -> None:
        """Let the answer say how many requests may be in flight from now on."""
        if puts_off(answer):
            self._concurrency.refused(started_s, self._clock())
        elif isinstance(answer, Settled):
            in_use = self._slots.borrowed_tokens
            self._concurrency.answered(started_s, self._clock(), in_use=in_use)
        self._slots.total_tokens = self._concurrency.limit
        self._metrics.concurrency_limit.set(self._concurrency.limit)

    def _replace(self, token: Token) -> None:
        """Have a refused token replaced, unless that was done just before."""
        passed_s = self._clock() - self._refused_at_s
        if token.generation == self._refused_generation or passed_s < self._token_kept_s:
            return
        again = passed_s < REFUSALS_FORGOTTEN_S
        longer_s = min(TOKEN_KEPT_MAX_S, 2 * self._token_kept_s)
        self._token_kept_s = longer_s if again else TOKEN_KEPT_S
        self._refused_at_s, self._refused_generation = self._clock(), token.generation
        self._tokens.refused(token)

    async def _token_when_allowed(self) -> Token:
        """A token for now: the hold comes last, or requests that waited elsewhere would miss it."""
        while True:
            token = await self._token()
            wait_s = self._hold_until_s - self._clock()
            if wait_s <= 0:
                return token
            await asyncio.sleep(wait_s)

    async def _token(self) -> Token:
        attempts = 0
        async with self._token_lock:
            while True:
                try:
                    token = await self._tokens.token()
                except TryAgain as error:
                    attempts += 1
                    self._pauses.begin("ims", str(error))
                    retry_after_s = error.retry_after_s
                except Misconfigured as error:
                    attempts += 1
                    self._pauses.begin("ims", str(error), of_setup=True)
                    retry_after_s = None
                else:
                    if attempts:
                        self._pauses.end("ims")
                    return token
                await asyncio.sleep(self._backoff.wait_s(attempts, retry_after_s))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._collection.aclose()
        await self._tokens.aclose()
        await asyncio.to_thread(self._spans.close)


def puts_off(answer: Answer) -> bool:
    """Whether Experience Platform has no room for it now, or for a message of it."""
    match answer:
        case Away():
            return True
        case Settled(verdicts=verdicts):
            return any(isinstance(v, Again) and v.status in PUT_OFF for v in verdicts)
        case _:
            return False


def label_of(answer: Answer) -> str:
    """The metric label of an answer: its HTTP status where it has one, else what it is."""
    match answer:
        case Settled(status=status) | ServerError(status=status) | TokenRefused(status=status):
            return str(status)
        case TooLarge(status=status):
            return str(status)
        case Unreadable():
            return "unreadable"
        case Away(status=status, reason=reason):
            return str(status) if status is not None else reason
        case RequestRefused(error=error):
            return str(error.http_status or "refused")
        case SetupFault(status=status):
            return str(status) if status is not None else "set_up"


def answered(status: int) -> str:
    """What an answer came to, as a sentence."""
    return f"Experience Platform answered {status}."


def words_of(answer: Away) -> str:
    """Why Experience Platform is away, as a sentence."""
    if answer.status is not None:
        return answered(answer.status)
    return f"Experience Platform could not be reached ({answer.reason})."
