"""A call in a thread that is waited for even when the task that made it is cancelled."""

import asyncio
from collections.abc import Callable
from typing import Any


async def uncut(call: Callable[..., Any], *arguments: Any) -> Any:
    """Call in a thread, and wait for its end when cancelled: one thread writes at a time."""
    calling = asyncio.ensure_future(asyncio.to_thread(call, *arguments))
    try:
        return await asyncio.shield(calling)
    except asyncio.CancelledError:
        await asyncio.wait({calling})
        raise
