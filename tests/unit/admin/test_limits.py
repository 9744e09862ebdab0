import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException

from processor.admin import server as servers
from processor.admin.app import create_app
from processor.admin.blocking import Blocking
from processor.admin.limits import (
    MAX_BODY_BYTES,
    MAX_CLIENTS,
    BoundedBodies,
    Paced,
    Slots,
)
from processor.admin.routes import WithoutTrailingSlash
from processor.admin.server import AdminServer
from processor.settings import Settings

Scope = dict[str, Any]


class Answers:
    """An application that answers 200, and notes whom."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def status(app: Any, address: str = "192.0.2.1", path: str = "/connectors") -> int:
    sent: list[Any] = []
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "client": (address, 1)}

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found: int = sent[0]["status"]
    return found


async def test_who_asks_too_often_is_told_to_wait_and_others_are_not() -> None:
    now_s = 0.0
    app = Paced(Answers(), per_s=2, burst=3, clock=lambda: now_s)

    first = [await status(app) for _ in range(5)]
    other = await status(app, "192.0.2.2")
    now_s = 1.0
    later = [await status(app) for _ in range(3)]

    assert first == [200, 200, 200, 429, 429]
    assert other == 200
    assert later == [200, 200, 429]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
async def test_probes_and_metrics_are_always_answered(path: str) -> None:
    app = Paced(Answers(), per_s=1, burst=1, clock=lambda: 0.0)

    assert [await status(app, path=path) for _ in range(9)] == [200] * 9


async def test_however_many_clients_there_are_only_some_are_remembered() -> None:
    app = Paced(Answers(), per_s=1, burst=1, clock=lambda: 0.0)

    for number in range(MAX_CLIENTS + 50):
        await status(app, f"client-{number}")

    assert len(app._clients) == MAX_CLIENTS  # noqa: SLF001 - memory is what is promised


def test_the_application_stands_behind_its_limits(
    worker: Any, settings: Callable[..., Settings]
) -> None:
    app = create_app(worker, settings())

    stacked: list[Any] = [one.cls for one in app.user_middleware]
    assert stacked == [Paced, BoundedBodies, WithoutTrailingSlash]


@pytest.mark.parametrize("path", ["/connectors//", "//connectors", "/connectors/ours//"])
async def test_nobody_is_led_to_the_host_that_a_request_names(
    path: str, ask: Callable[..., httpx.AsyncClient]
) -> None:
    answer = await ask().get(httpx.URL(f"http://127.0.0.1:8083{path}"))

    assert (answer.status_code, answer.headers.get("location")) == (404, None)


def test_slots_come_back_whatever_happens() -> None:
    slots = Slots(1)

    with slots.taken(), pytest.raises(HTTPException) as caught, slots.taken():
        raise AssertionError
    with pytest.raises(ValueError, match="defect"), slots.taken():
        raise ValueError("defect")

    assert caught.value.status_code == 429
    with slots.taken():
        pass


async def test_no_more_calls_wait_for_a_thread_than_may() -> None:
    blocking, go_on = Blocking(1), threading.Event()
    running = [asyncio.create_task(blocking.run(go_on.wait)) for _ in range(2)]
    while blocking._limiter.statistics().tasks_waiting < 1:  # noqa: SLF001 - else it would be a race
        await asyncio.sleep(0)

    with pytest.raises(HTTPException) as caught:
        await blocking.run(go_on.wait)
    go_on.set()

    assert caught.value.status_code == 429
    assert await asyncio.gather(*running) == [True, True]


@pytest.fixture
async def url(worker: Any, settings: Callable[..., Settings]) -> AsyncIterator[str]:
    server = AdminServer(settings(port=0), worker)
    await server.start()
    yield f"http://127.0.0.1:{server.port}"
    await server.stop()


async def test_requests_at_once_beyond_the_slots_are_refused_and_probes_are_not(
    worker: Any, kafka: Any, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.admin.app.Slots", lambda: Slots(1))
    holding, go_on = threading.Event(), threading.Event()

    def committed() -> Any:
        holding.set()
        go_on.wait()
        return {}

    kafka.committed = committed
    transport = httpx.ASGITransport(create_app(worker, settings(), kafka=kafka))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        first = asyncio.create_task(client.get("/connectors/ours/offsets"))
        await asyncio.to_thread(holding.wait)
        second, probe = await client.get("/connectors"), await client.get("/livez")
        go_on.set()

        assert (second.status_code, probe.status_code) == (429, 200)
        assert second.headers["retry-after"] == "1"
        assert (await first).status_code == 200


def blocks(size: int) -> Iterator[bytes]:
    for _ in range(size // 100_000):
        yield b"x" * 100_000


@pytest.mark.parametrize("announced", [True, False])
async def test_whoever_sends_far_too_much_hears_so(announced: bool, url: str) -> None:
    """A connection that is closed with bytes unread is reset, and the answer lost."""
    size = 20_000_000
    headers = {"content-length": str(size)} if announced else {}

    def send() -> httpx.Response:
        return httpx.put(
            f"{url}/connectors", content=blocks(size), headers=headers, timeout=60, trust_env=False
        )

    answer = await asyncio.to_thread(send)

    assert (answer.status_code, answer.json()["error_code"]) == (413, 413)
    assert answer.headers["connection"] == "close"


async def test_a_body_that_is_announced_too_large_is_not_kept() -> None:
    read: list[Any] = []

    async def receive() -> Any:
        read.append(None)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": len(read) < 5}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append((len(read), message))

    length = str(MAX_BODY_BYTES + 1).encode()
    scope = {"type": "http", "headers": [(b"content-length", length)]}
    await BoundedBodies(Answers())(scope, receive, send)

    assert [(before, message.get("status")) for before, message in sent] == [
        (0, 413),
        (0, None),
        (5, None),
    ]


async def test_slow_ones_are_cut_off_sooner_in_a_crowd(
    worker: Any, settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "CROWDED", 0)
    monkeypatch.setattr(servers, "CROWDED_TIMEOUT_S", 0.05)
    server = AdminServer(settings(port=0), worker, header_timeout_s=3600)
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    writer.write(b"GET /livez HTTP/1.1\r\n")
    end = await asyncio.wait_for(reader.read(), timeout=30)

    writer.close()
    await writer.wait_closed()
    await server.stop()
    assert end == b""


async def test_whoever_may_not_look_hears_no_more_of_a_reason_than_its_name(
    worker: Any, ask: Callable[..., httpx.AsyncClient], token_files: Any
) -> None:
    worker.reasons = [
        "task 0: kafka: No Kafka broker of 10.0.0.1:9092 answers: it is away.",
        "task 0: kafka: Topic secret-events does not exist; waiting for it.",
        "task 1: FAILED. Topic secret-events, offset 7: why.",
        "stopping",
    ]
    client = ask(**token_files)
    token = {"authorization": "Bearer view-token-0123456789"}

    stranger, viewer = await client.get("/readyz"), await client.get("/readyz", headers=token)
    here = await ask().get("/readyz")

    assert stranger.json()["reasons"] == ["task 0: kafka", "task 1: FAILED", "stopping"]
    assert viewer.json()["reasons"] == here.json()["reasons"] == worker.reasons


async def test_a_defect_is_logged_by_its_kind(
    worker: Any, ask: Callable[..., httpx.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    worker.broken = True

    with caplog.at_level(logging.ERROR):
        await ask().get("/metrics")

    assert "canary" not in caplog.text
    assert "ValueError" in caplog.text
