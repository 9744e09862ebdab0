"""Replays on a real broker: what had failed is sent again, and nothing else is touched."""

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from processor.schemas.folder import builtin_directory
from tests.integration.replays import header

REFUSED_CUSTOMER = 900_002
REFUSE = {
    "scope": "batch",
    "match": {"identity": f"CapillaryCustomerId:{REFUSED_CUSTOMER}"},
    "refuse": {"status": 400, "message": "no"},
}


def said(ran: Any, status: int = 0) -> dict[str, Any]:
    assert ran.status == status, ran.stdout + ran.stderr
    (document,) = [json.loads(line) for line in ran.stdout.splitlines()]
    return dict(document)


def refused_events(capillary: Any, count: int) -> list[Any]:
    events = [capillary.events.of("pointsIssued") for _ in range(count)]
    for event in events:
        event["data"]["customerIdentifiers"] = {"customerId": REFUSED_CUSTOMER}
    return events


def test_what_a_mended_mapping_cures_is_predicted_and_then_delivered(
    topic: str, settings: dict[str, Any], config: Any, capillary: Any, dead: Any, run_cli: Any,
    simulator: Any, read_topic: Any, offsets_of: Any, tmp_path: Path,
) -> None:  # fmt: skip
    schemas = tmp_path / "schemas"
    shutil.copytree(builtin_directory() / "pointsIssued", schemas / "pointsIssued")
    shutil.copytree(builtin_directory() / "common", schemas / "common")
    mapping = schemas / "pointsIssued" / "to-loyalty.json"
    right = mapping.read_text()
    mapping.write_text(right.replace('"data.programCurrentPoints"', '"eventId"'))
    settings["schemas"] = {"directory": str(schemas)}
    events = [capillary.events.of("pointsIssued") for _ in range(20)]
    records = [capillary.record(event) for event in events]
    undecodable = {"key": b"k", "value": b"\x00\x00"}
    dead([*records, undecodable], letters=21)
    simulator_before = simulator.received()
    group = f"connect-{settings['name']}"
    live, source, letters = offsets_of(group), read_topic(topic), read_topic(f"{topic}.dlq")
    assert {row["inlet"] for row in simulator_before} == {"event"}

    unmended = said(run_cli("dlq", "replay", "--json", "--config", config()))
    mapping.write_text(right)
    forecast = said(run_cli("dlq", "replay", "--json", "--config", config()))
    assert simulator.received() == simulator_before
    ran = run_cli("dlq", "replay", "--execute", "--json", "--config", config())

    assert unmended["chosen"] == 21
    assert unmended["would_pass"] == 0
    assert sum(kind["count"] for kind in unmended["would_fail"]) == 21
    assert (forecast["would_pass"], forecast["unknown_until_sent"]) == (20, 0)
    (kind,) = forecast["would_fail"]
    assert (kind["code"], kind["count"]) == ("decode.framing", 1)
    done = said(ran, status=3)
    assert (done["delivered"], done["failed"]) == (20, {"decode.framing": 1})
    arrived = simulator.received()[len(simulator_before) :]
    assert sorted(row["_id"] for row in arrived) == sorted(event["eventId"] for event in events)
    assert {row["inlet"] for row in arrived} == {"loyalty"}
    assert all(row["accepted"] for row in arrived)
    assert offsets_of(group) == live
    assert len(read_topic(topic)) == len(source)
    after = read_topic(f"{topic}.dlq")
    assert len(after) == len(letters) + 1
    (again,) = [letter for letter in after if header(letter, "processor.replay.count") == "1"]
    assert again.value() == undecodable["value"]
    assert header(again, "processor.replay.id") == done["replay_id"]
    assert header(again, "processor.fingerprint") == kind["fingerprint"]
    assert done["group"] == f"{group}-replay-{done['replay_id']}"
    assert set(offsets_of(done["group"]).values()) <= {letter.offset() + 1 for letter in letters}
    assert len(offsets_of(done["group"])) == len({letter.partition() for letter in letters})


def test_what_fails_again_is_replayed_once_a_run_and_no_more_often_than_allowed(
    topic: str, settings: dict[str, Any], config: Any, capillary: Any, dead: Any, run_cli: Any,
    simulator: Any, read_topic: Any,
) -> None:  # fmt: skip
    simulator.faults([REFUSE])
    records = [capillary.record(event) for event in refused_events(capillary, 2)]
    dead([{**record, "headers": [("own", b"\xff")]} for record in records], letters=2)
    settings["errors"]["tolerance"] = "none"
    forecast = said(run_cli("dlq", "replay", "--json", "--config", config()))
    replay = ("dlq", "replay", "--execute", "--max-replays", "2", "--json", "--config", config())

    first, second = said(run_cli(*replay), status=3), said(run_cli(*replay), status=3)
    third = said(run_cli(*replay))

    assert (forecast["unknown_until_sent"], forecast["would_pass"]) == (2, 0)
    for done, resolved in ((first, 0), (second, 2)):
        assert (done["chosen"], done["failed"]) == (2, {"delivery.refused": 2})
        assert (done["left_over_limit"], done["left_resolved"]) == (0, resolved)
    assert (third["chosen"], third["left_over_limit"], third["left_resolved"]) == (0, 2, 4)
    letters = read_topic(f"{topic}.dlq")
    counts = sorted(header(letter, "processor.replay.count") or "" for letter in letters)
    assert counts == ["0", "0", "1", "1", "2", "2"]
    for letter in letters:
        names = [name for name, _ in letter.headers()]
        assert len(names) == len(set(names))
        assert header(letter, "__connect.errors.topic") == topic
        assert ("own", b"\xff") in letter.headers()
    simulator.reset()
    last = [letter for letter in letters if header(letter, "processor.replay.count") == "2"]
    places = [f"{letter.topic()}:{letter.partition()}:{letter.offset()}" for letter in last]
    options = [option for place in places for option in ("--offset", place)]
    mended = said(run_cli(*replay[:3], "--allow-stale", "--json", *options, "--config", config()))
    assert mended["delivered"] == 2
    assert {row["inlet"] for row in simulator.accepted()} == {"event", "loyalty"}


def test_a_range_of_a_topic_is_sent_again_and_nothing_else_is_touched(
    topic: str, settings: dict[str, Any], config: Any, capillary: Any, run_cli: Any,
    simulator: Any, produce: Any, offsets_of: Any,
) -> None:  # fmt: skip
    events = [capillary.events.of("transactionAdded") for _ in range(30)]
    produce(topic, [capillary.record(event) for event in events], partition=0)
    others, _ = capillary.records(10)
    produce(topic, others, partition=1)
    group = f"connect-{settings['name']}"
    bounds = ("--topic", f"{topic}:0", "--from-offset", "10", "--to-offset", "20")
    run = ("replay", "run", "--json", *bounds, "--config", config())

    dry = run_cli(*run)
    assert simulator.received() == []
    done = said(run_cli(*run, "--execute"))

    plan = said(dry)
    assert plan["partitions"] == [
        {"topic": topic, "partition": 0, "from_offset": 10, "to_offset": 20, "records": 10}
    ]
    assert plan["first_timestamp"] <= plan["last_timestamp"]
    assert "loyalty" in dry.stderr
    assert (done["chosen"], done["delivered"], done["not_sent"]) == (10, 10, 0)
    sent = sorted(row["_id"] for row in simulator.accepted())
    assert sent == sorted(event["eventId"] for event in events[10:20])
    assert offsets_of(done["group"]) == {(topic, 0): 20}
    assert offsets_of(group) == {}


def test_a_range_can_be_narrowed_to_keys_and_fields(
    topic: str, config: Any, capillary: Any, run_cli: Any, simulator: Any, produce: Any
) -> None:
    events = list(capillary.events.mixed(40))
    produce(topic, [capillary.record(event) for event in events])
    produce(topic, [{"value": b"undecodable"}])
    wanted = [event for event in events if event["eventName"] == "customerAdded"]
    customer = str(events[7]["data"]["customerIdentifiers"]["customerId"])
    customers = [str(event["data"]["customerIdentifiers"]["customerId"]) for event in events]
    run = ("replay", "run", "--json", "--topic", topic, "--from-earliest", "--config", config())

    by_name = said(run_cli(*run, "--where", "eventName=customerAdded", "--execute"))
    by_path = said(run_cli(*run, "--where", f"data.customerIdentifiers.customerId={customer}"))
    by_key = said(run_cli(*run, "--key", customer))
    both = said(run_cli(*run, "--key", customer, "--where", "eventName=none", "--execute"))

    assert (by_name["delivered"], by_name["undecodable"]) == (len(wanted), 1)
    assert {row["_id"] for row in simulator.accepted()} == {event["eventId"] for event in wanted}
    assert by_path["chosen"] == by_key["chosen"] == customers.count(customer)
    assert both["chosen"] == 0


def test_an_interrupt_drains_and_commits_what_was_sent(
    topic: str, settings: dict[str, Any], capillary: Any, started: Any, produce: Any,
    simulator: Any, eventually: Any, offsets_of: Any,
) -> None:  # fmt: skip
    settings["delivery"] |= {"batch_max_records": 10, "max_in_flight": 2}
    events = [capillary.events.of("transactionAdded") for _ in range(2_000)]
    produce(topic, [capillary.record(event) for event in events], partition=0)
    simulator.faults([{"scope": "batch", "latency_ms": 100, "count": "until_reset"}])
    process = started("replay", "run", "--topic", topic, "--from-earliest", "--execute")
    eventually(lambda: len(simulator.accepted()) >= 20)

    process.signal(signal.SIGINT)

    assert process.wait(60) == 130
    done = json.loads(process.output().splitlines()[-1])
    assert done["interrupted"]
    assert done["finished"]
    accepted = {row["_id"] for row in simulator.accepted()}
    assert 20 <= len(accepted) == done["delivered"] < 2_000
    assert accepted == {event["eventId"] for event in events[: len(accepted)]}
    assert offsets_of(done["group"]) == {(topic, 0): len(accepted)}


def test_a_killed_replay_is_made_up_for_by_the_next(
    topic: str, config: Any, settings: dict[str, Any], capillary: Any, dead: Any, started: Any,
    run_cli: Any, simulator: Any, eventually: Any, offsets_of: Any,
) -> None:  # fmt: skip
    simulator.faults([REFUSE])
    settings["delivery"] |= {"batch_max_records": 5, "max_in_flight": 2}
    events = refused_events(capillary, 60)
    dead([capillary.record(event) for event in events], letters=60)
    live = offsets_of(f"connect-{settings['name']}")
    simulator.reset()
    # So slow that it is met in the middle on any machine.
    simulator.faults([{"scope": "batch", "latency_ms": 1_000, "count": "until_reset"}])
    process = started("dlq", "replay", "--execute", "--allow-stale")
    eventually(lambda: len(simulator.accepted("event")) >= 10)

    process.kill()
    killed = len(simulator.accepted("event"))
    simulator.faults_over()
    again = ("dlq", "replay", "--execute", "--allow-stale", "--json", "--config", config())
    done = said(run_cli(*again))

    assert killed < 60
    assert done["chosen"] == done["delivered"] == 60 - done["left_resolved"]
    ids = {event["eventId"] for event in events}
    for inlet in ("event", "loyalty"):
        assert {row["_id"] for row in simulator.accepted(inlet)} == ids
    assert offsets_of(f"connect-{settings['name']}") == live


@pytest.mark.parametrize(
    "bounds",
    [
        ("--from-offset", "-1"),
        ("--from-offset", str(2**63)),
        ("--from-offset", "5..3"),
        (),
    ],
)
def test_a_wrong_range_touches_nothing(
    bounds: tuple[str, ...], topic: str, config: Any, run_cli: Any, simulator: Any
) -> None:
    ran = run_cli("replay", "run", "--topic", topic, *bounds, "--execute", "--config", config())

    assert (ran.status, ran.stdout) == (2, "")
    (_sentence,) = ran.stderr.strip().splitlines()
    assert simulator.received() == []


def test_our_own_topics_are_no_source(topic: str, config: Any, run_cli: Any, broker: Any) -> None:
    broker.create_topic(f"{topic}.dlq")

    ran = run_cli(
        "replay", "run", "--topic", f"{topic}.dlq", "--from-earliest", "--config", config()
    )

    assert ran.status == 2
    assert "processor dlq replay" in ran.stderr
