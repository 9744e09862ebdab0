"""The least that any such program has to do: consume, and post the bytes.

No decoding, no mapping, no validation, no order, no ledger: records of one `consume` call go out as
one request through the connector's own HTTP client. What the connector costs more than this is what
its work costs.

    python -m tests.bench.floor --bootstrap-servers … --topic … --url …
"""

import argparse
import asyncio
import contextlib
import gc
import signal
import threading
import uuid

from confluent_kafka import Consumer

from processor.experience_platform.exchange import open_client

BATCH = 500
IN_FLIGHT = 16
POLL_S = 0.1
MARKED = b'{"xdmEntity":1,"t":%d}'
"""Lets the sink count and time a record whose own bytes it cannot read."""


async def run(servers: str, topic: str, url: str) -> None:
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    room = threading.Semaphore(2 * IN_FLIGHT)
    stopping = threading.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)

    def consume() -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"floor-{uuid.uuid4().hex}",
                "auto.offset.reset": "earliest",
            }
        )
        consumer.subscribe([topic])
        while not stopping.is_set():
            messages = consumer.consume(BATCH, POLL_S)
            parts = [
                (message.value() or b"") + MARKED % message.timestamp()[1]
                for message in messages
                if message.error() is None
            ]
            if parts:
                room.acquire()
                loop.call_soon_threadsafe(queue.put_nowait, b"\n".join(parts))
        consumer.close()

    headers = {"content-type": "application/json"}
    async with open_client(ca_file=None, proxy="") as client, asyncio.TaskGroup() as tasks:

        async def post() -> None:
            while True:
                body = await queue.get()
                answer = await client.post(url, content=body, headers=headers)
                answer.raise_for_status()
                answer.json()
                room.release()

        posting = [tasks.create_task(post()) for _ in range(IN_FLIGHT)]
        gc.freeze()
        await asyncio.to_thread(consume)
        for task in posting:
            task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--url", required=True)
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(options.bootstrap_servers, options.topic, options.url))
