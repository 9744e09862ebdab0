"""Bad input to each command: one clear sentence, the right exit status, no traceback."""

import json
from pathlib import Path
from typing import Any

import pytest

from processor.local.ports import free_port
from processor.local.programs import toml

NOWHERE = ("--bootstrap-servers", "127.0.0.1:1")
NEED_SETTINGS = (
    ("run",),
    ("check",),
    ("dlq", "list"),
    ("dlq", "show", "t.dlq", "0", "0"),
    ("dlq", "replay"),
    ("replay", "run", "--topic", "t", "--from-earliest", "--to-latest"),
)


@pytest.fixture
def settings(tmp_path: Path, client_secret_file: Path) -> dict[str, Any]:
    """Settings that nothing answers to."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    return {
        "name": "nobody",
        "kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}", "topics": ["t"]},
        "ims": {
            "token_url": f"{nowhere}/ims/token",
            "client_id": "c",
            "client_secret_file": str(client_secret_file),
        },
        "experience_platform": {
            "endpoint": nowhere,
            "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "tenant": "acme",
            "targets": {"event": {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}},
        },
    }


def said_once(ran: Any) -> str:
    """What a failed command said: something, on stderr, and no traceback."""
    text: str = ran.stderr
    assert text.strip()
    assert "Traceback" not in text + ran.stdout
    assert "Something unexpected" not in text
    return text


@pytest.mark.parametrize("command", NEED_SETTINGS, ids=" ".join)
def test_a_missing_settings_file_is_named(command: tuple[str, ...], run_cli: Any) -> None:
    ran = run_cli(*command, "--config", "nowhere.toml")

    assert ran.status == 2
    assert "nowhere.toml" in said_once(ran)


@pytest.mark.parametrize("command", NEED_SETTINGS, ids=" ".join)
def test_broken_toml_is_named_with_its_line(
    command: tuple[str, ...], run_cli: Any, tmp_path: Path
) -> None:
    (tmp_path / "broken.toml").write_text('name = "x"\n[kafka\n')

    ran = run_cli(*command, "--config", "broken.toml")

    assert ran.status == 2
    assert "line 2" in said_once(ran)


@pytest.mark.parametrize("command", NEED_SETTINGS, ids=" ".join)
def test_an_unknown_key_is_named_with_the_nearest_known_one(
    command: tuple[str, ...], run_cli: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    settings["kafka"]["bootstrap_server"] = "x"
    (tmp_path / "p.toml").write_text(toml(settings))

    ran = run_cli(*command, "--config", "p.toml")

    assert ran.status == 2
    text = said_once(ran)
    assert "kafka.bootstrap_server" in text
    assert "bootstrap_servers" in text


@pytest.mark.parametrize("command", NEED_SETTINGS[2:], ids=" ".join)
def test_an_unreachable_broker_is_said_within_seconds(
    command: tuple[str, ...], run_cli: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    (tmp_path / "p.toml").write_text(toml(settings))

    ran = run_cli(*command, "--config", "p.toml", timeout_s=60)

    assert ran.status == 1
    assert settings["kafka"]["bootstrap_servers"] in said_once(ran)


def test_check_says_everything_that_is_away(
    run_cli: Any, tmp_path: Path, settings: dict[str, Any]
) -> None:
    (tmp_path / "p.toml").write_text(toml(settings))

    ran = run_cli("check", "--json", "--config", "p.toml", timeout_s=60)

    assert ran.status == 3
    findings = [json.loads(line) for line in ran.stdout.splitlines()]
    assert {f["status"] for f in findings} >= {"ok", "bad"} or len(findings) > 2


@pytest.mark.parametrize(
    "command", [("produce", "nowhere.json", "--topic", "t", *NOWHERE), ("map", "nowhere.json")]
)
def test_a_missing_file_is_named(command: tuple[str, ...], run_cli: Any) -> None:
    ran = run_cli(*command)

    assert ran.status == 2
    assert "nowhere.json" in said_once(ran)


def test_broken_json_is_named_with_its_place(run_cli: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"eventName": "pointsIssued",\n "data": }')

    produced = run_cli("produce", "broken.json", "--topic", "t", *NOWHERE)
    mapped = run_cli("map", "broken.json")

    assert produced.status == 2
    assert "line 2" in said_once(produced)
    assert mapped.status in {2, 3}
    assert "decode.json" in mapped.stdout + mapped.stderr


def test_truncated_avro_is_refused_by_its_code(
    run_cli: Any, tmp_path: Path, capillary: Any
) -> None:
    payload = capillary.record(capillary.events.of("pointsIssued"))["value"][5:]
    (tmp_path / "event.avro").write_bytes(payload[:40])

    ran = run_cli("map", "event.avro", "--schema", "pointsIssued")

    assert ran.status == 3
    assert "decode.truncated" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_simulator_s_occupied_port_is_named(run_cli: Any, simulator: Any) -> None:
    ran = run_cli("simulator", "--port", str(simulator.port))

    assert ran.status == 2
    assert str(simulator.port) in said_once(ran)


@pytest.mark.parametrize("command", ["run", "check", "demo", "simulator", "produce", "map"])
def test_help_has_an_example(command: str, run_cli: Any) -> None:
    ran = run_cli(command, "--help")

    assert ran.status == 0
    assert "Example" in ran.stdout
    assert f"processor {command}" in ran.stdout
