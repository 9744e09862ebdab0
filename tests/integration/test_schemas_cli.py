"""``processor schemas`` against a real schema registry, and against the simulator's."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.local.programs import SimulatorProcess
from processor.local.registry import Registry
from processor.schemas.folder import builtin_directory
from tests.integration.conftest import TARGETS

Settings = Callable[..., dict[str, str]]
EVENT = "pointsIssued"
RECORD = "com.capillarytech.events.PointsIssued"
EXAMPLE = builtin_directory() / EVENT / "examples" / "purchase" / "input.json"


@pytest.fixture
def environment(settings_file: Any, tmp_path: Path) -> Settings:
    """Settings for the real parts, with a schemas folder of the operator's own."""

    def make(topic: str) -> dict[str, str]:
        directory = tmp_path / "schemas"
        directory.mkdir(exist_ok=True)
        file = settings_file(topic, schemas={"directory": str(directory)})
        return {"PROCESSOR_CONFIG": str(file)}

    return make


def lines(ran: Any) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_schemas_are_registered_once_under_the_names_that_produce_uses(
    registry: Registry, environment: Settings, fresh_name: Callable[[str], str], run_cli: Any
) -> None:
    topic = fresh_name("events")
    settings = environment(topic)

    def register(*arguments: str) -> list[Mapping[str, Any]]:
        ran = run_cli("schemas", "register", "--json", *arguments, env=settings)
        assert ran.status == 0, ran.stderr
        return lines(ran)

    dry = register()
    nothing = httpx.get(f"{registry.url}/subjects/{topic}-{RECORD}/versions", timeout=60)
    done = register("--execute")
    again = register("--execute")

    assert {one["state"] for one in dry} == {"new"}
    assert nothing.status_code == 404
    assert {(one["state"], one["registered"]) for one in done} == {("new", True)}
    assert {(one["state"], one["registered"]) for one in again} == {("there", False)}
    assert [one["schema_id"] for one in again] == [one["schema_id"] for one in done]
    ours = next(one for one in done if one["event"] == EVENT)
    assert ours["subject"] == f"{topic}-{RECORD}"
    held = httpx.get(f"{registry.url}/schemas/ids/{ours['schema_id']}", timeout=60).json()
    assert json.loads(held["schema"])["name"] == "PointsIssued"


def test_what_a_subject_would_refuse_is_said_before_it_is_asked_to_take_it(
    registry: Registry, environment: Settings, fresh_name: Callable[[str], str], run_cli: Any
) -> None:
    topic = fresh_name("events")
    subject = f"{topic}-{RECORD}"
    other = {
        "type": "record",
        "name": "PointsIssued",
        "namespace": "com.capillarytech.events",
        "fields": [{"name": "eventName", "type": "long"}],
    }
    posted = httpx.post(
        f"{registry.url}/subjects/{subject}/versions",
        json={"schema": json.dumps(other)},
        timeout=60,
    )
    ruled = httpx.put(
        f"{registry.url}/config/{subject}", json={"compatibility": "BACKWARD"}, timeout=60
    )
    assert posted.is_success
    assert ruled.is_success

    ran = run_cli("schemas", "register", EVENT, "--execute", env=environment(topic))

    assert ran.status == 3
    assert f"{EVENT}: {subject}: incompatible with the subject's earlier versions" in ran.stdout
    assert httpx.get(f"{registry.url}/subjects/{subject}/versions", timeout=60).json() == [1]


def test_a_tenants_schemas_are_fetched_and_make_check_and_gate_strict(
    environment: Settings, run_cli: Any, tmp_path: Path
) -> None:
    settings = environment("events")

    fetched = run_cli("schemas", "fetch", "--json", env=settings)
    checked = run_cli("schemas", "check", "--json", env=settings)
    mapped = run_cli("map", EXAMPLE, "--json", env=settings)

    assert fetched.status == 0, fetched.stderr
    assert {(one["targets"][0], one["found"]) for one in lines(fetched)} == {
        (name, True) for name in TARGETS
    }
    assert checked.status == mapped.status == 0, checked.stdout + mapped.stdout
    path = tmp_path / "schemas" / "xdm" / "event.json"
    schema = json.loads(path.read_text())
    del schema["properties"]["commerce"]
    path.write_text(json.dumps(schema))

    refused = run_cli("map", EXAMPLE, "--json", env=settings)
    proven = run_cli("schemas", "check", env=settings)

    assert refused.status == proven.status == 3
    event = next(line for line in lines(refused) if line["target"] == "event")
    assert event["violations"][0]["message"] == "extraneous key [commerce] is not permitted"
    assert "the XDM schema has no field 'commerce'" in proven.stdout


def test_an_answer_that_is_none_is_said_with_its_mend(
    environment: Settings, run_cli: Any, simulator: SimulatorProcess
) -> None:
    settings = environment("events")
    unknown = "https://ns.adobe.com/acme/schemas/nothing"

    missing = run_cli("schemas", "fetch", "--schema-id", unknown, env=settings)
    httpx.post(
        f"{simulator.url}/simulator/faults",
        json=[{"scope": "schemas", "status": 429}],
        timeout=60,
    ).raise_for_status()
    busy = run_cli("schemas", "fetch", env=settings)

    assert (missing.status, busy.status) == (2, 1)
    assert f"The sandbox prod has no schema {unknown} (404)." in missing.stderr
    assert "asks to wait (429)" in busy.stderr
