"""``/metrics`` of a running connector, against the list of what is promised."""

import os
import signal
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.exported import PROMISED
from tests.integration.process_tree import tasks


def scrape(running: Any) -> httpx.Response:
    return httpx.get(f"{running.url}/metrics", timeout=60, trust_env=False)


def scraped(text: str) -> dict[str, tuple[str, tuple[str, ...] | None]]:
    """Type and labels by name as Prometheus reads them; `None` where there is no sample yet."""
    found: dict[str, tuple[str, tuple[str, ...] | None]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples}
        assert len(labels) <= 1, name
        found[name] = (family.type, labels.pop() if labels else None)
    return found


def test_every_promised_metric_is_there_with_its_type_and_labels(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    records, _ = capillary.records(100)
    tombstone, garbage = {"key": b"k", "value": None}, {"key": b"k", "value": b"\xff"}
    simulator.faults([{"scope": "batch", "count": 2, "status": 503}])
    produce(topic, [*records, tombstone, garbage])

    running = connector(connector_settings(topic))

    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    eventually(lambda: running.metric("processor_records_dead_lettered_total") == 1)
    eventually(lambda: running.metric("processor_commits_total") >= 1)
    # Kafka is asked how far it is once a second.
    eventually(lambda: "\nprocessor_consumer_lag{" in scrape(running).text)
    answer = scrape(running)
    found = scraped(answer.text)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found.keys() == PROMISED.keys()
    assert {name: kind for name, (kind, _) in found.items()} == {
        name: kind for name, (kind, _) in PROMISED.items()
    }
    without_samples = {name for name, (_, labels) in found.items() if labels is None}
    assert without_samples == {"processor_records_released_total"}  # nothing was given back
    assert {name: labels for name, (_, labels) in found.items() if labels is not None} == {
        name: tuple(sorted(labels))
        for name, (_, labels) in PROMISED.items()
        if name not in without_samples
    }


def test_what_is_given_back_unended_is_counted_with_its_reason(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    records, _ = capillary.records(20)
    simulator.faults([{"scope": "batch", "status": 503, "count": "until_reset"}])
    running = connector(connector_settings(topic))

    produce(topic, records)
    eventually(lambda: running.metric("processor_records_in_flight") == len(records))
    (task,) = tasks(running.pid)
    os.kill(task, signal.SIGKILL)

    eventually(lambda: running.metric("processor_records_released_total") > 0)
    found = scraped(scrape(running).text)
    assert found["processor_records_released_total"][1] == ("partition", "reason", "topic")
