"""The shape of scripted faults, and which of them act on a request."""

import json
from typing import Any

import pytest

from processor.simulator.faults import BadFaults, read_faults
from processor.simulator.messages import Mark
from processor.simulator.script import Plan, Script

MARKS = [
    Mark("E1", "NS:1", "E1"),
    Mark("E2", "NS:2", "E2"),
    Mark("E3", "NS:1", "E3"),
]


def script_of(*faults: dict[str, Any]) -> Script:
    script = Script()
    script.post(read_faults(json.dumps(faults).encode()))
    return script


def plan_of(script: Script, door: Any = "batch", inlet: str = "evt", marks: Any = MARKS) -> Plan:
    plan = script.plan_reading(door, inlet)
    script.complete(plan, door, inlet, marks)
    return plan


def statuses(script: Script, requests: int) -> list[int | None]:
    plans = [plan_of(script) for _ in range(requests)]
    return [plan.answer.status if plan.answer else None for plan in plans]


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("{", "not JSON"),
        ("[]", "between 1 and"),
        ('{"faults": [], "x": 1}', "x: unknown key beside faults"),
        (
            '[{"scope": "batch", "latencyms": 5}]',
            "faults[0].latencyms: unknown key. Did you mean l",
        ),
        (
            '[{"scope": "ims", "status": 500}, {"scope": "batch", "match": {"idenity": "x"}}]',
            "faults[1].match.idenity: unknown key. Did you mean identity?",
        ),
        ('[{"status": 500}]', "faults[0].scope: Field required"),
        ('[{"scope": "registry", "status": 500}]', "faults[0].scope: Input should be"),
        ('[{"scope": "batch", "count": 0, "status": 500}]', "faults[0].count"),
        ('[{"scope": "batch", "status": "500"}]', "faults[0].status"),
        ('[{"scope": "batch", "status": 100}]', "faults[0].status"),
        ('[{"scope": "batch"}]', "it says when, but not what"),
        ('[{"scope": "batch", "match": {}, "status": 500}]', "give identity, event_id, _id or pos"),
        ('[{"scope": "ims", "match": {"_id": "x"}, "status": 500}]', "scope ims knows no match"),
        ('[{"scope": "batch", "expires_in": 5}]', "scope batch knows no expires_in"),
        ('[{"scope": "single", "multi_status": {}}]', "scope single knows no multi_status"),
        ('[{"scope": "batch", "raw": "x", "body": 1}]', "raw and body are two answers"),
        ('[{"scope": "batch", "connection": "reset", "status": 500}]', "gives no answer"),
        (
            '[{"scope": "batch", "read_bytes_per_s": 5, "match": {"_id": "x"}}]',
            "before messages are known",
        ),
        ('[{"scope": "ims", "expire_tokens": true, "count": 3}]', "act at once"),
        ("[5]", "faults[0]: Input should be a valid dictionary"),
    ],
)
def test_a_fault_that_makes_no_sense_is_named(document: str, sentence: str) -> None:
    with pytest.raises(BadFaults) as caught:
        read_faults(document.encode())

    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        '{"scope": "batch", "status": 500}',
        '[{"scope": "batch", "status": 500}]',
        '{"faults": [{"scope": "batch", "status": 500}]}',
    ],
)
def test_one_fault_a_list_and_an_object_are_the_same(document: str) -> None:
    (fault,) = read_faults(document.encode())

    assert fault.status == 500


def test_a_fault_acts_once_unless_it_says_otherwise() -> None:
    script = script_of(
        {"scope": "batch", "status": 500},
        {"scope": "batch", "status": 503, "count": 2},
        {"scope": "batch", "status": 429, "count": "until_reset"},
    )

    assert statuses(script, 6) == [500, 503, 503, 429, 429, 429]


def test_a_fault_about_messages_acts_until_reset() -> None:
    script = script_of({"scope": "batch", "status": 500, "match": {"_id": "E2"}})

    assert statuses(script, 3) == [500, 500, 500]
    script.clear()
    assert statuses(script, 1) == [None]


def test_a_fault_can_skip_the_first_requests() -> None:
    script = script_of({"scope": "batch", "status": 500, "after": 2})

    assert statuses(script, 4) == [None, None, 500, None]


def test_a_fault_can_act_now_and_then_and_the_seed_says_when() -> None:
    fault = {"scope": "batch", "status": 500, "probability": 0.2, "count": "until_reset"}

    first, second = statuses(script_of(fault), 200), statuses(script_of(fault), 200)

    assert first == second
    assert 20 <= first.count(500) <= 60


@pytest.mark.parametrize(
    ("scope", "doors"),
    [
        ("ims", ["ims"]),
        ("single", ["single"]),
        ("batch", ["batch"]),
        ("collection", ["single", "batch"]),
    ],
)
def test_a_fault_acts_in_its_scope(scope: str, doors: list[str]) -> None:
    script = script_of({"scope": scope, "status": 500, "count": "until_reset"})

    acting = [door for door in ("ims", "single", "batch") if plan_of(script, door).answer]

    assert acting == doors


def test_a_fault_acts_at_its_inlet() -> None:
    script = script_of({"scope": "batch", "status": 500, "inlet": "loyalty"})

    assert plan_of(script, inlet="evt").answer is None
    assert plan_of(script, inlet="loyalty").answer is not None


@pytest.mark.parametrize(
    ("match", "positions"),
    [
        ({"identity": "NS:1"}, [0, 2]),
        ({"identity": ["NS:1", "NS:2"]}, [0, 1, 2]),
        ({"event_id": "E2"}, [1]),
        ({"_id": ["E2", "E3"]}, [1, 2]),
        ({"identity": "NS:1", "_id": "E3"}, [2]),
        ({"positions": [0, -1]}, [0, 2]),
        ({"positions": [1, 99, -99]}, [1]),
        ({"positions": [0, 1], "identity": "NS:2"}, [1]),
        ({"identity": "NS:9"}, []),
    ],
)
def test_refusals_find_their_messages(match: dict[str, Any], positions: list[int]) -> None:
    script = script_of({"scope": "batch", "match": match, "refuse": {"status": 400}})

    assert sorted(plan_of(script).refusal_of(MARKS)) == positions


def test_a_refusal_without_a_match_means_all() -> None:
    script = script_of({"scope": "batch", "refuse": {"message": "no"}})

    refusals = plan_of(script).refusal_of(MARKS)

    assert [refusals[index].message for index in range(3)] == ["no", "no", "no"]


def test_delays_and_refusals_add_up_but_only_one_fault_answers() -> None:
    script = script_of(
        {"scope": "batch", "latency_ms": 100},
        {"scope": "batch", "status": 500, "latency_ms": 50},
        {"scope": "batch", "status": 503, "latency_ms": 1000},
        {"scope": "batch", "answer_latency_ms": 7, "write_bytes_per_s": 9},
        {"scope": "batch", "read_bytes_per_s": 11, "latency_ms": 1},
    )

    first, second = plan_of(script), plan_of(script)

    assert first.answer is not None
    assert (first.answer.status, first.numbers) == (500, [5, 1, 2, 4])
    assert first.latency_s == pytest.approx(0.151)
    assert (first.answer_latency_s, first.write_bytes_per_s) == (0.007, 9)
    assert first.read_bytes_per_s == 11
    assert second.answer is not None
    assert second.answer.status == 503
    assert script.as_json() == []


@pytest.mark.parametrize(
    ("fault", "accepts"),
    [
        ({"status": 503}, False),
        ({"status": 503, "accept": True}, True),
        ({"body": "x"}, False),
        ({"connection": "reset"}, False),
        ({"connection": "reset", "accept": True}, True),
        ({"connection": "cut"}, True),
        ({"connection": "cut", "accept": False}, False),
        ({"connection": "close_idle"}, True),
        ({"multi_status": {}}, True),
        ({"status": 200, "multi_status": {}}, True),
        ({"retry_after": 5}, True),
        ({"gzip_bomb_bytes": 5}, False),
    ],
)
def test_what_is_accepted_is_said_or_follows(fault: dict[str, Any], accepts: bool) -> None:
    (read,) = read_faults(json.dumps({"scope": "batch", **fault}).encode())

    assert read.accepts is accepts
