"""Every documented and observed form of an answer, on demand."""

from typing import Any

import pytest


async def responses(simulation: Any, shape: dict[str, Any], *messages: object) -> Any:
    posted = await simulation.script({"scope": "batch", "multi_status": shape})
    assert posted.status_code == 201, posted.text
    answer = await simulation.batch(*messages)
    assert answer.status_code == 207
    content = answer.json()
    return content.get("responses", "missing"), content["batchId"]


@pytest.mark.parametrize(
    ("shape", "accepted", "refused"),
    [
        ({}, {"xactionId": "{id}:0"}, {"statusCode": 400}),
        ({"key": "status"}, {"xactionId": "{id}:0"}, {"status": 400}),
        ({"value": "string"}, {"xactionId": "{id}:0"}, {"statusCode": "400"}),
        ({"ids": "dash"}, {"xactionId": "{id}-0"}, {"statusCode": 400}),
        (
            {"ids": "dash", "key": "status", "xaction_id": "all"},
            {"xactionId": "{id}-0"},
            {"xactionId": "{id}-1", "status": 400},
        ),
        ({"xaction_id": "none"}, {}, {"statusCode": 400}),
        (
            {"key": "status", "accepted_status": 200},
            {"xactionId": "{id}:0", "status": 200},
            {"status": 400},
        ),
    ],
)
async def test_entries_take_every_known_form(
    simulate: Any,
    event: Any,
    shape: dict[str, Any],
    accepted: dict[str, Any],
    refused: dict[str, Any],
) -> None:
    simulation = await simulate()

    listed, batch_id = await responses(simulation, shape, event(), 5)

    def filled(entry: dict[str, Any]) -> dict[str, Any]:
        return {
            key: value.replace("{id}", batch_id) if isinstance(value, str) else value
            for key, value in entry.items()
        }

    message = "inletId: [evt] imsOrgId: [] Message has unknown xdm format"
    assert listed == [filled(accepted), {**filled(refused), "message": message}]


async def test_the_list_can_be_wrong_in_every_way(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    forms = [
        "short",
        "long",
        "empty",
        "missing",
        "null",
        "object",
        "string",
        "number",
        "strings",
        "nulls",
        "complete",
    ]

    lists = {}
    for form in forms:
        listed, _ = await responses(simulation, {"responses": form}, event("E1"), event("E2"))
        lists[form] = listed

    assert len(lists["short"]) == 1
    assert len(lists["long"]) == 3
    assert lists["empty"] == []
    assert lists["missing"] == "missing"
    assert lists["null"] is None
    assert lists["object"].keys() == {"0", "1"}
    assert lists["string"] == "accepted"
    assert lists["number"] == 2
    assert lists["strings"] == ["accepted", "accepted"]
    assert lists["nulls"] == [None, None]
    assert len(lists["complete"]) == 2


async def test_a_wrong_list_does_not_change_what_was_accepted(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    await responses(simulation, {"responses": "short"}, event("E1"), event("E2"))

    assert [entry["accepted"] for entry in await simulation.see("received")] == [True, True]


async def test_a_207_body_can_come_with_another_status(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "status": 200, "multi_status": {}})

    answer = await simulation.batch(event())

    assert answer.status_code == 200
    assert answer.json()["responses"][0].keys() == {"xactionId"}


async def test_messages_are_refused_by_identity(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script(
        {
            "scope": "batch",
            "match": {"identity": "CapillaryCustomerId:8"},
            "refuse": {"status": 422, "message": "not this one"},
        }
    )

    for _ in range(2):
        answer = await simulation.batch(event("E1"), event("E2", customer="8"), event("E3"))

        accepted, refused, also_accepted = answer.json()["responses"]
        assert accepted.keys() == also_accepted.keys() == {"xactionId"}
        assert refused == {"statusCode": 422, "message": "not this one"}
    summary = await simulation.see("summary")
    assert (summary["messages"]["accepted"], summary["messages"]["refused"]) == (4, 2)


async def test_any_request_that_holds_a_record_is_500(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "collection", "match": {"event_id": "X"}, "status": 500})

    with_x = await simulation.batch(event("E1"), event("X"))
    alone = await simulation.single(event("X"))
    without = await simulation.batch(event("E1"))

    assert [answer.status_code for answer in (with_x, alone, without)] == [500, 500, 207]
    assert [entry["_id"] for entry in await simulation.see("received")] == ["E1"]


async def test_a_single_message_can_be_refused(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "single", "refuse": {"status": 429, "message": "slower"}})

    answer = await simulation.single(event())

    assert answer.status_code == 429
    assert answer.json()["report"] == {"message": "slower"}


@pytest.mark.parametrize(
    "value", ["5", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1000000000", "soon"]
)
async def test_retry_after_is_sent_as_it_is(simulate: Any, event: Any, value: str) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "status": 429, "retry_after": value})

    answer = await simulation.batch(event())

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == value
    assert answer.json()["title"] == "Too Many Requests"
    assert await simulation.see("received") == []


@pytest.mark.parametrize("status", [204, 206, 301, 304, 405, 418, 500, 599])
async def test_any_status_can_be_answered(simulate: Any, event: Any, status: int) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "status": status})

    answer = await simulation.batch(event())

    assert answer.status_code == status
    assert bool(answer.content) is (status not in {204, 304})


async def test_an_error_can_follow_acceptance(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "status": 503, "accept": True})

    answer = await simulation.batch(event())

    assert answer.status_code == 503
    assert "xactionId" not in answer.text
    assert [entry["accepted"] for entry in await simulation.see("received")] == [True]


async def test_a_redirect_names_its_place(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script(
        {"scope": "batch", "redirect": "http://elsewhere/"},
        {"scope": "batch", "redirect": "http://elsewhere/", "status": 302},
    )

    answers = [await simulation.batch(event()) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [307, 302]
    assert answers[0].headers["location"] == "http://elsewhere/"


async def test_a_body_can_be_anything(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script(
        {"scope": "batch", "body": "<html>gateway</html>", "accept": True},
        {"scope": "batch", "body": {"responses": []}, "status": 200},
        {"scope": "batch", "body": None},
        {"scope": "batch", "body": "", "content_type": "text/plain", "headers": {"X-Odd": "1"}},
    )

    html, listed, null, empty = [await simulation.batch(event()) for _ in range(4)]

    assert (html.status_code, html.text) == (207, "<html>gateway</html>")
    assert html.headers["content-type"] == "text/html"
    assert (listed.status_code, listed.json()) == (200, {"responses": []})
    assert (null.status_code, null.text) == (207, "null")
    assert (empty.content, empty.headers["x-odd"]) == (b"", "1")
    assert len(await simulation.see("received")) == 1


async def test_headers_alone_leave_the_answer_as_it_is(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    await simulation.script({"scope": "batch", "headers": {"X-Trace": "9"}})

    answer = await simulation.batch(event())

    assert answer.headers["x-trace"] == "9"
    assert "xactionId" in answer.json()["responses"][0]
