import asyncio
import gc
import gzip
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from processor.errors import Misconfigured
from processor.experience_platform.exchange import (
    Connections,
    NoReply,
    Reply,
    checked_header,
    checked_url,
    exchange,
    open_client,
)

CAP_BYTES = 100_000
TLS = Path(__file__).parent / "tls"
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Reader = Callable[[asyncio.StreamReader], Awaitable[tuple[str, bytes]]]


class Serving(Protocol):
    connections: int

    async def serve(self, script: Script, *, certificate: Path | None = None) -> str: ...


UNTIL_THE_HEAD_CAME_S = 1.5
"""Short, but a machine that is busy has connected and read a line by then."""


async def post(
    origin: str, *, timeout_s: float = 30.0, proxy: str = "", ca_file: Path | None = None
) -> Reply | NoReply:
    client = open_client(ca_file=ca_file, proxy=proxy)
    request = client.build_request(
        "POST", origin, content=b"{}", headers={"authorization": "Bearer canary"}
    )
    try:
        return await exchange(client, request, timeout_s=timeout_s, cap_bytes=CAP_BYTES)
    finally:
        await client.aclose()


def answering(raw: bytes, reader: Reader) -> Script:
    """A script that reads one request, sends these bytes and closes."""

    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await reader(incoming)
        outgoing.write(raw)
        await outgoing.drain()

    return script


def http(body: bytes, *headers: str, status: str = "207 Multi-Status") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def test_no_cookie_is_kept_however_many_are_set() -> None:
    """They would make every request longer, until it is refused for its head."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, headers={"set-cookie": f"id-{len(sent)}=1"}, content=b"{}")

    client = open_client(ca_file=None, proxy="", transport=httpx.MockTransport(answer))
    for _ in range(3):
        request = client.build_request("POST", "https://example.test/", content=b"{}")
        await exchange(client, request, timeout_s=5.0, cap_bytes=CAP_BYTES)

    assert len(sent) == 3
    assert all("cookie" not in request.headers for request in sent)
    assert not list(client.cookies.jar)


async def test_a_plain_answer_is_read(loopback: Serving, request_reader: Reader) -> None:
    origin = await loopback.serve(answering(http(b"{}", "X-A: b"), request_reader))

    reply = await post(origin)

    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.headers["x-a"], reply.fault) == (207, b"{}", "b", "")


async def test_a_compressed_answer_is_read_though_it_was_not_asked_for(
    loopback: Serving, request_reader: Reader
) -> None:
    raw = http(gzip.compress(b'{"responses":[]}'), "Content-Encoding: gzip")
    origin = await loopback.serve(answering(raw, request_reader))

    reply = await post(origin)

    assert isinstance(reply, Reply)
    assert reply.body == b'{"responses":[]}'


async def test_a_request_asks_for_no_compression_and_reads_no_environment(
    loopback: Serving, request_reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads: list[str] = []

    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        heads.append((await request_reader(incoming))[0].lower())
        outgoing.write(http(b"{}"))

    origin = await loopback.serve(script)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    reply = await post(origin)

    assert isinstance(reply, Reply)
    assert "accept-encoding: identity" in heads[0]
    assert "user-agent: capillary-aep-processor/" in heads[0]


async def test_a_gzip_bomb_is_cut_at_the_cap(loopback: Serving, request_reader: Reader) -> None:
    bomb = gzip.compress(b"\0" * 20_000_000)
    assert len(bomb) < CAP_BYTES
    origin = await loopback.serve(answering(http(bomb, "Content-Encoding: gzip"), request_reader))

    tracemalloc.start()
    reply = await post(origin)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak_bytes < 10_000_000
    assert isinstance(reply, Reply)
    assert reply.body == b""
    assert "longer than" in reply.fault


async def test_an_endless_answer_is_cut_at_the_cap(
    loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        outgoing.write(b"HTTP/1.1 207 Multi-Status\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            outgoing.write(b"1000\r\n" + b" " * 4096 + b"\r\n")
            await outgoing.drain()

    origin = await loopback.serve(script)

    reply = await post(origin)

    assert isinstance(reply, Reply)
    assert "longer than" in reply.fault


@pytest.mark.parametrize(
    ("raw", "status", "why"),
    [
        (b"HTTP/1.1 207 OK\r\nContent-Length: 100\r\n\r\n{", 207, "broke off"),
        (b"HTTP/1.1 207 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 207, "broke off"),
        (http(b"no gzip", "Content-Encoding: gzip"), 207, "not the gzip"),
        (http(gzip.compress(b"{}" * 99)[:20], "Content-Encoding: gzip"), 207, "cut off"),
        (http(b"{}", "Content-Encoding: br"), 207, "not asked for"),
        (http(b"{}", "Content-Encoding: gzip, gzip"), 207, "not asked for"),
        (b"HTTP/1.1 503 Away\r\nContent-Length: 100\r\n\r\n{", 503, "broke off"),
    ],
)
async def test_an_answer_that_breaks_off_keeps_its_status_and_no_body(
    loopback: Serving, request_reader: Reader, raw: bytes, status: int, why: str
) -> None:
    origin = await loopback.serve(answering(raw, request_reader))

    reply = await post(origin)

    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (status, b"")
    assert why in reply.fault


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 207 OK\r\nX: " + b"y" * 2_000_000,
    ],
    ids=["nothing", "another protocol", "no status", "endless header"],
)
async def test_no_status_line_means_that_the_connection_broke(
    loopback: Serving, request_reader: Reader, raw: bytes
) -> None:
    origin = await loopback.serve(answering(raw, request_reader))

    reply = await post(origin)

    assert isinstance(reply, NoReply)
    assert reply.kind == "broken"
    assert "canary" not in repr(reply)


async def test_a_connection_reset_is_told_as_broken(
    loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        outgoing.transport.abort()

    origin = await loopback.serve(script)

    reply = await post(origin)

    assert isinstance(reply, NoReply)
    assert reply.kind == "broken"


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 207 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_a_server_that_falls_silent_ends_at_the_total_timeout(
    loopback: Serving, request_reader: Reader, start: bytes
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        outgoing.write(start)
        await incoming.read()

    origin = await loopback.serve(script)

    reply = await post(origin, timeout_s=UNTIL_THE_HEAD_CAME_S)

    if start:
        assert isinstance(reply, Reply)
        assert reply.fault
    else:
        assert isinstance(reply, NoReply)
        assert reply.kind == "timeout"


async def test_a_server_that_dribbles_ends_at_the_total_timeout(
    loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        outgoing.write(b"HTTP/1.1 207 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            outgoing.write(b" ")
            await outgoing.drain()
            await asyncio.sleep(0.01)

    origin = await loopback.serve(script)

    reply = await asyncio.wait_for(post(origin, timeout_s=UNTIL_THE_HEAD_CAME_S), 30)

    assert isinstance(reply, Reply)
    assert reply.fault


async def test_a_closed_port_was_not_reached(loopback: Serving) -> None:
    reply = await post("http://127.0.0.1:9")

    assert isinstance(reply, NoReply)
    assert reply.kind == "unreached"


async def test_a_server_without_tls_on_a_tls_port_is_the_set_ups_fault(
    loopback: Serving,
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await incoming.read(10)
        outgoing.write(http(b"{}"))

    origin = await loopback.serve(script)

    reply = await post(origin.replace("http://", "https://"))

    assert isinstance(reply, NoReply)
    assert reply.kind == "tls"


@pytest.mark.parametrize(
    ("certificate", "trusted", "why"),
    [
        ("loopback", None, "self-signed"),
        ("loopback", "elsewhere", "self-signed"),
        ("elsewhere", "elsewhere", "IP address mismatch"),
        ("expired", "expired", "expired"),
    ],
)
async def test_a_certificate_that_proves_nothing_is_the_set_ups_fault(
    loopback: Serving,
    request_reader: Reader,
    certificate: str,
    trusted: str | None,
    why: str,
) -> None:
    script = answering(http(b"{}"), request_reader)
    origin = await loopback.serve(script, certificate=TLS / f"{certificate}.pem")

    reply = await post(origin, ca_file=TLS / f"{trusted}.pem" if trusted else None)

    assert isinstance(reply, NoReply)
    assert reply.kind == "tls"
    assert why in reply.why


async def test_an_own_authority_is_trusted_where_it_is_named(
    loopback: Serving, request_reader: Reader
) -> None:
    script = answering(http(b"{}"), request_reader)
    origin = await loopback.serve(script, certificate=TLS / "loopback.pem")

    reply = await post(origin, ca_file=TLS / "loopback.pem")

    assert isinstance(reply, Reply)
    assert reply.body == b"{}"


async def test_a_proxy_that_wants_credentials_is_the_set_ups_fault(
    loopback: Serving, request_reader: Reader
) -> None:
    raw = http(b"", status="407 Proxy Authentication Required")
    proxy = await loopback.serve(answering(raw, request_reader))

    reply = await post("https://aep.example", proxy=proxy.replace("//", "//user:canary@"))

    assert isinstance(reply, NoReply)
    assert reply.kind == "proxy"
    assert "canary" not in repr(reply)


async def test_a_redirect_is_an_answer_and_is_not_followed(
    loopback: Serving, request_reader: Reader
) -> None:
    raw = http(b"", "Location: http://127.0.0.1:9/", status="307 Temporary Redirect")
    origin = await loopback.serve(answering(raw, request_reader))

    reply = await post(origin)

    assert isinstance(reply, Reply)
    assert reply.status == 307


async def test_connections_are_used_again_after_every_kind_of_answer(
    loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        while True:
            await request_reader(incoming)
            outgoing.write(http(b"{}"))
            await outgoing.drain()

    origin = await loopback.serve(script)
    client = open_client(ca_file=None, proxy="")

    async def one() -> Reply | NoReply:
        request = client.build_request("POST", origin, content=b"{}")
        return await exchange(client, request, timeout_s=5, cap_bytes=CAP_BYTES)

    for _ in range(3):
        replies = await asyncio.gather(*(one() for _ in range(4)))
        assert all(isinstance(reply, Reply) and not reply.fault for reply in replies)
    await client.aclose()

    assert loopback.connections == 4


class Connection(httpx.AsyncBaseTransport):
    """Counts how many requests it carries at once."""

    def __init__(self, fails: bool = False) -> None:
        self.busy = 0
        self.closed = False
        self.fails = fails

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.fails:
            raise httpx.ConnectError("refused")
        self.busy += 1
        assert self.busy == 1
        connection = self

        class Stream(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                yield b"{}"

            async def aclose(self) -> None:
                connection.busy = 0

        return httpx.Response(200, stream=Stream())

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("fate", ["answered", "cut off", "reset", "silent", "unreached"])
async def test_a_request_is_let_go_without_the_garbage_collector(
    fate: str, loopback: Serving, request_reader: Reader
) -> None:
    async def script(incoming: asyncio.StreamReader, outgoing: asyncio.StreamWriter) -> None:
        await request_reader(incoming)
        match fate:
            case "answered":
                outgoing.write(http(b"{}"))
            case "cut off":
                outgoing.write(http(b"{}" * 10)[:-5])
            case "reset":
                outgoing.transport.abort()
            case "silent":
                await incoming.read()

    origin = "http://127.0.0.1:1" if fate == "unreached" else await loopback.serve(script)
    client = open_client(ca_file=None, proxy="")

    async def sent() -> weakref.ref[httpx.Request]:
        request = client.build_request("POST", origin, content=b"{}")
        await exchange(client, request, timeout_s=0.5, cap_bytes=CAP_BYTES)
        return weakref.ref(request)

    gc.disable()
    try:
        request = await sent()
        left = request()
    finally:
        gc.enable()
        await client.aclose()

    assert left is None


async def test_a_connection_carries_one_request_at_a_time_and_comes_back() -> None:
    made: list[Connection] = []

    def make() -> Connection:
        made.append(Connection())
        return made[-1]

    connections = Connections(make)
    client = httpx.AsyncClient(transport=connections)
    request = client.build_request("GET", "http://127.0.0.1/")

    first = await client.send(request, stream=True)
    second = await client.send(request, stream=True)
    await first.aclose()
    await first.aclose()
    await second.aclose()
    third = await client.send(request, stream=True)
    await third.aclose()
    await client.aclose()

    assert len(made) == 2
    assert all(connection.closed for connection in made)


async def test_an_answer_that_is_closed_twice_gives_its_connection_back_once() -> None:
    connections = Connections(Connection)
    request = httpx.Request("GET", "http://127.0.0.1/")
    response = await connections.handle_async_request(request)
    assert isinstance(response.stream, httpx.AsyncByteStream)

    await response.stream.aclose()
    await response.stream.aclose()
    both = [await connections.handle_async_request(request) for _ in range(2)]

    assert len(both) == 2


async def test_a_connection_that_failed_is_used_again() -> None:
    made: list[Connection] = []

    def make() -> Connection:
        made.append(Connection(fails=True))
        return made[-1]

    client = httpx.AsyncClient(transport=Connections(make))

    for _ in range(3):
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1/")

    assert len(made) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "aep.example",
        "ftp://aep.example",
        "https://",
        "http://aep.example",
        "http://10.0.0.1",
        "https://user:canary@aep.example",
        "https://aep.example/?key=canary",
        "https://aep.example/#canary",
        "https://169.254.169.254/",
        "https://[fe80::1]/",
        "https://metadata.google.internal/",
        "https://aep.example:port",
        "https://a\x00b/",
    ],
)
def test_a_url_that_credentials_must_not_go_to_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        checked_url(url, key="experience_platform.endpoint", allow_http=False)

    assert "experience_platform.endpoint" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://169.254.169.254/", "http://metadata.google.internal/"])
def test_a_metadata_address_is_refused_even_where_http_is_allowed(url: str) -> None:
    with pytest.raises(Misconfigured):
        checked_url(url, key="k", allow_http=True)


@pytest.mark.parametrize(
    "url",
    ["https://dcs.adobedc.net", "http://localhost:8080", "http://127.0.0.2", "http://[::1]:1"],
)
def test_a_safe_url_passes(url: str) -> None:
    assert checked_url(url, key="k", allow_http=False).scheme in url


@pytest.mark.parametrize("value", ["", "a b", "a\r\nX: y", "é", "x" * 16_385])
def test_a_setting_that_could_start_another_header_is_refused(value: str) -> None:
    with pytest.raises(Misconfigured):
        checked_header(value, key="k")


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_used_is_the_set_ups_fault(
    tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)

    with pytest.raises(Misconfigured) as caught:
        open_client(ca_file=file, proxy="")

    assert "ca.pem" in str(caught.value)


def test_a_proxy_that_is_no_url_is_refused_without_quoting_it() -> None:
    with pytest.raises(Misconfigured) as caught:
        open_client(ca_file=None, proxy="canary://user:canary@proxy")

    assert "canary" not in str(caught.value)
