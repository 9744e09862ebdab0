"""The pages of the real connector, asked from this machine, without tokens."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.letters import letter

BROWSER = {"accept": "text/html"}


@pytest.fixture
def running(connector: Any, connector_settings: Any, topic: str) -> Any:
    tables = connector_settings(topic)
    tables["errors"] |= {"systemic_min": 1_000_000, "systemic_window": 1_000_000}
    return connector(tables)


def test_the_running_connector_tells_of_itself_and_its_dead_letters(
    running: Any, capillary: Any, topic: str, produce: Any, eventually: Any
) -> None:
    records, _ = capillary.records(20)
    produce(topic, [*records, {"key": b"k", "value": b"\x00\x00\x00\x00\x07\xff"}])
    eventually(lambda: running.metric("processor_records_dead_lettered_total") == 1)

    with httpx.Client(base_url=running.url, trust_env=False, timeout=90) as client:
        first = client.get("/", headers=BROWSER, follow_redirects=True)
        kinds = eventually(
            lambda: client.get("/dead-letters").json().get("kinds"),
            timeout_s=60,
            what="the dead letter is counted",
        )
        sample = kinds[0]["sample"]
        place = "/".join(str(sample[name]) for name in ("topic", "partition", "offset"))
        page = client.get(f"/dead-letters/{place}", headers=BROWSER)
        reveal = client.post(f"/dead-letters/{place}/reveal", data={"sure": "yes"})
        plan = client.post("/replays/plans", data={})

    assert first.status_code == 200
    assert "Carrying records" in first.text
    assert "RUNNING" in first.text
    assert [kind["count"] for kind in kinds] == [1]
    assert kinds[0]["code"].startswith("decode.")
    assert page.status_code == 200
    assert "This needs a token, even on this machine" in page.text
    assert (reveal.status_code, plan.status_code) == (403, 403)
    assert running.stop() == 0


def test_a_replay_drains_with_the_connector(
    connector: Any,
    connector_settings: Any,
    capillary: Any,
    topic: str,
    letters_topic: str,
    produce: Any,
    simulator: Any,
    canary: Any,
    eventually: Any,
    tmp_path: Path,
    run_cli: Any,
) -> None:
    tables = connector_settings(topic)
    token = canary.watch_for(f"admin-canary-token-{topic}")
    (tmp_path / "token").write_text(token)
    (tmp_path / "token").chmod(0o600)
    tables["admin"] = {"token_file": str(tmp_path / "token")}
    records, _ = capillary.records(10)
    made = [
        letter(number, **record, targets=(), connector=tables["name"])
        for number, record in enumerate(records)
    ]
    produce(letters_topic, made, partition=0)
    running = connector(tables)
    simulator.faults([{"scope": "batch", "count": "until_reset", "status": 503}])
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=running.url, trust_env=False, timeout=90, headers=headers) as client:
        plan = client.post("/replays/plans").json()["plan"]
        there = f"/replays/plans/{plan}"
        forecast = eventually(lambda: client.get(there).json()["forecast"])
        client.post(f"{there}/execute", data={"count": str(forecast["chosen"])})
        replay_id = eventually(lambda: client.get(there).json()["replay_id"])
        eventually(lambda: client.get(f"/replays/{replay_id}").json().get("status") == "running")

    assert running.stop() == 0

    ran = run_cli("replay", "list", "--json", "--config", running.config)
    (row,) = [json.loads(line) for line in ran.stdout.splitlines()]
    assert (row["replay_id"], row["status"]) == (replay_id, "interrupted")
    assert row["by"] == "admin@127.0.0.1"
