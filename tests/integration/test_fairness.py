"""What does not move leaves room: a hot key, or a target in trouble, stops nobody else."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

LONG = "until_reset"
DELIVERY = {"batch_max_records": 50, "max_in_flight": 4, "linger_ms": 20}
"""Of at most 400 records in flight 300 are enough; a poll alone brings up to 500."""

MANY, OTHERS = 4_000, 2_000


def of_customer(events: Iterator[dict[str, Any]], identifiers: Any) -> list[dict[str, Any]]:
    """These events, all of one customer."""
    made = list(events)
    for event in made:
        event["data"]["customerIdentifiers"] = identifiers
    return made


def test_a_partition_full_of_one_hot_key_does_not_starve_the_other(
    topic: str, capillary: Any, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    simulator.faults([{"scope": "batch", "count": LONG, "latency_ms": 100}])
    events = capillary.events
    one_of = (events.of("pointsIssued") for _ in itertools.count())
    hot = of_customer(itertools.islice(one_of, MANY), events.identifiers(9_999))
    others = list(itertools.islice(one_of, OTHERS))
    late = [capillary.record(event) for event in others]
    produce(topic, [capillary.record(event) for event in hot], partition=0)
    running = connector({**connector_settings(topic), "delivery": DELIVERY})
    eventually(lambda: running.metric("processor_records_in_flight") >= 300, what="it is full")

    def came() -> list[str]:
        found = simulator.received(bodies=False)
        return [one["_id"] for one in found if one["accepted"] and one["inlet"] == "loyalty"]

    before = len(came())
    produce(topic, late, partition=1)

    wanted = {event["eventId"] for event in others}
    eventually(lambda: wanted <= set(came()), what="the other partition's arrive")
    order = came()
    last = max(place for place, id_ in enumerate(order) if id_ in wanted)
    assert last + 1 - before < len(others) + MANY / 2, "long before the hot key's"
    assert [id_ for id_ in order if id_ not in wanted] == [
        event["eventId"] for event in hot[: len(order) - len(others)]
    ], "which keep their order"


@pytest.mark.parametrize("fault", [{"status": 404}, {"status": 503}])
def test_a_target_in_trouble_does_not_starve_what_does_not_need_it(
    fault: dict[str, Any], topic: str, capillary: Any, produce: Any, connector: Any,
    connector_settings: Any, simulator: Any, arrives: Any, eventually: Any, balanced: Any,
) -> None:  # fmt: skip
    simulator.faults([{"scope": "batch", "count": LONG, "inlet": "profile", **fault}])
    stuck, for_profile = capillary.of(capillary.events.of("customerAdded") for _ in range(MANY))
    free, for_event = capillary.of(capillary.events.of("transactionAdded") for _ in range(OTHERS))
    running = connector({**connector_settings(topic), "delivery": DELIVERY})
    produce(topic, stuck, partition=0)
    eventually(lambda: running.metric("processor_records_in_flight") >= 300, what="it is full")

    produce(topic, free, partition=1)

    free_ids = for_event["event"]
    eventually(lambda: free_ids <= {one["_id"] for one in simulator.accepted("event")})
    assert running.metric("processor_records_in_flight") < MANY - 500, "the stuck one rests"
    simulator.faults_over()
    arrives({**for_profile, "event": free_ids | for_profile["event"]})
    eventually(lambda: running.metric("processor_records_in_flight") == 0)
    assert running.metric("processor_records_dead_lettered_total") == 0
    assert balanced(running)
