"""The settings as Kafka Connect shows a connector's configuration: names and texts, masked."""

from collections.abc import Iterator, Mapping
from typing import Any

from processor.settings import Settings, masked
from processor.telemetry.logs import redact

CONNECTOR_CLASS = "processor.CapillaryAepSinkConnector"
TASK_CLASS = "processor.connector.task.Task"
CLASS_KEY = "connector.class"

CONNECTS_NAMES = {
    "tasks.max": "tasks_max",
    "topics": "kafka.topics",
    "topics.regex": "kafka.topics_regex",
    "errors.deadletterqueue.topic.name": "errors.deadletterqueue_topic_name",
    "errors.deadletterqueue.topic.replication.factor": (
        "errors.deadletterqueue_topic_replication_factor"
    ),
}
"""Connect's names for settings of ours; ``name`` and ``errors.tolerance`` are called alike."""


def configuration_of(settings: Settings) -> dict[str, str]:
    """Every setting that has a value, by its dotted name, and before them by Connect's own."""
    ours = flat(masked(settings))
    connects = {name: ours[our] for name, our in CONNECTS_NAMES.items() if ours.get(our)}
    return {CLASS_KEY: CONNECTOR_CLASS, **connects, **ours}


def flat(tables: Mapping[str, Any]) -> dict[str, str]:
    """Tables as dotted keys and texts; what has no value is left out."""
    return dict(_flat("", tables))


def _flat(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(f"{name}.", value)
        elif value is not None:
            yield name, redact(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value)
