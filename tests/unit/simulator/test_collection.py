"""What an inlet answers, in the shapes that Adobe documents."""

import gzip
import json
from typing import Any

import pytest

ORG = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"


async def test_one_accepted_message(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    answer = await simulation.single(event())

    assert answer.status_code == 200
    content = answer.json()
    assert content.keys() == {"inletId", "xactionId", "receivedTimeMs", "syncValidation"}
    assert content["inletId"] == "evt"
    assert content["syncValidation"] == {"skipped": True}
    assert isinstance(content["receivedTimeMs"], int)


@pytest.mark.parametrize("parameter", ["syncValidation", "synchronousValidation"])
async def test_one_message_validated_at_once(simulate: Any, event: Any, parameter: str) -> None:
    simulation = await simulate(validation="async")

    answer = await simulation.single(event(), query=f"?{parameter}=true")

    assert answer.status_code == 200
    assert answer.json()[parameter] == {"status": "pass"}


async def test_one_message_with_several_violations(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    answer = await simulation.single(event(event_id=5, workEmail="member@example.com"))

    assert answer.status_code == 400
    assert answer.json() == {
        "type": "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet",
        "status": 400,
        "title": "Invalid XDM Message Format",
        "report": {
            "message": "inletId: [evt] imsOrgId: [] Message is invalid",
            "cause": {
                "_streamingValidation": [
                    {
                        "schemaLocation": "#",
                        "pointerToViolation": "#",
                        "causingExceptions": [
                            {
                                "schemaLocation": "#/properties/_id",
                                "pointerToViolation": "#/_id",
                                "causingExceptions": [],
                                "keyword": "type",
                                "message": "expected type: String, found: Long",
                            },
                            {
                                "schemaLocation": "#",
                                "pointerToViolation": "#",
                                "causingExceptions": [],
                                "keyword": "additionalProperties",
                                "message": "extraneous key [workEmail] is not permitted",
                            },
                        ],
                        "message": "2 schema violations found",
                    }
                ]
            },
        },
    }


async def test_one_violation_stands_alone(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    answer = await simulation.single(event(timestamp="2018-00-23T22:07:01Z"))

    (violation,) = answer.json()["report"]["cause"]["_streamingValidation"]
    assert violation["keyword"] == "format"
    assert violation["pointerToViolation"] == "#/timestamp"
    assert violation["message"].startswith("[2018-00-23T22:07:01Z] is not a valid date-time. Exp")


async def test_a_batch_is_answered_207_in_position(simulate: Any, event: Any) -> None:
    simulation = await simulate(org_id=ORG)
    wrong_org = event("E3")
    wrong_org["header"]["imsOrgId"] = "F" * 24 + "@AdobeOrg"

    answer = await simulation.batch(event("E1"), "not a message", wrong_org, event("E4"))

    content = answer.json()
    batch_id = content["batchId"]
    about = f"inletId: [evt] imsOrgId: [{ORG}]"
    assert answer.status_code == 207
    assert content.keys() == {"inletId", "batchId", "receivedTimeMs", "responses"}
    assert content["responses"] == [
        {"xactionId": f"{batch_id}:0"},
        {"statusCode": 400, "message": f"{about} Message has unknown xdm format"},
        {
            "statusCode": 400,
            "message": f"{about} Message has an absent or wrong ims org in the header",
        },
        {"xactionId": f"{batch_id}:3"},
    ]


async def test_a_batch_in_which_all_fail_is_207_too(simulate: Any) -> None:
    simulation = await simulate()

    answer = await simulation.batch({"body": {}}, {"body": {}})

    assert answer.status_code == 207
    assert [entry["statusCode"] for entry in answer.json()["responses"]] == [400, 400]


async def test_the_observed_spelling_can_be_chosen(simulate: Any) -> None:
    simulation = await simulate(failure_key="status")

    answer = await simulation.batch({"body": {}})

    assert answer.json()["responses"] == [
        {
            "status": 400,
            "message": (
                "The 'header' field is mandatory. Provide a valid 'header' value and try again."
            ),
        }
    ]


async def test_a_violation_in_a_batch_names_its_cause(simulate: Any, event: Any) -> None:
    simulation = await simulate()

    answer = await simulation.batch(event(), event(eventType=None))

    accepted, refused = answer.json()["responses"]
    assert accepted.keys() == {"xactionId"}
    assert refused["message"].endswith("Message is invalid")
    (violation,) = refused["report"]["cause"]["_streamingValidation"]
    assert violation["message"] == "expected type: String, found: Null"


async def test_no_token_is_401(simulate: Any, event: Any) -> None:
    simulation = await simulate(authorised=False)

    answer = await simulation.batch(event())

    assert answer.status_code == 401
    assert answer.json() == {
        "type": ("https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization"),
        "status": "401",
        "title": "Authorization",
        "report": {"message": "[evt] Ims service token is empty"},
    }


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_nobody_minted_is_refused(simulate: Any, event: Any, status: int) -> None:
    simulation = await simulate(authorised=False, invalid_token_status=status)

    answer = await simulation.single(event(), authorization="Bearer made-up")

    assert answer.status_code == status
    assert answer.json()["status"] == str(status)
    assert "made-up" not in answer.text


async def test_inlets_without_authentication_need_no_token(simulate: Any, event: Any) -> None:
    simulation = await simulate(authorised=False, authentication=False)

    assert (await simulation.batch(event())).status_code == 207


@pytest.mark.parametrize("kind", ["text/plain", "application/x-jackson-smile"])
async def test_other_content_types_are_refused(simulate: Any, event: Any, kind: str) -> None:
    simulation = await simulate()

    answer = await simulation.batch(event(), **{"content-type": kind})

    assert answer.status_code == 415


async def test_a_request_above_one_megabyte_is_413(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    fits = event(_acme={"note": ""})
    missing = 1_000_000 - len(json.dumps({"messages": [fits]}))
    fits["body"]["xdmEntity"]["_acme"]["note"] = "x" * missing

    at_limit = await simulation.batch(fits)
    fits["body"]["xdmEntity"]["_acme"]["note"] += "x"
    above = await simulation.batch(fits)

    assert at_limit.status_code == 207
    assert above.status_code == 413
    assert above.json()["title"] == "Payload Too Large"


async def test_a_gzip_body_counts_uncompressed(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    small = gzip.compress(json.dumps({"messages": [event()]}).encode())
    large = gzip.compress(b" " * 5_000_000)
    headers = {**simulation.headers, "content-encoding": "gzip"}

    answers = [
        await simulation.client.post("/collection/batch/evt", content=body, headers=headers)
        for body in (small, large, b"no gzip")
    ]

    assert [answer.status_code for answer in answers] == [207, 413, 400]


async def test_gzip_can_be_refused(simulate: Any, event: Any) -> None:
    simulation = await simulate(gzip_requests=False)

    answer = await simulation.batch(event(), **{"content-encoding": "gzip"})

    assert answer.status_code == 415


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"messages": {}}', b'{"messages": []}', b'{"messages": 1}']
)
async def test_a_body_without_messages_is_400(simulate: Any, body: bytes) -> None:
    simulation = await simulate()

    answer = await simulation.client.post(
        "/collection/batch/evt", content=body, headers=simulation.headers
    )

    assert answer.status_code == 400
    assert answer.json()["status"] == 400
    assert await simulation.see("received") == []


async def test_more_than_sixty_validations_a_minute_are_429(simulate: Any, event: Any) -> None:
    simulation = await simulate()
    query = "?syncValidation=true"

    answers = [(await simulation.single(event(), query=query)).status_code for _ in range(61)]
    other = await simulation.single(event(), inlet="other-evt", query=query)
    simulation.clock.now_s += 60
    later = await simulation.single(event(), query=query)

    assert answers == [200] * 60 + [429]
    assert [other.status_code, later.status_code] == [200, 200]


async def test_synchronous_validation_may_not_be_offered(simulate: Any, event: Any) -> None:
    simulation = await simulate(sync_validation_offered=False)

    answer = await simulation.single(event(), query="?syncValidation=true")

    assert answer.status_code == 501


async def test_a_sandbox_name_can_be_required(simulate: Any, event: Any) -> None:
    simulation = await simulate(require_sandbox=True)

    without = await simulation.batch(event())
    with_name = await simulation.batch(event(), **{"x-sandbox-name": "prod"})

    assert [without.status_code, with_name.status_code] == [400, 207]


async def test_asynchronous_validation_accepts_first_and_fails_later(
    simulate: Any, event: Any
) -> None:
    simulation = await simulate(validation="async")

    answer = await simulation.batch(event("good"), event("bad", eventType=5))

    assert [entry.keys() for entry in answer.json()["responses"]] == [{"xactionId"}] * 2
    received = await simulation.see("received")
    assert [entry["accepted"] for entry in received] == [True, True]
    assert [entry["failed"] for entry in received] == [False, True]
    (failed,) = await simulation.see("failed")
    assert failed["_id"] == "bad"
    assert failed["_validationErrors"][0]["pointerToViolation"] == "#/eventType"


async def test_header_faults_are_refused_at_once_in_either_mode(simulate: Any, event: Any) -> None:
    simulation = await simulate(validation="async")
    message = event()
    del message["header"]["datasetId"]

    answer = await simulation.batch(message)

    assert answer.json()["responses"][0]["statusCode"] == 400


@pytest.mark.parametrize("path", ["/collection/evt", "/collection/batch/evt", "/ims/token/v3"])
async def test_only_post_is_answered(simulate: Any, path: str) -> None:
    simulation = await simulate()

    assert (await simulation.client.get(path)).status_code == 405


async def test_unknown_paths_are_404(simulate: Any) -> None:
    simulation = await simulate()

    assert (await simulation.client.post("/ims/token/v9")).status_code == 404
