import asyncio
import gzip
import json
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
import pytest

from processor.errors import Misconfigured
from processor.experience_platform.answers import (
    Accepted,
    Away,
    RequestRefused,
    Settled,
    SetupFault,
    Unreadable,
)
from processor.experience_platform.client import Collection
from processor.experience_platform.exchange import NoReply
from processor.experience_platform.ims import Token
from processor.settings.models import DeliverySettings, ExperiencePlatformSettings

TOKEN = Token("canary.token-value", 1, 0.0)
BODY = b'{"messages":[{"a":1}]}'
ACCEPTED = {"responses": [{"xactionId": "1:2:3:0"}]}

Reader = Callable[[asyncio.StreamReader], Awaitable[tuple[str, bytes]]]


class Serving(Protocol):
    async def serve(
        self, script: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> str: ...


class ScriptedInlet(httpx.AsyncBaseTransport):
    """Answers every request the same, and remembers what came."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def collection(
    platform: ExperiencePlatformSettings, inlet: ScriptedInlet, **delivery: Any
) -> Collection:
    return Collection(platform, DeliverySettings(**delivery), "api-key-1", transport=inlet)


async def test_a_request_goes_to_the_targets_batch_inlet_with_its_headers(
    platform: ExperiencePlatformSettings,
) -> None:
    inlet = ScriptedInlet(httpx.Response(207, json=ACCEPTED))

    answer = await collection(platform, inlet).post("event", BODY, sent=1, token=TOKEN)

    request = inlet.requests[0]
    assert answer == Settled((Accepted("1:2:3:0"),))
    assert str(request.url) == "https://dcs.adobedc.net/collection/batch/1f2e3d"
    assert request.content == BODY
    assert request.headers["authorization"] == "Bearer canary.token-value"
    assert request.headers["x-gw-ims-org-id"] == "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
    assert request.headers["x-sandbox-name"] == "prod"
    assert request.headers["x-api-key"] == "api-key-1"
    assert request.headers["x-adobe-flow-id"] == "0c1f-22"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert "content-encoding" not in request.headers
    assert "traceparent" not in request.headers


async def test_a_request_says_which_trace_it_belongs_to(
    platform: ExperiencePlatformSettings,
) -> None:
    inlet = ScriptedInlet(httpx.Response(207, json=ACCEPTED))
    trace = f"00-{'a' * 32}-{'b' * 16}-01"

    await collection(platform, inlet).post("event", BODY, sent=1, token=TOKEN, traceparent=trace)

    assert inlet.requests[0].headers["traceparent"] == trace


async def test_only_the_total_timeout_of_the_settings_bounds_an_answer(
    platform: ExperiencePlatformSettings,
) -> None:
    inlet = ScriptedInlet(httpx.Response(207, json=ACCEPTED))

    await collection(platform, inlet).post("event", BODY, sent=1, token=TOKEN)

    timeouts = inlet.requests[0].extensions["timeout"]
    assert (timeouts["read"], timeouts["write"], timeouts["pool"]) == (None, None, None)
    assert timeouts["connect"] == 10.0


async def test_each_target_has_its_own_inlet_and_dataflow(
    platform: ExperiencePlatformSettings,
) -> None:
    inlet = ScriptedInlet(httpx.Response(207, json=ACCEPTED))

    await collection(platform, inlet).post("loyalty", BODY, sent=1, token=TOKEN)

    assert inlet.requests[0].url.path == "/collection/batch/4c5b6a"
    assert "x-adobe-flow-id" not in inlet.requests[0].headers


async def test_a_body_is_compressed_where_the_settings_ask_for_it(
    platform: ExperiencePlatformSettings,
) -> None:
    inlet = ScriptedInlet(httpx.Response(207, json=ACCEPTED))

    await collection(platform, inlet, compression="gzip").post("event", BODY, sent=1, token=TOKEN)

    assert inlet.requests[0].headers["content-encoding"] == "gzip"
    assert gzip.decompress(inlet.requests[0].content) == BODY


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        (httpx.ConnectError("canary"), Away("network")),
        (httpx.ConnectTimeout("canary"), Away("network")),
        (httpx.ReadError("canary"), Away("network", may_have_arrived=True)),
        (httpx.WriteError("canary"), Away("network", may_have_arrived=True)),
        (httpx.RemoteProtocolError("canary"), Away("network", may_have_arrived=True)),
        (httpx.ReadTimeout("canary"), Away("timeout", may_have_arrived=True)),
        (ConnectionResetError("canary"), Away("network", may_have_arrived=True)),
    ],
    ids=repr,
)
async def test_network_trouble_is_an_answer_and_says_whether_it_may_have_arrived(
    platform: ExperiencePlatformSettings, trouble: Exception, expected: Away
) -> None:
    answer = await collection(platform, ScriptedInlet(trouble)).post(
        "event", BODY, sent=1, token=TOKEN
    )

    assert answer == expected


async def test_a_lost_connection_is_not_tried_again_here(
    platform: ExperiencePlatformSettings,
) -> None:
    inlet = ScriptedInlet(httpx.RemoteProtocolError("Server disconnected"))

    await collection(platform, inlet).post("event", BODY, sent=1, token=TOKEN)

    assert len(inlet.requests) == 1


async def test_a_redirect_is_the_set_ups_fault_and_takes_nothing_along(
    platform: ExperiencePlatformSettings,
) -> None:
    elsewhere = httpx.Response(308, headers={"location": "https://elsewhere.example/"})
    inlet = ScriptedInlet(elsewhere)

    answer = await collection(platform, inlet).post("event", BODY, sent=1, token=TOKEN)

    assert isinstance(answer, SetupFault)
    assert [request.url.host for request in inlet.requests] == ["dcs.adobedc.net"]


async def test_a_date_to_wait_for_is_measured_by_the_given_clock(
    platform: ExperiencePlatformSettings,
) -> None:
    throttled = httpx.Response(429, headers={"Retry-After": "Mon, 23 Nov 2026 12:00:30 GMT"})
    client = Collection(
        platform,
        DeliverySettings(),
        transport=ScriptedInlet(throttled),
        now=lambda: datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC),
    )

    answer = await client.post("event", BODY, sent=1, token=TOKEN)

    assert answer == Away("throttled", 30.0, 429)


async def test_an_echoed_token_is_told_by_no_answer(
    platform: ExperiencePlatformSettings,
) -> None:
    echo = httpx.Response(400, json={"status": 400, "title": TOKEN.value, "message": TOKEN.value})

    answer = await collection(platform, ScriptedInlet(echo)).post(
        "event", BODY, sent=1, token=TOKEN
    )

    assert isinstance(answer, RequestRefused)
    said = "".join(traceback.format_exception(answer.error)) + repr(answer)
    assert "canary" not in said


async def test_an_accepting_answer_that_breaks_off_is_unreadable(
    platform: ExperiencePlatformSettings, loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        outgoing.write(b"HTTP/1.1 207 OK\r\nContent-Length: 900\r\n\r\n" + b'{"responses":[')

    origin = await loopback.serve(script)
    client = Collection(platform.model_copy(update={"endpoint": origin}), DeliverySettings())

    answer = await client.post("event", BODY, sent=1, token=TOKEN)
    await client.aclose()

    assert isinstance(answer, Unreadable)
    assert "broke off" in answer.why


async def test_a_refusal_that_breaks_off_is_judged_by_its_status(
    platform: ExperiencePlatformSettings, loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        outgoing.write(b"HTTP/1.1 503 Away\r\nRetry-After: 7\r\nContent-Length: 900\r\n\r\n{")

    origin = await loopback.serve(script)
    client = Collection(platform.model_copy(update={"endpoint": origin}), DeliverySettings())

    answer = await client.post("event", BODY, sent=1, token=TOKEN)
    await client.aclose()

    assert answer == Away("unavailable", 7.0, 503, may_have_arrived=True)


async def test_an_answer_for_the_largest_request_is_below_the_cap(
    platform: ExperiencePlatformSettings,
) -> None:
    violation = {
        "keyword": "format",
        "message": "[x] is not a valid date-time. " + "x" * 300,
        "pointerToViolation": "#/loyalty/pointsGained/0/value",
        "schemaLocation": "#/properties/loyalty/properties/pointsGained/items",
        "causingExceptions": [],
    }
    refusal = {"status": 400, "report": {"cause": {"_streamingValidation": [violation] * 5}}}
    body = json.dumps({"responses": [refusal] * 500}).encode()

    answer = await collection(platform, ScriptedInlet(httpx.Response(207, content=body))).post(
        "event", BODY, sent=500, token=TOKEN
    )

    assert isinstance(answer, Settled)


@pytest.mark.parametrize(
    "changes",
    [
        {"endpoint": "http://aep.example"},
        {"endpoint": "https://169.254.169.254"},
        {"org_id": "a\r\nX-Injected: 1"},
        {"sandbox_name": "a b"},
    ],
)
def test_a_setting_that_is_not_safe_to_send_is_refused_at_start(
    platform: ExperiencePlatformSettings, changes: dict[str, str]
) -> None:
    with pytest.raises(Misconfigured):
        Collection(platform.model_copy(update=changes), DeliverySettings())


def test_a_flow_id_that_could_start_another_header_is_refused_at_start(
    platform: ExperiencePlatformSettings,
) -> None:
    bad = platform.targets["event"].model_copy(update={"flow_id": "a\r\nX-Injected: 1"})
    changed = platform.model_copy(update={"targets": {"event": bad}})

    with pytest.raises(Misconfigured):
        Collection(changed, DeliverySettings())


def test_no_reply_shows_nothing_that_was_sent() -> None:
    assert "canary" not in repr(NoReply("broken", "the connection broke (ReadError)"))
