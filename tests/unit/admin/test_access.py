import base64
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.admin.access import Access, Caller, Need, Role
from processor.admin.sessions import LIFE_S, MAX_SESSIONS, Sessions
from processor.connector.status import ConnectorState
from processor.errors import Misconfigured
from processor.settings import AdminSettings

Ask = Callable[..., httpx.AsyncClient]
Files = dict[str, Path]

STATUS, PAUSE = "/connectors/ours/status", "/connectors/ours/pause"
OURS = "http://127.0.0.1:8083"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8083", "localhost", "LOCALHOST:1", "[::1]:8083"]
)
async def test_names_of_this_machine(host: str, ask: Ask) -> None:
    answer = await ask().get(STATUS, headers={"host": host})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", "[::1"],
)
async def test_other_names_are_refused(host: str, ask: Ask) -> None:
    answer = await ask().get(STATUS, headers={"host": host})

    assert answer.status_code == 403
    assert answer.json()["error_code"] == 403


@pytest.mark.parametrize("host", ["127.0.0.1/livez", "x/livez?", "127.0.0.1:8083/livez#"])
async def test_a_host_that_looks_like_a_path_opens_nothing(
    host: str, ask: Ask, token_files: Files
) -> None:
    """Starlette's CVE-2026-48710: a guard that looks at the URL sees a path of the Host header."""
    answer = await ask(**token_files).get(STATUS, headers={"host": host})

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["//livez/../connectors", "/livez/../connectors", "/LIVEZ/"])
async def test_no_spelling_of_a_path_goes_round_the_guard(
    path: str, ask: Ask, token_files: Files
) -> None:
    answer = await ask(**token_files).get(httpx.URL(f"{OURS}{path}"))

    assert answer.status_code in {401, 404}


@pytest.mark.parametrize(
    "shown",
    [
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Basic /w==",
        "Digest view-token-0123456789",
        "view-token-0123456789",
        "Bearer view-token-012345678",
        "Bearer view-token-01234567899",
        "Bearer \xe9",
    ],
)
async def test_what_is_no_token(shown: str, ask: Ask, token_files: Files) -> None:
    headers = [(b"authorization", shown.encode("latin-1"))]

    answer = await ask(**token_files).get(STATUS, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_token_may_be_the_password_of_basic(ask: Ask, token_files: Files) -> None:
    """What clients of Kafka Connect can send."""
    shown = base64.b64encode(b"anybody:view-token-0123456789").decode()

    answer = await ask(**token_files).get(STATUS, headers={"authorization": f"Basic {shown}"})

    assert answer.status_code == 200


async def test_a_changed_token_counts_at_once(ask: Ask, token_files: Files) -> None:
    client = ask(**token_files)
    before = await client.get(STATUS, headers=bearer("view-token-0123456789"))
    token_files["view_token_file"].write_text("another-token-0123456789")

    old = await client.get(STATUS, headers=bearer("view-token-0123456789"))
    new = await client.get(STATUS, headers=bearer("another-token-0123456789"))

    assert (before.status_code, old.status_code, new.status_code) == (200, 401, 200)


async def test_a_token_that_cannot_be_read_lets_nobody_in(ask: Ask, token_files: Files) -> None:
    client = ask(**token_files)
    token_files["view_token_file"].unlink()

    view = await client.get(STATUS, headers=bearer("view-token-0123456789"))
    admin = await client.get(STATUS, headers=bearer("admin-token-0123456789"))

    assert (view.status_code, admin.status_code) == (401, 200)


@pytest.mark.parametrize("content", ["", "\n"])
async def test_an_empty_token_lets_nobody_in(content: str, ask: Ask, token_files: Files) -> None:
    token_files["token_file"].write_text(content)

    answer = await ask(**token_files).get(STATUS, headers=bearer(""))

    assert answer.status_code == 401


def test_roles_have_tokens_of_their_own(token_files: Files) -> None:
    token_files["view_token_file"].write_text("admin-token-0123456789")

    with pytest.raises(Misconfigured, match="the tokens for view and admin are the same"):
        Access(AdminSettings.model_validate(token_files)).check()


def test_a_token_of_two_roles_is_of_the_lesser(token_files: Files) -> None:
    access = Access(AdminSettings.model_validate(token_files))
    token_files["view_token_file"].write_text("admin-token-0123456789")

    assert access.role_of("admin-token-0123456789") is Role.VIEW


def test_a_file_that_everybody_reads_is_warned_of(
    token_files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    token_files["token_file"].chmod(0o644)

    with caplog.at_level(logging.WARNING):
        Access(AdminSettings.model_validate(token_files)).check()

    assert "Everybody on this host can read a token file." in caplog.text


def test_what_a_page_may_show() -> None:
    nobody, viewer = Caller(), Caller(Role.VIEW)

    assert [nobody.may(need) for need in (Need.LOOK, Need.STEER, Need.REPLAY)] == [
        True,
        True,
        False,
    ]
    assert [viewer.may(need) for need in (Need.LOOK, Need.STEER, Need.ADMIN)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://[", "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_changes_nothing(
    headers: dict[str, str], ask: Ask, worker: Any, token_files: Files
) -> None:
    here = await ask().put(PAUSE, headers=headers)
    admin = bearer("admin-token-0123456789")
    by_token = await ask(**token_files).put(PAUSE, headers={**admin, **headers})

    assert (here.status_code, by_token.status_code, worker.told) == (403, 403, [])


@pytest.mark.parametrize(
    "headers", [{}, {"origin": OURS, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}]
)
async def test_a_client_and_our_own_page_may(
    headers: dict[str, str], ask: Ask, worker: Any
) -> None:
    answer = await ask().put(PAUSE, headers=headers)

    assert (answer.status_code, worker.told) == (202, [ConnectorState.PAUSED])


async def test_no_other_site_may_read_an_answer(ask: Ask) -> None:
    answer = await ask().get(STATUS, headers={"origin": "http://evil.example"})

    assert not [name for name in answer.headers if name.startswith("access-control")]


async def login(client: httpx.AsyncClient, token: str, **fields: str) -> httpx.Response:
    return await client.post("/login", data={"token": token, **fields}, headers={"origin": OURS})


async def test_a_browser_logs_in_and_out(ask: Ask, token_files: Files) -> None:
    client = ask(**token_files)

    logged_in = await login(client, "view-token-0123456789", next="/dead-letters?page=2")
    inside = await client.get(STATUS)
    logged_out = await client.post("/logout", headers={"origin": OURS})
    outside = await client.get(STATUS)

    assert (logged_in.status_code, logged_in.headers["location"]) == (303, "/dead-letters?page=2")
    cookie = logged_in.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (inside.status_code, logged_out.status_code, outside.status_code) == (200, 303, 401)


async def test_a_cookie_that_was_kept_is_worth_nothing_after_the_logout(
    ask: Ask, token_files: Files
) -> None:
    client = ask(**token_files)
    kept = (await login(client, "view-token-0123456789")).headers["set-cookie"].partition(";")[0]
    await client.post("/logout")

    answer = await client.get(STATUS, headers={"cookie": kept})

    assert answer.status_code == 401


async def test_a_wrong_token_does_not_log_in(
    ask: Ask, token_files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await login(ask(**token_files), "wrong-token-0123456789")

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert "wrong-token" not in caplog.text


async def test_another_site_cannot_log_a_browser_in(ask: Ask, token_files: Files) -> None:
    answer = await ask(**token_files).post(
        "/login", data={"token": "view-token-0123456789"}, headers={"origin": "http://evil.example"}
    )

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "x", "/\r\nx: y", ""]
)
async def test_a_login_leads_nowhere_else(target: str, ask: Ask, token_files: Files) -> None:
    answer = await login(ask(**token_files), "view-token-0123456789", next=target)

    assert answer.headers["location"] == "/"


async def test_without_token_files_there_is_nothing_to_log_in_to(ask: Ask) -> None:
    assert (await login(ask(), "anything")).status_code == 404


async def test_a_session_changes_something_only_with_its_own_forms_word(
    ask: Ask, worker: Any, settings: Any, token_files: Files
) -> None:
    access = Access(AdminSettings.model_validate(token_files))
    client = ask(access=access, **token_files)
    await login(client, "admin-token-0123456789")
    session = access.sessions.find(client.cookies["processor_session"])
    assert session is not None
    form = {"csrf_token": session.csrf}

    without = await client.put(PAUSE)
    wrong = await client.put(PAUSE, headers={"x-csrf-token": "wrong"})
    wrong_form = await client.put(PAUSE, data={"csrf_token": "wrong"})
    assert ([without.status_code, wrong.status_code, wrong_form.status_code], worker.told) == (
        [403, 403, 403],
        [],
    )
    by_header = await client.put(PAUSE, headers={"x-csrf-token": session.csrf})
    by_form = await client.put(PAUSE, data=form)

    assert [by_header.status_code, by_form.status_code] == [202, 202]
    assert session.csrf not in repr(session)


async def test_a_session_ends_with_its_token(ask: Ask, token_files: Files) -> None:
    client = ask(**token_files)
    await login(client, "view-token-0123456789")
    token_files["view_token_file"].write_text("another-token-0123456789")

    assert (await client.get(STATUS)).status_code == 401


def test_sessions_end_by_time_and_do_not_pile_up() -> None:
    now_s = 0.0
    sessions = Sessions(clock=lambda: now_s)
    first = sessions.open(b"digest")
    assert sessions.find(first) is not None

    now_s = LIFE_S - 1.0
    others = [sessions.open(b"digest") for _ in range(MAX_SESSIONS)]

    assert sessions.find(first) is None
    assert all(sessions.find(number) is not None for number in others)
    now_s += LIFE_S
    assert sessions.find(others[-1]) is None
    assert sessions.find("") is None


async def test_who_changed_what_is_logged_and_nothing_of_a_token(
    ask: Ask, token_files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    client = ask(**token_files)

    with caplog.at_level(logging.INFO):
        await client.put(PAUSE, headers=bearer("admin-token-0123456789"))
        await client.put(PAUSE, headers=bearer("wrong-token-0123456789"))

    said = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    asked = [line for line in said if line["event"] == "Asked over HTTP."]
    assert [(line["route"], line["status"], line["caller"]) for line in asked] == [
        ("PUT /connectors/{connector}/pause", 202, "admin"),
        ("PUT /connectors/{connector}/pause", 401, "nobody"),
    ]
    assert "-token-0123456789" not in caplog.text
