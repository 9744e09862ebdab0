"""The same requests to Apache Kafka's own Connect and to ours: status codes, bodies, sentences."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.local.broker import Broker
from tests.integration.connect_requests import (
    DIFFERENCES,
    JSON,
    OTHER_WORDS,
    STEPS,
    Step,
)
from tests.integration.kafka_connect import KafkaConnect, connect_jars

FREE = {"config": ("key", "value")}
TOKEN = "comparison-canary-token-0123456789"
Ways = Mapping[str, str]


class Side:
    """One of the two, and how it calls things."""

    def __init__(self, url: str, names: Ways, headers: Mapping[str, str]) -> None:
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
        status = self.client.get("/connectors/ours/status").json()
        tasks = {task["state"] for task in status["tasks"]}
        wanted = {step.tasks} if step.tasks else set()
        return status["connector"]["state"] == step.state and tasks == wanted

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
        side = Side(running.url, names, {})
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
    settings["kafka"]["group_id"] = f"ours-{topic}"  # theirs is called as ours is by default
    running = connector(settings)
    names = {"plugin": "CapillaryAepSink", "topic": topic, "logger": "processor.kafka.source"}
    side = Side(running.url, names, {"authorization": f"Bearer {TOKEN}"})
    yield side
    side.client.close()


def fits(ours: Any, theirs: Any, where: str = "", *, free: bool = False) -> list[str]:
    """Where a body of ours has other keys or types than theirs.

    A list has the shape of all its items together; `null` fits where theirs has it anywhere.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if free:  # names are each one's own; what they stand for has one shape
            return fits(list(ours.values()), list(theirs.values()), where)
        found = [f"{where}.{key}: only ours" for key in ours.keys() - theirs.keys()]
        found += [f"{where}.{key}: only theirs" for key in theirs.keys() - ours.keys()]
        for key in ours.keys() & theirs.keys():
            inner = key in {"config", "ours"}
            found += fits(ours[key], theirs[key], f"{where}.{key}", free=inner and key == "config")
        return found
    if isinstance(ours, list) and isinstance(theirs, list):
        if not ours or not theirs:
            return []
        return [
            problems[0]
            for item in ours
            if (problems := min((fits(item, other, f"{where}[]") for other in theirs), key=len))
        ]
    same = type(ours) is type(theirs)
    return [] if same else [f"{where}: {type(ours).__name__}, not {type(theirs).__name__}"]


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
    return fits(one, other, free=step.path.endswith(("/ours/config", "/loggers")))


def test_they_answer_alike(
    ours: Side,
    theirs: Side,
    capillary: Any,
    produce: Callable[..., None],
    topic: str,
    eventually: Callable[..., Any],
) -> None:
    records, _ = capillary.records(20)
    produce(topic, records)
    running = Step("GET", "/", state="RUNNING", tasks="RUNNING")
    for side in (ours, theirs):
        eventually(lambda side=side: side.is_so(running), what="both run")
        eventually(
            lambda side=side: side.client.get("/connectors/ours/offsets").json()["offsets"],
            what="both have committed",
        )

    found: dict[str, list[str]] = {}
    for number, step in enumerate(STEPS):
        if problems := compared(step, ours.ask(step), theirs.ask(step)):
            found[f"{number}: {step.name}"] = problems
        if step.state:
            for side in (ours, theirs):
                eventually(lambda side=side, step=step: side.is_so(step), what=step.name)

    assert not found, "\n".join(f"{name}\n    {problems}" for name, problems in found.items())


def test_every_difference_is_of_a_request_that_is_sent() -> None:
    names = [step.name for step in STEPS]

    assert DIFFERENCES.keys() | OTHER_WORDS <= set(names)
