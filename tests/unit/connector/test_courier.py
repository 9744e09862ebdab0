import asyncio
from collections import deque
from typing import Any, cast

import pytest

from processor.connector.backoff import Backoff
from processor.connector.batching import Batch
from processor.connector.courier import Courier, Rate, Share, label_of
from processor.connector.passage import Parcel, Passage
from processor.connector.pauses import Pauses
from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.experience_platform.answers import (
    Accepted,
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
from processor.record import Headers, Message, Record
from processor.settings.models import DeliverySettings
from processor.telemetry.metrics import TaskMetrics

LIMIT = "processor_concurrency_limit"
UNLIMITED = {"requests_per_second": 0.0, "messages_per_second": 0.0}


class Inlets:
    """Experience Platform that accepts, and notes when."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or Settled((Accepted("x"),))
        self.sent: list[tuple[float, int]] = []
        self.tokens: list[Token] = []
        self.traceparents: list[str] = []
        self.closed = False

    async def post(
        self, target: str, body: bytes, *, sent: int, token: Token, traceparent: str
    ) -> Answer:
        self.sent.append((asyncio.get_running_loop().time(), sent))
        self.tokens.append(token)
        self.traceparents.append(traceparent)
        return self.answer

    async def aclose(self) -> None:
        self.closed = True


class Ims:
    """Adobe IMS that fails as it is told, then sells tokens."""

    def __init__(self, *failures: TryAgain | Misconfigured) -> None:
        self.failures = deque(failures)
        self.asked = 0
        self.refusals: list[int] = []
        self.closed = False

    async def token(self) -> Token:
        self.asked += 1
        if self.failures:
            await asyncio.sleep(0.5)
            raise self.failures.popleft()
        return Token("secret", len(self.refusals) + 1, 1e9)

    def refused(self, token: Token) -> None:
        self.refusals.append(token.generation)

    async def aclose(self) -> None:
        self.closed = True


class Post:
    """A courier with its surroundings."""

    def __init__(self, ims: Ims | None = None, inlets: Inlets | None = None, **limits: Any) -> None:
        loop = asyncio.get_running_loop()
        self.ims, self.inlets = ims or Ims(), inlets or Inlets()
        self.pauses, self.metrics = Pauses(loop.time), TaskMetrics()
        share = self.share = Share(limits.pop("share", 1.0))
        self.courier = Courier(
            cast("ImsTokens", self.ims),
            cast("Collection", self.inlets),
            DeliverySettings(**{**UNLIMITED, **limits}),
            share=share,
            backoff=Backoff(1.0),
            pauses=self.pauses,
            metrics=self.metrics,
            clock=loop.time,
        )

    async def send(self, count: int = 1, *headers: Headers) -> Answer:
        token = await self.courier.admit(count)
        batch = Batch([parcel(each) for each in headers] or [parcel()] * count, 4)
        return await self.courier.post("event", b"body", batch, token=token)


def parcel(headers: Headers = ()) -> Parcel:
    return Parcel(
        Message("event", 0, "id", b"body"), Passage(Record("t", 0, 0, headers=headers), 1)
    )


def busiest_second(times_s: list[float]) -> int:
    return max(sum(start <= at < start + 1.0 for at in times_s) for start in times_s)


def test_requests_keep_to_their_rate(run: Any) -> None:
    async def scenario() -> None:
        post = Post(requests_per_second=10.0)
        await asyncio.gather(*(post.send() for _ in range(100)))

        times_s = [at_s for at_s, _ in post.inlets.sent]
        assert times_s[-1] - times_s[0] == pytest.approx(9.0, abs=0.3)
        assert busiest_second(times_s) <= 2 * 10, "a burst of one second's worth, then the rate"

    run(scenario())


def test_a_share_of_the_rate_may_be_less_than_one_a_second(run: Any) -> None:
    async def scenario() -> None:
        post = Post(requests_per_second=2.0, share=0.25)
        await asyncio.gather(*(post.send() for _ in range(4)))

        times_s = [at_s for at_s, _ in post.inlets.sent]
        assert times_s[-1] - times_s[0] == pytest.approx(6.0, abs=0.1)

    run(scenario())


def test_the_share_of_a_rate_may_change_and_no_burst_comes_of_it(run: Any) -> None:
    async def scenario() -> None:
        loop, post = asyncio.get_running_loop(), Post(requests_per_second=10.0, share=0.5)
        sending = [asyncio.create_task(post.send()) for _ in range(200)]
        begun_s = loop.time()
        counts = []
        for part in (0.5, 0.1, 1.0):
            post.share.part = part
            before = len(post.inlets.sent)
            await asyncio.sleep(4.0)
            counts.append(len(post.inlets.sent) - before)

        # A burst of one second's worth at the beginning only.
        assert counts == [
            pytest.approx(25, abs=1),
            pytest.approx(4, abs=1),
            pytest.approx(40, abs=1),
        ]
        assert loop.time() - begun_s == pytest.approx(12.0, abs=0.1)
        for one in sending:
            one.cancel()

    run(scenario())


def test_messages_keep_to_their_rate_even_where_a_request_holds_more(run: Any) -> None:
    async def scenario() -> None:
        post = Post(messages_per_second=100.0)
        for _ in range(3):
            await post.send(250)

        times_s = [at_s for at_s, _ in post.inlets.sent]
        assert times_s[-1] - times_s[0] == pytest.approx(5.0, abs=0.1)

    run(scenario())


def test_a_rate_of_one_s_own_counts_likewise(run: Any) -> None:
    async def scenario() -> None:
        loop, rate = asyncio.get_running_loop(), Rate(1.0)
        begun_s = loop.time()
        for _ in range(3):
            await rate.spend(1)

        assert loop.time() - begun_s == pytest.approx(2.0, abs=0.1)

    run(scenario())


def test_what_did_not_go_after_all_may_go_at_once_later(run: Any) -> None:
    async def scenario() -> None:
        loop, rate = asyncio.get_running_loop(), Rate(1.0)
        await rate.spend(1)
        rate.give_back(1)
        begun_s = loop.time()
        await rate.spend(1)
        at_once_s = loop.time() - begun_s
        await rate.spend(1)

        assert at_once_s < 0.1
        assert loop.time() - begun_s == pytest.approx(1.0, abs=0.1)

    run(scenario())


def test_a_hold_stops_every_request_also_those_that_waited_for_something_else(run: Any) -> None:
    async def scenario() -> None:
        post = Post(requests_per_second=1.0)
        await post.send()
        waiting = asyncio.create_task(post.send())
        await asyncio.sleep(0.1)
        begun_s = asyncio.get_running_loop().time()
        post.courier.hold(60.0)
        post.courier.hold(5.0)
        await waiting

        assert post.inlets.sent[-1][0] - begun_s >= 60.0

    run(scenario())


def test_slots_are_given_in_turn_and_come_back(run: Any) -> None:
    async def scenario() -> None:
        post = Post(max_in_flight=1)
        order: list[int] = []

        async def work(number: int) -> None:
            await post.courier.slot()
            order.append(number)
            await asyncio.sleep(0.1)
            post.courier.leave()

        await asyncio.gather(*(work(number) for number in range(5)))

        assert order == [0, 1, 2, 3, 4]

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "of_setup"),
    [
        (TryAgain("IMS is away.", reason="ims"), False),
        (Misconfigured("IMS refuses the secret.", reason="ims"), True),
    ],
)
def test_trouble_with_the_token_is_waited_for_once_for_all(
    run: Any, failure: TryAgain | Misconfigured, of_setup: bool
) -> None:
    async def scenario() -> None:
        post = Post(Ims(*[failure] * 3))
        sending = [asyncio.create_task(post.send()) for _ in range(20)]
        await asyncio.sleep(0.7)
        (pause,) = post.pauses.active()
        await asyncio.gather(*sending)

        assert (pause.reason, pause.of_setup) == ("ims", of_setup)
        assert post.ims.asked == 3 + 20
        assert post.pauses.active() == ()
        assert len(post.inlets.sent) == 20

    run(scenario())


def test_ims_says_when_to_ask_again(run: Any) -> None:
    async def scenario() -> None:
        post = Post(Ims(TryAgain("Slow down.", reason="ims", retry_after_s=40.0)))
        begun_s = asyncio.get_running_loop().time()
        await post.send()

        assert post.inlets.sent[0][0] - begun_s >= 40.0

    run(scenario())


def test_a_refused_token_is_reported_and_not_used_again(run: Any) -> None:
    async def scenario() -> None:
        post = Post(inlets=Inlets(TokenRefused(401)))
        await post.send()
        await asyncio.sleep(24 * 3600.0)
        await post.send()
        await post.send()

        assert [token.generation for token in post.inlets.tokens] == [1, 2, 3]
        assert post.ims.refusals == [1, 2]

    run(scenario())


def test_a_token_that_is_refused_again_and_again_is_not_bought_again_and_again(run: Any) -> None:
    async def scenario() -> None:
        post = Post(inlets=Inlets(TokenRefused(403)))
        for _ in range(3600):
            await post.send()
            await asyncio.sleep(1.0)

        assert len(post.ims.refusals) == pytest.approx(3600 / 60, abs=10)

    run(scenario())


def test_a_request_is_counted_by_its_answer(run: Any) -> None:
    async def scenario() -> None:
        post = Post()
        await post.send()
        await post.courier.aclose()

        counted = post.metrics.registry.get_sample_value(
            "processor_requests_total", {"target": "event", "status": "207"}
        )
        size = post.metrics.registry.get_sample_value(
            "processor_request_bytes_sum", {"target": "event"}
        )
        assert (counted, size) == (1.0, 4.0)
        assert post.inlets.closed
        assert post.ims.closed

    run(scenario())


REFUSED = Refused("No.", code=Code.DELIVERY_REFUSED, http_status=422)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        (Settled((), 200), "200"),
        (Unreadable("it is cut"), "unreadable"),
        (Away("throttled", None, 429), "429"),
        (Away("network"), "network"),
        (ServerError(500, ""), "500"),
        (TooLarge(), "413"),
        (TokenRefused(403), "403"),
        (RequestRefused(REFUSED), "422"),
        (RequestRefused(Refused("No.", code=Code.DELIVERY_REFUSED)), "refused"),
        (SetupFault("", "", 404), "404"),
        (SetupFault("", ""), "set_up"),
    ],
)
def test_every_answer_has_a_label(answer: Answer, label: str) -> None:
    assert label_of(answer) == label


def test_what_is_put_off_takes_slots_away_and_what_is_taken_gives_them_back(run: Any) -> None:
    async def scenario() -> None:
        post = Post(max_in_flight=8)

        def limit() -> float:
            return cast("float", post.metrics.registry.get_sample_value(LIMIT))

        async def busy(count: int) -> int:
            """How many of so many that ask get a slot."""
            waiting = [asyncio.create_task(post.courier.slot()) for _ in range(count)]
            await asyncio.sleep(0.01)
            got = sum(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
            for _ in range(got):
                post.courier.leave()
            return got

        before = (limit(), await busy(12))
        for answer in (Away("throttled", None, 429), Settled((Accepted("x"), Again(503, None)))):
            post.inlets.answer = answer
            await post.send()
            await asyncio.sleep(1.0)
        fewer = (limit(), await busy(12))
        post.inlets.answer = Settled((Accepted("x"),))
        for _ in range(100):
            slots = int(limit())
            await asyncio.gather(*(post.courier.slot() for _ in range(slots)))
            await asyncio.gather(*(post.send() for _ in range(slots)))
            for _ in range(slots):
                post.courier.leave()

        assert before == (8, 8)
        assert fewer == (2, 2)
        assert (limit(), await busy(12)) == (8, 8)

    run(scenario())


@pytest.mark.parametrize("answer", [
    ServerError(500, ""), TokenRefused(401), Settled((Again(500, None),)), Unreadable("no", 200),
])  # fmt: skip
def test_what_may_be_the_messages_fault_takes_no_slots_away(run: Any, answer: Answer) -> None:
    async def scenario() -> None:
        post = Post(inlets=Inlets(answer), max_in_flight=8)
        await post.send()

        assert post.metrics.registry.get_sample_value(LIMIT) == 8

    run(scenario())


def test_a_request_carries_the_trace_that_all_of_its_records_agree_on(run: Any) -> None:
    def in_trace(digit: str) -> Headers:
        return [("traceparent", f"00-{digit * 32}-{'b' * 16}-01".encode())]

    async def scenario() -> None:
        post = Post()
        await post.send(2, in_trace("a"), in_trace("a"))
        await post.send(2, in_trace("a"), in_trace("c"))
        await post.send(2, in_trace("a"), ())
        await post.send()

        assert post.inlets.traceparents == [f"00-{'a' * 32}-{'b' * 16}-01", "", "", ""]

    run(scenario())
