import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from processor.admin.limits import MAX_BODY_BYTES, MAX_HEADER_BYTES, BoundedBodies
from processor.admin.server import AdminServer
from processor.errors import Misconfigured

HOST = "127.0.0.1"

Serve = Callable[["Worker"], Awaitable[AdminServer]]


class Worker:
    """A worker whose state the test sets."""

    def __init__(self) -> None:
        self.is_live = True
        self.reasons: list[str] = []
        self.broken = False

    def live(self) -> bool:
        return self.is_live

    def ready(self) -> tuple[bool, list[str]]:
        return not self.reasons, self.reasons

    def metrics(self) -> bytes:
        if self.broken:
            raise ValueError("canary")
        return b"processor_records_in_flight 0\n"


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def server(worker: Worker) -> AsyncIterator[AdminServer]:
    running = AdminServer(HOST, 0, worker)
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


async def test_a_stuck_worker_is_not_live(worker: Worker, client: httpx.AsyncClient) -> None:
    worker.is_live = False

    answer = await client.get("/livez")

    assert (answer.status_code, answer.json()) == (503, {"status": "stuck"})


async def test_a_worker_that_is_not_ready_says_why(
    worker: Worker, client: httpx.AsyncClient
) -> None:
    worker.reasons = ["ims", "experience_platform"]

    answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json() == {"status": "not ready", "reasons": ["ims", "experience_platform"]}


async def test_metrics_are_in_prometheus_text_format(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")

    assert answer.text == "processor_records_in_flight 0\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


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
        {"error_code": 404, "message": "Not Found"},
    )
    assert (wrong.status_code, wrong.json()["error_code"]) == (405, 405)
    assert "GET" in wrong.headers["allow"]


async def test_a_broken_view_does_not_tell_its_text(
    worker: Worker, client: httpx.AsyncClient
) -> None:
    worker.broken = True

    answer = await client.get("/metrics")

    assert answer.status_code == 500
    assert "canary" not in answer.text


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/livez", content=b"x" * (MAX_BODY_BYTES + 1))

    assert answer.status_code == 413


async def test_a_body_at_the_limit_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/livez", content=b"x" * MAX_BODY_BYTES)

    assert answer.status_code == 405


async def test_headers_over_the_limit_are_refused(server: AdminServer) -> None:
    reader, writer = await asyncio.open_connection(HOST, server.port)

    writer.write(b"GET /livez HTTP/1.1\r\nx-long: " + b"x" * MAX_HEADER_BYTES)
    answer = await asyncio.wait_for(reader.read(), timeout=10)

    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 400 ")


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

    await BoundedBodies(unreachable, timeout_s=0.01)({"type": "http"}, never, send)

    assert sent[0]["status"] == 408


async def test_a_request_whose_head_does_not_come_is_cut_off(worker: Worker) -> None:
    server = AdminServer(HOST, 0, worker, header_timeout_s=0.05)
    await server.start()
    reader, writer = await asyncio.open_connection(HOST, server.port)

    writer.write(b"GET /livez HTTP/1.1\r\nhost: x\r\n")
    end = await asyncio.wait_for(reader.read(), timeout=10)

    writer.close()
    await writer.wait_closed()
    await server.stop()
    assert end == b""


async def test_an_occupied_port_is_the_set_ups_fault(server: AdminServer, worker: Worker) -> None:
    second = AdminServer(HOST, server.port, worker)

    with pytest.raises(Misconfigured) as caught:
        await second.start()

    assert str(caught.value) == (
        f"admin.port: port {server.port} on 127.0.0.1 is occupied. "
        "Stop what listens there, or set another admin.port."
    )
    await second.stop()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
async def test_a_foreign_address_is_the_set_ups_fault(worker: Worker, host: str) -> None:
    with pytest.raises(Misconfigured, match=r"^admin\.host: "):
        await AdminServer(host, 0, worker).start()


async def test_the_port_is_free_after_the_stop(worker: Worker) -> None:
    first = AdminServer(HOST, 0, worker)
    await first.start()
    await first.stop()

    with socket.create_server((HOST, first.port)) as again:
        assert again.getsockname()[1] == first.port


async def test_a_stop_before_the_start_does_nothing(worker: Worker) -> None:
    await AdminServer(HOST, 0, worker).stop()


async def test_signals_stay_with_the_connector(worker: Worker) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = AdminServer(HOST, 0, worker)

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
