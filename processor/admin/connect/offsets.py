"""``/connectors/{connector}/offsets``: read at any time, changed while the connector is stopped."""

import re
from functools import partial
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from processor.admin.access import Need
from processor.admin.answers import answer
from processor.admin.blocking import Blocking
from processor.admin.connect.connectors import find
from processor.admin.connect.kafka import Kafka
from processor.admin.forms import json_of
from processor.admin.routes import AdminRoute
from processor.connector.status import ConnectorState, Worker
from processor.errors import Misconfigured
from processor.record import TopicPartition

Wanted = dict[TopicPartition, int | None]

LARGEST = 2**63 - 1
_NUMBER = re.compile(r"[+-]?[0-9]{1,19}")

NOTHING = "Partitions / offsets need to be provided for an alter offsets request"
NO_PARTITION = "The partition for a sink connector offset cannot be null or missing"
PARTITION_KEYS = (
    "The partition for a sink connector offset must contain the keys 'kafka_topic' and "
    "'kafka_partition'"
)
NO_TOPIC = "Kafka topic names must be valid strings and may not be null"
OFFSET_KEY = (
    "The offset for a sink connector should either be null or contain the key 'kafka_offset'"
)
NOT_STOPPED = (
    "Connectors must be in the STOPPED state before their offsets can be modified. This can be "
    "done for the specified connector by issuing a 'PUT' request to the '/connectors/{}/stop' "
    "endpoint"
)
ALTERED = "The offsets for this connector have been altered successfully"
RESET = "The offsets for this connector have been reset successfully"


class Offsets:
    """Connect's resource of that path; its sentences are Connect's."""

    def __init__(self, worker: Worker, name: str, kafka: Kafka, blocking: Blocking) -> None:
        self._worker = worker
        self._name = name
        self._kafka = kafka
        self._blocking = blocking

    def routes(self) -> list[AdminRoute]:
        """What can be asked for, and who may."""
        path = "/connectors/{connector}/offsets"
        return [
            AdminRoute("GET", path, Need.LOOK, self._get),
            AdminRoute("PATCH", path, Need.ADMIN, self._alter),
            AdminRoute("DELETE", path, Need.ADMIN, self._reset),
        ]

    async def _get(self, request: Request) -> Response:
        find(request, self._name)
        committed = await self._blocking.run(self._kafka.committed)
        return answer({"offsets": [_entry(*found) for found in committed.items()]})

    async def _alter(self, request: Request) -> Response:
        wanted = wanted_in(await json_of(request))
        self._find_stopped(request)
        try:
            await self._blocking.run(partial(self._kafka.alter, wanted))
        except Misconfigured as error:
            if error.reason == "settings":  # what was asked for, not what Kafka refuses us
                raise HTTPException(400, str(error)) from error
            raise
        return answer({"message": ALTERED})

    async def _reset(self, request: Request) -> Response:
        self._find_stopped(request)
        await self._blocking.run(self._kafka.forget)
        return answer({"message": RESET})

    def _find_stopped(self, request: Request) -> None:
        find(request, self._name)
        if self._worker.status().state is not ConnectorState.STOPPED:
            raise HTTPException(400, NOT_STOPPED.format(self._name))


def wanted_in(body: Any) -> Wanted:
    """What a body of Connect's form asks for; of a partition that is there twice, the last counts.

    Raises:
        HTTPException: 400, it has another form.
    """
    if body is not None and not isinstance(body, dict):
        raise HTTPException(400, 'Give {"offsets": [{"partition": …, "offset": …}]}.')
    body = body or {}
    if unknown := sorted(body.keys() - {"offsets"}):
        raise HTTPException(400, f"Unrecognized field {unknown[0][:100]!r}; known is 'offsets'.")
    entries = body.get("offsets")
    if entries is not None and not isinstance(entries, list):
        raise HTTPException(400, "offsets has to be a list.")
    if not entries:
        raise HTTPException(400, NOTHING)
    return dict(_wanted(entry) for entry in entries)


def _wanted(entry: Any) -> tuple[TopicPartition, int | None]:
    if not isinstance(entry, dict):
        raise HTTPException(400, "Each of the offsets has to be an object.")
    partition, offset = entry.get("partition"), entry.get("offset")
    if not isinstance(partition, dict):
        raise HTTPException(400, NO_PARTITION)
    if not partition.keys() >= {"kafka_topic", "kafka_partition"}:
        raise HTTPException(400, PARTITION_KEYS)
    topic = partition["kafka_topic"]
    if not isinstance(topic, str) or not topic:
        raise HTTPException(400, NO_TOPIC)
    number = _number(partition["kafka_partition"], "partition", "Partition")
    if offset is None:
        return TopicPartition(topic, number), None
    if not isinstance(offset, dict) or "kafka_offset" not in offset:
        raise HTTPException(400, OFFSET_KEY)
    return TopicPartition(topic, number), _number(offset["kafka_offset"], "offset", "Offset")


def _number(value: Any, what: str, begin: str) -> int:
    """A number from 0, also as text, as Connect takes it."""
    text = str(value)[:100]
    if isinstance(value, bool | float) or not _NUMBER.fullmatch(text):
        raise HTTPException(
            400,
            f"Failed to parse the following Kafka {what} value in the provided offsets: '{text}'. "
            f"{begin} values for sink connectors need to be integers.",
        )
    if not 0 <= int(text) <= LARGEST:
        raise HTTPException(400, f"A Kafka {what} is a number from 0; {text} is none.")
    return int(text)


def _entry(partition: TopicPartition, offset: int) -> dict[str, Any]:
    return {
        "partition": {"kafka_topic": partition.topic, "kafka_partition": partition.partition},
        "offset": {"kafka_offset": offset},
    }
