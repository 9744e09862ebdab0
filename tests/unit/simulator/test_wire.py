"""Faults of the connection, real on the socket."""

import asyncio
from typing import Any

import httpx
import pytest


async def accepted(simulation: Any) -> list[tuple[bool, bool]]:
    received = await simulation.see("received")
    return [(entry["accepted"], entry["answered"]) for entry in received]


async def ended(simulation: Any, request: int = 2) -> Any:
    """The entry of a request, once it is no longer open."""
    while True:
        entries = (await simulation.see("requests"))["requests"]
        entry = next(entry for entry in entries if entry["request"] == request)
        if entry["outcome"] != "open":
            return entry
        await asyncio.sleep(0)


@pytest.mark.parametrize("accept", [False, True])
async def test_a_connection_is_reset_before_or_after_acceptance(
    serve: Any, event: Any, accept: bool
) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "connection": "reset", "accept": accept})

    with pytest.raises(httpx.ReadError):
        await simulation.batch(event())

    assert await accepted(simulation) == ([(True, False)] if accept else [])
    assert (await ended(simulation))["outcome"] == "reset"
    summary = await simulation.see("summary")
    assert summary["messages"]["accepted_not_answered"] == int(accept)
    assert (await simulation.batch(event())).status_code == 207


@pytest.mark.parametrize("accept", [False, True])
async def test_a_connection_is_closed_without_an_answer(
    serve: Any, event: Any, accept: bool
) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "connection": "close", "accept": accept})

    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        await simulation.batch(event())

    assert await accepted(simulation) == ([(True, False)] if accept else [])


async def test_an_answer_is_cut_in_the_middle(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "connection": "cut"})

    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        await simulation.batch(event())

    assert await accepted(simulation) == [(True, False)]
    assert (await ended(simulation))["outcome"] == "cut"


async def test_a_connection_is_closed_behind_an_answer(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "connection": "close_idle"})

    answer = await simulation.batch(event())

    assert answer.status_code == 207
    assert "connection" not in answer.headers
    assert await accepted(simulation) == [(True, True)]
    assert (await simulation.batch(event())).status_code == 207


async def test_a_request_hangs_until_the_caller_leaves(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "connection": "hang", "accept": True})

    waiting = asyncio.create_task(simulation.batch(event()))
    while not await simulation.see("received"):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (await ended(simulation))["outcome"] == "hung"
    assert await accepted(simulation) == [(True, False)]


async def test_a_reset_lets_go_of_what_hangs(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "connection": "hang"})

    waiting = asyncio.create_task(simulation.batch(event()))
    while (await simulation.see("faults"))["faults"]:
        await asyncio.sleep(0)
    await simulation.client.post("/simulator/reset?what=faults")

    with pytest.raises(httpx.RemoteProtocolError):
        await waiting


@pytest.mark.parametrize(
    ("delay", "taken"), [("latency_ms", []), ("answer_latency_ms", [(True, False)])]
)
async def test_a_caller_who_leaves_during_a_delay(
    serve: Any, event: Any, delay: str, taken: list[tuple[bool, bool]]
) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", delay: 60_000})

    waiting = asyncio.create_task(simulation.batch(event()))
    while (await simulation.see("faults"))["faults"]:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (await ended(simulation))["outcome"] == "abandoned"
    assert await accepted(simulation) == taken


async def test_an_answer_can_wait(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "latency_ms": 30, "answer_latency_ms": 30})

    answer = await simulation.batch(event())

    assert answer.status_code == 207
    assert (await ended(simulation))["duration_ms"] >= 60


async def test_bytes_that_are_no_http_can_be_sent(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script(
        {"scope": "batch", "raw": "HTTP/1.1 2oo Fine\r\n\r\n"},
        {"scope": "batch", "raw": "HTTP/1.1 102 Processing\r\n\r\n"},
    )

    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            await simulation.batch(event())

    assert await accepted(simulation) == []


async def test_a_small_gzip_body_grows_large(serve: Any, event: Any) -> None:
    simulation = await serve()
    size = 30_000_000
    await simulation.script({"scope": "batch", "gzip_bomb_bytes": size, "status": 207})

    async with simulation.client.stream(
        "POST",
        "/collection/batch/evt",
        json={"messages": [event()]},
        headers=simulation.headers,
    ) as answer:
        packed = sum([len(piece) async for piece in answer.aiter_raw()])

    assert answer.status_code == 207
    assert answer.headers["content-encoding"] == "gzip"
    assert packed < size / 500


async def test_a_caller_may_leave_in_the_middle_without_a_word_in_the_log(
    serve: Any, event: Any, caplog: pytest.LogCaptureFixture
) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "gzip_bomb_bytes": 10**12})

    async with simulation.client.stream(
        "POST",
        "/collection/batch/evt",
        json={"messages": [event()]},
        headers=simulation.headers,
    ) as answer:
        await anext(answer.aiter_raw())

    assert (await ended(simulation))["outcome"] == "abandoned"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_gzip_body_unpacks_to_the_size_asked_for(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "gzip_bomb_bytes": 3_000_001})

    answer = await simulation.batch(event())

    assert len(answer.content) == 3_000_001


async def test_a_body_can_be_endless(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "endless": True, "accept": True})

    total = 0
    async with simulation.client.stream(
        "POST",
        "/collection/batch/evt",
        json={"messages": [event()]},
        headers=simulation.headers,
    ) as answer:
        async for piece in answer.aiter_raw():
            total += len(piece)
            if total > 5_000_000:
                break

    assert (await ended(simulation))["outcome"] == "abandoned"
    assert await accepted(simulation) == [(True, False)]


async def test_answers_and_requests_can_be_slow(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script(
        {"scope": "batch", "write_bytes_per_s": 2000},
        {"scope": "batch", "read_bytes_per_s": 10_000},
    )

    answer = await simulation.batch(event())

    entry = await ended(simulation)
    assert answer.status_code == 207
    assert entry["duration_ms"] >= entry["bytes"] / 10_000 * 900


async def test_an_answer_that_drips_ends_with_the_caller(serve: Any, event: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "batch", "write_bytes_per_s": 10})

    waiting = asyncio.create_task(simulation.batch(event()))
    while not await simulation.see("received"):
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert (await ended(simulation))["outcome"] == "abandoned"


async def test_ims_can_be_reset_too(serve: Any) -> None:
    simulation = await serve()
    await simulation.script({"scope": "ims", "connection": "reset"})

    with pytest.raises(httpx.ReadError):
        await simulation.ask_token()

    assert (await simulation.ask_token()).status_code == 200


async def test_a_fault_of_the_connection_needs_a_connection(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "connection": "reset"})

    with pytest.raises(ConnectionResetError, match="needs a real connection"):
        await simulation.batch(event())


async def test_a_large_request_is_refused_and_the_connection_survives(
    serve: Any, event: Any
) -> None:
    simulation = await serve()
    large = event(_acme={"note": "x" * 3_000_000})

    answers = [await simulation.batch(message) for message in (large, event())]

    assert [answer.status_code for answer in answers] == [413, 207]
