"""Whether librdkafka takes the properties of the settings, asked without connecting to anything."""

import logging
import re
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from processor.errors import Misconfigured
from processor.kafka.clients import (
    admin_properties,
    consumer_properties,
    error_of,
    producer_properties,
)
from processor.settings import KafkaSettings
from processor.telemetry.logs import redact

_NAME = re.compile(r'property:? "([^"]+)"')
_SILENT = logging.getLogger("librdkafka.unconnected")  # not ours: nobody's order raises its level
_SILENT.setLevel(logging.CRITICAL + 1)  # librdkafka warns that there are no brokers


def check_properties(settings: KafkaSettings) -> None:
    """Set up each kind of client that the connector has, without brokers to connect to.

    Raises:
        Misconfigured: librdkafka refuses a property; the key is named, with librdkafka's reason.
    """
    try:
        Consumer(_unconnected(consumer_properties(settings, "check", "check"))).close()
        Producer(_unconnected(producer_properties(settings, "check")))
        AdminClient(_unconnected(admin_properties(settings, "check")))
    except KafkaException as error:
        refused = error_of(error)
        reason = redact(refused.str()) if refused is not None else type(error).__name__
        raise Misconfigured(
            f"{_key(settings, reason)}: librdkafka refuses it: {reason.rstrip('.')}.",
            mend="Correct the property, or leave it out.",
            reason="kafka",
        ) from error


def _unconnected(properties: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in properties.items() if key != "bootstrap.servers"}
    return {**kept, "logger": _SILENT}


def _key(settings: KafkaSettings, reason: str) -> str:
    """The table and key that librdkafka's sentence is about, as far as it names one."""
    tables = {
        "consumer": settings.consumer,
        "producer": settings.producer,
        "properties": settings.properties,
    }
    named = _NAME.search(reason)
    words = {named.group(1)} if named else set(re.findall(r"[a-z0-9_.]+[a-z0-9]", reason))
    for table, properties in tables.items():
        for key in properties:
            if key in words:
                return f"kafka.{table}.{key}"
    return "kafka.properties"
