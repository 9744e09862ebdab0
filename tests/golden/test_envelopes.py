"""Every example in each of Capillary's wrappings: the same Avro schema gives the same event."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.record import Record
from processor.schemas.decoder import Decoder
from processor.schemas.folder import SchemaFolder, builtin_directory
from processor.schemas.json_converter import envelope
from processor.settings import CapillarySettings, ConverterSettings, SchemasSettings

Flat = dict[str, Any]
CASES = sorted(builtin_directory().glob("*/examples/*/input.json"))
FOLDER = SchemaFolder.load(SchemasSettings())


def as_attributes(flat: Flat) -> Flat:
    """As in enriched payloads: the id stands outside, with the type and the time of sending."""
    inside = {name: value for name, value in flat.items() if name != "eventId"}
    outside = {"eventId": flat["eventId"]} if "eventId" in flat else {}
    return {
        **outside,
        "eventType": f"{flat.get('orgId')}_{flat['eventName']}",
        "consumerGroupId": None,
        "actionType": "START",
        "timeStamp": 1683874799984,
        "attributes": inside,
    }


WRAPPINGS: dict[str, Callable[[Flat], Flat]] = {
    "attributes": as_attributes,
    "data.data": lambda flat: {"data": flat, "errors": None, "warnings": None},
    "event.body": lambda flat: {"event": {"body": flat}},
}


def decoded(document: Flat) -> Any:
    decoder = Decoder(FOLDER, ConverterSettings(), CapillarySettings(), registry=False)
    return decoder.decode(Record("t", 0, 0, value=json.dumps(document).encode()))


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("file", CASES, ids=[f"{c.parents[2].name}/{c.parent.name}" for c in CASES])
def test_a_wrapped_event_is_typed_as_the_flat_one(file: Path, wrapping: str) -> None:
    flat = envelope(file.read_bytes())

    plain, wrapped = decoded(flat), decoded(WRAPPINGS[wrapping](flat))

    assert wrapped.name == plain.name
    assert wrapped.body == plain.body
    assert wrapped.event_id == plain.event_id
