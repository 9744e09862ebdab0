"""Events flow: from a real topic, through the real registry, to the simulator, each once."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
TIMES = {"timestamp", "createdDate", "asOf", "enteredAt", "issuedAt"}


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}/{key}")]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, f"{path}/*")]
    return [(path, value)]


def test_every_good_event_arrives_once_at_each_of_its_targets(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    arrives: Any, balanced: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    records, expected = capillary.records(1_000)
    produce(topic, records)

    running = connector(connector_settings(topic))

    arrives(expected)
    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    assert balanced(running)
    assert running.metric("processor_records_consumed_total") == len(records)
    assert running.metric("processor_token_refresh_total", outcome="bought") == 1
    assert running.metric("processor_requests_total") > 1


def test_every_message_is_whole(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any,
) -> None:  # fmt: skip
    records, expected = capillary.records(300)
    settings = connector_settings(topic)
    targets = settings["experience_platform"]["targets"]
    for name in targets:
        targets[name]["flow_id"] = f"flow-of-{name}"
    produce(topic, records)

    connector(settings)

    arrives(expected)
    for received in simulator.accepted():
        message, target = received["message"], targets[received["inlet"]]
        header, entity = message["header"], message["body"]["xdmEntity"]
        assert header["imsOrgId"] == settings["experience_platform"]["org_id"]
        assert header["datasetId"] == target["dataset_id"]
        assert header["flowId"] == target["flow_id"]
        assert header["schemaRef"]["id"] == target["schema_id"]
        assert message["body"]["xdmMeta"]["schemaRef"] == header["schemaRef"]
        assert entity["_id"] in expected[received["inlet"]]
        identities = [item for items in entity["identityMap"].values() for item in items]
        assert [item["primary"] for item in identities].count(True) == 1
        assert all(item["id"] for item in identities)
        for path, value in leaves(message):
            assert value is not None, path
            if path.rpartition("/")[2] in TIMES:
                assert RFC3339.fullmatch(value), path
    sandboxes = {
        r["headers"].get("x-sandbox-name") for r in simulator.requests() if r["scope"] == "batch"
    }
    assert sandboxes == {"prod"}


@pytest.mark.parametrize("unit", ["ms", "s"])
def test_a_token_s_life_is_understood_in_milliseconds_and_in_seconds(
    unit: str, capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    simulator.faults(
        [
            {
                "scope": "ims",
                "count": "until_reset",
                "expires_in_unit": unit,
                "token_lifetime_s": 86_400,
            }
        ]
    )
    records, expected = capillary.records(50)
    produce(topic, records)

    running = connector(connector_settings(topic))

    arrives(expected)
    left_s = eventually(lambda: running.metric("processor_token_expires_in_seconds"))
    assert 80_000 < left_s <= 86_400


def test_a_token_is_replaced_before_its_end_while_events_flow(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    # It really ends later, so that a request that was long on its way is not refused.
    simulator.faults(
        [{"scope": "ims", "count": "until_reset", "expires_in": 4, "token_lifetime_s": 12}]
    )
    settings = connector_settings(topic)
    settings["ims"]["refresh_early_s"] = 2
    running = connector(settings)
    expected: dict[str, set[str]] = {}

    for _ in range(6):
        records, more = capillary.records(20)
        for target, ids in more.items():
            expected.setdefault(target, set()).update(ids)
        bought = running.metric("processor_token_refresh_total", outcome="bought")
        produce(topic, records)
        arrives(expected)
        if bought < 3:
            eventually(
                lambda bought=bought: (
                    produce(topic, [capillary.record(_one_more(capillary, expected))])
                    or running.metric("processor_token_refresh_total", outcome="bought") > bought
                ),
                timeout_s=60,
            )
            arrives(expected)

    assert running.metric("processor_token_refresh_total", outcome="bought") >= 3
    assert running.metric("processor_requests_total", status="401") == 0
    assert running.metric("processor_requests_total", status="403") == 0


def _one_more(capillary: Any, expected: dict[str, set[str]]) -> dict[str, Any]:
    event: dict[str, Any] = capillary.events.of("transactionAdded")
    expected.setdefault("event", set()).add(event["eventId"])
    return event


def test_a_topic_without_a_registry_carries_single_objects_and_json(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any, arrives: Any,
    run_cli: Any, broker: Any, tmp_path: Any,
) -> None:  # fmt: skip
    import json

    events = [capillary.events.of("transactionAdded") for _ in range(6)]
    expected = {"event": {event["eventId"] for event in events}}
    avro, text = tmp_path / "avro.json", tmp_path / "text.json"
    avro.write_text(json.dumps(events[:3]))
    text.write_text(json.dumps(events[3:]))
    where = ("--topic", topic, "--bootstrap-servers", broker.bootstrap_servers)

    sent = [
        run_cli("produce", str(avro), "--format", "avro", *where),
        run_cli("produce", str(text), "--format", "json", *where),
    ]
    settings = connector_settings(topic)
    del settings["schema_registry"]
    connector(settings)

    assert [ran.status for ran in sent] == [0, 0], sent
    arrives(expected)


def test_a_partition_that_waits_for_the_set_up_rests_and_the_others_flow(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    make = capillary.events.of
    framed, of_framed = capillary.of(make("transactionAdded") for _ in range(5_000))
    events = [make("transactionAdded") for _ in range(300)]
    _, of_json = capillary.of(events)
    settings = connector_settings(topic)
    registry = settings.pop("schema_registry")
    # At most 4,000 records in flight; and at the stop nobody mends what they wait for.
    settings["delivery"] |= {"max_in_flight": 4, "drain_timeout_s": 1}
    produce(topic, [{**record, "partition": 0} for record in framed])

    running = connector(settings, start=False)
    running.launch()
    eventually(
        lambda: running.readyz()[0] == 503 and "schema_registry.url" in str(running.readyz())
    )
    produce(topic, [{"value": json.dumps(e).encode(), "partition": 1} for e in events])
    arrives(of_json)

    def waiting(partition: str) -> float:
        count: float = running.metric("processor_records_in_flight", partition=partition)
        return count

    eventually(lambda: waiting("0") >= 3_000, what="enough wait")
    eventually(lambda: waiting("1") == 0)
    assert waiting("0") < 5_000, "what was polled before it rested, and no more"
    assert running.metric("processor_records_dead_lettered_total") == 0

    running.stop()
    simulator.reset()
    connector({**settings, "schema_registry": registry})
    arrives(of_framed)
