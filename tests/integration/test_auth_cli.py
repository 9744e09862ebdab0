"""``processor auth status`` against a real IMS simulator."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.local.ports import free_port
from processor.local.programs import SimulatorProcess, toml


@pytest.fixture
def auth(
    run_cli: Callable[..., Any],
    connector_settings: Callable[..., dict[str, Any]],
    canary: Any,
    tmp_path: Path,
) -> Callable[..., Any]:
    """``auth("--json", client_secret_next=…)``: runs ``processor auth status``."""

    def run(*options: str, **ims: Any) -> Any:
        tables = connector_settings("events")
        tables["ims"] |= ims
        config = tmp_path / "processor.toml"
        config.write_text(toml(tables))
        return run_cli("auth", "status", *options, "--config", config)

    return run


@pytest.fixture
def next_secret(canary: Any) -> str:
    secret: str = canary.watch_for("next-canary+/=%&")
    return secret


@pytest.mark.parametrize(("version", "unit"), [("v2", "ms"), ("v3", "s")])
def test_the_secret_s_setting_the_rest_of_its_life_and_the_unit_are_told(
    version: str, unit: str, auth: Callable[..., Any], simulator: SimulatorProcess
) -> None:
    url = f"{simulator.url}/ims/token/{version}"

    ran = auth("--json", token_url=url)

    document = json.loads(ran.stdout)
    assert (ran.status, ran.stderr) == (0, "")
    assert document["secret"] == "ims.client_secret_file"
    assert document["token_url"] == url
    assert document["unit"] == unit
    assert 86_000 < document["expires_in_s"] <= 86_400
    assert "openid" in document["scopes"]
    assert document["next"] == {"setting": None, "works": None, "problem": ""}


def test_a_rotation_is_seen_from_begin_to_end(
    auth: Callable[..., Any], simulator: SimulatorProcess, next_secret: str
) -> None:
    early = auth("--try-next", client_secret_next=next_secret)
    simulator.faults({"scope": "ims", "revoke_secret": 0})
    switched = auth("--try-next", client_secret_next=next_secret)
    simulator.faults({"scope": "ims", "revoke_secret": "all"})
    refused = auth(client_secret_next=next_secret)

    assert (early.status, switched.status, refused.status) == (3, 0, 3)
    assert "IMS accepted ims.client_secret_file" in early.stdout
    assert "ims.client_secret_next does not work: Adobe IMS refuses" in early.stdout
    assert "IMS accepted ims.client_secret_next" in switched.stdout
    assert "ims.client_secret_next works" in switched.stdout
    assert "Adobe IMS refuses the client secret" in refused.stdout


def test_asking_with_try_next_and_none_set_is_a_bad_verdict(auth: Callable[..., Any]) -> None:
    ran = auth("--try-next")

    assert ran.status == 3
    assert "No next secret is set." in ran.stdout


def test_ims_away_is_one_sentence_within_seconds(auth: Callable[..., Any]) -> None:
    started_s = time.monotonic()

    ran = auth("--json", token_url=f"http://127.0.0.1:{free_port()}/ims/token")

    assert (ran.status, ran.stdout) == (1, "")
    (sentence,) = ran.stderr.strip().splitlines()
    assert "Adobe IMS gave no answer" in sentence
    assert time.monotonic() - started_s < 60


def test_a_secret_that_cannot_be_read_is_a_mistake_of_the_settings(
    auth: Callable[..., Any], tmp_path: Path
) -> None:
    ran = auth(client_secret_file=str(tmp_path / "missing"))

    assert (ran.status, ran.stdout) == (2, "")
    assert "ims.client_secret_file" in ran.stderr
