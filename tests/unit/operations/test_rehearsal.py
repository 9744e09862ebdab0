"""What today's schemas make of a record, with our own schemas and no network."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from processor.connector.passage import Story
from processor.errors import Code, FilterReason
from processor.kafka.letter import Letter
from processor.operations.letters.view import show
from processor.operations.rehearsal import (
    Expectation,
    Expected,
    Rehearsal,
    expectation,
    rehearsing,
)
from processor.record import Position, Record
from processor.schemas.folder import builtin_directory
from processor.settings import Settings

TARGET = {"inlet_id": "i", "dataset_id": "d"}
SETTINGS = Settings.model_validate(
    {
        "name": "ours",
        "kafka": {"bootstrap_servers": "b:1", "topics": ["t"]},
        "ims": {"client_id": "c"},
        "experience_platform": {
            "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
            "tenant": "acme",
            "targets": {
                name: {
                    **TARGET,
                    "schema_id": f"https://ns.adobe.com/acme/schemas/{name}",
                    "ordering": "none" if name == "event" else "key",
                }
                for name in ("event", "loyalty")
            },
        },
    }
)
EXAMPLE = builtin_directory() / "pointsIssued" / "examples" / "purchase" / "input.json"


@pytest.fixture
async def rehearsal() -> AsyncIterator[Rehearsal]:
    async with rehearsing(SETTINGS) as made:
        yield made


def record(**changes: Any) -> Record:
    event = json.loads(EXAMPLE.read_text()) | changes
    return Record("t.dlq", 0, 0, 1, b"k", json.dumps(event).encode())


def story(*targets: str) -> Story:
    return Story("t", 0, 9, 1, frozenset(targets), 0)


async def test_only_the_messages_that_had_failed_are_made(rehearsal: Rehearsal) -> None:
    everything = await rehearsal.rehearse(record())
    one = await rehearsal.rehearse(record(), story("loyalty"))
    gone = await rehearsal.rehearse(record(), story("tier"))

    assert [parcel.name for parcel in everything.parcels] == ["event", "loyalty"]
    assert [parcel.name for parcel in one.parcels] == ["loyalty"]
    assert gone.filtered is FilterReason.NO_TARGET


@pytest.mark.parametrize(
    ("name", "changes", "told"),
    [
        ("groupCreated", {}, "groupCreated"),
        ("nobodyKnows", {}, "nobodyKnows"),
        ("pointsIssued", {"data": 5}, "pointsIssued"),
    ],
    ids=["without a mapping, left out", "unknown, a letter", "refused, a letter"],
)
async def test_what_is_left_out_or_refused_has_its_name_too(
    name: str, changes: dict[str, Any], told: str, rehearsal: Rehearsal
) -> None:
    rehearsed = await rehearsal.rehearse(record(eventName=name, **changes))

    assert rehearsed.parcels == ()
    assert rehearsed.passage.event is not None
    assert rehearsed.passage.event.name == told


async def test_each_letter_is_foretold(rehearsal: Rehearsal) -> None:
    letters = [
        (record(), Code.MAPPING_EXPRESSION),
        (record(), Code.DELIVERY_REFUSED),
        (record(eventName="pointsTeleported"), Code.EVENT_UNKNOWN),
        (record(data={"customerIdentifiers": None}), Code.DELIVERY_REFUSED),
        (Record("t.dlq", 0, 0), Code.EVENT_INVALID),
    ]

    expected = [
        expectation(rehearsal, await rehearsal.rehearse(letter, story("event")), before)
        for letter, before in letters
    ]

    assert [e.expected for e in expected] == [
        Expected.MENDED,
        Expected.UNKNOWN_UNTIL_SENT,
        Expected.WOULD_FAIL,
        Expected.WOULD_FAIL,
        Expected.FILTERED,
    ]
    assert [e.code for e in expected[2:4]] == [Code.EVENT_UNKNOWN, Code.MAPPING_NO_IDENTITY]
    assert all(len(e.fingerprint) == 12 for e in expected[2:4])
    assert expected[4].reason is FilterReason.TOMBSTONE


async def test_old_news_is_left_out_target_by_target(rehearsal: Rehearsal) -> None:
    asked: list[bytes | None] = []

    def newer(_target: str, key: bytes | None) -> bool:
        asked.append(key)
        return True

    async def foretold(letter: Record, *targets: str) -> tuple[Expectation, list[str]]:
        told = replace(story(*targets), newer=newer)
        rehearsed = await rehearsal.rehearse(letter, told)
        made = [parcel.name for parcel in rehearsed.parcels]
        return expectation(rehearsal, rehearsed, Code.MAPPING_TYPE), made

    both = await foretold(record())
    only = await foretold(record(), "loyalty")
    keyless = record()
    keyless.key = None
    without_key = await foretold(keyless, "loyalty")

    assert both == (Expectation(Expected.MENDED, partly_stale=True), ["event"])
    assert only == without_key == (Expectation(Expected.STALE), [])
    assert asked[:2] == [b"k", b"k"]
    customer = json.loads(EXAMPLE.read_text())["data"]["customerIdentifiers"]["customerId"]
    assert asked[2] == str(customer).encode()


async def test_nothing_of_the_customer_s_is_shown_until_it_is_revealed(
    rehearsal: Rehearsal,
) -> None:
    event = json.loads(EXAMPLE.read_text())
    private = sorted(strings(event["data"]) - {"loyalty"})  # which is a field's name too
    found = record()
    letter = Letter(
        source=Position("t", 0, 9), source_timestamp_ms=1, key=b"k", value=found.value, headers=(),
        connector="ours", task_id="0", code=Code.GATE_VIOLATION, class_name="",
        exception_class_name="", message="", stacktrace="", fingerprint="", targets=(),
        event_id=None, event_name=None, schema_id=None, attempts=0, http_status=None,
        xaction_id=None, errors=(), failed_at="", replay_id=None, replay_count=0, version="1",
    )  # fmt: skip

    masked = await show(found, letter, SETTINGS, rehearsal, reveal=False)
    revealed = await show(found, letter, SETTINGS, rehearsal, reveal=True)

    assert len(private) > 5
    said = json.dumps(masked.document())
    assert [value for value in private if f'"{value}"' in said] == []
    assert [entry["verdict"] for entry in masked.today] == ["passes", "passes"]
    assert "<name" not in json.dumps(masked.today)
    told = json.dumps(revealed.event)
    assert [value for value in private if f'"{value}"' not in told] == []


def strings(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {found for inner in value.values() for found in strings(inner)}
    if isinstance(value, list):
        return {found for inner in value for found in strings(inner)}
    return {value} if isinstance(value, str) and value and value.isascii() else set()
