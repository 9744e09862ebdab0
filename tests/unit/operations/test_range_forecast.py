"""What would come of a range, counted, and how long it takes."""

from typing import Any

import pytest

from processor.connector.passage import Failure, Named, Parcel, Passage
from processor.errors import Code, FilterReason, Refused
from processor.operations.chosen import Chosen
from processor.operations.rehearsal import Rehearsed
from processor.operations.replays.ranges.forecast import Forecast, duration_s
from processor.operations.replays.ranges.manner import Manner
from processor.operations.replays.ranges.pinned import Pinned
from processor.operations.replays.ranges.told import foretold
from processor.record import Message, Record, TopicPartition
from processor.settings import Settings

T0 = TopicPartition("t", 0)


def settings(**delivery: Any) -> Settings:
    target = {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}
    return Settings.model_validate(
        {
            "kafka": {"bootstrap_servers": "b:1"},
            "ims": {"client_id": "c"},
            "delivery": {"messages_per_second": 1000, "requests_per_second": 0, **delivery},
            "experience_platform": {
                "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
                "tenant": "t",
                "targets": {
                    "event": {**target, "ordering": "none"},
                    "loyalty": {**target, "messages_per_second": 10},
                },
            },
        }
    )


def rehearsed(
    *targets: str,
    event: str = "pointsIssued",
    failed: str | None = None,
    stale: tuple[str, ...] = (),
    filtered: FilterReason | None = None,
) -> Rehearsed:
    passage = Passage(Record("t", 0, 1), 0, stale=stale)
    passage.event = Named(event, "e", "1") if event else None
    if failed is not None:
        error = Refused("No.", code=Code.GATE_VIOLATION, pointer="/a")
        passage.failures.append(Failure(failed, error))
    parcels = tuple(Parcel(Message(target, 0, "id", b""), passage) for target in targets)
    return Rehearsed(passage, None, parcels, filtered)


def test_records_and_messages_are_counted_apart() -> None:
    forecast = Forecast()
    for one in (
        rehearsed("event", "loyalty"),
        rehearsed("event", "event", event="CouponIssue"),
        rehearsed("event", stale=("loyalty",)),
        rehearsed("event", failed="loyalty#3"),
        rehearsed("event", failed="loyalty#4"),
        rehearsed(event="", failed=""),
        rehearsed(stale=("loyalty",), filtered=FilterReason.STALE),
        rehearsed(event="", filtered=FilterReason.TOMBSTONE),
    ):
        forecast.count(one)

    document = forecast.document()
    assert (document["records"], document["would_be_sent"]) == (8, 3)
    assert (document["would_be_dead_lettered"], document["would_be_filtered"]) == (3, 2)
    assert document["stale"] == [{"event": "pointsIssued", "target": "loyalty", "count": 2}]
    assert {(r["event"], r["target"]): r["count"] for r in document["messages"]} == {
        ("pointsIssued", "event"): 4,
        ("pointsIssued", "loyalty"): 1,
        ("CouponIssue", "event"): 2,
    }
    fails = {(r["event"], r["target"]): r["count"] for r in document["would_fail"]}
    assert fails == {("pointsIssued", "loyalty"): 2, (None, None): 1}
    assert all(len(row["fingerprint"]) == 12 for row in document["would_fail"])


@pytest.mark.parametrize(
    ("delivery", "messages", "seconds"),
    [
        ({}, {"event": 400}, 2.0),
        ({}, {"event": 400, "loyalty": 40}, 20.0),
        ({"requests_per_second": 1}, {"event": 600}, 10.0),
        ({"messages_per_second": 0}, {"event": 400}, None),
        ({}, {}, 0.0),
    ],
)
def test_the_slowest_of_the_rates_says_how_long_it_takes(
    delivery: dict[str, Any], messages: dict[str, int], seconds: float | None
) -> None:
    forecast = Forecast()
    for target, count in messages.items():
        forecast.messages["pointsIssued", target] += count

    assert duration_s(settings(**delivery), forecast) == seconds


def test_what_is_stale_is_said_first() -> None:
    forecast = Forecast()
    forecast.count(rehearsed("event", stale=("loyalty",)))
    pinned = Pinned(
        {T0: (0, 2)}, Chosen.whole({T0: (0, 2)}), exact=False, keys=0, fields=(), origins={},
        manner=Manner(),
    )  # fmt: skip

    report = foretold(pinned, None, forecast, settings())

    assert "stale: pointsIssued is not sent to loyalty" in report.lines[0]
    assert next(iter(report.document)) == "execute"
    assert list(report.document)[1] == "stale"
    assert report.document["no_longer_there"] == 1
