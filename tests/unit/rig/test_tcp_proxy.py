"""Each toxic does what it says, from when it is switched on until it is switched off."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.rig.tcp_proxy import (
    Bandwidth,
    Down,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    TcpProxy,
    Timeout,
)

PATIENCE_S = 20.0
Connect = Callable[[], socket.socket]


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        with connection:
            while True:
                try:
                    data = connection.recv(65_536)
                    if not data:
                        return
                    connection.sendall(data)
                except OSError:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.fixture
def proxy(echo: int) -> Iterator[TcpProxy]:
    with TcpProxy(echo) as running:
        yield running


@pytest.fixture
def connect(proxy: TcpProxy) -> Iterator[Connect]:
    made: list[socket.socket] = []

    def dial() -> socket.socket:
        made.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S))
        return made[-1]

    yield dial
    for connection in made:
        connection.close()


def ask(connection: socket.socket, data: bytes = b"hello") -> bytes:
    connection.sendall(data)
    got = b""
    while len(got) < len(data) and (piece := connection.recv(65_536)):
        got += piece
    return got


def ended(connection: socket.socket) -> str:
    """How the other side ends the connection."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        return "reset"
    return "closed"


def fate(port: int) -> str:
    """How a new connection ends, which may be before we have it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
            return ended(connection)
    except ConnectionResetError:
        return "reset"


def test_bytes_pass_unchanged_both_ways(connect: Connect) -> None:
    data = bytes(range(256)) * 4_000

    assert ask(connect(), data) == data


def test_latency_delays_and_keeps_the_order(proxy: TcpProxy, connect: Connect) -> None:
    connection = connect()
    toxic = proxy.add(Latency(latency_s=0.2, jitter_s=0.1))
    begin_s = time.monotonic()

    assert ask(connection, b"0123456789" * 20_000) == b"0123456789" * 20_000

    assert time.monotonic() - begin_s >= 0.4
    proxy.remove(toxic)
    assert ask(connection) == b"hello"


def test_bandwidth_limits_the_rate(proxy: TcpProxy, connect: Connect) -> None:
    proxy.add(Bandwidth(bytes_per_s=50_000, directions=("down",)))
    begin_s = time.monotonic()

    assert len(ask(connect(), b"x" * 25_000)) == 25_000

    assert time.monotonic() - begin_s >= 0.4


def test_a_slicer_cuts_into_small_packets(proxy: TcpProxy, connect: Connect) -> None:
    # The next one comes so late that whoever is slow to read does not get two.
    proxy.add(Slicer(bytes=3, delay_s=30.0, directions=("down",)))
    connection = connect()
    connection.sendall(b"123456789")

    assert connection.recv(100) == b"123"


def test_slow_close_keeps_the_end_back(proxy: TcpProxy, connect: Connect) -> None:
    proxy.add(SlowClose(delay_s=0.3))
    connection = connect()
    assert ask(connection) == b"hello"
    begin_s = time.monotonic()
    connection.shutdown(socket.SHUT_WR)

    assert ended(connection) == "closed"

    assert time.monotonic() - begin_s >= 0.6


def test_a_black_hole_swallows_and_resets_when_it_ends(proxy: TcpProxy, connect: Connect) -> None:
    hurt, idle = connect(), connect()
    assert ask(hurt) == ask(idle) == b"hello"
    toxic = proxy.add(Timeout())
    hurt.sendall(b"lost")
    hurt.settimeout(0.3)

    with pytest.raises(TimeoutError):
        hurt.recv(100)

    proxy.remove(toxic)
    hurt.settimeout(PATIENCE_S)
    assert ended(hurt) == "reset"
    assert ask(idle) == b"hello"


def test_a_black_hole_may_close(proxy: TcpProxy, connect: Connect) -> None:
    proxy.add(Timeout(after_s=0.1))
    connection = connect()
    connection.sendall(b"lost")

    assert ended(connection) == "closed"


def test_reset_peer_resets_old_and_new_connections(proxy: TcpProxy, connect: Connect) -> None:
    old = connect()
    assert ask(old) == b"hello"
    toxic = proxy.add(ResetPeer(after_s=0.05))

    assert ended(old) == "reset"
    assert fate(proxy.port) == "reset"

    proxy.remove(toxic)
    assert ask(connect()) == b"hello"


def test_limited_data_closes_behind_the_last_byte(proxy: TcpProxy, connect: Connect) -> None:
    proxy.add(LimitData(bytes=7, directions=("down",)))
    connection = connect()
    connection.sendall(b"0123456789")

    assert connection.recv(100) == b"0123456"
    assert ended(connection) == "closed"


def test_down_refuses_and_comes_back(proxy: TcpProxy, connect: Connect) -> None:
    old = connect()
    assert ask(old) == b"hello"
    toxic = proxy.add(Down())

    assert ended(old) == "reset"
    with pytest.raises(ConnectionRefusedError):
        connect()

    proxy.remove(toxic)
    assert ask(connect()) == b"hello"


def test_a_server_that_is_away_is_a_broken_connection(echo: int) -> None:
    with TcpProxy(1) as proxy:
        assert fate(proxy.port) == "reset"
        proxy.upstream_port = echo
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as connection:
            assert ask(connection) == b"hello"


def test_toxics_that_are_equal_are_switched_one_by_one(proxy: TcpProxy, connect: Connect) -> None:
    first, second = proxy.add(Down()), proxy.add(Down())

    proxy.remove(first)
    with pytest.raises(ConnectionRefusedError):
        connect()
    proxy.remove(second)

    assert ask(connect()) == b"hello"
    proxy.add(Latency(latency_s=0.1))
    proxy.clear()
    assert proxy.active() == []
