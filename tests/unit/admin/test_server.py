import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.admin.health import FRESH_S, Written
from processor.admin.limits import MAX_BODY_BYTES, MAX_HEADER_BYTES, BoundedBodies
from processor.admin.server import AdminServer
from processor.errors import Misconfigured
from processor.settings import Settings

HOST = "127.0.0.1"

MakeSettings = Callable[..., Settings]


@pytest.fixture
async def server(worker: Any, settings: MakeSettings) -> AsyncIterator[AdminServer]:
    running = AdminServer(settings(port=0), worker)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def client(server: AdminServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://{HOST}:{server.port}", trust_env=False
    ) as opened:
        yield opened


async def test_a_live_and_ready_worker(client: httpx.AsyncClient) -> None:
    live, ready = await client.get("/livez"), await client.get("/readyz")

    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_stuck_worker_is_not_live(worker: Any, client: httpx.AsyncClient) -> None:
    worker.is_live = False

    answer = await client.get("/livez")

    assert (answer.status_code, answer.json()) == (503, {"status": "stuck"})


async def test_a_worker_that_is_not_ready_says_why(worker: Any, client: httpx.AsyncClient) -> None:
    worker.reasons = ["ims", "experience_platform"]

    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "reasons": ["ims", "experience_platform"]}


async def test_metrics_are_in_prometheus_text_format(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")

    assert answer.text == "processor_records_in_flight 0\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_metrics_are_written_anew_only_now_and_then() -> None:
    now_s, texts = 0.0, iter((b"one", b"two"))
    written = Written(lambda: next(texts), clock=lambda: now_s)

    first, at_once = written.now(), written.now()
    now_s = FRESH_S * 1.01

    assert (first, at_once, written.now()) == (b"one", b"one", b"two")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/nothing"])
async def test_answers_leak_nothing_and_are_not_kept(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert "server" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert HOST not in answer.text


async def test_errors_have_the_shape_of_kafka_connects(client: httpx.AsyncClient) -> None:
    missing, wrong = await client.get("/nothing"), await client.post("/livez")

    assert (missing.status_code, missing.json()) == (
        404,
        {"error_code": 404, "message": "HTTP 404 Not Found"},
    )
    assert (wrong.status_code, wrong.json()["error_code"]) == (405, 405)
    assert "GET" in wrong.headers["allow"]


async def test_a_broken_view_does_not_tell_its_text(
    worker: Any, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    worker.broken = True

    answers = [await client.get(path) for path in ("/metrics", "/overview")]

    assert [answer.status_code for answer in answers] == [500, 500]
    assert all(worker.quoted not in answer.text for answer in answers)
    assert worker.quoted not in caplog.text


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/livez", content=b"x" * (MAX_BODY_BYTES + 1))

    assert answer.status_code == 413


async def test_a_body_at_the_limit_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/livez", content=b"x" * MAX_BODY_BYTES)

    assert answer.status_code == 405


async def test_headers_that_never_end_are_refused(server: AdminServer) -> None:
    reader, writer = await asyncio.open_connection(HOST, server.port)

    writer.write(b"GET /livez HTTP/1.1\r\nx-long: " + b"x" * MAX_HEADER_BYTES)
    answer = await asyncio.wait_for(reader.read(), timeout=10)

    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_headers_over_the_limit_are_refused(client: httpx.AsyncClient) -> None:
    half = "x" * (MAX_HEADER_BYTES // 2)

    answer = await client.get("/livez", headers={"x-one": half, "x-two": half})

    assert answer.status_code == 431


async def test_a_body_that_does_not_come_ends_the_request() -> None:
    sent: list[dict[str, object]] = []

    async def never() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        sent.append(message)

    async def unreachable(*_: object) -> None:
        raise AssertionError

    await BoundedBodies(unreachable, timeout_s=0.01)({"type": "http", "headers": []}, never, send)

    assert sent[0]["status"] == 408


async def test_a_request_whose_head_does_not_come_is_cut_off(
    worker: Any, settings: MakeSettings
) -> None:
    server = AdminServer(settings(port=0), worker, header_timeout_s=0.05)
    await server.start()
    reader, writer = await asyncio.open_connection(HOST, server.port)

    writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n")
    end = await asyncio.wait_for(reader.read(), timeout=10)

    writer.close()
    await writer.wait_closed()
    await server.stop()
    assert end == b""


async def test_an_occupied_port_is_the_set_ups_fault(
    server: AdminServer, worker: Any, settings: MakeSettings
) -> None:
    second = AdminServer(settings(port=server.port), worker)

    with pytest.raises(Misconfigured) as caught:
        await second.start()

    assert str(caught.value) == (
        f"admin.port: port {server.port} on 127.0.0.1 is occupied. "
        "Stop what listens there, or set another admin.port."
    )
    await second.stop()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_foreign_address_is_the_set_ups_fault(
    worker: Any, settings: MakeSettings, host: str
) -> None:
    with pytest.raises(Misconfigured, match=r"^admin\.host: "):
        await AdminServer(settings(host=host, port=0), worker).start()


async def test_a_token_that_cannot_be_read_is_the_set_ups_fault(
    worker: Any, settings: MakeSettings, tmp_path: Path
) -> None:
    server = AdminServer(settings(port=0, token_file=tmp_path / "nothing"), worker)

    with pytest.raises(Misconfigured, match=r"^admin\.token_file: .* cannot be read"):
        await server.start()


async def test_the_port_is_free_after_the_stop(worker: Any, settings: MakeSettings) -> None:
    first = AdminServer(settings(port=0), worker)
    await first.start()
    await first.stop()

    with socket.create_server((HOST, first.port)) as again:
        assert again.getsockname()[1] == first.port


async def test_a_stop_before_the_start_does_nothing(worker: Any, settings: MakeSettings) -> None:
    await AdminServer(settings(port=0), worker).stop()


async def test_signals_stay_with_the_connector(worker: Any, settings: MakeSettings) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = AdminServer(settings(port=0), worker)

    await server.start()
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://{HOST}:{server.port}/livez")
    during = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    await server.stop()

    assert during == before


async def test_requests_are_not_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "uvicorn.access"):
        await client.get("/livez")

    assert not [record for record in caplog.records if record.name.startswith("uvicorn.access")]
