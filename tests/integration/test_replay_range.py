"""Ranges of source topics on real parts: foretold, never over newer news, to other targets."""

import contextlib
import json
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.experience_platform.enrich import fresh_id
from processor.local.process import Process
from processor.local.programs import clean_environment, processor_command, toml
from tests.integration.replays import header, of_customer

CUSTOMER = 700_000


@pytest.fixture
def replay(run_cli: Any, config: Any) -> Callable[..., dict[str, Any]]:
    """``replay("run", …, status=0)``: the JSON object that it prints, and what it says beside."""

    def run(*arguments: Any, status: int = 0) -> dict[str, Any]:
        ran = run_cli("replay", *map(str, arguments), "--json", "--config", config())
        assert ran.status == status, ran.stdout + ran.stderr
        (document,) = [json.loads(line) for line in ran.stdout.splitlines()]
        return {**document, "stderr": ran.stderr}

    return run


def balance(capillary: Any, customer: int, points: float) -> dict[str, Any]:
    return of_customer(capillary, "pointsIssued", customer, programCurrentPoints=points)


def balances(simulator: Any) -> dict[str, float]:
    """By customer, the balance that was accepted last."""
    return {
        row["identity"].partition(":")[2]: row["message"]["body"]["xdmEntity"]["loyalty"]["points"]
        for row in simulator.accepted("loyalty")
    }


def test_what_is_planned_of_a_range_comes_true(
    topic: str, replay: Any, capillary: Any, simulator: Any, produce: Any, read_topic: Any,
    config: Any, tmp_path: Path,
) -> None:  # fmt: skip
    good = [balance(capillary, CUSTOMER + n, 10.0 + n) for n in range(8)]
    sales = [of_customer(capillary, "transactionAdded", CUSTOMER + 50 + n) for n in range(5)]
    nobody = [capillary.events.of("transactionAdded") for _ in range(3)]
    for event in nobody:
        event["data"]["customerIdentifiers"] = {}
    records = [capillary.record(event) for event in (*good, *sales, *nobody)]
    produce(topic, [*records, {"value": b"\x00\x00", "key": b"k"}, {"value": None, "key": b"k"}])
    produce(topic, [capillary.record(balance(capillary, CUSTOMER + n, 99.0)) for n in (1, 2)])
    path = tmp_path / "plan.json"
    start = ("--topic", topic, "--from-earliest")

    whole = replay("plan", *start)
    one = ("--where", "eventName=pointsIssued", "--key", CUSTOMER + 3)
    filtered = replay("plan", *start, *one, "--rate", 2, "--plan", path)
    plan = replay("plan", *start, "--plan", path, "--force")
    assert simulator.received() == []
    produce(topic, [capillary.record(of_customer(capillary, "transactionAdded", 1))])
    done = replay("run", "--plan", path, "--execute", status=3)

    assert whole["stale"] == [], "the later ones are in the range, and sent in their order"
    assert plan["chosen"] == done["chosen"] == 20
    assert {(row["event"], row["target"]): row["count"] for row in plan["messages"]} == {
        ("pointsIssued", "event"): 10,
        ("pointsIssued", "loyalty"): 10,
        ("transactionAdded", "event"): 5,
    }
    codes = Counter({row["code"]: row["count"] for row in plan["would_fail"]})
    assert codes == {"mapping.no_identity": 3, "decode.framing": 1}
    assert plan["filtered"] == [{"event": None, "reason": "tombstone", "count": 1}]
    assert (plan["would_be_sent"], plan["would_be_dead_lettered"]) == (15, 4)
    assert sum(row["records"] for row in plan["partitions"]) == 20
    assert plan["duration_s"] < 5
    assert done["delivered"] == plan["would_be_sent"]
    assert done["failed"] == dict(codes)
    assert done["filtered"] == {"tombstone": 1}
    assert Counter(row["inlet"] for row in simulator.accepted()) == {"event": 15, "loyalty": 10}
    letters = Counter(header(m, "processor.fingerprint") for m in read_topic(f"{topic}.dlq"))
    assert letters == {row["fingerprint"]: row["count"] for row in plan["would_fail"]}
    assert filtered["chosen"] == 1
    assert filtered["conditions"] == {"keys": 1, "where": ["eventName"]}
    assert filtered["duration_s"] == 1.0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(CUSTOMER + 3) not in json.dumps(filtered)


def test_a_plan_of_single_records_sends_these_and_no_customer_s_value_is_in_it(
    topic: str, replay: Any, run_cli: Any, capillary: Any, simulator: Any, produce: Any,
    config: Any, tmp_path: Path,
) -> None:  # fmt: skip
    sales = [of_customer(capillary, "transactionAdded", CUSTOMER + n % 3) for n in range(30)]
    produce(topic, [capillary.record(event) for event in sales])
    path = tmp_path / "plan.json"
    one = ("--where", f"data.customerIdentifiers.customerId={CUSTOMER + 1}")

    replay("plan", "--topic", topic, "--from-earliest", *one, "--plan", path)
    again = run_cli(
        "replay", "plan", "--topic", topic, "--from-earliest", "--plan", path, "--config", config()
    )
    beside = run_cli(
        "replay", "run", "--plan", path, "--topic", topic, "--execute", "--config", config()
    )
    dry = replay("run", "--plan", path)
    done = replay("run", "--plan", path, "--execute")

    assert str(CUSTOMER) not in path.read_text()
    assert (again.status, beside.status) == (2, 2)
    assert "--force" in again.stderr
    assert "--plan says which records" in beside.stderr
    assert dry["chosen"] == done["delivered"] == 10
    assert {row["_id"] for row in simulator.accepted()} == {e["eventId"] for e in sales[1::3]}
    changed = json.loads(path.read_text()) | {"topic_ids": {topic: "AAAAAAAAAAAAAAAAAAAAAQ"}}
    path.write_text(json.dumps(changed))
    other = run_cli("replay", "run", "--plan", path, "--execute", "--config", config())
    assert other.status == 2
    assert "deleted; another one has its name" in other.stderr
    assert len(simulator.accepted()) == 10


def test_an_old_balance_never_overwrites_a_newer_one_unless_it_may(
    topic: str, replay: Any, capillary: Any, simulator: Any, produce: Any
) -> None:
    keyed = [balance(capillary, CUSTOMER + n, 10.0) for n in range(4)]
    newer_inside = balance(capillary, CUSTOMER, 20.0)
    keyless = [balance(capillary, CUSTOMER + 100 + n, 10.0) for n in range(2)]
    first = [capillary.record(event) for event in (*keyed, newer_inside)]
    first += [{**capillary.record(event), "key": None} for event in keyless]
    produce(topic, first, partition=0)
    later = [balance(capillary, CUSTOMER + 1, 99.0), balance(capillary, CUSTOMER + 100, 99.0)]
    records = [capillary.record(later[0]), {**capillary.record(later[1]), "key": None}]
    produce(topic, records, partition=0)
    bounds = ("--topic", f"{topic}:0", "--from-earliest", "--to-offset", len(first))

    newest = replay("run", "--topic", f"{topic}:0", "--from-offset", len(first), "--execute")
    plan = replay("plan", *bounds)
    done = replay("run", *bounds, "--execute", status=3)
    kept = balances(simulator)
    with_holes = replay(
        "run", "--topic", f"{topic}:0", "--from-earliest", "--target", "loyalty", "--execute",
        "--key", CUSTOMER, "--key", CUSTOMER + 2,
    )  # fmt: skip
    one_of_two = replay(
        "run", "--topic", f"{topic}:0", "--from-earliest", "--target", "loyalty", "--execute",
        "--key", CUSTOMER, "--where", "data.programCurrentPoints=10", status=3,
    )  # fmt: skip
    forced = replay("run", *bounds, "--allow-stale", "--execute")

    assert newest["delivered"] == 2
    assert plan["stale"] == [{"event": "pointsIssued", "target": "loyalty", "count": 2}]
    assert done["stale_by_target"] == {"loyalty": 2}
    assert (done["delivered"], done["partly_stale"], done["failed"]) == (7, 2, {})
    assert kept == {
        str(CUSTOMER): 20.0,
        str(CUSTOMER + 1): 99.0,
        str(CUSTOMER + 2): 10.0,
        str(CUSTOMER + 3): 10.0,
        str(CUSTOMER + 100): 99.0,
        str(CUSTOMER + 101): 10.0,
    }
    events = Counter(row["_id"] for row in simulator.accepted("event"))
    assert len(events) == len(first) + 2, "events need no order, and go"
    assert with_holes["delivered"] == 3, "the later one is sent too, after the first"
    assert (one_of_two["delivered"], one_of_two["filtered"], one_of_two["stale"]) == (0, {}, 1)
    assert "overwrites" in forced["stderr"]
    assert balances(simulator)[str(CUSTOMER + 1)] == 10.0


def test_news_that_comes_while_a_replay_runs_is_heard_of(
    topic: str, settings: dict[str, Any], config: Any, capillary: Any, simulator: Any,
    produce: Any, eventually: Any, tmp_path: Path,
) -> None:  # fmt: skip
    settings["delivery"] |= {"batch_max_records": 1, "max_in_flight": 2}
    old = [balance(capillary, CUSTOMER + n, 10.0) for n in range(150)]
    produce(topic, [capillary.record(event) for event in old], partition=0)
    process = Process(
        "The replay",
        processor_command(
            "replay", "run", "--topic", topic, "--from-earliest", "--target", "loyalty",
            "--rate", "5", "--execute", "--json", "--config", str(config()),
        ),
        log=tmp_path / "replay.log",
        environment=clean_environment(),
        directory=tmp_path,
    )  # fmt: skip
    with contextlib.closing(process):
        eventually(simulator.accepted)
        newer = [balance(capillary, CUSTOMER + n, 99.0) for n in range(150)]
        produce(topic, [capillary.record(event) for event in newer], partition=0)

        assert process.wait(150) == 3
        done = json.loads(process.output().splitlines()[-1])

    # What was on its way or had gone when they came is delivered: a few seconds' worth.
    assert done["stale_by_target"] == {"loyalty": done["stale"]}
    assert done["delivered"] + done["stale"] == done["chosen"] == 150
    assert done["stale"] >= 50
    assert len(simulator.accepted()) == done["delivered"]


def test_another_sandbox_gets_them_and_the_connector_s_dead_letters_stay_its_own(
    topic: str, replay: Any, run_cli: Any, config: Any, settings: dict[str, Any], capillary: Any,
    simulator: Any, produce: Any, read_topic: Any, tmp_path: Path, broker: Any,
) -> None:  # fmt: skip
    produce(topic, [capillary.record(balance(capillary, CUSTOMER + n, 5.0)) for n in range(4)])
    produce(topic, [{"value": b"\x00\x00", "key": b"k"}], partition=0)
    platform = {**settings["experience_platform"], "sandbox_name": "trial"}
    platform["targets"] = {"loyalty": {**platform["targets"]["loyalty"], "inlet_id": "trial"}}
    override = tmp_path / "trial.toml"
    override.write_text(toml({"experience_platform": platform}))
    broken = tmp_path / "broken.toml"
    broken.write_text(toml({"experience_platform": platform, "kafka": {"topics": ["x"]}}))
    start = ("--topic", topic, "--from-earliest")

    refused = run_cli(
        "replay", "run", *start, "--target-override", broken, "--execute", "--config", config()
    )
    done = replay("run", *start, "--target-override", override, "--execute", status=3)
    listed = run_cli("dlq", "replay", "--json", "--config", config())
    unlike = run_cli("replay", "run", "--resume", done["replay_id"], "--config", config())

    assert refused.status == 2
    assert "holds kafka" in refused.stderr
    assert (done["delivered"], done["failed"]) == (4, {"decode.framing": 1})
    assert {row["inlet"] for row in simulator.received()} == {"trial"}
    assert "sandbox trial" in done["stderr"]
    (aside,) = done["dead_letter_topics"]
    assert aside == f"{topic}.replay-{done['replay_id']}.dlq"
    (letter,) = read_topic(aside)
    assert header(letter, "__connect.errors.connector.name") == (
        f"{settings['name']}-replay-{done['replay_id']}"
    )
    assert header(letter, "processor.replay.id") == done["replay_id"]
    assert json.loads(listed.stdout)["chosen"] == 0
    named = run_cli("dlq", "replay", "--topic", aside, "--json", "--config", config())
    assert json.loads(named.stdout)["chosen"] == 0
    assert f"{topic}.dlq" not in broker.admin().list_topics(timeout=10).topics
    assert unlike.status == 2
    shown = json.loads(
        run_cli("replay", "show", done["replay_id"], "--json", "--config", config()).stdout
    )
    assert "sandbox trial" in shown["options"]["target_override"]["where"]


def test_fresh_ids_are_the_same_for_the_same_label_and_never_by_themselves(
    topic: str, replay: Any, run_cli: Any, config: Any, capillary: Any, simulator: Any, produce: Any
) -> None:
    sales = [of_customer(capillary, "transactionAdded", CUSTOMER + n) for n in range(4)]
    produce(topic, [capillary.record(event) for event in sales])
    run = ("run", "--topic", topic, "--from-earliest")

    dry = replay(*run, "--new-ids", "mended-2026")
    wrong = run_cli("replay", *run, "--new-ids", "a label", "--execute", "--config", config())
    assert simulator.received() == []
    once = replay(*run, "--new-ids", "mended-2026", "--execute")
    again = replay(*run, "--new-ids", "mended-2026", "--execute")
    plain = replay(*run, "--execute")

    assert wrong.status == 2
    for warned in (dry, once):
        assert "twice" in warned["stderr"]
    assert "twice" not in plain["stderr"]
    assert (once["delivered"], again["delivered"], plain["delivered"]) == (4, 4, 4)
    usual = {event["eventId"] for event in sales}
    fresh = {fresh_id(event["eventId"], "mended-2026") for event in sales}
    counts = Counter(row["_id"] for row in simulator.accepted())
    assert counts == {**dict.fromkeys(fresh, 2), **dict.fromkeys(usual, 1)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--target", "nowhere"), "no such target"),
        (("--rate", "0"), "--rate"),
        (("--rate", "20000"), "--rate"),
        (("--new-ids", ""), "--new-ids"),
        (("--target-override", "/gone.toml"), "no override file"),
        (("--plan", "/gone.json"), "--plan says"),
        (("--resume", "nothing"), "--resume says"),
    ],
)
def test_a_wrong_manner_touches_nothing(
    options: tuple[str, ...], said: str, topic: str, config: Any, run_cli: Any, simulator: Any
) -> None:
    start = ("--topic", topic, "--from-earliest")

    ran = run_cli("replay", "run", *start, *options, "--execute", "--config", config())

    assert (ran.status, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert simulator.received() == []
