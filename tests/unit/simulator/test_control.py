"""The simulator's own endpoints: posting, seeing, starting afresh, and their limits."""

import asyncio
import hashlib
import time
from typing import Any

import orjson
import pytest


async def test_it_says_what_it_is(simulate: Any) -> None:
    simulation = await simulate()

    home = (await simulation.client.get("/")).json()
    alive = await simulation.client.get("/livez")

    assert home["name"] == "processor simulator"
    assert home["version"]
    assert home["schemas"] == ["event", "loyalty"]
    assert alive.status_code == 200


async def test_received_has_the_keys_of_the_interface(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    message = event("E1")

    await simulation.batch(message)

    (entry,) = await simulation.see("received")
    assert abs(entry.pop("at_ms") / 1000 - time.time()) < 60
    assert entry == {
        "inlet": "evt",
        "_id": "E1",
        "identity": "CapillaryCustomerId:7",
        "event_id": "E1",
        "accepted": True,
        "message": message,
        "answered": True,
        "told": True,
        "outcome": "answered",
        "status": 200,
        "repeat": False,
        "order": 1,
        "request": 2,
        "target": "event",
        "operation": "create",
        "dropped_by_profile": False,
        "dropped_because": None,
        "failed": False,
        "violations": [],
        "digest": hashlib.sha256(orjson.dumps(message)).hexdigest(),
    }


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"latency_ms": 1}, True),
        ({"multi_status": {"key": "status", "ids": "dash", "xaction_id": "all"}}, True),
        ({"multi_status": {"accepted_status": 200}}, True),
        ({"headers": {"x-more": "1"}}, True),
        ({"refuse": {"status": 400}}, True),
        ({"multi_status": {"accepted_status": 500}}, False),
        ({"multi_status": {"xaction_id": "none"}}, False),
        ({"multi_status": {"responses": "short"}}, False),
        ({"multi_status": {"responses": "long"}}, False),
        ({"content_type": "text/plain"}, False),
        ({"status": 500, "accept": True}, False),
        ({"body": "<html>", "accept": True}, False),
    ],
)
async def test_told_says_whether_the_answer_said_what_was_decided(
    fault: dict[str, Any], told: bool, simulate: Any, event: Any
) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", **fault})

    await simulation.batch(event("E1"))

    (entry,) = await simulation.see("received")
    assert (entry["answered"], entry["told"]) == (True, told)


async def test_a_refused_message_is_listed_with_its_violations(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    await simulation.batch(event("E1", eventType=5))

    (entry,) = await simulation.see("received")
    assert (entry["accepted"], entry["status"], entry["failed"]) == (False, 400, False)
    assert entry["violations"][0]["keyword"] == "type"


async def test_a_record_has_no_id(simulate: Any, loyalty: Any) -> None:
    simulation = await simulate()

    await simulation.batch(loyalty(points=1))

    (entry,) = await simulation.see("received")
    assert (entry["_id"], entry["event_id"]) == (None, None)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("accepted=true", ["E1", "E3", "E1"]),
        ("accepted=false", ["E2"]),
        ("inlet=other-evt", ["E1"]),
        ("repeat=false&accepted=true", ["E1", "E3", "E1"]),
        ("identity=CapillaryCustomerId:8", ["E3"]),
        ("event_id=E3", ["E3"]),
        ("_id=E1", ["E1", "E1"]),
        ("target=event", ["E1", "E2", "E3", "E1"]),
        ("answered=false", []),
        ("after=2", ["E3", "E1"]),
        ("limit=2", ["E1", "E2"]),
        ("after=1&limit=1&message=false", ["E2"]),
    ],
)
async def test_received_can_be_filtered(
    simulate: Any, event: Any, query: str, ids: list[str]
) -> None:
    simulation = await simulate()
    await simulation.batch(event("E1"), event("E2", eventType=5), event("E3", customer="8"))
    await simulation.batch(event("E1"), inlet="other-evt")

    received = await simulation.see(f"received?{query}")

    assert [entry["_id"] for entry in received] == ids
    assert all(("message" in entry) is ("message=false" not in query) for entry in received)


@pytest.mark.parametrize(
    "path",
    [
        "received?inlt=x",
        "received?accepted=yes",
        "received?limit=-1",
        "profiles?x=1",
        "requests?x=1",
        "requests?after=x",
        "failed?x=1",
    ],
)
async def test_a_query_it_does_not_know_is_400(simulate: Any, path: str) -> None:
    simulation = await simulate()

    answer = await simulation.client.get(f"/simulator/{path}")

    assert answer.status_code == 400
    assert answer.json()["error"]


async def test_requests_are_listed_without_secrets(simulate: Any, event: Any) -> None:
    simulation = await simulate(authorised=False)
    token = await simulation.authorise()
    headers = {"x-api-key": "client", "x-gw-ims-org-id": "ORG", "cookie": "c"}

    await simulation.batch(event(), **headers)

    seen = await simulation.see("requests")
    _, entry = seen["requests"]
    assert seen["counts"] == {"ims": 1, "single": 0, "batch": 1, "schemas": 0}
    assert entry["headers"]["authorization"] == "***"
    assert entry["headers"]["x-api-key"] == "***"
    assert entry["headers"]["cookie"] == "***"
    assert entry["headers"]["x-gw-ims-org-id"] == "ORG"
    assert (entry["scope"], entry["status"], entry["outcome"]) == ("batch", 207, "answered")
    assert (entry["messages"], entry["accepted"], entry["token"]) == (1, 1, 1)
    assert entry["bytes"] > 100
    assert token not in str(seen)
    assert "secret" not in str(seen["requests"][0]["query"])


async def test_requests_can_be_filtered(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.batch(event())
    await simulation.batch(event(), inlet="other-evt")

    queries = ["scope=ims", "inlet=other-evt", "after=2", "limit=1"]
    found = [(await simulation.see(f"requests?{query}"))["requests"] for query in queries]

    assert [[entry["request"] for entry in entries] for entries in found] == [[1], [3], [3], [1]]


async def test_requests_in_flight_are_counted(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "latency_ms": 60_000, "count": "until_reset"})

    waiting = [asyncio.create_task(simulation.batch(event(f"E{n}"))) for n in range(3)]
    while (await simulation.see("requests"))["in_flight"].get("batch") != 3:
        await asyncio.sleep(0)
    await simulation.client.post("/simulator/reset?what=faults")
    await asyncio.gather(*waiting)

    seen = await simulation.see("requests")
    assert seen["in_flight"]["batch"] == 0
    assert seen["in_flight_max"]["batch"] == 3


async def test_the_summary_counts(simulate: Any, event: Any, loyalty: Any) -> None:
    simulation = await simulate()
    await simulation.batch(
        event("E1"), event("E1"), event("E2", eventType=5), event(identityMap={})
    )
    await simulation.batch(loyalty(points=1), inlet="loyalty")

    summary = await simulation.see("summary")

    assert summary["requests"] == {"ims": 1, "single": 0, "batch": 2, "schemas": 0}
    assert summary["answers"] == {"200": 1, "207": 2}
    assert summary["messages"] == {
        "received": 5,
        "accepted": 4,
        "refused": 1,
        "repeats": 2,
        "failed_afterwards": 0,
        "dropped_by_profile": 1,
        "accepted_not_answered": 0,
    }
    assert summary["inlets"]["loyalty"]["accepted"] == 1
    assert summary["profiles"] == 1
    assert summary["tokens"] == {"minted": 1, "refused": 0}


async def test_faults_are_listed_until_they_are_spent(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    fault = {"scope": "batch", "status": 503, "count": 2, "match": {"_id": "E1"}}

    posted = await simulation.script(fault)
    await simulation.batch(event("E1"))

    assert posted.status_code == 201
    assert posted.json()["posted"] == [1]
    assert await simulation.see("faults") == {
        "faults": [{"number": 1, "left": 1, "acted": 1, "fault": fault}]
    }
    assert (await simulation.see("requests"))["requests"][-1]["faults"] == [1]


async def test_faults_can_replace_those_before(simulate: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "status": 503})

    await simulation.client.post(
        "/simulator/faults?replace=true", json={"scope": "batch", "status": 500}
    )

    (left,) = (await simulation.see("faults"))["faults"]
    assert left["fault"]["status"] == 500


async def test_a_bad_fault_leaves_the_script_as_it_was(simulate: Any) -> None:
    simulation = await simulate()

    answer = await simulation.script(
        {"scope": "batch", "status": 503}, {"scope": "batch", "stats": 500}
    )

    assert answer.status_code == 400
    assert answer.json() == {"error": "faults[1].stats: unknown key. Did you mean status?"}
    assert (await simulation.see("faults")) == {"faults": []}


async def test_a_secret_that_there_is_not_cannot_be_revoked(simulate: Any) -> None:
    simulation = await simulate(client_id="client", client_secrets=("secret",))

    answer = await simulation.script({"scope": "ims", "revoke_secret": 1})

    assert answer.status_code == 400
    assert "1 secrets" in answer.json()["error"]


async def test_reset_forgets_everything_but_tokens(simulate: Any, event: Any, loyalty: Any) -> None:
    simulation = await simulate()
    await simulation.batch(event(), loyalty(points=1))
    await simulation.script({"scope": "batch", "status": 503})

    answer = await simulation.client.post("/simulator/reset")

    assert answer.status_code == 200
    assert await simulation.see("received") == []
    assert await simulation.see("profiles") == []
    assert (await simulation.see("requests"))["requests"] == []
    assert (await simulation.see("summary"))["messages"]["received"] == 0
    again = await simulation.batch(event())
    assert again.status_code == 207
    assert (await simulation.see("received"))[0]["repeat"] is False


async def test_a_part_can_be_reset(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.batch(event())
    await simulation.script({"scope": "batch", "status": 503})

    await simulation.client.post("/simulator/reset?what=faults")
    unknown = await simulation.client.post("/simulator/reset?what=all")

    assert (await simulation.see("faults"))["faults"] == []
    assert len(await simulation.see("received")) == 1
    assert unknown.status_code == 400


async def test_memory_is_bounded_and_says_so(simulate: Any, event: Any) -> None:
    simulation = await simulate(received_limit=3, requests_limit=2, message_bytes_limit=2000)

    for number in range(5):
        await simulation.batch(event(f"E{number}"))
    await simulation.batch(event("E0"), event("E4"))

    received = await simulation.see("received")
    summary = await simulation.see("summary")
    assert [entry["_id"] for entry in received] == ["E4", "E0", "E4"]
    assert [entry["repeat"] for entry in received] == [False, False, True]
    assert summary["messages"]["received"] == 7
    assert summary["forgotten"]["messages"] == 4
    assert summary["forgotten"]["requests"] == 5
    assert len((await simulation.see("requests"))["requests"]) == 2


async def test_bodies_beyond_the_limit_are_left_out(simulate: Any, event: Any) -> None:
    simulation = await simulate(message_bytes_limit=1000)

    await simulation.batch(event("E1"), event("E2"), event("E3"))

    received = await simulation.see("received")
    assert [entry["message"] is None for entry in received] == [False, True, True]
    assert (await simulation.see("summary"))["forgotten"]["message_bodies"] == 2


async def test_profiles_can_be_filtered(simulate: Any, loyalty: Any) -> None:
    simulation = await simulate()
    await simulation.batch(loyalty("7", points=1), loyalty("8", points=2))

    found = await simulation.see("profiles?identity=CapillaryCustomerId:8&dataset=balances")

    assert [profile["entity"]["loyalty"] for profile in found] == [{"points": 2}]
    assert await simulation.see("profiles?inlet=other") == []
