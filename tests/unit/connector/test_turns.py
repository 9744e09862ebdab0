import asyncio
import socket
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from processor.connector.turns import PATIENCE_TURNS, IdleLoop, Turns

PATIENCE_S = 30.0


def on_idle_loop(scenario: Coroutine[Any, Any, None]) -> None:
    """On real time, for it is the loop's own waiting that is looked at."""
    with asyncio.Runner(loop_factory=IdleLoop) as runner:
        runner.run(asyncio.wait_for(scenario, PATIENCE_S))


def test_other_work_comes_between(run: Any) -> None:
    async def scenario() -> None:
        turns, seen = Turns(), list[str]()

        def first() -> None:
            seen.append("first")
            turns.later(lambda: seen.append("second"))

        turns.later(first)
        asyncio.get_running_loop().call_soon(seen.append, "other")

        await asyncio.sleep(0.1)

        assert seen == ["first", "other", "second"]

    run(scenario())


def test_a_defect_ends_what_waits_for_it(run: Any) -> None:
    async def scenario() -> None:
        turns = Turns()

        def breaks() -> None:
            raise KeyError("defect")

        turns.later(breaks)
        turns.later(breaks)

        with pytest.raises(KeyError, match="defect"):
            await turns.run()

    run(scenario())


def test_on_an_idle_loop_every_step_of_other_work_comes_first() -> None:
    async def scenario() -> None:
        turns, seen, called = Turns(), list[str](), asyncio.Event()

        async def request() -> None:
            for _ in range(PATIENCE_TURNS // 2):
                await asyncio.sleep(0)
            seen.append("request")

        def decode() -> None:
            seen.append("decode")
            called.set()

        turns.later(decode)
        asyncio.get_running_loop().create_task(request())
        await called.wait()

        assert seen == ["request", "decode"]

    on_idle_loop(scenario())


def test_on_an_idle_loop_what_the_network_brought_comes_first() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        turns, seen, called = Turns(), list[str](), asyncio.Event()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:

            def decode() -> None:
                seen.append("decode")
                if len(seen) == 1:
                    theirs.send(b"answer")
                    turns.later(decode)
                else:
                    called.set()

            loop.add_reader(ours, lambda: seen.append(ours.recv(10).decode()))
            turns.later(decode)
            await called.wait()
            loop.remove_reader(ours)

        assert seen == ["decode", "answer", "decode"]

    on_idle_loop(scenario())


def test_a_loop_that_never_rests_gets_to_it_all_the_same() -> None:
    async def scenario() -> None:
        turns, called = Turns(), asyncio.Event()
        turns.later(called.set)

        passed = 0
        while not called.is_set():
            await asyncio.sleep(0)
            passed += 1

        assert PATIENCE_TURNS / 2 <= passed <= PATIENCE_TURNS + 10

    on_idle_loop(scenario())


def test_each_call_on_an_idle_loop_is_made_once_in_its_order_and_timers_and_threads_between() -> (
    None
):
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        turns, seen = Turns(), list[int]()
        timer, thread = asyncio.Event(), asyncio.Event()

        def again() -> None:
            seen.append(len(seen))
            if not (timer.is_set() and thread.is_set()):
                turns.later(again)

        turns.later(again)
        loop.call_later(0.01, timer.set)
        threading.Timer(0.01, loop.call_soon_threadsafe, [thread.set]).start()
        await timer.wait()
        await thread.wait()
        last = asyncio.Event()
        turns.later(last.set)
        await last.wait()

        assert seen == list(range(len(seen)))

    on_idle_loop(scenario())


def test_a_defect_on_an_idle_loop_ends_what_waits_for_it() -> None:
    async def scenario() -> None:
        turns = Turns()

        def breaks() -> None:
            raise KeyError("defect")

        turns.later(breaks)

        with pytest.raises(KeyError, match="defect"):
            await turns.run()

    on_idle_loop(scenario())
