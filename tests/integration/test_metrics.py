"""``/metrics`` of a running connector, against the list of what is promised."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from processor.schemas.folder import builtin_directory
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
    unmapped = {"key": b"k", "value": b'{"eventName": "groupCreated"}'}
    simulator.faults([{"scope": "batch", "count": 2, "status": 503}])
    produce(topic, [*records, tombstone, garbage, unmapped])

    running = connector(connector_settings(topic))

    eventually(lambda: running.metric("processor_records_delivered_total") == len(records))
    eventually(lambda: running.metric("processor_records_dead_lettered_total") == 1)
    eventually(lambda: running.metric("processor_commits_total") >= 1)
    eventually(lambda: running.metric("processor_unmapped_events_total") == 1)
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
    assert without_samples == {
        "processor_records_released_total",  # nothing was given back
        "processor_mapping_failures_total",  # mapping.mode is strict
    }
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


def test_rules_that_give_null_in_lenient_mode_are_counted_by_their_row(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    eventually: Callable[..., Any], tmp_path: Path,
) -> None:  # fmt: skip
    settings, schemas = connector_settings(topic), tmp_path / "schemas"
    settings["mapping"] = {"mode": "lenient"}
    settings["schemas"] = {"directory": str(schemas)}
    for name in ("common", "pointsIssued"):
        shutil.copytree(builtin_directory() / name, schemas / name)
    rules = schemas / "pointsIssued" / "to-loyalty.json"
    mapped = json.loads(rules.read_text())
    (row,) = (n for n, rule in enumerate(mapped["mappings"], 1) if rule["source"] == "orgId")
    failing = {"sourceType": "EXPRESSION", "source": "to_integer(eventName)"}
    mapped["mappings"][row - 1] |= failing
    rules.write_text(json.dumps(mapped))
    produce(topic, [capillary.record(capillary.events.of("pointsIssued")) for _ in range(30)])

    running = connector(settings)

    eventually(lambda: running.metric("processor_records_delivered_total") == 30)
    rule = {"event": "pointsIssued", "target": "loyalty", "row": str(row)}
    assert running.metric("processor_mapping_failures_total", **rule) == 30
    found = scraped(scrape(running).text)
    assert found["processor_mapping_failures_total"] == ("counter", ("event", "row", "target"))
