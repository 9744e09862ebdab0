"""Which secret IMS accepts, told without its value."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from processor.errors import Misconfigured, TryAgain
from processor.operations.auth_status import auth_status
from processor.settings import ImsSettings

CURRENT, NEXT = "canary-current", "canary-next"
BOTH = {"client_secret": SecretStr(CURRENT), "client_secret_next": SecretStr(NEXT)}


class Ims(httpx.AsyncBaseTransport):
    """Grants a token to these secrets, and remembers which were shown."""

    def __init__(self, *accepted: str, status: int = 400, expires_in: object = 86_399_994) -> None:
        self.accepted = accepted
        self.status = status
        self.expires_in = expires_in
        self.shown: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        (secret,) = parse_qs((await request.aread()).decode())["client_secret"]
        self.shown.append(secret)
        if secret in self.accepted:
            token = {"access_token": "canary-token", "expires_in": self.expires_in}
            return httpx.Response(200, json=token)
        return httpx.Response(self.status, json={"error": "invalid_client"})


def ims_settings(**given: Any) -> ImsSettings:
    return ImsSettings.model_validate({"client_id": "abc", **given})


async def test_it_says_which_secret_was_accepted_and_for_how_long() -> None:
    ims = Ims(CURRENT)

    found = await auth_status(ims_settings(**BOTH), transport=ims)

    assert found.good
    assert (found.secret, found.unit, found.problem) == ("ims.client_secret", "ms", "")
    assert found.expires_in_s in {86_398, 86_399}
    assert (found.next.setting, found.next.works) == ("ims.client_secret_next", None)
    assert ims.shown == [CURRENT]


@pytest.mark.parametrize(("expires_in", "unit"), [(86_399, "s"), ("86399994", "ms"), (None, None)])
async def test_the_unit_is_the_one_that_was_understood(expires_in: object, unit: object) -> None:
    ims = Ims(CURRENT, expires_in=expires_in)

    found = await auth_status(ims_settings(client_secret=SecretStr(CURRENT)), transport=ims)

    assert found.unit == unit


async def test_where_the_secret_is_refused_the_next_one_is_named() -> None:
    ims = Ims(NEXT)

    found = await auth_status(ims_settings(**BOTH), try_next=True, transport=ims)

    assert found.good
    assert (found.secret, found.next.works) == ("ims.client_secret_next", True)
    assert ims.shown == [CURRENT, NEXT], "what has just worked is not asked again"


@pytest.mark.parametrize(("accepted", "works"), [((CURRENT, NEXT), True), ((CURRENT,), False)])
async def test_the_next_secret_is_tried_only_when_asked(
    accepted: tuple[str, ...], *, works: bool
) -> None:
    ims = Ims(*accepted)

    found = await auth_status(ims_settings(**BOTH), try_next=True, transport=ims)

    assert (found.secret, found.next.works) == ("ims.client_secret", works)
    assert found.good is works
    assert ims.shown == [CURRENT, NEXT]


async def test_no_next_secret_is_a_bad_verdict_only_when_it_was_asked_for() -> None:
    alone = ims_settings(client_secret=SecretStr(CURRENT))

    asked = await auth_status(alone, try_next=True, transport=Ims(CURRENT))
    unasked = await auth_status(alone, transport=Ims(CURRENT))

    assert (asked.good, asked.next.problem) == (False, "No next secret is set.")
    assert (unasked.good, unasked.next.works) == (True, None)


async def test_a_refusal_is_a_verdict_without_any_secret() -> None:
    found = await auth_status(ims_settings(**BOTH), transport=Ims())

    assert (found.good, found.secret, found.expires_in_s) == (False, None, None)
    assert "refuses the client secret (400 invalid_client)" in found.problem
    told = json.dumps(found.document()) + repr(found)
    assert "canary" not in told


async def test_a_next_secret_that_cannot_be_read_is_named_by_its_own_setting(
    tmp_path: Path,
) -> None:
    settings = ims_settings(
        client_secret=SecretStr(CURRENT), client_secret_next_file=tmp_path / "none"
    )

    found = await auth_status(settings, try_next=True, transport=Ims(CURRENT))

    assert (found.secret, found.next.works) == ("ims.client_secret", False)
    assert found.next.problem.startswith("ims.client_secret_next_file cannot be used: ")
    assert "ims.client_secret_file" not in found.next.problem


async def test_ims_away_is_no_verdict() -> None:
    with pytest.raises(TryAgain):
        await auth_status(ims_settings(**BOTH), transport=Ims(status=503))


async def test_no_readable_secret_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        await auth_status(ims_settings(client_secret_file=tmp_path / "none"), transport=Ims())

    assert raised.value.reason == "settings"
