"""``processor simulator`` with a connector's settings knows exactly what they name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.local.ports import free_port
from processor.local.process import Process
from processor.local.programs import clean_environment, processor_command, toml


@pytest.fixture
def strict(connector_settings: Any, client_secret: str, tmp_path: Path) -> Iterator[str]:
    """A simulator that was given settings; the URL where it answers."""
    config, port = tmp_path / "processor.toml", free_port()
    config.write_text(toml(connector_settings("t")))
    process = Process(
        "The simulator",
        processor_command("simulator", "--port", str(port), "--config", str(config)),
        log=tmp_path / "simulator.log",
        environment=clean_environment(),
    )
    process.wait_for_line("answers on", timeout_s=30)
    yield f"http://127.0.0.1:{port}"
    process.close()


def test_it_knows_the_client_and_its_inlets_and_nobody_else(
    strict: str, client_secret: str
) -> None:
    form = {"grant_type": "client_credentials", "client_id": "test-client", "scope": "openid"}

    with httpx.Client(base_url=strict, timeout=60, trust_env=False) as client:
        bought = client.post("/ims/token/v3", data={**form, "client_secret": client_secret})
        refused = client.post("/ims/token/v3", data={**form, "client_secret": "another"})
        headers = {"authorization": f"Bearer {bought.json()['access_token']}"}
        known = client.post("/collection/batch/event", json={"messages": []}, headers=headers)
        unknown = client.post("/collection/batch/nobody", json={"messages": []}, headers=headers)

    assert bought.status_code == 200
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    assert known.status_code != 404
    assert unknown.status_code == 404
