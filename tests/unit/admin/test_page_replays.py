"""Planning and running a replay from the page, over a desk whose answers the test sets."""

import asyncio
from typing import Any

import httpx
import pytest

from processor.errors import Misconfigured
from processor.operations.desk.jobs import Busy, Draft, Jobs, Stage, settled
from processor.operations.desk.replays import Wanted
from processor.record import Position
from tests.unit.admin.shown import REPLAY_ID, planned, replay

FORM = {"fingerprint": "ff"}


@pytest.fixture
def jobs(desk: Any) -> Jobs:
    desk.answers |= {"plan": planned(3), "execute": {"execute": True}, "resume": {}}
    return Jobs(desk, drain_s=30)


async def ready(jobs: Jobs) -> Draft:
    draft = jobs.plan(Wanted(by="me"))
    await settled(draft, 30)
    assert draft.stage is Stage.READY
    return draft


async def test_a_plan_is_executed_once_however_often_it_is_said(desk: Any, jobs: Jobs) -> None:
    desk.slow = {"execute"}
    draft = await ready(jobs)

    jobs.execute(draft, 3, "me")
    jobs.execute(draft, 3, "me")
    await settled(draft, 30)

    assert [work for work, _ in desk.asked] == ["plan", "execute"]
    assert jobs.of_replay(REPLAY_ID) is draft
    _, execution = desk.asked[1]
    assert execution.by == "me"
    assert execution.plan.chosen.count == 3
    await jobs.close()
    assert draft.stage is Stage.ENDED
    jobs.execute(draft, 3, "me")
    assert len(desk.asked) == 2


async def test_another_number_than_the_plan_holds_sends_nothing(desk: Any, jobs: Jobs) -> None:
    draft = await ready(jobs)

    with pytest.raises(Misconfigured, match="holds 3 dead letters, and 4 were confirmed"):
        jobs.execute(draft, 4, "me")

    assert draft.stage is Stage.READY
    assert [work for work, _ in desk.asked] == ["plan"]


async def test_an_empty_plan_cannot_be_executed(desk: Any, jobs: Jobs) -> None:
    desk.answers["plan"] = planned(0)
    draft = await ready(jobs)

    with pytest.raises(Misconfigured):
        jobs.execute(draft, 0, "me")


async def test_one_replay_at_a_time(desk: Any, jobs: Jobs) -> None:
    first, second = await ready(jobs), await ready(jobs)
    desk.slow = {"execute"}
    jobs.execute(first, 3, "me")

    with pytest.raises(Busy):
        jobs.execute(second, 3, "me")
    with pytest.raises(Busy):
        jobs.resume("another", "me")

    await settled(first, 30)
    assert jobs.resume(REPLAY_ID, "me") is first
    await jobs.close()


async def test_one_plan_at_a_time(desk: Any, jobs: Jobs) -> None:
    desk.slow = {"plan"}
    draft = jobs.plan(Wanted())

    with pytest.raises(Busy):
        jobs.plan(Wanted())

    await jobs.close()
    assert draft.looked_at == 3


async def test_a_worker_that_stops_drains_its_replay_and_begins_no_other(
    desk: Any, jobs: Jobs
) -> None:
    draft, other = await ready(jobs), await ready(jobs)
    desk.slow = {"execute"}
    jobs.execute(draft, 3, "me")
    await settled(draft, 30)

    jobs.drain()

    await settled(draft, 30)
    assert draft.stage is Stage.ENDED
    with pytest.raises(Busy, match="stops"):
        jobs.plan(Wanted())
    with pytest.raises(Busy, match="stops"):
        jobs.execute(other, 3, "me")
    await jobs.close()


async def test_a_failure_is_kept_as_a_sentence(desk: Any, jobs: Jobs) -> None:
    desk.answers["plan"] = Misconfigured("A mapping set is wrong.")
    draft = jobs.plan(Wanted())
    await settled(draft, 30)

    assert (draft.stage, draft.problem) == (Stage.FAILED, "A mapping set is wrong.")


async def test_old_plans_are_forgotten(jobs: Jobs) -> None:
    drafts = [await ready(jobs) for _ in range(10)]

    assert jobs.find(drafts[0].id) is None
    assert [jobs.find(draft.id) for draft in drafts[-8:]] == drafts[-8:]


async def plan(client: httpx.AsyncClient, **form: str) -> str:
    answer = await client.post("/replays/plans", data=form)
    assert answer.status_code == 303
    return str(answer.headers["location"])


async def test_a_replay_from_plan_to_progress(desk: Any, browser: Any) -> None:
    desk.answers |= {"plan": planned(3), "execute": {"execute": True}, "replay": replay()}
    desk.slow = {"execute"}
    async with browser("replay") as client:
        there = await plan(client, position="events.dlq:0:7", allow_stale="yes")
        shown = await client.get(there)
        wrong = await client.post(f"{there}/execute", data={"count": "2"})
        none = await client.post(f"{there}/execute", data={"count": ""})
        assert [work for work, _ in desk.asked] == ["plan"]
        begun = await client.post(f"{there}/execute", data={"count": "3"})
        again = await client.post(f"{there}/execute", data={"count": "3"})
        gone_on = await client.get(there)
        part = await client.get(there, headers={"hx-request": "true"})
        page = await client.get(gone_on.headers["location"])

    _, wanted = desk.asked[0]
    assert wanted.position == Position("events.dlq", 0, 7)
    assert (wanted.allow_stale, wanted.by) == (True, "replay@127.0.0.1")
    assert "Replay 3 dead letters?" in shown.text
    assert "would fail again" in shown.text
    assert (wrong.status_code, none.status_code) == (400, 400)
    assert (begun.headers["location"], again.headers["location"]) == (there, there)
    assert gone_on.headers["location"] == f"/replays/{REPLAY_ID}"
    assert (part.status_code, part.headers["hx-redirect"]) == (200, f"/replays/{REPLAY_ID}")
    assert "7 of 10 ended" in page.text
    assert "Cancel it" in page.text
    assert [work for work, _ in desk.asked].count("execute") == 1


async def test_programs_do_the_same_in_json(desk: Any, browser: Any) -> None:
    desk.answers |= {"plan": planned(3), "execute": {"execute": True, "delivered": 3}}
    async with browser("replay", accept="application/json") as client:
        made = (await client.post("/replays/plans", data=FORM)).json()
        begun = await client.post(f"/replays/plans/{made['plan']}/execute", data={"count": "3"})
        told = (await client.get(f"/replays/plans/{made['plan']}")).json()

    assert (made["stage"], made["letters"], made["forecast"]["would_pass"]) == ("ready", 3, 3)
    assert begun.status_code == 202
    assert told["result"] == {"execute": True, "delivered": 3}


async def test_a_plan_of_another_worker_is_not_known_here(browser: Any) -> None:
    async with browser("replay") as client:
        answer = await client.get("/replays/plans/0011223344556677")
        execute = await client.post("/replays/plans/0011223344556677/execute", data={"count": "1"})

    assert (answer.status_code, execute.status_code) == (404, 404)
    assert "Plan the replay again" in answer.text


async def test_a_replay_that_was_interrupted_can_be_gone_on_with(desk: Any, browser: Any) -> None:
    desk.answers |= {"replay": replay(status="interrupted"), "resume": {}, "end": replay()}
    async with browser("replay") as client:
        page = await client.get(f"/replays/{REPLAY_ID}")
        resumed = await client.post(f"/replays/{REPLAY_ID}/resume")
        ended = await client.post(f"/replays/{REPLAY_ID}/cancel")

    assert "Go on with it" in page.text
    assert resumed.headers["location"] == ended.headers["location"] == f"/replays/{REPLAY_ID}"
    asked = [(work, named.id, named.by) for work, named in desk.asked if work != "replay"]
    assert asked == [
        ("resume", REPLAY_ID, "replay@127.0.0.1"),
        ("end", REPLAY_ID, "replay@127.0.0.1"),
    ]


async def test_a_form_of_another_site_begins_nothing(desk: Any, browser: Any) -> None:
    for foreign in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        async with browser("admin", **foreign) as client:
            for path in ("/replays/plans", "/dead-letters/discard", f"/replays/{REPLAY_ID}/cancel"):
                assert (await client.post(path, data=FORM)).status_code == 403

    await asyncio.sleep(0)
    assert desk.asked == []
