"""The same requests to Apache Kafka's own Connect and to ours: status codes, bodies, sentences."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import ConsumerGroupState

from processor.local.broker import Broker
from tests.integration.connect_requests import (
    ANY,
    DIFFERENCES,
    JSON,
    OTHER_WORDS,
    STEPS,
    Step,
)
from tests.rig.kafka_connect import KafkaConnect, connect_jars

TOKEN = "comparison-canary-token-0123456789"
Ways = Mapping[str, str]


class Side:
    """One of the two, and how it calls things."""

    def __init__(self, url: str, group: str, names: Ways, headers: Mapping[str, str]) -> None:
        self.group = group
        self._names = names
        self.client = httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)

    def ask(self, step: Step) -> httpx.Response:
        content = None
        if step.body is not None:
            text = step.body if isinstance(step.body, str) else json.dumps(step.body)
            content = self._filled(text)
        headers = dict(step.headers) or (JSON if content is not None else {})
        return self.client.request(
            step.method, self._filled(step.path), content=content, headers=headers
        )

    def is_so(self, step: Step) -> bool:
        """Whether the connector and its tasks are as they should be after this step."""
        answer = self.client.get("/connectors/ours/status")
        if answer.is_error:
            return False
        status = answer.json()
        tasks = {task["state"] for task in status["tasks"]}
        if step.tasks == ANY:
            tasks = {ANY}
        wanted = {step.tasks} if step.tasks else set()
        return (status["connector"]["state"], tasks) == (step.state, wanted)

    def _filled(self, text: str) -> str:
        for name, value in self._names.items():
            text = text.replace(f"{{{name}}}", value)
        return text


@pytest.fixture
def theirs(broker: Broker, tmp_path: Path, topic: str) -> Iterator[Side]:
    with KafkaConnect(connect_jars(), broker, tmp_path / "connect") as running:
        names = {
            "plugin": "FileStreamSink",
            "topic": topic,
            "logger": "org.apache.kafka.connect.runtime.WorkerSinkTask",
        }
        side = Side(running.url, "connect-ours", names, {})
        config = {
            "connector.class": "FileStreamSink",
            "topics": topic,
            "tasks.max": "2",
            "file": str(tmp_path / "sink.txt"),
        }
        answer = side.client.post("/connectors", json={"name": "ours", "config": config})
        assert answer.status_code == httpx.codes.CREATED
        yield side
        side.client.close()


@pytest.fixture
def ours(
    connector_settings: Callable[..., dict[str, Any]],
    connector: Callable[..., Any],
    tmp_path: Path,
    topic: str,
    canary: Any,
) -> Iterator[Side]:
    token_file = tmp_path / "admin_token"
    token_file.write_text(canary.watch_for(TOKEN))
    token_file.chmod(0o600)
    settings = connector_settings(topic)
    settings |= {"name": "ours", "tasks_max": 2, "admin": {"token_file": str(token_file)}}
    group = f"ours-{topic}"  # by default it would be called as theirs is
    settings["kafka"]["group_id"] = group
    running = connector(settings)
    names = {"plugin": "CapillaryAepSink", "topic": topic, "logger": "processor.kafka.source"}
    side = Side(running.url, group, names, {"authorization": f"Bearer {TOKEN}"})
    yield side
    side.client.close()


Shape = dict[str, Any] | frozenset[str]
"""What a value can be: of an object, the shape of each key; else the names of its types."""


def shape(value: Any, *, free: bool = False) -> Any:
    """The shape of a JSON value; of a list, that of all its items together.

    Args:
        value: as decoded.
        free: its keys are each one's own; what stands under them has one shape.
    """
    if isinstance(value, dict):
        if free:
            return {"*": together([shape(inner) for inner in value.values()])}
        return {key: shape(inner, free=key == "config") for key, inner in value.items()}
    if isinstance(value, list):
        return {"[]": together([shape(item) for item in value])}
    return frozenset({type(value).__name__})


def together(shapes: list[Any]) -> Any:
    """One shape for all of them; nothing when there are none."""
    tables = [one for one in shapes if isinstance(one, dict)]
    if tables and len(tables) == len(shapes):
        keys = {key for one in tables for key in one}
        return {key: together([one[key] for one in tables if key in one]) for key in keys}
    return frozenset().union(*(one for one in shapes if isinstance(one, frozenset)))


def fits(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Where a shape of ours has other keys or types than theirs; an empty list fits any."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found = [f"{where}.{key}: only ours" for key in ours.keys() - theirs.keys()]
        found += [f"{where}.{key}: only theirs" for key in theirs.keys() - ours.keys()]
        for key in ours.keys() & theirs.keys():
            found += fits(ours[key], theirs[key], f"{where}.{key}")
        return found
    if frozenset() in {_types(ours), _types(theirs)}:
        return []
    if isinstance(ours, frozenset) and isinstance(theirs, frozenset) and ours <= theirs:
        return []
    return [f"{where}: {ours}, not {theirs}"]


def _types(shape: Any) -> frozenset[str] | None:
    return shape if isinstance(shape, frozenset) else None


def compared(step: Step, ours: httpx.Response, theirs: httpx.Response) -> list[str]:
    """What is different and should not be."""
    difference = DIFFERENCES.get(step.name)
    expected = (
        (difference.ours, difference.theirs)
        if difference
        else (theirs.status_code, theirs.status_code)
    )
    if (ours.status_code, theirs.status_code) != expected:
        return [f"status {ours.status_code}, not {theirs.status_code}: {ours.text[:300]}"]
    if difference is not None:
        if ours.json().keys() != {"error_code", "message"}:
            return ["no error of Connect's shape"]
        return []
    if not theirs.content or not ours.content:
        return [] if ours.content == theirs.content else [f"body: {ours.text[:300]}"]
    one, other = ours.json(), theirs.json()
    if ours.is_error and step.name not in OTHER_WORDS:
        return [] if one == other else [f"{one}, not {other}"]
    free = step.path.endswith(("/ours/config", "/loggers"))
    return fits(shape(one, free=free), shape(other, free=free))


@pytest.fixture
def is_settled(broker: Broker) -> Callable[[Side, Step], bool]:
    """``is_settled(side, step)``: whether its consumer group is as its connector says it is.

    States are told before they are reached, by both; and a member that leaves in the middle of a
    rebalance is believed to be there until its session ends.
    """
    admin = broker.admin()

    def ask(side: Side, step: Step) -> bool:
        group = admin.describe_consumer_groups([side.group])[side.group].result()
        if step.state == "STOPPED":
            return group.state is ConsumerGroupState.EMPTY
        held = [len(member.assignment.topic_partitions) for member in group.members]
        return step.tasks == ANY or (group.state is ConsumerGroupState.STABLE and held == [1, 1])

    return ask


def test_they_answer_alike(
    ours: Side,
    theirs: Side,
    capillary: Any,
    produce: Callable[..., None],
    topic: str,
    is_settled: Callable[[Side, Step], bool],
    eventually: Callable[..., Any],
) -> None:
    records, _ = capillary.records(20)
    produce(topic, records)
    running = Step("GET", "/", state="RUNNING", tasks="RUNNING")
    for side in (ours, theirs):
        eventually(
            lambda side=side: side.is_so(running) and is_settled(side, running), what="both run"
        )
        eventually(
            lambda side=side: side.client.get("/connectors/ours/offsets").json()["offsets"],
            what="both have committed",
        )

    found: dict[str, list[str]] = {}
    for number, step in enumerate(STEPS):
        if problems := compared(step, ours.ask(step), theirs.ask(step)):
            found[f"{number}: {step.name}"] = problems
        for side in (ours, theirs) if step.state else ():
            eventually(
                lambda side=side, step=step: side.is_so(step) and is_settled(side, step),
                what=f"{number}: {step.name}, at {side.group}",
            )

    assert not found, "\n".join(f"{name}\n    {problems}" for name, problems in found.items())


def test_what_fits() -> None:
    body = {"tasks": [{"id": 1, "trace": None}, {"id": 2, "trace": "x"}], "config": {"a": "b"}}

    assert fits(shape(body), shape(body)) == []
    assert fits(shape({**body, "tasks": []}), shape(body)) == []
    assert fits(shape({**body, "config": {"c": "d"}}), shape(body)) == []
    assert fits(shape({**body, "config": {"a": 1}}), shape(body)) != []
    assert fits(shape({**body, "tasks": [{"id": "1", "trace": None}]}), shape(body)) != []
    assert fits(shape({**body, "tasks": [{"id": 1}]}), shape(body)) != []
    assert fits(shape({**body, "more": 1}), shape(body)) != []
    assert fits(shape([]), shape({})) != []


def test_every_difference_is_of_a_request_that_is_sent() -> None:
    names = [step.name for step in STEPS]

    assert DIFFERENCES.keys() | OTHER_WORDS <= set(names)
