"""What a connector logs while records flow, fail and wait: who speaks, how bad, no record alone."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

LEVELS = {"info", "warning", "error"}


def test_a_line_says_who_speaks_and_how_bad_it_is_and_no_record_has_a_line_of_its_own(
    capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Callable[..., Any],
) -> None:  # fmt: skip
    good, _ = capillary.records(400)
    garbage = [{"key": b"k", "value": b"\xff%d" % number} for number in range(400)]
    tombstones = [{"key": b"k", "value": None}] * 400
    simulator.faults([{"scope": "batch", "count": 2, "status": 503}])
    settings = connector_settings(topic)
    settings["tasks_max"] = 2
    produce(
        topic, [each for three in zip(good, garbage, tombstones, strict=True) for each in three]
    )

    running = connector(settings)
    eventually(lambda: running.metric("processor_records_delivered_total") == len(good))
    eventually(lambda: running.metric("processor_records_dead_lettered_total") == len(garbage))
    assert running.stop() == 0

    lines = [json.loads(line) for line in running.log.read_text().splitlines()]
    assert len(lines) < 60
    for line in lines:
        assert {"timestamp", "level", "logger", "message"} <= set(line), line
        assert line["level"] in LEVELS
        assert line["logger"].startswith("processor.")
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None
        # Our own are sentences; librdkafka's are as they are.
        assert line["message"].endswith(".") or line["logger"] == "processor.kafka.librdkafka"
    of_tasks = [line for line in lines if line["logger"] == "processor.connector.task"]
    assert of_tasks
    assert {line["task"] for line in of_tasks} <= {0, 1}
    told = [line["message"] for line in lines]
    assert told.count("The connector starts.") == told.count("The connector stopped.") == 1
    paused = [line for line in lines if line["message"].startswith("Paused")]
    assert {(line["level"], line["reason"]) for line in paused} == {
        ("warning", "experience_platform")
    }
    waits = len([line for line in lines if line["message"] == "Resumed."])
    assert waits == len(paused)
