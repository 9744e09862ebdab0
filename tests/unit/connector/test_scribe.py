"""The thread that writes entries for the loop."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from processor.connector.scribe import Scribe
from processor.errors import TryAgain
from processor.kafka.state_entry import Document


class Topic:
    """Takes entries while it is let; `refuses` the key of that name."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.refuses = ""
        self.written: list[str] = []

    def write_many(self, documents: Mapping[str, Document | None]) -> Mapping[str, int]:
        assert self.open.wait(30)
        if self.refuses in documents:
            raise TryAgain("Could not write.", reason="kafka")
        self.written += documents
        return {key: len(self.written) for key in documents}


async def test_what_is_written_comes_back_in_order() -> None:
    topic = Topic()
    scribe = Scribe(topic)

    offsets = await asyncio.gather(*(scribe.write({key: {}}) for key in "abc"))

    assert topic.written == ["a", "b", "c"]
    assert offsets == [{"a": 1}, {"b": 2}, {"c": 3}]
    scribe.close()


async def test_one_that_fails_raises_where_it_is_waited_for_and_the_next_is_written() -> None:
    topic = Topic()
    topic.refuses = "a"
    scribe = Scribe(topic)

    with pytest.raises(TryAgain):
        await scribe.write({"a": {}})
    await scribe.write({"b": {}})

    assert topic.written == ["b"]
    scribe.close()


async def test_the_loop_goes_on_while_the_topic_does_not_answer() -> None:
    topic = Topic()
    topic.open.clear()
    scribe = Scribe(topic)

    written = scribe.write({"a": {}})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(written, 0.05)
    topic.open.set()
    await scribe.write({"b": {}})  # who waits no more does no harm

    assert topic.written == ["a", "b"]
    scribe.close()


def test_its_thread_ends_with_the_loop() -> None:
    topic = Topic()
    topic.open.clear()
    scribe = Scribe(topic)

    async def ends_before_it_is_written() -> None:
        scribe.write({"a": {}}).add_done_callback(lambda _: None)

    asyncio.run(ends_before_it_is_written())
    topic.open.set()
    scribe._thread.join(30)  # noqa: SLF001 - that it ends is the point

    assert not scribe._thread.is_alive()  # noqa: SLF001
    assert topic.written == ["a"]
