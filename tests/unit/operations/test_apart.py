"""Work in child processes, with real ones: what they give, and what their end costs."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from processor.errors import Code, Misconfigured, Refused, TryAgain
from processor.operations.desk.apart import Apart, Tell
from processor.settings import Settings

SETTINGS = Settings.model_validate(
    {
        "name": "ours",
        "kafka": {"bootstrap_servers": "127.0.0.1:1", "topics": ["events"]},
        "ims": {"client_id": "client", "client_secret": "hush-canary-secret"},
        "experience_platform": {
            "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "tenant": "acme",
            "targets": {"event": {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}},
        },
    }
)


def who(settings: Settings, asked: Any, _tell: Tell) -> tuple[int, str, Any]:
    return os.getpid(), settings.name, asked


def crash(_settings: Settings, _asked: Any, _tell: Tell) -> None:
    """As a native decoder does: no exception, no goodbye."""
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(_settings: Settings, _asked: Any, _tell: Tell) -> None:
    time.sleep(600)


def fail(_settings: Settings, asked: Any, _tell: Tell) -> None:
    match asked:
        case "moment":
            raise TryAgain("No broker answers.", reason="kafka")
        case "setup":
            raise Misconfigured("A topic is wrong.", mend="Name another.", reason="schemas")
        case "record":
            raise Refused("It is refused.", code=Code.DECODE_JSON)
        case _:
            raise ValueError(f"quotes {asked}")


def count(_settings: Settings, asked: int, tell: Tell) -> int:
    for number in range(asked):
        tell(number)
    return asked


@pytest.fixture
async def apart() -> AsyncIterator[Apart]:
    made = Apart(SETTINGS)
    yield made
    made.close()


async def test_work_is_done_elsewhere_and_a_child_is_used_again(apart: Apart) -> None:
    first = await apart.call(who, {"a": b"\x00"}, timeout_s=120)
    second = await apart.call(who, None, timeout_s=120)

    assert first[0] == second[0] != os.getpid()
    assert first[1:] == ("ours", {"a": b"\x00"})


async def test_a_crash_costs_one_answer(apart: Apart) -> None:
    with pytest.raises(TryAgain, match="died"):
        await apart.call(crash, timeout_s=120)

    assert (await apart.call(who, "still here", timeout_s=120))[2] == "still here"


async def test_what_hangs_is_given_up_and_ended(apart: Apart) -> None:
    pid = (await apart.call(who, timeout_s=120))[0]

    with pytest.raises(TryAgain, match=r"longer than 0\.5 s"):
        await apart.call(hang, timeout_s=0.5)

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_errors_keep_whose_fault_it_is(
    apart: Apart, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TryAgain, match="No broker answers") as moment:
        await apart.call(fail, "moment", timeout_s=120)
    with pytest.raises(Misconfigured, match=r"A topic is wrong\. Name another\.") as setup:
        await apart.call(fail, "setup", timeout_s=120)
    with pytest.raises(Misconfigured, match="It is refused"):
        await apart.call(fail, "record", timeout_s=120)
    with pytest.raises(TryAgain, match="by a defect") as defect:
        await apart.call(fail, "canary-of-a-customer", timeout_s=120)

    assert (moment.value.reason, setup.value.reason) == ("kafka", "schemas")
    assert "canary" not in str(defect.value) + capfd.readouterr().err


async def test_who_comes_too_late_is_sent_away(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.operations.desk.apart.WAITING", 1)
    working = asyncio.create_task(apart.call(who, timeout_s=120))
    await asyncio.sleep(0)

    with pytest.raises(TryAgain, match="Too many"):
        await apart.call(who)

    await working


async def test_news_come_before_the_answer(apart: Apart) -> None:
    child = apart.hire()
    heard: list[Any] = []
    try:
        answer = child.ask(count, 3, timeout_s=120, heard=heard.append)
    finally:
        child.kill()

    assert (answer.given(), heard) == (3, [0, 1, 2])


async def test_a_child_that_nobody_needs_is_let_go(
    apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("processor.operations.desk.apart.IDLE_S", 0.05)
    pid = (await apart.call(who, timeout_s=120))[0]

    async with asyncio.timeout(30):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            await asyncio.sleep(0.05)
