"""The settings as Kafka Connect shows a connector's configuration: names and texts, masked."""

from collections.abc import Iterator, Mapping
from typing import Any

from processor.settings import Settings, masked
from processor.telemetry.logs import redact

CONNECTOR_CLASS = "processor.CapillaryAepSinkConnector"
TASK_CLASS = "processor.connector.task.Task"


def configuration_of(settings: Settings) -> dict[str, str]:
    """Every setting that has a value, by its dotted name, and Connect's own names before them."""
    kafka = settings.kafka
    topics = {"topics.regex": kafka.topics_regex} if kafka.topics_regex else {}
    connects = topics or {"topics": ",".join(kafka.topics)}
    errors = settings.errors
    retry_ms = -1 if errors.retry_timeout_s < 0 else round(errors.retry_timeout_s * 1000)
    return {
        "connector.class": CONNECTOR_CLASS,
        "name": settings.name,
        "tasks.max": str(settings.tasks_max),
        **connects,
        "errors.retry.timeout": str(retry_ms),
        "errors.retry.delay.max.ms": str(round(errors.retry_delay_max_s * 1000)),
        "errors.deadletterqueue.topic.name": errors.deadletterqueue_topic_name,
        "errors.deadletterqueue.topic.replication.factor": str(
            errors.deadletterqueue_topic_replication_factor
        ),
        "errors.deadletterqueue.context.headers.enable": "true",
        **dict(_flat("", masked(settings))),
    }


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
