"""A replay from the page: planned, confirmed by its number, sent once, told by every worker."""

from collections.abc import Callable
from typing import Any

import pytest

from processor.record import Position
from tests.integration.conftest import counted
from tests.integration.letters import letter
from tests.integration.page.conftest import Site, Visit

AWAY = {"scope": "batch", "count": "until_reset", "status": 503}


@pytest.fixture
def letters(letters_topic: str, topic: str, produce: Any, capillary: Any) -> Callable[..., Any]:
    """``letters(5)``: dead letters of good records, and the ``_id``s that should arrive."""

    def make(count: int) -> set[str]:
        events = [event for event in capillary.events.mixed(count * 4) if "eventId" in event]
        issued = [e for e in events if e["eventName"] == "pointsIssued"][:count]
        for number, event in enumerate(issued):
            record = capillary.record(event)
            made = letter(number, **record, targets=("event",), source=Position(topic, 0, number))
            produce(letters_topic, [made], partition=0)
        assert issued
        return {event["eventId"] for event in issued}

    return make


def planned(came: Visit) -> int:
    """Plan a replay of all; gives the number of letters."""
    came.go("/dead-letters")
    came.page.get_by_role("button", name="Plan a replay").click()
    came.page.get_by_text("Prediction", exact=True).wait_for()
    return int("".join(filter(str.isdigit, came.page.inner_text("h1"))))


def test_a_replay_from_plan_to_result(
    letters: Any, site: Site, visit: Any, simulator: Any, read_topic: Any
) -> None:
    expected = letters(6)
    came: Visit = visit("replay")
    assert planned(came) == len(expected)
    assert "would pass" in came.page.inner_text("main")
    assert counted(simulator) == {}
    count = came.page.get_by_label("Type the number")
    count.fill(str(len(expected) + 1))
    came.page.get_by_role("button", name="Replay").click()
    came.page.get_by_text("Nothing was sent").wait_for()
    came.complaints.clear()  # a 400
    came.page.go_back()

    came.page.get_by_label("Type the number").fill(str(len(expected)))
    came.page.get_by_role("button", name="Replay").dblclick()

    came.page.get_by_text(f"{len(expected)} records delivered").wait_for(timeout=120_000)
    assert counted(simulator) == {"event": dict.fromkeys(expected, 1)}
    (row,) = site.get("/replays").json()["replays"]
    assert (row["status"], row["by"]) == ("finished", "replay@127.0.0.1")
    assert row["counts"]["delivered"] == len(expected)
    begun = [line for line in site.logged() if line["message"].startswith("A replay was begun")]
    assert [(line["who"], line["letters"]) for line in begun] == [
        ("replay@127.0.0.1", len(expected))
    ]
    came.go("/dead-letters")
    assert "No open dead letters" in came.page.inner_text("main")


def test_another_worker_tells_of_a_replay_and_ends_it(
    letters: Any, site: Site, visit: Any, other_site: Site, simulator: Any, eventually: Any
) -> None:
    letters(40)
    simulator.faults([AWAY])
    came: Visit = visit("replay")
    count = planned(came)
    came.page.get_by_label("Type the number").fill(str(count))
    came.page.get_by_role("button", name="Replay").click()
    came.page.get_by_text("ended", exact=False).first.wait_for()
    came.page.wait_for_url("**/replays/2*")
    replay_id = came.page.url.rpartition("/")[2]

    eventually(
        lambda: other_site.get(f"/replays/{replay_id}").json().get("status") == "running",
        timeout_s=60,
        what="the other worker tells of it",
    )
    second = site.post("/replays/plans").json()
    assert second["stage"] in {"looking", "ready"}
    other_site.post(f"/replays/{replay_id}/cancel")

    eventually(
        lambda: site.get(f"/replays/{replay_id}").json().get("status") == "cancelled",
        timeout_s=120,
        what="it is cancelled",
    )
    row = site.get(f"/replays/{replay_id}").json()
    assert row["cancelled_by"] == "replay@127.0.0.1"
    came.page.reload()
    came.page.get_by_text("cancelled", exact=False).first.wait_for()


def test_a_replay_ends_with_its_worker_and_is_gone_on_with(
    letters: Any, site: Site, other_site: Site, simulator: Any, eventually: Any
) -> None:
    expected = letters(30)
    simulator.faults([AWAY])
    plan = site.post("/replays/plans").json()["plan"]
    eventually(
        lambda: site.get(f"/replays/plans/{plan}", "replay").json()["stage"] == "ready",
        timeout_s=90,
    )
    site.post(f"/replays/plans/{plan}/execute", count=str(len(expected)))
    replay_id = eventually(
        lambda: site.get(f"/replays/plans/{plan}", "replay").json()["replay_id"], timeout_s=90
    )
    eventually(
        lambda: other_site.get(f"/replays/{replay_id}").json().get("status") == "running",
        timeout_s=60,
    )

    site.stop()

    row = other_site.get(f"/replays/{replay_id}").json()
    assert row["status"] == "interrupted"
    simulator.faults_over()
    other_site.post(f"/replays/{replay_id}/resume")
    eventually(
        lambda: other_site.get(f"/replays/{replay_id}").json()["status"] == "finished",
        timeout_s=120,
    )
    arrived = {m["_id"] for m in simulator.received(bodies=False) if m["accepted"]}
    assert arrived == expected
