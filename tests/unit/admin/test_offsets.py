from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest

from processor.connector.status import ConnectorState
from processor.errors import Misconfigured, TryAgain
from processor.record import TopicPartition

OFFSETS = "/connectors/ours/offsets"
NOTHING = "Partitions / offsets need to be provided for an alter offsets request"


@pytest.fixture
async def client(
    ask: Callable[..., httpx.AsyncClient], token_files: Any, worker: Any
) -> AsyncIterator[httpx.AsyncClient]:
    worker.state, worker.tasks = ConnectorState.STOPPED, ()
    async with ask(**token_files) as opened:
        opened.headers["authorization"] = "Bearer admin-token-0123456789"
        yield opened


def entry(topic: Any = "events", partition: Any = 0, offset: Any = 3) -> dict[str, Any]:
    return {
        "partition": {"kafka_topic": topic, "kafka_partition": partition},
        "offset": {"kafka_offset": offset},
    }


async def test_offsets_are_read_at_any_time(client: httpx.AsyncClient, worker: Any) -> None:
    worker.state = ConnectorState.RUNNING

    answer = await client.get(OFFSETS)

    assert (answer.status_code, answer.json()) == (
        200,
        {"offsets": [entry(offset=7), entry(partition=1, offset=0)]},
    )


async def test_offsets_are_set_and_forgotten(client: httpx.AsyncClient, kafka: Any) -> None:
    forgotten = {"partition": {"kafka_topic": "events", "kafka_partition": 1}, "offset": None}
    body = {"offsets": [entry(offset=1), entry(partition="0", offset="3"), forgotten]}

    altered = await client.patch(OFFSETS, json=body)
    reset = await client.delete(OFFSETS)

    assert (altered.status_code, altered.json()["message"]) == (
        200,
        "The offsets for this connector have been altered successfully",
    )
    assert (reset.status_code, reset.json()["message"]) == (
        200,
        "The offsets for this connector have been reset successfully",
    )
    assert kafka.told == [
        {TopicPartition("events", 0): 3, TopicPartition("events", 1): None},
        "forget",
    ]


@pytest.mark.parametrize("state", [ConnectorState.RUNNING, ConnectorState.PAUSED])
async def test_offsets_are_changed_only_while_stopped(
    state: ConnectorState, client: httpx.AsyncClient, worker: Any, kafka: Any
) -> None:
    worker.state = state

    answers = [
        await client.patch(OFFSETS, json={"offsets": [entry()]}),
        await client.delete(OFFSETS),
    ]

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("Connectors must be in the STOPPED state")
        assert "'/connectors/ours/stop'" in answer.json()["message"]
    assert kafka.told == []


KEYS = (
    "The partition for a sink connector offset must contain the keys 'kafka_topic' and "
    "'kafka_partition'"
)
WRONG: list[tuple[Any, str]] = [
    ({}, NOTHING),
    ({"offsets": []}, NOTHING),
    ({"offsets": None}, NOTHING),
    ([1], "Give "),
    ({"offsets": 1}, "offsets has to be a list."),
    ({"offsets": [entry()], "x": 1}, "Unrecognized field 'x'"),
    ({"offsets": [1]}, "Each of the offsets has to be an object."),
    ({"offsets": [{}]}, "The partition for a sink connector offset cannot be null or missing"),
    ({"offsets": [{"partition": {"kafka_topic": "events"}}]}, KEYS),
    ({"offsets": [entry(topic=None)]}, "Kafka topic names must be valid strings"),
    ({"offsets": [entry(partition="x")]}, "Failed to parse the following Kafka partition value"),
    ({"offsets": [entry(offset="abc")]}, "Failed to parse the following Kafka offset value"),
    ({"offsets": [entry(offset=True)]}, "Failed to parse"),
    ({"offsets": [entry(offset=1.5)]}, "Failed to parse"),
    ({"offsets": [entry(offset=[])]}, "Failed to parse"),
    ({"offsets": [entry(offset=-3)]}, "A Kafka offset is a number from 0"),
    ({"offsets": [entry(offset=2**63)]}, "A Kafka offset is a number from 0"),
    ({"offsets": [entry(offset="9" * 5000)]}, "Failed to parse"),
    (
        {"offsets": [{**entry(), "offset": {"other": 1}}]},
        "The offset for a sink connector should either be null or contain the key 'kafka_offset'",
    ),
]


@pytest.mark.parametrize(("body", "message"), WRONG)
async def test_a_body_of_another_form(
    body: Any, message: str, client: httpx.AsyncClient, kafka: Any
) -> None:
    headers = {"content-type": "application/json"}
    answer = await client.patch(OFFSETS, content=orjson.dumps(body), headers=headers)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith(message)
    assert len(answer.content) < 1000
    assert kafka.told == []


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"x", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"", "application/json", 400),
    ],
)
async def test_what_is_no_json(
    content: bytes, kind: str, status: int, client: httpx.AsyncClient
) -> None:
    answer = await client.patch(OFFSETS, content=content, headers={"content-type": kind})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Misconfigured("Topic nope does not exist."), 400),
        (Misconfigured("Kafka refuses us.", reason="kafka"), 500),
        (TryAgain("Somebody is in the group.", reason="kafka"), 500),
    ],
)
async def test_what_kafka_does_not_do(
    fault: Exception, status: int, client: httpx.AsyncClient, kafka: Any
) -> None:
    kafka.fault = fault

    answer = await client.patch(OFFSETS, json={"offsets": [entry()]})

    assert (answer.status_code, answer.json()["message"]) == (status, str(fault))


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_connector(method: str, client: httpx.AsyncClient, kafka: Any) -> None:
    body = {"offsets": [entry()]}
    answer = await client.request(method, "/connectors/nobody/offsets", json=body)

    assert (answer.status_code, answer.json()["message"]) == (404, "Connector nobody not found")
    assert kafka.told == []


async def test_topics_and_their_reset(client: httpx.AsyncClient, worker: Any) -> None:
    name = "processor_records_consumed_total"
    worker.text = (
        f"# TYPE {name} counter\n"
        f'{name}{{topic="b",partition="0"}} 2\n{name}{{topic="a",partition="0"}} 1\n'
        f'{name}{{topic="none",partition="0"}} 0\n'
    ).encode()
    before = (await client.get("/connectors/ours/topics")).json()
    reset = await client.put("/connectors/ours/topics/reset")
    after = (await client.get("/connectors/ours/topics")).json()
    worker.text = worker.text.replace(b" 2\n", b" 3\n")
    later = (await client.get("/connectors/ours/topics")).json()

    assert before == {"ours": {"topics": ["a", "b"]}}
    assert (reset.status_code, reset.content) == (202, b"")
    assert after == {"ours": {"topics": []}}
    assert later == {"ours": {"topics": ["b"]}}
