"""A destination that costs next to nothing: IMS and the batch endpoint on bare sockets.

It accepts every message, counts messages by counting a marker in the body, and measures its own
CPU time, so that a run in which it was the bottleneck can be thrown away.

    python -m tests.bench.sink --port 8095
    GET  /bench/report   what arrived since the last reset
    POST /bench/reset    forget it; ?latency_ms=20&sample=1&order=1 sets the added latency, and
                         whether delays and the order per key are read from the bodies
"""

import argparse
import asyncio
import json
import re
import socket
import time
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from tests.bench.order import Order

MARKER = b'"xdmEntity"'
BUFFER_BYTES = 4_000_000
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')
MILLISECONDS = re.compile(rb'"t":(\d{13})')
TOKEN = {"access_token": "bench-token", "token_type": "bearer", "expires_in": 86_399_000}


class Counts:
    """What arrived since the last reset."""

    def __init__(self) -> None:
        self.answers: dict[int, bytes] = {}
        self.reset(latency_s=0.0, sample=False, order=False)

    def reset(self, *, latency_s: float, sample: bool, order: bool) -> None:
        self.latency_s = latency_s
        self.sample = sample
        self.order = Order() if order else None
        self.messages = 0
        self.requests = 0
        self.bytes = 0
        self.open = 0
        self.most_open = 0
        self.delays_ms: list[float] = []
        self.cpu_s = time.process_time()

    def take(self, body: bytearray, start: int, end: int) -> int:
        """Count a request's messages; at least one, for bodies without a marker."""
        count = body.count(MARKER, start, end) or 1
        self.messages += count
        self.requests += 1
        self.bytes += end - start
        return count

    def look(self, body: bytearray, start: int, end: int) -> None:
        """Read what else a reset asked for; after the answer is on its way, to delay none."""
        if not self.sample and self.order is None:
            return
        now_ms = time.time() * 1000
        text = bytes(memoryview(body)[start:end])
        if self.order is not None:
            self.order.read(text)
        if self.sample:
            self.delays_ms += [
                now_ms - datetime.fromisoformat(found.decode()).timestamp() * 1000
                for found in TIMESTAMP.findall(text)
            ]
            self.delays_ms += [now_ms - int(found) for found in MILLISECONDS.findall(text)]

    def answer(self, count: int) -> bytes:
        """A 207 that accepts so many messages; made once for each number."""
        if count not in self.answers:
            batch = "1565628583792:1485:153"
            responses = [{"xactionId": f"{batch}:{number}"} for number in range(count)]
            body = {"inletId": "bench", "batchId": batch, "responses": responses}
            self.answers[count] = reply("207 Multi-Status", body)
        return self.answers[count]

    def report(self) -> dict[str, object]:
        delays = sorted(self.delays_ms)

        def percentile(share: float) -> float | None:
            return round(delays[int(share * (len(delays) - 1))], 1) if delays else None

        return {
            "messages": self.messages,
            "requests": self.requests,
            "bytes": self.bytes,
            "most_open": self.most_open,
            "cpu_s": time.process_time() - self.cpu_s,
            "at_s": time.monotonic(),
            "delays": len(delays),
            "p50_ms": percentile(0.5),
            "p95_ms": percentile(0.95),
            "p99_ms": percentile(0.99),
            "order": self.order.report() if self.order is not None else None,
        }


def reply(status: str, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}"
    return f"{head}\r\n\r\n".encode() + content


class Connection(asyncio.BufferedProtocol):
    """One keep-alive connection; bodies stay where the kernel put them until they are counted."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._buffer = bytearray(BUFFER_BYTES)
        self._filled = 0
        self._head_end = 0
        self._need = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        if self._filled == len(self._buffer):
            self._buffer += bytes(BUFFER_BYTES)
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        while self._filled:
            if not self._need and not self._read_head():
                return
            if self._filled < self._need:
                return
            self._carry_out()
            rest = self._filled - self._need
            self._buffer[:rest] = self._buffer[self._need : self._filled]
            self._filled, self._need = rest, 0

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return False
        found = LENGTH.search(self._buffer, 0, end)
        self._head_end = end + 4
        self._need = self._head_end + (int(found[1]) if found else 0)
        return True

    def _carry_out(self) -> None:
        method, path, _ = bytes(self._buffer[: self._buffer.find(b"\r\n")]).split(b" ", 2)
        if path.startswith(b"/collection/"):
            count = self._counts.take(self._buffer, self._head_end, self._need)
            self._later(self._counts.answer(count))
            self._counts.look(self._buffer, self._head_end, self._need)
        elif path.startswith(b"/ims/token"):
            self._transport.write(reply("200 OK", TOKEN))
        elif (method, path) == (b"GET", b"/bench/report"):
            self._transport.write(reply("200 OK", self._counts.report()))
        elif method == b"POST" and path.startswith(b"/bench/reset"):
            asked = parse_qs(urlsplit(path.decode()).query)
            latency_s = float(asked.get("latency_ms", ["0"])[0]) / 1000
            self._counts.reset(
                latency_s=latency_s, sample="sample" in asked, order="order" in asked
            )
            self._transport.write(reply("200 OK", {}))
        else:
            self._transport.write(reply("404 Not Found", {}))

    def _later(self, answer: bytes) -> None:
        counts = self._counts
        if not counts.latency_s:
            self._transport.write(answer)
            return
        counts.open += 1
        counts.most_open = max(counts.most_open, counts.open)

        def send() -> None:
            counts.open -= 1
            self._transport.write(answer)

        asyncio.get_running_loop().call_later(counts.latency_s, send)


async def serve(port: int) -> None:
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(counts), "127.0.0.1", port, backlog=256
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
