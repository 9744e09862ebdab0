"""Adobe as the model sees it: IMS and Experience Platform, in memory and in virtual time.

The doubles stand below httpx, so that the product's own reading of answers is under test as well.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson

from processor.record import TopicPartition
from tests.model.judge import Judge, Posted
from tests.model.kinds import Key

LATENCY_S = 0.02
TOKEN_LIFE_S = 3600.0
REFRESH_EARLY_S = 300.0
MOST_REQUESTS = 3
MOST_MESSAGES = 4
MOST_BYTES = 10_000
REQUESTS_A_SECOND = 50.0
SAME_MOMENT_S = 0.01

OK, HOLD = "ok", "hold"
NOBODY = frozenset[Key]()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one request.

    Attributes:
        what: a status, or ``ok``, ``mask``, ``again``, ``short``, ``long``, ``garbage``,
            ``cut``, ``reset``, ``unreached``, ``silence`` or ``hold``.
        mask: the messages that ``mask`` refuses and ``again`` puts off, bit by bit.
        after: Experience Platform has taken the messages before that happened.
        retry_after: the header's text.
    """

    what: str
    mask: int = 0
    after: bool = False
    retry_after: str = ""


GOOD = Outcome(OK)


@dataclass(slots=True, eq=False)
class Held:
    """A request that waits until the test says what becomes of it."""

    posted: Posted
    what: asyncio.Future[Outcome]


@dataclass(slots=True)
class Adobe:
    """What all instances share: which secrets and tokens are good, and what happens next.

    Attributes:
        script: what becomes of the next requests; then ``standing`` holds.
        revoked: tokens that Experience Platform does not take any more.
        ims: ``ok``, ``away`` or ``silent``.
        mended: it takes what it had refused for the set-up's sake.
        asked: the secrets that IMS was asked with, in that order.
    """

    judge: Judge
    script: deque[Outcome] = field(default_factory=deque)
    standing: Outcome = GOOD
    held: list[Held] = field(default_factory=list)
    good_secrets: set[str] = field(default_factory=lambda: {"one"})
    revoked: set[str] = field(default_factory=set)
    expires_s: dict[str, float] = field(default_factory=dict)
    ims: str = OK
    mended: bool = False
    asked: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def next(self) -> Outcome:
        """What becomes of a request that arrives now."""
        return self.script.popleft() if self.script else self.standing

    def revoke_tokens(self) -> None:
        """From now on every token bought so far is refused."""
        self.revoked.update(self.expires_s)


class Ims(httpx.AsyncBaseTransport):
    """Adobe IMS for one instance."""

    def __init__(self, adobe: Adobe, who: str) -> None:
        self._adobe = adobe
        self._who = who
        self._running = 0
        self._asked_s = 0.0
        self.refused: set[str] = set()
        self.newest = ""
        self.granted = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        adobe, judge = self._adobe, self._adobe.judge
        now_s = asyncio.get_running_loop().time()
        self._running += 1
        if self._running > 1:
            judge.broken("I16", f"{self._who} asks IMS twice at a time")
        try:
            secret = parse_qs(request.content.decode())["client_secret"][0]
            adobe.asked.append(secret)
            await asyncio.sleep(LATENCY_S)
            if adobe.ims == "silent":
                await asyncio.sleep(3600.0)
            if adobe.ims != OK:
                return httpx.Response(503)
            if secret not in adobe.good_secrets:
                return httpx.Response(400, json={"error": "invalid_client"})
        finally:
            self._running -= 1
        early = now_s < self._asked_s + TOKEN_LIFE_S - REFRESH_EARLY_S - 1.0
        if self.newest and early and self.newest not in self.refused:
            judge.broken("I16", f"{self._who} replaces a token that is still good")
        self.granted += 1
        self._asked_s = now_s
        self.newest = f"token-{next(adobe.numbers)}"
        adobe.expires_s[self.newest] = asyncio.get_running_loop().time() + TOKEN_LIFE_S
        return httpx.Response(
            200, json={"access_token": self.newest, "expires_in": int(TOKEN_LIFE_S)}
        )


class Platform(httpx.AsyncBaseTransport):
    """Experience Platform for one instance.

    Attributes:
        answers: requests by target and status.
        bytes: of the bodies of those, by target.

    Args:
        epoch_of: the product's own number of a partition's assignment, `None` without one.
        targets: by inlet.
    """

    def __init__(
        self,
        adobe: Adobe,
        who: str,
        ims: Ims,
        *,
        epoch_of: Callable[[TopicPartition], int | None],
        targets: Mapping[str, str],
    ) -> None:
        self._adobe = adobe
        self._who = who
        self._ims = ims
        self._epoch_of = epoch_of
        self._targets = targets
        self._running: list[Posted] = []
        self._arrivals: deque[float] = deque()
        self._hold_until_s = 0.0
        self._trouble_s: dict[str, float] = {}
        self.answers: Counter[tuple[str, str]] = Counter()
        self.bytes: Counter[str] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        target = self._targets[request.url.path.rpartition("/")[2]]
        posted = self._arrive(target, body["messages"], len(request.content))
        token = request.headers["authorization"].removeprefix("Bearer ")
        now_s = asyncio.get_running_loop().time()
        if now_s > self._adobe.expires_s[token]:
            self._adobe.judge.broken("I16", f"{self._who} uses a token past its end")
        self._running.append(posted)
        try:
            await asyncio.sleep(LATENCY_S)
            response = await self._answer(posted, token)
            self.answers[target, str(response.status_code)] += 1
            self.bytes[target] += len(request.content)
            return response
        except asyncio.CancelledError:
            posted.stale = True
            self._adobe.judge.doubted(posted, asyncio.get_running_loop().time())
            raise
        finally:
            self._running.remove(posted)

    def _arrive(self, target: str, messages: Sequence[Any], size: int) -> Posted:
        judge, now_s = self._adobe.judge, asyncio.get_running_loop().time()
        entities = [message["body"]["xdmEntity"] for message in messages]
        keys = [Key(entity["serial"], target, entity["index"]) for entity in entities]
        epochs = {
            partition: self._epoch_of(partition)
            for partition in {judge.made[key.serial].partition for key in keys}
        }
        posted = Posted(self._who, target, keys, epochs, now_s)
        judge.posted(posted, [e["_id"] for e in entities], map(orjson.dumps, messages))
        self._bounded(posted, size, now_s)
        return posted

    def _bounded(self, posted: Posted, size: int, now_s: float) -> None:
        judge = self._adobe.judge
        if len(self._running) >= MOST_REQUESTS:
            judge.broken("I15", f"{self._who} has {len(self._running) + 1} requests in flight")
        if len(posted.keys) > MOST_MESSAGES or size > MOST_BYTES:
            judge.broken("I15", f"a request of {len(posted.keys)} messages, {size} bytes")
        self._arrivals.append(now_s)
        while self._arrivals[0] < now_s - 1.0:
            self._arrivals.popleft()
        if len(self._arrivals) > 2 * REQUESTS_A_SECOND:
            judge.broken("I15", f"{len(self._arrivals)} requests within a second")
        if now_s < self._hold_until_s - SAME_MOMENT_S:
            left_s = self._hold_until_s - now_s
            judge.broken("I17", f"a request {left_s:.3f} s before Retry-After has passed")
        since_s = self._trouble_s.get(posted.target)
        if since_s is not None and now_s > since_s + SAME_MOMENT_S:
            probes = [
                other
                for other in self._running
                if other.target == posted.target and other.began_s > since_s + SAME_MOMENT_S
            ]
            if probes:
                judge.broken("I17", f"two probes at a time for {posted.target}")

    async def _answer(self, posted: Posted, token: str) -> httpx.Response:
        adobe = self._adobe
        outcome = adobe.next()
        if outcome.what == HOLD:
            held = Held(posted, asyncio.get_running_loop().create_future())
            adobe.held.append(held)
            outcome = await held.what
            adobe.held.remove(held)
        if token in adobe.revoked or outcome.what in {"401", "403"}:
            self._ims.refused.add(token)
            self._without_verdict(posted, trouble=False)
            return httpx.Response(401 if outcome.what != "403" else 403)
        return await self._as_told(posted, outcome)

    def stale(self, posted: Posted) -> bool:
        """Whether nobody of the present assignments waits for the answer."""
        return posted.stale or any(
            self._adobe.judge.is_stale(self._who, partition, epoch)
            for partition, epoch in posted.epochs.items()
        )

    def calm(self) -> None:
        """Partitions were given back: trouble may be over, for want of anything to send."""
        self._trouble_s.clear()

    def _accept(self, posted: Posted, keys: Sequence[Key]) -> None:
        now_s = asyncio.get_running_loop().time()
        self._adobe.judge.accept(posted, keys, stale=self.stale(posted), now_s=now_s)

    async def _as_told(self, posted: Posted, outcome: Outcome) -> httpx.Response:
        judge, keys = self._adobe.judge, posted.keys
        kinds = [judge.made[key.serial].kind for key in keys]
        broken = next((kind.breaks for kind in kinds if kind.breaks), "")
        what = outcome.what if outcome.what not in {OK, "mask", "again"} else broken or outcome.what
        if what in {OK, "mask", "again"}:
            return self._verdicts(posted, outcome, kinds)
        taken = [] if broken or not outcome.after else self._acceptable(keys, kinds)
        if what in {"short", "long", "garbage", "cut"} and not broken:
            taken = self._acceptable(keys, kinds)
        self._accept(posted, taken)
        judge.answered(posted, taken, NOBODY, clear=False)
        return await self._failing(posted, what, outcome)

    async def _failing(self, posted: Posted, what: str, outcome: Outcome) -> httpx.Response:
        judge, keys = self._adobe.judge, posted.keys
        now_s = asyncio.get_running_loop().time()
        if what == "silence":
            await asyncio.sleep(3600.0)
        if what in {"400", "413"}:
            if len(keys) == 1:
                judge.answered(posted, NOBODY, keys, clear=True)
            self._trouble_s.pop(posted.target, None)
            return httpx.Response(int(what), json={"title": "no"})
        if what in {"429", "503"}:
            self._without_verdict(posted, trouble=True)
            if what == "429" and outcome.retry_after.isdigit():
                wait_s = min(300.0, float(outcome.retry_after))
                self._hold_until_s = max(self._hold_until_s, now_s + wait_s)
            headers = {"retry-after": outcome.retry_after} if outcome.retry_after else {}
            return httpx.Response(int(what), headers=headers)
        if what == "unreached":
            self._without_verdict(posted, trouble=True)
            raise httpx.ConnectError("refused")
        judge.doubted(posted, now_s)
        match what:
            case "reset":
                raise httpx.ReadError("reset")
            case "short" | "long":
                items = [{"xactionId": f"id{key.serial}"} for key in keys]
                items = items[1:] if what == "short" else [*items, {"xactionId": "more"}]
                return httpx.Response(207, json={"responses": items})
            case "cut":
                return httpx.Response(207, content=b'{"responses": [{"xactionId": "a')
            case "garbage":
                return httpx.Response(207, content=b"<html>")
        return httpx.Response(int(what))

    def _verdicts(self, posted: Posted, outcome: Outcome, kinds: Sequence[Any]) -> httpx.Response:
        judge, keys = self._adobe.judge, posted.keys
        accepted, refused, items = list[Key](), list[Key](), list[dict[str, Any]]()
        for place, (key, kind) in enumerate(zip(keys, kinds, strict=True)):
            chosen = bool(outcome.mask >> place & 1)
            refused_before = key in judge.refused or key.target in kind.refused
            if refused_before and not self._adobe.mended:
                chosen, what = True, "mask"
            else:
                what = outcome.what
            if not chosen or what == OK:
                accepted.append(key)
                items.append({"xactionId": f"id{key.serial}"})
            elif what == "mask":
                refused.append(key)
                items.append({"status": 400, "message": "no"})
            else:
                items.append({"status": 503})
        self._accept(posted, accepted)
        judge.answered(posted, accepted, refused, clear=True)
        if accepted or refused:
            self._trouble_s.pop(posted.target, None)
        return httpx.Response(207, json={"responses": items})

    @staticmethod
    def _acceptable(keys: Sequence[Key], kinds: Sequence[Any]) -> list[Key]:
        return [
            key for key, kind in zip(keys, kinds, strict=True) if key.target not in kind.refused
        ]

    def _without_verdict(self, posted: Posted, *, trouble: bool) -> None:
        if trouble and not self.stale(posted):
            now_s = asyncio.get_running_loop().time()
            self._trouble_s.setdefault(posted.target, now_s)
