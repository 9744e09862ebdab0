"""Example events: what is read from files, and what records are made of them."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.errors import Misconfigured
from processor.operations.produce import (
    Sample,
    as_confluent,
    as_json,
    as_single_object,
    key_of,
    read_samples,
    register,
)
from processor.record import Record
from processor.schemas.decoder import Decoder
from processor.schemas.folder import SchemaFolder
from processor.schemas.registry import SchemaRegistry
from processor.schemas.wire import SchemaKey
from processor.settings import (
    CapillarySettings,
    ConverterSettings,
    SchemaRegistrySettings,
    SchemasSettings,
)

EVENT: dict[str, Any] = {
    "eventName": "pointsIssued",
    "eventId": "e-1",
    "orgId": 51186,
    "createdAt": 1750224535590,
    "data": {"customerIdentifiers": {"customerId": 387979652}, "totalPointsIssued": 100},
}


@pytest.fixture(scope="module")
def folder() -> SchemaFolder:
    return SchemaFolder.load(SchemasSettings())


def sample(event: dict[str, Any]) -> Sample:
    return Sample(event, event, "events.json")


def samples_of(path: Path, content: str) -> list[Sample]:
    path.write_text(content)
    return read_samples([str(path)])


def refusal(path: Path, content: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        samples_of(path, content)
    return str(caught.value).replace(str(path), "FILE")


def test_a_file_is_an_event_a_list_or_json_lines(tmp_path: Path) -> None:
    text = json.dumps(EVENT)
    path = tmp_path / "events.json"

    one = samples_of(path, json.dumps(EVENT, indent=2))
    several = samples_of(path, f"[{text}, {text}]")
    lines = samples_of(path, f"\n{text}\n\n{text}\n")

    assert [s.event for s in [*one, *several, *lines]] == [EVENT] * 5
    assert several[1].place == f"{path}, event 2"
    assert lines[1].place == f"{path}, line 4"


def test_files_that_hold_no_events_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "events.json"

    assert refusal(path, '{"a":\n ]}') == (
        "FILE, line 2, column 2: not JSON: unexpected character, expected a JSON value."
    )
    assert refusal(path, '{"a": 1}\n{"b"\n').startswith("FILE, line 2, column 5: not JSON")
    assert refusal(path, "") == "FILE is empty."
    assert refusal(path, "7") == "FILE holds JSON, but not an object: an event is one."
    assert refusal(path, '[{}, "x"]').startswith("FILE, event 2 holds JSON")
    with pytest.raises(Misconfigured, match=r"cannot be read \(No such file"):
        read_samples([str(tmp_path / "none.json")])


def test_a_wrapped_event_has_its_own_name(tmp_path: Path) -> None:
    wrapped = {"eventId": "e-1", "attributes": EVENT}

    found = samples_of(tmp_path / "events.json", json.dumps(wrapped))[0]

    assert (found.name, found.event) == ("pointsIssued", wrapped)
    assert key_of(found) == b"387979652"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("id", "é", "é".encode()),
        ("id", 7, b"7"),
        ("id", 7.0, b"7"),
        ("id", True, b"true"),
        ("id", None, None),
        ("id", "", None),
        ("id", {"a": 1}, None),
        ("id.inner", 7, None),
        ("none", 7, None),
    ],
)
def test_a_key_is_the_text_of_a_field(path: str, value: Any, expected: bytes | None) -> None:
    assert key_of(sample({"id": value}), path) == expected


def test_json_is_sent_as_the_file_has_it() -> None:
    odd = {"eventName": 7, "anything": [None]}

    assert json.loads(as_json(sample(odd))) == odd


def test_avro_is_what_the_decoder_reads(folder: SchemaFolder) -> None:
    decoder = Decoder(folder, ConverterSettings(), CapillarySettings(), registry=True)
    decoder.learn(SchemaKey(7), folder.events["pointsIssued"].parsed)
    values = [
        as_single_object(sample(EVENT), folder),
        as_confluent(sample(EVENT), folder, {"pointsIssued": 7}),
        as_json(sample(EVENT)),
    ]

    events = [decoder.decode(Record("t", 0, 0, value=value)) for value in values]

    assert events[0].body == events[1].body == events[2].body
    assert events[0].body["data"]["totalPointsIssued"] == 100.0


def test_an_event_that_is_no_avro_is_refused_with_its_place(folder: SchemaFolder) -> None:
    with pytest.raises(Misconfigured, match=r"events\.json: the schemas folder has no Avro"):
        as_single_object(sample({"eventName": "unheardOf"}), folder)
    with pytest.raises(Misconfigured, match=r"events\.json: .* at /orgId"):
        as_single_object(sample({**EVENT, "orgId": "x"}), folder)


class CountingRegistry(httpx.AsyncBaseTransport):
    """Gives each subject the next id."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.subjects.append(request.url.path.split("/")[2])
        return httpx.Response(200, json={"id": len(self.subjects)})


async def test_each_events_schema_is_registered_once(folder: SchemaFolder) -> None:
    transport = CountingRegistry()
    registry = SchemaRegistry(SchemaRegistrySettings(url="http://registry"), transport)
    samples = [sample(EVENT), sample({"eventName": "customerAdded"}), sample(EVENT)]

    ids = await register(samples, folder, registry, topic="t", strategy="topic_record")

    assert ids == {"pointsIssued": 1, "customerAdded": 2}
    assert transport.subjects == [
        "t-com.capillarytech.events.PointsIssued",
        "t-com.capillarytech.events.CustomerAdded",
    ]
