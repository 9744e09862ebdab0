"""Tokens: who gets one, in which unit, and when it ends."""

from typing import Any

import pytest

PINNED = {"client_id": "client", "client_secrets": ("secret", "next-secret")}


@pytest.mark.parametrize("version", ["/v3", "/v4"])
async def test_later_versions_answer_seconds(simulate: Any, version: str) -> None:
    simulation = await simulate(authorised=False)

    answer = await simulation.ask_token(version)

    assert answer.status_code == 200
    assert answer.json()["token_type"] == "bearer"
    assert answer.json()["expires_in"] == 86399
    assert len(answer.json()["access_token"]) > 40


@pytest.mark.parametrize("version", ["", "/v1", "/v2"])
async def test_earlier_versions_answer_milliseconds(simulate: Any, version: str) -> None:
    simulation = await simulate(authorised=False)

    answer = await simulation.ask_token(version)

    assert answer.json()["expires_in"] == 86399994


@pytest.mark.parametrize("secret", ["secret", "next-secret"])
async def test_both_secrets_buy_a_token(simulate: Any, secret: str) -> None:
    simulation = await simulate(authorised=False, **PINNED)

    answer = await simulation.ask_token(client_secret=secret)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("fields", "error", "description"),
    [
        ({"client_secret": "wrong"}, "invalid_client", "invalid client_secret parameter"),
        ({"client_secret": ""}, "invalid_client", "invalid client_secret parameter"),
        ({"client_id": "stranger"}, "invalid_client", "invalid client_id parameter"),
        ({"client_id": ""}, "invalid_client", "invalid client_id parameter"),
        ({"scope": " ,"}, "invalid_scope", "invalid scope parameter"),
        ({"grant_type": "jwt"}, "unsupported_grant_type", "invalid grant_type parameter"),
    ],
)
async def test_bad_credentials_are_refused_in_adobes_words(
    simulate: Any, fields: dict[str, str], error: str, description: str
) -> None:
    simulation = await simulate(authorised=False, **PINNED)

    answer = await simulation.ask_token(**fields)

    assert answer.status_code == 400
    assert answer.json() == {"error": error, "error_description": description}


async def test_without_a_pinned_client_the_first_secret_is_the_secret(simulate: Any) -> None:
    simulation = await simulate(authorised=False)

    first = await simulation.ask_token(client_secret="mine")
    other = await simulation.ask_token(client_secret="guessed")
    again = await simulation.ask_token(client_secret="mine")

    assert [first.status_code, other.status_code, again.status_code] == [200, 400, 200]


async def test_a_learnt_secret_that_is_revoked_gives_way_to_one_more(simulate: Any) -> None:
    simulation = await simulate(authorised=False)
    await simulation.ask_token(client_secret="old")
    await simulation.script({"scope": "ims", "revoke_secret": 0})

    old = await simulation.ask_token(client_secret="old")
    new = await simulation.ask_token(client_secret="new")
    third = await simulation.ask_token(client_secret="third")

    assert [old.status_code, new.status_code, third.status_code] == [400, 200, 400]


async def test_a_revoked_secret_holds_again_after_a_reset(simulate: Any) -> None:
    simulation = await simulate(authorised=False, **PINNED)
    await simulation.script({"scope": "ims", "revoke_secret": "all"})

    revoked = await simulation.ask_token()
    await simulation.client.post("/simulator/reset")
    restored = await simulation.ask_token()

    assert [revoked.status_code, restored.status_code] == [400, 200]


async def test_a_scope_may_be_separated_by_spaces_or_commas(simulate: Any) -> None:
    simulation = await simulate(authorised=False)

    spaces = await simulation.ask_token(scope="openid AdobeID")
    commas = await simulation.ask_token(scope="openid,AdobeID")

    assert [spaces.status_code, commas.status_code] == [200, 200]


async def test_a_secret_in_the_query_is_taken_and_noted_as_a_leak(simulate: Any) -> None:
    simulation = await simulate(authorised=False)
    query = "grant_type=client_credentials&client_id=client&client_secret=s3cr3t&scope=openid"

    answer = await simulation.client.post(f"/ims/token/v3?{query}")

    requests = await simulation.see("requests")
    assert answer.status_code == 200
    assert requests["requests"][0]["leak"] is True
    assert requests["requests"][0]["query"]["client_secret"] == "***"
    assert "s3cr3t" not in str(requests)
    assert (await simulation.see("summary"))["secrets_in_query"] == 1


async def test_a_body_that_is_no_form_is_refused(simulate: Any) -> None:
    simulation = await simulate(authorised=False)

    answer = await simulation.client.post("/ims/token/v3", json={"client_id": "client"})

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_tokens_end_by_the_clock(simulate: Any, event: Any) -> None:
    simulation = await simulate(token_lifetime_s=2.0)

    before = await simulation.batch(event())
    simulation.clock.now_s += 2.0
    after = await simulation.batch(event())

    assert [before.status_code, after.status_code] == [207, 403]


async def test_all_tokens_can_be_ended_at_once(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    await simulation.script({"scope": "ims", "expire_tokens": True})

    assert (await simulation.batch(event())).status_code == 403
    await simulation.authorise()
    assert (await simulation.batch(event())).status_code == 207


@pytest.mark.parametrize("value", [0, -5, "86399", 10**12, None, 1.5])
async def test_expires_in_can_be_anything(simulate: Any, value: object) -> None:
    simulation = await simulate(authorised=False)
    await simulation.script({"scope": "ims", "expires_in": value})

    scripted, usual = await simulation.ask_token(), await simulation.ask_token()

    assert scripted.json()["expires_in"] == value
    assert usual.json()["expires_in"] == 86399


async def test_expires_in_can_be_left_out_or_in_the_other_unit(simulate: Any) -> None:
    simulation = await simulate(authorised=False)
    await simulation.script(
        {"scope": "ims", "omit_expires_in": True},
        {"scope": "ims", "expires_in_unit": "ms"},
        {"scope": "ims", "token_lifetime_s": 3},
    )

    answers = [(await simulation.ask_token()).json() for _ in range(3)]

    assert "expires_in" not in answers[0]
    assert answers[1]["expires_in"] == 86399994
    assert answers[2]["expires_in"] == 2


async def test_ims_can_be_away(simulate: Any) -> None:
    simulation = await simulate(authorised=False)
    await simulation.script({"scope": "ims", "status": 503, "retry_after": "7", "count": 2})

    answers = [await simulation.ask_token() for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "7"
    assert answers[0].json() == {"error": "server_error"}
