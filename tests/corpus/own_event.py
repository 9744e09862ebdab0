"""An event of an operator's schemas folder, with the types that Capillary's do not have."""

import copy
from collections.abc import Mapping
from typing import Any

from processor.schemas.avro import vet
from tests.corpus.inputs import written_by
from tests.corpus.rows import Inputs

OWN_EVENT: dict[str, Any] = {
    "type": "record",
    "name": "TierRenewed",
    "namespace": "com.example.events",
    "fields": [
        {"name": "eventName", "type": "string"},
        {"name": "eventId", "type": "string"},
        {"name": "orgId", "type": "long"},
        {"name": "createdAt", "type": "long"},
        {
            "name": "amount",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
        },
        {
            "name": "reference",
            "type": {"type": "string", "logicalType": "uuid"},
            "aliases": ["oldReference"],
        },
        {"name": "number", "type": "long"},
        {"name": "trace", "type": {"type": "map", "values": "string"}},
        {
            "name": "data",
            "type": {
                "type": "record",
                "name": "TierRenewedData",
                "fields": [
                    {
                        "name": "customerIdentifiers",
                        "type": {
                            "type": "record",
                            "name": "Who",
                            "fields": [{"name": "customerId", "type": "long"}],
                        },
                    }
                ],
            },
        },
    ],
}
GOOD: dict[str, Any] = {
    "eventName": "tierRenewed",
    "eventId": "own-1",
    "orgId": 51186,
    "createdAt": 1_750_224_535_590,
    "amount": b"\x04\xd2",
    "reference": "89791762-2336-4186-9674-299b90a802e2",
    "number": 1,
    "trace": {"a": "1"},
    "data": {"customerIdentifiers": {"customerId": 7}},
}


def mapping_set(*rows: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "name": "tierRenewed to the event dataset",
        "version": 0,
        "outputSchema": {"schemaRef": {"id": "s", "contentType": "c"}},
        "mappings": [
            {"sourceType": kind, "source": source, "destination": destination}
            for kind, source, destination in rows
        ],
    }


OWN_FOLDER: Mapping[str, Any] = {
    "tierRenewed/event.avsc": OWN_EVENT,
    "tierRenewed/to-event.json": mapping_set(
        ("STATIC", "tier.renewed", "eventType"),
        ("EXPRESSION", "dformat(createdAt, \"yyyy-MM-dd'T'HH:mm:ss.SSSX\")", "timestamp"),
        ("ATTRIBUTE", "reference", "_tenant.own.reference"),
        ("ATTRIBUTE", "number", "_tenant.own.number"),
        ("ATTRIBUTE", "trace", "_tenant.own.trace"),
    ),
}


def folder_with(kind: str, source: str, destination: str) -> Mapping[str, Any]:
    """The same folder with one more row in the mapping set."""
    folder = copy.deepcopy(dict(OWN_FOLDER))
    folder["tierRenewed/to-event.json"]["mappings"].append(
        {"sourceType": kind, "source": source, "destination": destination}
    )
    return folder


def own_event(rename: Mapping[str, str] | None = None, **changes: Any) -> Inputs:
    """The event, with values changed, or written with fields under other names."""
    return written_by(lambda: _written(rename or {}, changes))


def own_prefix(without: str) -> tuple[list[dict[str, Any]], bytes]:
    """The fields but one, and the event's bytes without it: its own may be put behind."""
    fields = [field for field in OWN_EVENT["fields"] if field["name"] != without]
    return fields, vet({**OWN_EVENT, "fields": fields}).write(GOOD)


def _written(rename: Mapping[str, str], changes: Mapping[str, Any]) -> tuple[Any, bytes]:
    avro = copy.deepcopy(OWN_EVENT)
    values = {**GOOD, **changes}
    for old, new in rename.items():
        (field,) = (field for field in avro["fields"] if field["name"] == old)
        field["name"] = new
        field.pop("aliases", None)
        values = values | {new: values[old]}
    return avro, vet(avro).write(values)
