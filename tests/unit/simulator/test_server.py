"""The simulator as a process: ready, stopped, and in the way of another."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from processor.errors import Misconfigured
from processor.simulator.server import SimulatorServer, run

PATIENCE_S = 60.0
COMMAND = "from processor.simulator.server import run; run('127.0.0.1', 0)"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        yield running
        running.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("The simulator answers on http://127.0.0.1:")
    return line.split()[-1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_ends_cleanly(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    url = url_of(process)

    alive = httpx.get(f"{url}/livez", timeout=PATIENCE_S)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE_S)

    assert alive.status_code == 200
    assert (process.returncode, output, errors) == (0, "", "")


def test_it_ends_although_a_request_hangs(process: subprocess.Popen[str]) -> None:
    url = url_of(process)
    httpx.post(
        f"{url}/simulator/faults", json={"scope": "ims", "connection": "hang"}, timeout=PATIENCE_S
    )
    host, port = url.removeprefix("http://").split(":")

    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(b"POST /ims/token/v3 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        while httpx.get(f"{url}/simulator/faults", timeout=PATIENCE_S).json()["faults"]:
            pass
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, errors) == (0, "")


def test_it_ends_although_a_request_is_only_half_there(process: subprocess.Popen[str]) -> None:
    url = url_of(process)
    host, port = url.removeprefix("http://").split(":")

    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(b"POST /ims/token/v3 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        while not httpx.get(f"{url}/simulator/requests", timeout=PATIENCE_S).json()["requests"]:
            pass
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, errors) == (0, "")


async def test_it_leaves_signals_to_whoever_runs_it() -> None:
    before = signal.getsignal(signal.SIGTERM)
    server = SimulatorServer("127.0.0.1", 0)

    await server.start()
    during = signal.getsignal(signal.SIGTERM)
    await server.stop()

    assert during is before


def test_an_occupied_port_is_the_set_ups_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]

        with pytest.raises(Misconfigured, match=f"cannot listen on 127.0.0.1 port {port}"):
            run("127.0.0.1", port)


def test_an_address_of_another_machine_is_the_set_ups_fault() -> None:
    with pytest.raises(Misconfigured, match="cannot listen on"):
        run("192.0.2.1", 0)


async def test_it_can_run_beside_other_things() -> None:
    server = SimulatorServer("127.0.0.1", 0)

    await server.start()
    async with httpx.AsyncClient() as client:
        alive = await client.get(f"{server.url}/livez")
    await server.stop()

    assert alive.json() == {"live": True}
