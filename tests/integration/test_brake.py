"""The systemic brake with real parts: F41, and what must not set it off."""

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from processor.demo.events import FEEDS
from tests.integration.conftest import all_ended

LEAST = 10
UNMAPPED = json.dumps({"eventName": "groupCreated"}).encode()
REFUSES_ALL = [
    {
        "scope": "batch",
        "match": {"positions": list(range(500))},
        "count": "until_reset",
        "refuse": {"status": 400, "message": "The schema does not match the dataset."},
    }
]


@pytest.fixture
def braked_settings(connector_settings: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
    """As everywhere, but a small brake, and small requests."""

    def tables(topic: str) -> dict[str, Any]:
        settings = connector_settings(topic)
        settings["errors"] |= {
            "systemic_min": LEAST,
            "systemic_window": 50,
            "retry_delay_max_s": 2.0,
        }
        settings["delivery"] = {**settings.get("delivery", {}), "batch_max_records": 20}
        return settings

    return tables


def hold_of(running: Any, eventually: Any) -> tuple[int, str]:
    """Status and words of ``/readyz`` once it tells of a hold."""

    def held() -> tuple[int, str] | None:
        status, body = running.readyz()
        return (status, str(body)) if "systemic" in str(body) else None

    found: tuple[int, str] = eventually(held, timeout_s=60, what="a hold")
    return found


def letters_of(topic: str, broker: Any, read_topic: Any) -> list[bytes]:
    dead = f"{topic}.dlq"
    known = dead in broker.admin().list_topics(timeout=10).topics
    return [letter.value() for letter in read_topic(dead)] if known else []


def test_a_set_up_that_refuses_everything_holds_and_is_resumed_once_it_is_mended(
    capillary: Any, topic: str, produce: Any, connector: Any, braked_settings: Any,
    simulator: Any, eventually: Any, read_topic: Any, balanced: Any, broker: Any,
) -> None:  # fmt: skip
    events = list(capillary.events.mixed(200))
    records = [capillary.record(event) for event in events]
    simulator.faults(REFUSES_ALL)
    produce(topic, records)

    running = connector(braked_settings(topic), start=False)
    running.launch()
    status, told = hold_of(running, eventually)
    simulator.faults_over()
    eventually(lambda: running.readyz()[0] == 200, timeout_s=60, what="it is ready again")
    eventually(lambda: running.metric("processor_records_in_flight") == 0, what="all ends")

    letters = letters_of(topic, broker, read_topic)
    came = {(one["inlet"], one["_id"]) for one in simulator.accepted()}
    rest = [e for e, r in zip(events, records, strict=True) if r["value"] not in letters]
    lost = [
        (target, event["eventId"])
        for event in rest
        for target in FEEDS[event["eventName"]]
        if (target, event["eventId"]) not in came
    ]
    assert status == 503
    assert "failed alike (delivery.refused" in told
    assert "schema_id" in told
    assert 0 < len(letters) < LEAST * 3
    assert lost == []
    assert balanced(running)


def test_where_an_order_is_kept_an_oldest_record_that_is_bad_by_itself_keeps_nothing_back(
    capillary: Any, topic: str, produce: Any, connector: Any, braked_settings: Any,
    simulator: Any, eventually: Any, read_topic: Any, balanced: Any, broker: Any,
) -> None:  # fmt: skip
    events = [capillary.events.of("transactionAdded") for _ in range(60)]
    records = [{**capillary.record(event), "partition": 0} for event in events]
    settings = braked_settings(topic)
    for target in settings["experience_platform"]["targets"].values():
        target["ordering"] = "partition"
    simulator.faults(REFUSES_ALL)
    produce(topic, records)

    running = connector(settings, start=False)
    running.launch()
    hold_of(running, eventually)
    bad = [event["eventId"] for event in events[LEAST - 1 : LEAST + 2]]
    simulator.faults([{**REFUSES_ALL[0], "match": {"_id": bad}}], instead=True)
    eventually(lambda: running.readyz()[0] == 200, timeout_s=120, what="it is ready again")
    eventually(lambda: running.metric("processor_records_in_flight") == 0, what="all ends")

    letters = letters_of(topic, broker, read_topic)
    assert sorted(letters) == sorted(record["value"] for record in records[: LEAST + 2])
    assert {one["_id"] for one in simulator.accepted()} == {
        event["eventId"] for event in events[LEAST + 2 :]
    }
    assert balanced(running)


def test_an_unknown_schema_for_everything_holds_and_a_stop_gives_it_back(
    capillary: Any, topic: str, produce: Any, connector: Any, braked_settings: Any,
    eventually: Any, read_topic: Any, broker: Any,
) -> None:  # fmt: skip
    records, _ = capillary.records(60)
    wrong = [
        {**record, "value": b"\x00" + struct.pack(">I", 9_999_999) + record["value"][5:]}
        for record in records
    ]
    produce(topic, wrong)

    running = connector(braked_settings(topic), start=False)
    running.launch()
    _, told = hold_of(running, eventually)
    status = running.stop()

    letters = letters_of(topic, broker, read_topic)
    assert "schema_registry.url" in told
    assert status == 0
    assert 0 < len(letters) < LEAST


def test_unmapped_events_and_a_few_bad_records_hold_nothing(
    capillary: Any, topic: str, produce: Any, connector: Any, braked_settings: Any,
    arrives: Any, eventually: Any, read_topic: Any, broker: Any,
) -> None:  # fmt: skip
    """Six of ten events have no mapping; a few have no customer, which a mapping needs."""
    records, expected = capillary.records(60)
    nobody = capillary.events.of("transactionAdded")
    nobody["data"]["customerIdentifiers"] = None
    mixed: list[Any] = []
    for number, record in enumerate(records):
        mixed += [record, *[{"key": b"u", "value": UNMAPPED}] * 2]
        if number % 6 == 0:
            mixed.append({**capillary.record(nobody), "key": b"nobody-%d" % number})
    produce(topic, mixed)

    running = connector(braked_settings(topic))
    arrives(expected)
    eventually(lambda: len(letters_of(topic, broker, read_topic)) == 10, what="the letters")

    # Tasks tell what they count twice a second: the letters are there before their number is.
    eventually(lambda: all_ended(running, len(mixed)), what="all is told")
    assert running.metric("processor_records_filtered_total", reason="unmapped_event") == 120
    assert running.metric("processor_paused", reason="systemic") == 0
    assert running.readyz()[0] == 200
