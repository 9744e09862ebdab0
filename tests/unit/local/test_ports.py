import random
import socket

import pytest

from processor.local.ports import LOOPBACK, free_port, is_free, is_listening


def test_a_free_port_can_be_listened_on() -> None:
    port = free_port()

    with socket.socket() as server:
        server.bind((LOOPBACK, port))


def test_two_that_are_asked_for_before_anything_listens_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = free_port(), free_port()
    chances = iter([first, second, first, 14_999])
    monkeypatch.setattr(random, "randint", lambda _lowest, _highest: next(chances))

    assert free_port() == 14_999


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        port = server.getsockname()[1]

        assert not is_free(port)
        assert is_listening(port)

    assert not is_listening(port)


def test_a_free_port_is_none_that_outgoing_connections_are_given() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind((LOOPBACK, free_port()))
        server.listen()
        client.connect(server.getsockname())
        outgoing = client.getsockname()[1]

        assert all(free_port() < outgoing for _ in range(50))
