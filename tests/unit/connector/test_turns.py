import asyncio
from typing import Any

import pytest

from processor.connector.turns import Turns


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
