import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

import processor.kafka.property_check  # noqa: F401 - has a logger of its own, which is not told

LOGGER = "processor.kafka.source"


@pytest.fixture
async def client(
    ask: Callable[..., httpx.AsyncClient], token_files: Any
) -> AsyncIterator[httpx.AsyncClient]:
    async with ask(**token_files) as opened:
        opened.headers["authorization"] = "Bearer admin-token-0123456789"
        yield opened


@pytest.fixture(autouse=True)
def levels_as_before() -> Iterator[None]:
    loggers = [logging.getLogger(), logging.getLogger("processor")]
    loggers += [
        logging.getLogger(name)
        for name in logging.root.manager.loggerDict
        if name.startswith("processor.")
    ]
    before = [(logger, logger.level) for logger in loggers]
    yield
    for logger, level in before:
        logger.setLevel(level)


async def test_levels_are_told_in_connects_words(client: httpx.AsyncClient) -> None:
    logging.getLogger(LOGGER).setLevel(logging.WARNING)

    every = (await client.get("/admin/loggers")).json()
    one = await client.get(f"/admin/loggers/{LOGGER}")

    assert one.json() == {"level": "WARN", "last_modified": None}
    assert every[LOGGER] == one.json()
    assert "root" in every
    assert {name.partition(".")[0] for name in every} <= {"processor", "root"}
    assert {told["level"] for told in every.values()} <= {"DEBUG", "INFO", "WARN", "ERROR", "OFF"}


@pytest.mark.parametrize(
    ("word", "level"),
    [
        ("DEBUG", logging.DEBUG),
        ("warn", logging.WARNING),
        ("TRACE", logging.DEBUG),
        ("FATAL", logging.CRITICAL),
        ("OFF", logging.CRITICAL + 10),
    ],
)
async def test_a_level_is_set_for_all_below(
    word: str, level: int, client: httpx.AsyncClient
) -> None:
    logging.getLogger(f"{LOGGER}.below")

    answer = await client.put(f"/admin/loggers/{LOGGER}", json={"level": word})
    shown = (await client.get(f"/admin/loggers/{LOGGER}")).json()

    assert (answer.status_code, answer.json()) == (200, [LOGGER, f"{LOGGER}.below"])
    assert logging.getLogger(LOGGER).level == level
    assert logging.getLogger(f"{LOGGER}.below").level == level
    assert shown["level"] == ("DEBUG" if word == "TRACE" else word.upper())
    assert shown["last_modified"] > 1_700_000_000_000


async def test_all_workers_are_told_without_a_body(client: httpx.AsyncClient, worker: Any) -> None:
    answer = await client.put(f"/admin/loggers/{LOGGER}?scope=cluster", json={"level": "INFO"})

    assert (answer.status_code, answer.content) == (204, b"")
    assert worker.told == [(logging.INFO, LOGGER, True)]


@pytest.mark.parametrize("scope", ["", "?scope=worker", "?scope=nonsense"])
async def test_this_worker_is_told(scope: str, client: httpx.AsyncClient, worker: Any) -> None:
    await client.put(f"/admin/loggers/root{scope}", json={"level": "ERROR"})

    assert worker.told == [(logging.ERROR, "root", False)]


@pytest.mark.parametrize(
    ("logger", "body", "status", "message"),
    [
        ("root", {"level": "NOPE"}, 404, "invalid log level 'NOPE'."),
        ("root", {}, 400, "Desired 'level' parameter was not specified in request."),
        ("root", [], 400, "Desired 'level' parameter was not specified in request."),
        ("root", {"level": 1}, 400, "Desired 'level' parameter was not specified in request."),
        ("httpx", {"level": "DEBUG"}, 400, "Only root and the loggers of processor can be set"),
        ("processors", {"level": "DEBUG"}, 400, "Only root and the loggers of processor"),
    ],
)
async def test_what_is_not_set(
    logger: str, body: Any, status: int, message: str, client: httpx.AsyncClient
) -> None:
    before = logging.getLogger("httpx").level

    answer = await client.put(f"/admin/loggers/{logger}", json=body)

    assert answer.status_code == status
    assert answer.json()["message"].startswith(message)
    assert logging.getLogger("httpx").level == before


@pytest.mark.parametrize("logger", ["httpx", "no.such.logger"])
async def test_an_unknown_logger(logger: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(f"/admin/loggers/{logger}")

    assert (answer.status_code, answer.json()["message"]) == (404, f"Logger {logger} not found.")
