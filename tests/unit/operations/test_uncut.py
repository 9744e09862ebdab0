"""A write that has begun ends before whoever is cancelled goes on."""

import asyncio
import threading

import pytest

from processor.operations.replays.uncut import uncut


async def test_who_is_cancelled_waits_for_the_thread_to_end() -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        may_end.wait(60)
        ended.set()

    writing = asyncio.create_task(uncut(write))
    await asyncio.to_thread(begun.wait, 60)
    writing.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    waits = not writing.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await writing

    assert waits
    assert ended.is_set()


async def test_what_the_call_gives_or_raises_comes_back() -> None:
    assert await uncut(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await uncut(divmod, 7, 0)
