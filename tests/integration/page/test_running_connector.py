"""The pages of the real connector, asked from this machine, without tokens."""

from typing import Any

import httpx
import pytest

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
