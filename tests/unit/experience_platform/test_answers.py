import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Code, Violation
from processor.experience_platform.answers import (
    Accepted,
    Again,
    Answer,
    Away,
    Rejected,
    RequestRefused,
    ServerError,
    Settled,
    SetupFault,
    TokenRefused,
    TooLarge,
    Unreadable,
    read_answer,
)

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
CANARY = "canary-of-a-customer"


def read(
    status: int, body: object = b"", *, sent: int = 1, headers: dict[str, str] | None = None
) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(status, headers or {}, raw, sent=sent, now=NOW)


def batch(*responses: Any, batch_id: str = "1565628583792:1485:153") -> dict[str, Any]:
    return {"inletId": "9b0c", "batchId": batch_id, "responses": list(responses)}


def kinds(answer: Answer) -> str:
    """One letter for each verdict: accepted, rejected, again."""
    assert isinstance(answer, Settled), answer
    return "".join({Accepted: "a", Rejected: "r", Again: "t"}[type(v)] for v in answer.verdicts)


COLON = [{"xactionId": f"1565628583792:1485:153:{i}"} for i in range(3)]
DASH = [{"xactionId": f"9341f8eb-494a-4c89-9879-4d06a58d2dc7-{i}"} for i in range(3)]
OTHER = [{"xactionId": f"1555445493896:8600:{i + 8}"} for i in range(3)]
PLAIN = [{"xactionId": f"opaque{i}"} for i in "xyz"]
NO = "The 'header' field is mandatory. Provide a valid 'header' value and try again."


@pytest.mark.parametrize("status", [200, 201, 202, 206, 207])
@pytest.mark.parametrize("responses", [COLON, DASH, OTHER, PLAIN])
def test_an_id_for_every_message_means_that_all_were_accepted(
    responses: list[dict[str, str]], status: int
) -> None:
    answer = read(status, batch(*responses), sent=3)

    assert kinds(answer) == "aaa"
    assert isinstance(answer, Settled)
    assert answer.verdicts[1] == Accepted(responses[1]["xactionId"])


@pytest.mark.parametrize("key", ["status", "statusCode"])
@pytest.mark.parametrize("value", [400, "400", " 400 ", 400.0, 422, "404"])
@pytest.mark.parametrize("extra", [{}, {"xactionId": "1565628583792:1485:153:1"}])
def test_a_failed_message_is_rejected_in_every_documented_shape(
    key: str, value: object, extra: dict[str, str]
) -> None:
    answer = read(207, batch(COLON[0], {key: value, "message": NO, **extra}, COLON[2]), sent=3)

    assert kinds(answer) == "ara"
    assert isinstance(answer, Settled)
    rejected = answer.verdicts[1]
    assert isinstance(rejected, Rejected)
    assert rejected.error.code is Code.DELIVERY_REFUSED
    assert rejected.error.http_status == int(float(str(value)))
    assert rejected.error.xaction_id == extra.get("xactionId")
    assert "The 'header' field is mandatory" in str(rejected.error)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"xactionId": "x", "status": 200}, "a"),
        ({"xactionId": "x", "statusCode": "200"}, "a"),
        ({"xactionId": "x", "status": None}, "a"),
        ({"xactionId": "x", "status": 200, "statusCode": 400}, "r"),
        ({"xactionId": "x", "status": 400, "statusCode": 200}, "r"),
        ({"status": 413}, "r"),
        ({"status": 429}, "t"),
        ({"status": 408}, "t"),
        ({"statusCode": "500"}, "t"),
        ({"statusCode": 503, "xactionId": "x"}, "t"),
    ],
)
def test_a_response_is_read_by_its_status_and_its_id(item: dict[str, Any], expected: str) -> None:
    answer = read(207, batch(item), sent=1)

    assert kinds(answer) == expected


def test_a_message_that_is_too_large_on_its_own_says_so() -> None:
    answer = read(207, batch({"status": 413}), sent=1)

    assert isinstance(answer, Settled)
    assert isinstance(answer.verdicts[0], Rejected)
    assert answer.verdicts[0].error.code is Code.DELIVERY_TOO_LARGE


def test_a_message_to_send_again_carries_the_answers_retry_after() -> None:
    answer = read(207, batch({"status": 429}), sent=1, headers={"retry-after": "9"})

    assert answer == Settled((Again(429, 9.0),))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[]",
        b'"responses"',
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        {},
        {"xactionId": "1555445493896:8600:8"},
        {"responses": None},
        {"responses": {}},
        {"responses": "3"},
        {"responses": 3},
        {"responses": []},
        {"status": 400, "title": "Invalid XDM Message Format"},
        batch(COLON[0]),
        batch(COLON[0], COLON[1]),
        batch(*COLON, {"xactionId": "1565628583792:1485:153:3"}),
        batch(COLON[0], COLON[1], None),
        batch(COLON[0], COLON[1], 200),
        batch(COLON[0], COLON[1], "1565628583792:1485:153:2"),
        batch(COLON[0], COLON[1], []),
        batch(COLON[0], COLON[1], {}),
        batch(COLON[0], COLON[1], {"message": "no id, no status"}),
        batch(COLON[0], COLON[1], {"status": 200}),
        batch(COLON[0], COLON[1], {"xactionId": ""}),
        batch(COLON[0], COLON[1], {"xactionId": 7}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": "failed"}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": True}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": {}}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": 0}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": -400}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": 302}),
        batch(COLON[0], COLON[1], {"xactionId": "x", "status": 10**30}),
    ],
)
@pytest.mark.parametrize("status", [200, 204, 207])
def test_a_success_without_a_verdict_for_every_message_is_no_success(
    body: object, status: int
) -> None:
    answer = read(status, body, sent=3)

    assert isinstance(answer, Unreadable)
    assert answer.status == status


@pytest.mark.parametrize(
    "responses",
    [
        [COLON[1], COLON[0], COLON[2]],
        [COLON[1], COLON[2], {"statusCode": 400, "message": NO}],
        [DASH[2], DASH[1], DASH[0]],
        [DASH[1], {"status": 400}, DASH[2]],
        [{"xactionId": "1565628583792:1485:153:7"}, COLON[1], COLON[2]],
    ],
)
def test_ids_that_count_otherwise_than_the_positions_make_the_answer_unreadable(
    responses: list[dict[str, Any]],
) -> None:
    answer = read(207, batch(*responses), sent=3)

    assert isinstance(answer, Unreadable)


def test_numbers_in_ids_that_are_no_positions_are_not_held_against_an_answer() -> None:
    sample = batch(
        {"xactionId": "1565650704337:2124:92:3"}, {"statusCode": 400}, {"statusCode": 400}
    )

    answer = read(207, sample, sent=3)

    assert kinds(answer) == "arr"


@pytest.mark.parametrize("refused", [401, 403])
def test_a_token_refused_for_every_message_is_a_refused_token(refused: int) -> None:
    answer = read(207, batch({"status": refused}, {"statusCode": str(refused)}), sent=2)

    assert answer == TokenRefused(refused)


def test_a_token_refused_for_some_messages_sends_those_again() -> None:
    answer = read(207, batch(COLON[0], {"status": 403}), sent=2)

    assert kinds(answer) == "at"


REPORT = {
    "type": "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet",
    "status": "400",
    "title": "Invalid XDM Message Format",
    "report": {
        "message": "inletId: [9b] imsOrgId: [org] Message is invalid",
        "cause": {
            "_streamingValidation": [
                {
                    "schemaLocation": "#",
                    "pointerToViolation": "#",
                    "causingExceptions": [
                        {
                            "schemaLocation": "#",
                            "pointerToViolation": "#",
                            "causingExceptions": [],
                            "keyword": "additionalProperties",
                            "message": "extraneous key [workEmail] is not permitted",
                        },
                        {
                            "schemaLocation": "#/properties/points",
                            "pointerToViolation": "#/points/3/date",
                            "causingExceptions": [],
                            "keyword": "format",
                            "message": f"[{CANARY}] is not a valid date-time. Expected [yyyy]",
                        },
                    ],
                    "message": "2 schema violations found",
                }
            ]
        },
    },
}


@pytest.mark.parametrize("as_item", [True, False])
@pytest.mark.parametrize("first", [0, 1])
def test_violations_are_kept_without_the_values_they_quote(as_item: bool, first: int) -> None:
    document = json.loads(json.dumps(REPORT))
    document["report"]["cause"]["_streamingValidation"][0]["causingExceptions"].sort(
        key=lambda cause: cause["keyword"], reverse=bool(first)
    )

    answer = read(207, batch(document)) if as_item else read(400, document)

    error = answer.error if isinstance(answer, RequestRefused) else None
    if isinstance(answer, Settled):
        verdict = answer.verdicts[0]
        assert isinstance(verdict, Rejected)
        error = verdict.error
    assert error is not None
    assert set(error.violations) == {
        Violation("additionalProperties", "extraneous key [workEmail] is not permitted", "#", "#"),
        Violation("format", "not a valid date-time", "#/points/3/date", "#/properties/points"),
    }
    assert error.pointer == ["", "/points/*/date"][first]
    assert str(error) == "Experience Platform answered 400: Message is invalid."
    assert CANARY not in repr(answer) + repr(error.violations)


def test_at_most_five_violations_are_kept_however_deep_they_nest() -> None:
    leaf: dict[str, Any] = {"keyword": "type", "message": CANARY}
    node = leaf
    for _ in range(40):
        node = {"causingExceptions": [leaf, node]}
    body = {"report": {"cause": {"_streamingValidation": [node] * 9}}}

    answer = read(400, body)

    assert isinstance(answer, RequestRefused)
    assert len(answer.error.violations) == 5
    assert CANARY not in repr(answer.error.violations)


@pytest.mark.parametrize(
    "report",
    [
        None,
        [],
        "x",
        {"cause": None},
        {"cause": {"_streamingValidation": None}},
        {"cause": {"_streamingValidation": [None, 1, "x"]}},
        {"message": ["x"]},
    ],
)
def test_a_report_of_another_shape_is_only_less_informative(report: object) -> None:
    answer = read(400, {"status": 400, "title": CANARY, "report": report})

    assert isinstance(answer, RequestRefused)
    assert answer.error.violations == ()
    assert CANARY not in str(answer.error)


@pytest.mark.parametrize("status", [400, 402, 409, 418, 422, 451, 499])
def test_a_refused_request_is_refused_for_what_is_in_it(status: int) -> None:
    answer = read(status, CANARY.encode())

    assert isinstance(answer, RequestRefused)
    assert answer.error.code is Code.DELIVERY_REFUSED
    assert answer.error.http_status == status
    assert CANARY not in str(answer.error)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (413, TooLarge()),
        (401, TokenRefused(401)),
        (403, TokenRefused(403)),
        (429, Away("throttled", 5.0, 429)),
        (408, Away("unavailable", 5.0, 408, may_have_arrived=True)),
        (502, Away("unavailable", 5.0, 502, may_have_arrived=True)),
        (503, Away("unavailable", 5.0, 503, may_have_arrived=True)),
        (504, Away("unavailable", 5.0, 504, may_have_arrived=True)),
        (599, Away("unavailable", 5.0, 599, may_have_arrived=True)),
        (101, Away("unavailable", 5.0, 101, may_have_arrived=True)),
        (999, Away("unavailable", 5.0, 999, may_have_arrived=True)),
    ],
)
def test_a_status_of_the_moment_waits_as_it_is_asked(status: int, expected: Answer) -> None:
    answer = read(status, CANARY.encode(), headers={"Retry-After": "5"})

    assert answer == expected


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 404, 405, 407, 410, 415, 501])
def test_a_wrong_address_is_the_set_ups_fault_and_says_what_to_mend(status: int) -> None:
    answer = read(status, CANARY.encode(), headers={"location": f"https://{CANARY}.example"})

    assert isinstance(answer, SetupFault)
    assert answer.status == status
    assert answer.mend
    assert CANARY not in repr(answer)


def test_a_500_is_told_apart_and_quotes_nothing() -> None:
    answer = read(500, {"status": 500, "message": CANARY})

    assert isinstance(answer, ServerError)
    assert CANARY not in repr(answer)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["responses", "status", "statusCode", "xactionId", "report", "cause"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.integers(100, 599), JSON, st.integers(1, 4))
def test_any_answer_is_read_and_a_settled_one_has_a_verdict_for_each_message(
    status: int, body: object, sent: int
) -> None:
    answer = read(status, {"responses": body} if status < 300 else body, sent=sent)

    assert not isinstance(answer, Settled) or len(answer.verdicts) == sent


@given(st.binary(max_size=64))
def test_any_bytes_are_read(body: bytes) -> None:
    assert isinstance(read(207, body), Unreadable)
