import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from processor.errors import Misconfigured, TryAgain
from processor.experience_platform.ims import ImsTokens, Token
from processor.settings.models import ImsSettings

SECRET = "s+e&c%r=e#t é"
REFUSED = httpx.Response(
    400, json={"error": "invalid_client", "error_description": "invalid client_secret parameter"}
)


class Clock:
    """Monotonic seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class ScriptedIms(httpx.AsyncBaseTransport):
    """Grants tokens in order, unless it is told what to answer; may be held back."""

    def __init__(self, *answers: httpx.Response | Exception, expires_in: object = 86399) -> None:
        self.answers = list(answers)
        self.expires_in = expires_in
        self.requests: list[httpx.Request] = []
        self.open = asyncio.Event()
        self.open.set()
        self.accepts: Callable[[str], bool] = lambda secret: True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        await self.open.wait()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return httpx.Response(
                answer.status_code, headers=answer.headers, content=answer.content
            )
        if not self.accepts(self.secrets[-1]):
            return httpx.Response(REFUSED.status_code, content=REFUSED.content)
        token = {"access_token": f"token-{len(self.requests)}", "expires_in": self.expires_in}
        return httpx.Response(200, json=token)

    @property
    def secrets(self) -> list[str]:
        return [parse_qs(r.content.decode())["client_secret"][0] for r in self.requests]


def ims_settings(**changes: Any) -> ImsSettings:
    return ImsSettings(**{"client_id": "abc123", "client_secret": SecretStr(SECRET), **changes})


def tokens_of(
    ims: ScriptedIms, clock: Clock | None = None, told: list[str] | None = None, **changes: Any
) -> ImsTokens:
    heard: list[str] = [] if told is None else told
    return ImsTokens(
        ims_settings(**changes),
        transport=ims,
        clock=clock or Clock(),
        on_token=heard.append,
        timeout_s=5,
    )


async def settled(tokens: ImsTokens) -> None:
    """Let a background refresh come to its end."""
    for _ in range(1000):
        if not tokens.status().refreshing:
            return
        await asyncio.sleep(0)
    raise AssertionError("the refresh did not end")


async def test_the_secret_goes_encoded_into_the_body_and_never_into_the_url() -> None:
    ims = ScriptedIms()

    await tokens_of(ims).token()

    request = ims.requests[0]
    assert parse_qs(request.content.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["abc123"],
        "client_secret": [SECRET],
        "scope": [
            "openid AdobeID read_organizations additional_info.projectedProductContext session"
        ],
    }
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert str(request.url) == "https://ims-na1.adobelogin.com/ims/token"


async def test_scopes_are_joined_as_the_settings_say() -> None:
    ims = ScriptedIms()

    await tokens_of(ims, scopes=["openid", "AdobeID"], scope_separator=",").token()

    assert parse_qs(ims.requests[0].content.decode())["scope"] == ["openid,AdobeID"]


async def test_a_token_is_used_until_it_has_to_be_replaced() -> None:
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock)

    first = await tokens.token()
    clock.now_s += 86399 - 301
    second = await tokens.token()

    assert first is second
    assert first == Token("token-1", 1, 1000.0 + 86399)
    assert len(ims.requests) == 1


async def test_many_that_wait_make_one_request() -> None:
    ims = ScriptedIms()
    ims.open.clear()
    tokens = tokens_of(ims)

    waiting = [asyncio.create_task(tokens.token()) for _ in range(50)]
    while not ims.requests:
        await asyncio.sleep(0)
    ims.open.set()
    found = await asyncio.gather(*waiting)

    assert len(ims.requests) == 1
    assert {token.generation for token in found} == {1}


async def test_one_that_gives_up_does_not_take_the_token_from_the_others() -> None:
    ims = ScriptedIms()
    ims.open.clear()
    tokens = tokens_of(ims)

    impatient, patient = (asyncio.create_task(tokens.token()) for _ in range(2))
    while not ims.requests:
        await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    ims.open.set()

    assert (await patient).generation == 1


async def test_a_token_near_its_end_is_used_while_the_next_one_is_bought() -> None:
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock)
    await tokens.token()

    clock.now_s += 86399 - 299
    ims.open.clear()
    during = [await tokens.token() for _ in range(5)]
    ims.open.set()
    await settled(tokens)
    after = await tokens.token()

    assert {token.generation for token in during} == {1}
    assert after.generation == 2
    assert len(ims.requests) == 2


@pytest.mark.parametrize(
    ("expires_in", "early_s"), [(400, 200.0), (2, 1.0), ("86399994", 300.0), (None, 150.0)]
)
async def test_a_token_is_replaced_early_but_not_before_half_of_its_life(
    expires_in: object, early_s: float
) -> None:
    ims, clock = ScriptedIms(expires_in=expires_in), Clock()
    tokens = tokens_of(ims, clock)
    end_s = (await tokens.token()).expires_at_s

    clock.now_s = end_s - early_s - 0.01
    await tokens.token()
    before = len(ims.requests)
    clock.now_s = end_s - early_s
    await tokens.token()
    await settled(tokens)

    assert (before, len(ims.requests)) == (1, 2)


@pytest.mark.parametrize("expires_in", [0, -5, None, "x", 10**12, "0"])
async def test_a_nonsensical_lifetime_makes_no_hot_loop(expires_in: object) -> None:
    ims = ScriptedIms(expires_in=expires_in)
    tokens = tokens_of(ims)

    for _ in range(100):
        await tokens.token()
        await settled(tokens)

    assert len(ims.requests) == 1


async def test_an_ended_token_is_never_used() -> None:
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock)
    await tokens.token()

    clock.now_s += 86399

    assert (await tokens.token()).generation == 2


AWAY = [
    httpx.Response(429, headers={"retry-after": "30"}),
    httpx.Response(500, text="x"),
    httpx.Response(200, text="<html>"),
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("hang"),
    httpx.RemoteProtocolError("garbage"),
]


@pytest.mark.parametrize("away", AWAY, ids=repr)
async def test_while_ims_is_away_a_valid_token_goes_on_being_used(
    away: httpx.Response | Exception,
) -> None:
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock)
    await tokens.token()
    ims.answers = [away]

    clock.now_s += 86399 - 299
    during = await tokens.token()
    await settled(tokens)
    problem = tokens.status().problem
    still = await tokens.token()
    clock.now_s += 60
    await tokens.token()
    await settled(tokens)

    assert during.generation == still.generation == 1
    assert problem
    assert (await tokens.token()).generation == 2
    assert tokens.status().problem == ""


async def test_a_failed_background_refresh_is_not_repeated_at_once() -> None:
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock)
    await tokens.token()
    ims.answers = [httpx.Response(503) for _ in range(100)]

    clock.now_s += 86399 - 299
    for _ in range(100):
        await tokens.token()
        await settled(tokens)

    assert len(ims.requests) == 2


async def test_a_background_refresh_waits_as_ims_asks() -> None:
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock)
    await tokens.token()
    ims.answers = [httpx.Response(429, headers={"Retry-After": "100"})]

    clock.now_s += 86399 - 299
    await tokens.token()
    await settled(tokens)
    clock.now_s += 99
    await tokens.token()
    await settled(tokens)
    early = len(ims.requests)
    clock.now_s += 1
    await tokens.token()
    await settled(tokens)

    assert (early, len(ims.requests)) == (2, 3)


@pytest.mark.parametrize("away", AWAY, ids=repr)
async def test_without_a_usable_token_the_caller_hears_that_ims_is_away(
    away: httpx.Response | Exception,
) -> None:
    tokens = tokens_of(ScriptedIms(away))

    with pytest.raises(TryAgain) as caught:
        await tokens.token()

    assert caught.value.reason == "ims"
    assert (await tokens.token()).generation == 1


async def test_a_server_that_hangs_is_away() -> None:
    ims = ScriptedIms()
    ims.open.clear()
    tokens = ImsTokens(ims_settings(), transport=ims, timeout_s=0.02)

    with pytest.raises(TryAgain):
        await tokens.token()


async def test_a_refused_token_is_replaced_once_for_all_that_used_it() -> None:
    ims = ScriptedIms()
    tokens = tokens_of(ims)
    old = await tokens.token()

    tokens.refused(old)
    new = await tokens.token()
    tokens.refused(old)
    still = await tokens.token()

    assert new.generation == 2
    assert still is new
    assert len(ims.requests) == 2


async def test_a_refused_token_is_not_used_even_while_ims_is_away() -> None:
    ims = ScriptedIms()
    tokens = tokens_of(ims)
    tokens.refused(await tokens.token())
    ims.answers = [httpx.Response(503)]

    with pytest.raises(TryAgain):
        await tokens.token()


async def test_the_next_secret_is_tried_when_the_first_is_refused_and_remembered() -> None:
    ims, clock = ScriptedIms(), Clock()
    ims.accepts = lambda secret: secret == "new"
    tokens = tokens_of(ims, clock, client_secret_next=SecretStr("new"))

    await tokens.token()
    clock.now_s += 90_000
    await tokens.token()

    assert ims.secrets == [SECRET, "new", "new"]
    assert tokens.status().secret == "client_secret_next"


async def test_a_secret_file_is_read_again_without_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old\n")
    ims, clock = ScriptedIms(), Clock()
    tokens = tokens_of(ims, clock, client_secret=None, client_secret_file=file)
    await tokens.token()

    file.write_text("rotated\n")
    clock.now_s += 90_000
    await tokens.token()

    assert ims.secrets == ["old", "rotated"]


async def test_a_secret_that_changes_while_it_is_refused_is_tried_at_once(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("old")
    ims = ScriptedIms()

    def rotate_and_refuse(secret: str) -> bool:
        file.write_text("rotated")
        return secret == "rotated"

    ims.accepts = rotate_and_refuse

    await tokens_of(ims, client_secret=None, client_secret_file=file).token()

    assert ims.secrets == ["old", "rotated"]


async def test_every_secret_is_tried_once_an_attempt_before_the_set_up_is_at_fault() -> None:
    ims = ScriptedIms()
    ims.accepts = lambda secret: False
    tokens = tokens_of(ims, client_secret_next=SecretStr("next"))

    with pytest.raises(Misconfigured) as caught:
        await tokens.token()

    assert ims.secrets == [SECRET, "next"]
    assert caught.value.reason == "ims"


async def test_two_settings_with_one_secret_make_one_attempt() -> None:
    ims = ScriptedIms()
    ims.accepts = lambda secret: False

    with pytest.raises(Misconfigured):
        await tokens_of(ims, client_secret_next=SecretStr(SECRET)).token()

    assert ims.secrets == [SECRET]


async def test_a_next_secret_that_is_not_there_yet_does_no_harm(tmp_path: Path) -> None:
    ims = ScriptedIms()

    token = await tokens_of(ims, client_secret_next_file=tmp_path / "absent").token()

    assert token.generation == 1


async def test_no_secret_at_all_names_the_setting() -> None:
    with pytest.raises(Misconfigured) as caught:
        await tokens_of(ScriptedIms(), client_secret=None).token()

    assert "ims.client_secret" in str(caught.value)


async def test_a_redirect_takes_no_secret_along() -> None:
    ims = ScriptedIms(httpx.Response(307, headers={"location": "https://elsewhere.example/"}))

    with pytest.raises(Misconfigured):
        await tokens_of(ims).token()

    assert len(ims.requests) == 1


@pytest.mark.parametrize("url", ["http://ims.example/token", "https://u:p@ims.example/", "ims", ""])
def test_a_token_url_that_is_not_safe_is_refused_at_start(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        ImsTokens(ims_settings(token_url=url))

    assert "ims.token_url" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "allow_http"),
    [("http://127.0.0.1:9/t", False), ("http://[::1]:9/t", False), ("http://ims.example/t", True)],
)
async def test_http_is_allowed_to_loopback_or_on_request(url: str, allow_http: bool) -> None:
    tokens = ImsTokens(ims_settings(token_url=url, allow_http=allow_http))

    await tokens.aclose()


async def test_every_token_is_made_known_to_the_masking_of_logs() -> None:
    told: list[str] = []
    tokens = tokens_of(ScriptedIms(), told=told)

    await tokens.token()

    assert told == ["token-1"]


async def test_neither_secret_nor_token_is_told_by_anything_that_can_be_printed() -> None:
    echo = httpx.Response(400, json={"error": SECRET, "error_description": SECRET})
    ims = ScriptedIms(echo, httpx.ConnectError(SECRET), httpx.Response(500, text=SECRET))
    tokens = tokens_of(ims)

    said = []
    for _ in range(3):
        with pytest.raises((TryAgain, Misconfigured)) as caught:
            await tokens.token()
        said.append("".join(traceback.format_exception(caught.value)) + repr(caught.value))
    token = await tokens.token()
    said += [repr(token), str(token), repr(tokens), repr(tokens.status()), str(tokens.__dict__)]

    assert SECRET not in "".join(said)
    assert "token-4" not in "".join(said)


async def test_outcomes_are_told_for_the_metrics() -> None:
    outcomes: list[str] = []
    ims = ScriptedIms(httpx.Response(503), httpx.Response(400, json={"error": "invalid_scope"}))
    tokens = ImsTokens(ims_settings(), transport=ims, on_refresh=outcomes.append)

    for _ in range(2):
        with pytest.raises((TryAgain, Misconfigured)):
            await tokens.token()
    await tokens.token()

    assert outcomes == ["away", "refused", "bought"]


async def test_closing_gives_up_a_request_under_way() -> None:
    ims = ScriptedIms()
    ims.open.clear()
    tokens = tokens_of(ims)
    waiting = asyncio.create_task(tokens.token())
    while not ims.requests:
        await asyncio.sleep(0)

    await tokens.aclose()
    await asyncio.wait([waiting], timeout=5)

    assert waiting.cancelled()


async def test_the_status_tells_how_long_the_token_lives() -> None:
    clock = Clock()
    tokens = tokens_of(ScriptedIms(), clock)

    before = tokens.status()
    await tokens.token()
    clock.now_s += 99
    after = tokens.status()

    assert before.expires_in_s is None
    assert (after.expires_in_s, after.generation, after.secret) == (86300.0, 1, "client_secret")
