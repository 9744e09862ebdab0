"""The librdkafka properties of a client, merged from the settings, secrets read."""

from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr

from processor.errors import Misconfigured
from processor.settings.models import KafkaSettings
from processor.settings.secrets import SecretValue

OWNED = {
    "bootstrap.servers": "set kafka.bootstrap_servers instead",
    "metadata.broker.list": "set kafka.bootstrap_servers instead",
    "group.id": "set kafka.group_id instead",
    "auto.offset.reset": "set kafka.auto_offset_reset instead",
    "enable.auto.commit": "leave it out: the connector commits what has ended, and nothing else",
    "auto.commit.enable": "leave it out: the connector commits what has ended, and nothing else",
    "enable.auto.offset.store": "leave it out: the connector commits what has ended",
}
"""Properties that the connector sets itself, each with what to do instead."""

TALKATIVE = frozenset({"all", "security", "msg", "protocol"})
"""Words of librdkafka's ``debug`` that would write passwords or records into the log."""

_FILE = "_file"


def client_properties(
    settings: KafkaSettings, kind: Literal["consumer", "producer", "admin"]
) -> dict[str, Any]:
    """The dictionary for a confluent-kafka client of this kind.

    ``[kafka.properties]`` are for every client; ``[kafka.consumer]`` and ``[kafka.producer]``
    come over them for theirs. ``"sasl.password_file"`` becomes ``sasl.password``.

    Raises:
        Misconfigured: a property is the connector's own, is given twice, or its file is unreadable.
    """
    own = {"consumer": settings.consumer, "producer": settings.producer, "admin": {}}[kind]
    return {
        **_read("kafka.properties", settings.properties),
        **_read(f"kafka.{kind}", own),
        "bootstrap.servers": settings.bootstrap_servers,
    }


def _read(table: str, properties: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for name, value in properties.items():
        target = name.removesuffix(_FILE)
        if target in OWNED:
            raise Misconfigured(
                f"{table}.{name} belongs to the connector.", mend=_sentence(OWNED[target])
            )
        if target in read:
            raise Misconfigured(
                f"{table}.{target} is given twice.", mend=f"Keep it or {target}{_FILE}."
            )
        read[target] = _value(f"{table}.{target}", value, from_file=name != target)
    return read


def _value(key: str, value: Any, *, from_file: bool) -> Any:
    if from_file:
        return SecretValue(None, Path(str(value)), key=key).read()
    if isinstance(value, SecretStr):
        return SecretValue(value, None, key=key).read()
    return value


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
