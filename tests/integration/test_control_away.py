"""The state topic cannot be used: records flow, orders are refused, and the way back is short."""

from typing import Any

import httpx
from confluent_kafka import Producer
from confluent_kafka.admin import AclOperation, ResourceType

RECORDS = 300
ALL = [AclOperation.READ, AclOperation.DESCRIBE, AclOperation.WRITE, AclOperation.CREATE]


def put(worker: Any, order: str) -> httpx.Response:
    url = f"{worker.url}/connectors/{worker.settings['name']}/{order}"
    return httpx.put(url, timeout=60, trust_env=False)


def status(worker: Any) -> dict[str, Any]:
    url = f"{worker.url}/connectors/{worker.settings['name']}/status"
    told: dict[str, Any] = httpx.get(url, timeout=30, trust_env=False).json()
    return told


def test_without_the_state_topic_records_flow_and_orders_are_refused(
    guarded: Any, as_alice: Any, capillary: Any, topic: str, connector: Any, simulator: Any,
    arrives: Any, eventually: Any,
) -> None:  # fmt: skip
    settings = as_alice(guarded.broker.create_topic(topic, partitions=2))
    name = settings["name"]
    guarded.grant(ResourceType.TOPIC, topic, [AclOperation.READ, AclOperation.DESCRIBE])
    guarded.grant(ResourceType.GROUP, f"connect-{name}", [AclOperation.READ])
    records, expected = capillary.records(RECORDS)
    producer = Producer({"bootstrap.servers": guarded.broker.direct_servers})
    for record in records:
        producer.produce(topic, **record)
    assert producer.flush(30) == 0

    worker = connector(settings)
    arrives(expected)

    refused = put(worker, "pause")
    assert refused.status_code in {500, 503}
    assert refused.json()["error_code"] == refused.status_code
    assert f"{name}.state" in refused.text
    assert status(worker)["connector"]["state"] == "RUNNING"
    assert [task["state"] for task in status(worker)["tasks"]] == ["RUNNING"]
    assert worker.readyz()[0] == 200
    eventually(lambda: "for now; records flow all the same" in worker.log.read_text())
    log = worker.log.read_text()
    assert log.count("Orders and other workers are not heard of for now") <= 1
    assert log.count("This worker cannot tell of itself for now") <= 1

    guarded.grant(ResourceType.TOPIC, f"{name}.state", ALL)
    eventually(lambda: put(worker, "pause").status_code == 202, what="orders are taken again")

    eventually(lambda: status(worker)["connector"]["state"] == "PAUSED")
    eventually(lambda: [task["state"] for task in status(worker)["tasks"]] == ["PAUSED"])
    assert worker.stop() == 0
    worker.launch()
    eventually(lambda: "paused" in str(worker.readyz()[1]), what="it begins paused")
    assert put(worker, "resume").status_code == 202
    eventually(lambda: worker.readyz()[0] == 200)
