"""Every route, asked by everybody: who gets in. A route that stands in no row fails the test."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from processor.admin.app import create_app
from processor.settings import Settings

CALLERS = ("none", "wrong", "view", "replay", "admin")
LOOPBACK, ELSEWHERE = ("127.0.0.1", 40_000), ("192.0.2.7", 40_000)
IN = 0
"""Let in: whatever the answer then is."""

WITH_TOKENS = {
    "open": (IN, IN, IN, IN, IN),
    "look": (401, 401, IN, IN, IN),
    "steer": (401, 401, 403, 403, IN),
    "replay": (401, 401, 403, IN, IN),
    "admin": (401, 401, 403, 403, IN),
}
"""By what a route is; one answer for each of `CALLERS`, wherever they ask from."""

WITHOUT_HERE = {"open": IN, "look": IN, "steer": IN, "replay": 403, "admin": 403}
"""Without a token file, asked from loopback; whatever token is shown."""

WITHOUT_ELSEWHERE = {"open": IN, "look": 403, "steer": 403, "replay": 403, "admin": 403}

ROUTES = {
    "GET /livez": "open",
    "GET /readyz": "open",
    "GET /health": "open",
    "GET /metrics": "open",
    "POST /logout": "open",
    "GET /": "look",
    "GET /connectors": "look",
    "POST /connectors": "look",
    "GET /connectors/{connector}": "look",
    "DELETE /connectors/{connector}": "look",
    "GET /connectors/{connector}/config": "look",
    "PUT /connectors/{connector}/config": "look",
    "PATCH /connectors/{connector}/config": "look",
    "GET /connectors/{connector}/status": "look",
    "GET /connectors/{connector}/tasks": "look",
    "GET /connectors/{connector}/tasks/{task}/status": "look",
    "PUT /connectors/{connector}/pause": "steer",
    "PUT /connectors/{connector}/resume": "steer",
    "PUT /connectors/{connector}/stop": "admin",
    "POST /connectors/{connector}/restart": "admin",
    "POST /connectors/{connector}/tasks/{task}/restart": "admin",
    "GET /connectors/{connector}/topics": "look",
    "PUT /connectors/{connector}/topics/reset": "admin",
    "GET /connectors/{connector}/offsets": "look",
    "PATCH /connectors/{connector}/offsets": "admin",
    "DELETE /connectors/{connector}/offsets": "admin",
    "GET /connector-plugins": "look",
    "GET /connector-plugins/{plugin}/config": "look",
    "PUT /connector-plugins/{plugin}/config/validate": "look",
    "GET /admin/loggers": "look",
    "GET /admin/loggers/{logger}": "look",
    "PUT /admin/loggers/{logger}": "admin",
    "GET /overview": "look",
    "GET /static/{name}": "open",
    "GET /dead-letters": "look",
    "GET /dead-letters/{topic}/{partition}/{offset}": "look",
    "POST /dead-letters/{topic}/{partition}/{offset}/reveal": "admin",
    "POST /dead-letters/discard": "replay",
    "GET /replays": "look",
    "POST /replays/plans": "replay",
    "GET /replays/plans/{plan}": "replay",
    "POST /replays/plans/{plan}/execute": "replay",
    "GET /replays/{replay}": "look",
    "POST /replays/{replay}/cancel": "replay",
    "POST /replays/{replay}/resume": "replay",
}
ASKS_ITSELF = {"POST /login"}
"""Open to everybody, and of no use without a token; see the tests of logging in."""

FILLED = {
    "connector": "ours",
    "task": "0",
    "plugin": "CapillaryAepSink",
    "logger": "root",
    "name": "style.css",
    "topic": "events.dlq",
    "partition": "0",
    "offset": "0",
    "plan": "0011223344556677",
    "replay": "20260131t120000-9f3a",
}

Ask = Callable[..., httpx.AsyncClient]
by_route = pytest.mark.parametrize(("route", "kind"), ROUTES.items(), ids=list(ROUTES))


def declared(app: Any) -> Iterator[str]:
    for route in app.routes:
        assert isinstance(route, Route), "a mounted application would have no guard"
        for method in route.methods or ():
            if method != "HEAD":
                yield f"{method} {route.path}"


def authorization(caller: str) -> dict[str, str]:
    shown = {"none": "", "wrong": "Bearer wrong-token-0123456789"}.get(
        caller, f"Bearer {caller}-token-0123456789"
    )
    return {"authorization": shown} if shown else {}


async def status(client: httpx.AsyncClient, route: str, caller: str) -> int:
    method, path = route.split(" ")
    async with client:
        answer = await client.request(
            method, path.format(**FILLED), headers=authorization(caller), follow_redirects=False
        )
    return answer.status_code if answer.status_code in {401, 403} else IN


def test_every_route_has_its_row(worker: Any, settings: Callable[..., Settings]) -> None:
    found = list(declared(create_app(worker, settings())))

    assert sorted(found) == sorted(ROUTES.keys() | ASKS_ITSELF)


def test_the_docs_name_every_route_and_what_it_needs() -> None:
    page = (Path(__file__).parents[3] / "docs" / "rest.md").read_text()
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (\w+) \|", page, re.MULTILINE)

    assert dict(rows) == ROUTES | dict.fromkeys(ASKS_ITSELF, "open")
    assert len(rows) == len(dict(rows))


@by_route
async def test_with_token_files(
    route: str, kind: str, ask: Ask, token_files: dict[str, Path]
) -> None:
    for client in (LOOPBACK, ELSEWHERE):
        found = [await status(ask(client, **token_files), route, one) for one in CALLERS]

        assert tuple(found) == WITH_TOKENS[kind]


@by_route
async def test_without_a_token_file_on_this_machine(route: str, kind: str, ask: Ask) -> None:
    found = [await status(ask(LOOPBACK), route, caller) for caller in CALLERS]

    assert found == [WITHOUT_HERE[kind]] * len(CALLERS)


@by_route
async def test_without_a_token_file_from_elsewhere(route: str, kind: str, ask: Ask) -> None:
    found = [await status(ask(ELSEWHERE), route, caller) for caller in CALLERS]

    assert found == [WITHOUT_ELSEWHERE[kind]] * len(CALLERS)


@by_route
async def test_a_page_of_another_name_gets_nothing_of_this_machine(
    route: str, kind: str, ask: Ask
) -> None:
    """DNS rebinding: a name of theirs leads to our loopback."""
    found = await status(ask(LOOPBACK, host="rebound.example"), route, "none")

    assert found == WITHOUT_ELSEWHERE[kind]
