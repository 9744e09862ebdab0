"""Schemas that would hang or kill a naive decoder: refused, and the process lives on."""

import struct
from typing import Any

import httpx
import pytest

NOTHING = "array of nothing (a few bytes that say 2^62 items)"
LIST = "recursive record (6,000 levels in 6 KB)"
HOSTILE: dict[str, tuple[dict[str, Any], bytes]] = {
    NOTHING: (
        {
            "type": "record", "name": "Nothing", "fields": [
                {"name": "items", "type": {"type": "array", "items": "null"}},
            ],
        },
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00",
    ),
    LIST: (
        {
            "type": "record", "name": "Chain", "fields": [
                {"name": "next", "type": ["null", "Chain"]},
            ],
        },
        b"\x02" * 6_000 + b"\x00",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_schema_neither_hangs_nor_kills(
    kind: str, capillary: Any, topic: str, produce: Any, connector: Any, connector_settings: Any,
    registry: Any, arrives: Any, eventually: Any, read_topic: Any,
) -> None:  # fmt: skip
    schema, payload = HOSTILE[kind]
    answer = httpx.post(
        f"{registry.url}/subjects/{topic}-hostile/versions",
        json={"schema": str(schema).replace("'", '"')},
        timeout=60,
        trust_env=False,
    ).raise_for_status()
    value = struct.pack(">xI", answer.json()["id"]) + payload
    records, expected = capillary.records(50)
    running = connector(connector_settings(topic))

    produce(topic, [*records[:25], {"value": value, "key": b"hostile"}, *records[25:]])

    arrives(expected)
    eventually(
        lambda: (
            running.metric("processor_records_dead_lettered_total", code="decode.schema_refused")
            == 1
        )
    )
    assert [letter.value() for letter in read_topic(f"{topic}.dlq")] == [value]
    assert "died" not in running.log.read_text()
