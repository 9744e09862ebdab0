"""Dead letters replayed on real parts: foretold, sent once, never over newer news, resumable."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from processor.operations.replays.letters.plan_file import load
from processor.operations.replays.records import read_replays
from processor.operations.resolutions.resolutions import Resolutions
from processor.record import TopicPartition
from processor.schemas.folder import builtin_directory
from tests.integration.replays import header, of_customer, state_of

CUSTOMERS = 800_000
REFUSED = 900_000


@pytest.fixture
def settings(connector_settings: Callable[..., dict[str, Any]], topic: str) -> dict[str, Any]:
    tables = connector_settings(topic)
    tables["errors"] |= {"systemic_min": 1_000_000, "systemic_window": 1_000_000}
    return tables


@pytest.fixture
def dlq(run_cli: Any, config: Any) -> Callable[..., dict[str, Any]]:
    """``dlq("replay", …, status=0)``: the JSON object that it prints."""

    def run(*arguments: Any, status: int = 0) -> dict[str, Any]:
        ran = run_cli("dlq", *map(str, arguments), "--json", "--config", config())
        assert ran.status == status, ran.stdout + ran.stderr
        (document,) = [json.loads(line) for line in ran.stdout.splitlines()]
        return {**document, "stderr": ran.stderr}

    return run


@pytest.fixture
def mapping(settings: dict[str, Any], tmp_path: Path) -> Callable[..., None]:
    """``mapping("pointsIssued", "loyalty", right, wrong)``: an own mapping set with a mistake.

    ``mapping("pointsIssued", "loyalty")`` mends it.
    """
    schemas = tmp_path / "schemas"
    shutil.copytree(builtin_directory() / "common", schemas / "common")
    settings["schemas"] = {"directory": str(schemas)}

    def change(event: str, target: str, right: str = "", wrong: str = "") -> None:
        if not (schemas / event).exists():
            shutil.copytree(builtin_directory() / event, schemas / event)
        text = (builtin_directory() / event / f"to-{target}.json").read_text()
        assert right in text
        (schemas / event / f"to-{target}.json").write_text(text.replace(right, wrong))

    return change


@pytest.fixture
def resolutions(settings: dict[str, Any]) -> Callable[[], Resolutions]:
    """``resolutions()``: what was done about each letter, as the state topic has it now."""
    return lambda: Resolutions(state_of(settings).values(), {})


def refusing(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "scope": "batch",
            "count": "until_reset",
            "refuse": {"status": 400, "message": "no"},
            "match": {"event_id": [event["eventId"] for event in events]},
        }
    ]


def place(message: Any) -> tuple[int, int]:
    return message.partition(), message.offset()


BREAK_LOYALTY = ("pointsIssued", "loyalty", '"data.programCurrentPoints"', '"eventId"')


def test_every_letter_comes_to_what_was_foretold(
    topic: str, settings: dict[str, Any], capillary: Any, dead: Any, dlq: Any, simulator: Any,
    read_topic: Any, mapping: Any, resolutions: Any, tmp_path: Path,
) -> None:  # fmt: skip
    mapping(*BREAK_LOYALTY)
    settings["converter"] = {"on_unknown_event": "dead_letter"}
    points = [of_customer(capillary, "pointsIssued", CUSTOMERS + n) for n in range(1_300)]
    old = [of_customer(capillary, "pointsIssued", CUSTOMERS + n) for n in range(100)]
    only_aep = [of_customer(capillary, "transactionAdded", REFUSED + n) for n in range(160)]
    unknown = [
        {"value": json.dumps({**points[n], "eventName": f"pointsTeleported{n % 3}"}).encode()}
        for n in range(60)
    ]
    undecodable = [{"key": b"u%d" % n, "value": b"\x00\x00"} for n in range(400)]
    simulator.faults(refusing(only_aep))
    good = [capillary.record(event) for event in (*old, *points, *only_aep)]
    records = [*good, *unknown, *undecodable]
    dead(records, letters=len(records))
    assert len(records) >= 2_000
    before = simulator.received()

    mapping("pointsIssued", "loyalty")
    settings["converter"] = {"on_unknown_event": "filter"}
    simulator.faults(refusing(only_aep[::2]), instead=True)
    plan_file = tmp_path / "plan.json"
    plan = dlq("replay", "--plan", plan_file)
    assert simulator.received() == before
    done = dlq("replay", "--plan", plan_file, "--execute", status=3)
    sent = simulator.received()
    again = dlq("replay", "--plan", plan_file, "--execute", status=3)

    assert plan["chosen"] == len(records) == load(plan_file).chosen.count
    assert (plan["would_pass"], plan["unknown_until_sent"]) == (1_300, 160)
    assert (plan["stale"], plan["filtered"]) == (100, {"unknown_event": 60})
    assert [(kind["code"], kind["count"]) for kind in plan["would_fail"]] == [
        ("decode.framing", 400)
    ]
    assert plan_file.stat().st_mode & 0o777 == 0o600
    assert (done["delivered"], done["stale"], done["not_sent"]) == (1_380, 100, 0)
    assert done["failed"] == {"decode.framing": 400, "delivery.refused": 80}
    assert (again["chosen"], again["stale"], again["delivered"]) == (100, 100, 0)
    assert again["left_resolved"] == len(records) - 100
    assert simulator.received() == sent

    found, pairs = resolutions(), Counter[tuple[str, str]]()
    for expected, chosen in load(plan_file).letters.items():
        for partition, offsets in chosen.by_partition.items():
            for start, end in offsets.runs():
                for offset in range(start, end):
                    became = found.of(partition, offset)
                    label = "open" if became is None else became.outcome.label
                    pairs[":".join(filter(None, (expected.expected, expected.code))), label] += 1
    assert pairs == {
        ("would_pass", "replayed:delivered"): 1_300,
        ("unknown_until_sent", "replayed:delivered"): 80,
        ("unknown_until_sent", "replayed:failed:delivery.refused"): 80,
        ("would_fail:decode.framing", "replayed:failed:decode.framing"): 400,
        ("filtered", "replayed:filtered:unknown_event"): 60,
        ("stale", "open"): 100,
    }
    letters = {place(letter): letter for letter in read_topic(f"{topic}.dlq")}
    wrong = {event["eventId"] for event in only_aep[::2]}
    for (number, offset), letter in letters.items():
        became = found.of(TopicPartition(f"{topic}.dlq", number), offset)
        if header(letter, "processor.code") == "delivery.refused" and became is not None:
            refused = became.outcome.word == "failed"
            assert refused == (header(letter, "processor.event.id") in wrong)


def test_old_news_does_not_overwrite_newer_unless_one_says_so(
    capillary: Any, dead: Any, dlq: Any, simulator: Any, mapping: Any, topic: str, produce: Any,
    resolutions: Any, connector: Any, settings: dict[str, Any], eventually: Any,
) -> None:  # fmt: skip
    mapping(*BREAK_LOYALTY)
    old = of_customer(capillary, "pointsIssued", CUSTOMERS, programCurrentPoints=100)
    keyless = of_customer(capillary, "pointsIssued", CUSTOMERS + 1, programCurrentPoints=100)
    alone = of_customer(capillary, "pointsIssued", CUSTOMERS + 2, programCurrentPoints=100)
    records = [
        capillary.record(old),
        {**capillary.record(keyless), "key": None},
        {**capillary.record(alone), "key": None},
    ]
    dead([{**record, "partition": 0} for record in records], letters=3)
    mapping("pointsIssued", "loyalty")
    newer = of_customer(capillary, "pointsIssued", CUSTOMERS, programCurrentPoints=250)
    newer_keyless = of_customer(capillary, "pointsIssued", CUSTOMERS + 1, programCurrentPoints=250)
    produce(
        topic,
        [capillary.record(newer), {**capillary.record(newer_keyless), "key": None}],
        partition=0,
    )
    running = connector(settings)
    eventually(lambda: len(simulator.accepted("loyalty")) == 2)
    assert running.stop() == 0

    def balances() -> list[int]:
        entities = [row["entity"] for row in simulator.profiles("dataset-of-loyalty")]
        return sorted(entity["loyalty"]["points"] for entity in entities)

    plan = dlq("replay")
    done = dlq("replay", "--execute", status=3)

    assert (plan["stale"], plan["would_pass"]) == (2, 1)
    assert (done["stale"], done["delivered"], done["failed"]) == (2, 1, {})
    assert balances() == [100, 250, 250]
    allowed = dlq("replay", "--allow-stale")
    assert (allowed["would_pass"], allowed["stale_allowed"]) == (2, 2)
    sent = dlq("replay", "--allow-stale", "--execute")
    assert (sent["delivered"], sent["stale_sent"]) == (2, 2)
    assert "overwrites" in sent["stderr"]
    assert balances() == [100, 100, 100]
    assert dlq("replay", "--execute")["chosen"] == 0


def test_one_that_was_killed_is_resumed_and_each_letter_has_its_end(
    topic: str, settings: dict[str, Any], capillary: Any, dead: Any, dlq: Any, simulator: Any,
    read_topic: Any, started: Any, eventually: Any, offsets_of: Any, resolutions: Any,
    tmp_path: Path,
) -> None:  # fmt: skip
    settings["delivery"] |= {"batch_max_records": 5, "max_in_flight": 2}
    events = [of_customer(capillary, "pointsIssued", REFUSED + n) for n in range(120)]
    wrong, right = events[::10], [event for n, event in enumerate(events) if n % 10]
    simulator.faults(refusing(events))
    dead([capillary.record(event) for event in events], letters=120)
    live = offsets_of(f"connect-{settings['name']}")
    # So slow that it is met in the middle on any machine.
    slow = {"scope": "batch", "latency_ms": 500, "count": "until_reset"}
    simulator.faults([slow, *refusing(wrong)], instead=True)
    plan = tmp_path / "plan.json"
    dlq("replay", "--plan", plan)
    for number in (15, 45):
        process = started("dlq", "replay", "--plan", str(plan), "--execute")
        eventually(lambda n=number: len(simulator.accepted("event")) >= n, timeout_s=90)
        process.kill()
    killed = {row["_id"] for row in simulator.accepted("event")}
    simulator.faults(refusing(wrong), instead=True)
    (replay_id,) = replays(settings)
    done = dlq("replay", "--resume", replay_id, "--execute", status=3)

    assert len(killed) < 108
    assert done["replay_id"] == replay_id
    assert done["chosen"] + done["left_resolved"] + done["left_superseded"] == 120
    for inlet in ("event", "loyalty"):
        rows = simulator.accepted(inlet)
        assert {row["_id"] for row in rows} == {event["eventId"] for event in right}
    letters = read_topic(f"{topic}.dlq")
    again = [letter for letter in letters if header(letter, "processor.replay.count") == "1"]
    assert {header(letter, "processor.event.id") for letter in again} == {
        event["eventId"] for event in wrong
    }
    found = resolutions()
    for letter in letters:
        became = found.of(TopicPartition(f"{topic}.dlq", letter.partition()), letter.offset())
        if header(letter, "processor.replay.count") == "0":
            failed = header(letter, "processor.event.id") in {event["eventId"] for event in wrong}
            assert became is not None or failed
    assert offsets_of(f"connect-{settings['name']}") == live
    finished = dlq("replay", "--resume", replay_id, "--execute")
    assert finished["chosen"] == 0


def test_two_people_who_replay_the_same_letters_do_it_once(
    settings: dict[str, Any], capillary: Any, dead: Any, simulator: Any, started: Any,
    eventually: Any,
) -> None:  # fmt: skip
    settings["delivery"] |= {"batch_max_records": 20}
    events = [of_customer(capillary, "pointsIssued", REFUSED + n) for n in range(300)]
    simulator.faults(refusing(events))
    dead([capillary.record(event) for event in events], letters=300)
    simulator.faults(
        [{"scope": "batch", "connection": "hang", "count": "until_reset"}], instead=True
    )
    before = len(simulator.accepted())

    both = [started("dlq", "replay", "--execute") for _ in range(2)]
    # One sends, and is kept waiting; the other finds that there is nothing left for it.
    eventually(lambda: any(not process.running for process in both), timeout_s=60)
    assert len(simulator.accepted()) == before
    simulator.faults_over()
    statuses = sorted(process.wait(120) or 0 for process in both)

    outcomes = [json.loads(process.output().splitlines()[-1]) for process in both]
    assert statuses == [0, 3]
    assert sorted(done.get("delivered", 0) for done in outcomes) == [0, 300]
    (claimed,) = [row for done in outcomes for row in done["left_claimed"]]
    assert claimed["count"] == 300
    assert claimed["replay_id"] in {done.get("replay_id") for done in outcomes}
    for inlet in ("event", "loyalty"):
        counts = Counter(row["_id"] for row in simulator.accepted(inlet))
        assert counts == {event["eventId"]: 1 for event in events}


def test_a_replay_goes_on_beside_the_connector_and_leaves_its_offsets_alone(
    topic: str, settings: dict[str, Any], capillary: Any, dead: Any, dlq: Any, simulator: Any,
    connector: Any, produce: Any, eventually: Any, offsets_of: Any, read_topic: Any,
) -> None:  # fmt: skip
    events = [of_customer(capillary, "pointsIssued", REFUSED + n) for n in range(100)]
    simulator.faults(refusing(events))
    dead([capillary.record(event) for event in events], letters=100)
    simulator.faults_over()
    live = [of_customer(capillary, "pointsIssued", CUSTOMERS + n) for n in range(400)]
    running = connector(settings)
    produce(topic, [capillary.record(event) for event in live[:200]])

    done = dlq("replay", "--execute")
    produce(topic, [capillary.record(event) for event in live[200:]])
    eventually(lambda: len(simulator.accepted("loyalty")) == 500, timeout_s=60)
    assert running.stop() == 0

    assert (done["delivered"], done["stale"]) == (100, 0)
    for inlet in ("event", "loyalty"):
        counts = Counter(row["_id"] for row in simulator.accepted(inlet))
        assert counts == {event["eventId"]: 1 for event in (*events, *live)}
    ends = Counter((topic, record.partition()) for record in read_topic(topic))
    assert offsets_of(f"connect-{settings['name']}") == ends
    assert {place[0] for place in offsets_of(done["group"])} == {f"{topic}.dlq"}


def test_discarded_letters_are_left_and_a_purge_spares_open_ones(
    topic: str, capillary: Any, dead: Any, dlq: Any, simulator: Any, read_topic: Any, run_cli: Any,
    config: Any, settings: dict[str, Any],
) -> None:  # fmt: skip
    events = [of_customer(capillary, "transactionAdded", REFUSED + n) for n in range(3)]
    simulator.faults(refusing(events))
    undecodable = [{"key": b"u%d" % n, "value": b"\x00\x00"} for n in range(5)]
    dead([*map(capillary.record, events), *undecodable], letters=8)
    letters = read_topic(f"{topic}.dlq")
    discard = ("discard", "--code", "decode.framing", "--reason", "of a test")

    dry = dlq(*discard)
    assert dlq("replay")["chosen"] == 8
    done = dlq(*discard, "--execute")
    again = dlq(*discard, "--execute")

    assert (dry["chosen"], dry["kinds"][0]["count"]) == (5, 5)
    assert done["discarded"] == 5
    assert (again["discarded"], again["left_resolved"]) == (0, 5)
    assert (dlq("replay")["chosen"], dlq("replay")["left_resolved"]) == (3, 5)
    assert len(read_topic(f"{topic}.dlq")) == len(letters)

    def listed(*options: str) -> list[tuple[str, str | None]]:
        ran = run_cli("dlq", "list", "--json", *options, "--config", config())
        rows = [json.loads(line) for line in ran.stdout.splitlines()]
        return [(row["code"], row["resolution"]) for row in rows]

    assert listed() == [("delivery.refused", None)] * 3
    assert listed("--resolution", "discarded") == [("decode.framing", "discarded")] * 5
    assert len(listed("--resolution", "any")) == 8
    (kind,) = run_cli("dlq", "stats", "--json", "--config", config()).stdout.splitlines()
    assert json.loads(kind)["count"] == 3
    assert dlq("replay", "--resolution", "discarded", "--where", "eventName=x")["chosen"] == 0
    assert dlq("replay", "--resolution", "discarded")["chosen"] == 5
    assert dlq("replay", "--where", "eventName=transactionAdded")["chosen"] == 3
    entries = [entry.document for entry in state_of(settings).values() if entry.document]
    assert {entry["reason"] for entry in entries if entry.get("action")} == {"of a test"}

    latest_ms = max(letter.timestamp()[1] for letter in letters)
    moment = datetime.fromtimestamp(latest_ms / 1000 + 0.001, UTC)
    purge = ("purge", "--topic", topic, "--before", moment.isoformat())
    looked = dlq(*purge)
    refused = run_cli("dlq", *purge, "--execute", "--config", config())
    assert (looked["letters"], looked["open"], len(looked["first_open"])) == (8, 3, 3)
    assert (refused.status, "3 of the 8" in refused.stderr) == (2, True)
    assert len(read_topic(f"{topic}.dlq")) == 8
    dlq(*purge, "--open-too", "--execute")
    assert read_topic(f"{topic}.dlq") == []
    assert not [key for key in state_of(settings) if key.startswith("resolution/")]


def test_a_plan_of_others_or_of_a_topic_that_is_no_more_is_refused(
    topic: str, capillary: Any, dead: Any, dlq: Any, run_cli: Any, config: Any, broker: Any,
    settings: dict[str, Any], tmp_path: Path, simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    dead([{"key": b"k", "value": b"\x00\x00"}], letters=1)
    path = tmp_path / "plan.json"
    dlq("replay", "--plan", path)
    document = json.loads(path.read_text())

    def refused(*more: str) -> str:
        ran = run_cli("dlq", "replay", "--plan", path, *more, "--config", config())
        assert (ran.status, ran.stdout) == (2, "")
        return str(ran.stderr)

    assert "is there already" in refused()
    assert "no other option" in refused("--execute", "--code", "decode.framing")
    for change, words in (
        ({"connector": "other"}, "of the connector other"),
        ({"cluster_id": "other"}, "the Kafka cluster other"),
        ({"version": 2}, "version 2"),
        ({"kind": "records"}, "no plan"),
        ({"count": 7}, "damaged"),
        ({"letters": [{**document["letters"][0], "topic": topic}]}, "no dead-letter topic"),
    ):
        path.write_text(json.dumps({**document, **change}))
        assert words in refused("--execute")
    path.write_text(json.dumps(document))
    admin = broker.admin()
    admin.delete_topics([f"{topic}.dlq"])[f"{topic}.dlq"].result()
    eventually(lambda: f"{topic}.dlq" not in admin.list_topics().topics)
    assert "does not exist any more" in refused("--execute")
    broker.create_topic(f"{topic}.dlq", partitions=2)
    assert "was deleted" in refused("--execute")
    dlq("replay", "--plan", path, "--force")
    assert simulator.received() == []


def replays(settings: dict[str, Any]) -> list[str]:
    return list(read_replays(state_of(settings).values()))
