"""A small schemas folder, an event of it, and what the tests of this wing share."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.schemas.folder import SchemaFolder
from processor.settings import SchemasSettings

KEY_VALUE = {
    "type": "record",
    "name": "KeyValue",
    "namespace": "com.capillarytech.events.common",
    "fields": [{"name": "key", "type": "string"}, {"name": "value", "type": ["null", "string"]}],
}
POINTS_ISSUED: dict[str, Any] = {
    "type": "record",
    "name": "PointsIssued",
    "namespace": "com.capillarytech.events",
    "aliases": ["Points"],
    "xdm": {"event": {"mapping": "to-event.json"}},
    "fields": [
        {"name": "eventName", "type": "string"},
        {"name": "eventId", "type": ["null", "string"], "default": None},
        {"name": "orgId", "type": "long"},
        {"name": "createdAt", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "trace", "type": {"type": "map", "values": "string"}, "default": {}},
        {
            "name": "data",
            "type": {
                "type": "record",
                "name": "PointsIssuedData",
                "fields": [
                    {"name": "points", "type": ["null", "double"], "default": None},
                    {"name": "tier", "type": ["null", "int"], "default": None},
                    {"name": "isDefault", "type": ["null", "boolean"], "default": None},
                    {
                        "name": "kind",
                        "type": {"type": "enum", "name": "Kind", "symbols": ["REGULAR", "PROMO"]},
                        "default": "REGULAR",
                    },
                    {
                        "name": "identifiers",
                        "type": {
                            "type": "array",
                            "items": "com.capillarytech.events.common.KeyValue",
                        },
                        "default": [],
                        "aliases": ["ids"],
                    },
                    {
                        "name": "first",
                        "type": ["null", "com.capillarytech.events.common.KeyValue"],
                        "default": None,
                    },
                ],
            },
        },
    ],
}
CUSTOMER_ADDED = {
    "type": "record",
    "name": "CustomerAdded",
    "namespace": "com.capillarytech.events",
    "fields": [{"name": "eventName", "type": "string"}, {"name": "orgId", "type": "long"}],
}
EVENT: dict[str, Any] = {
    "eventName": "pointsIssued",
    "eventId": "4647d7b7",
    "orgId": 51186,
    "createdAt": 1750224535590,
    "trace": {"requestId": "r-1"},
    "data": {
        "points": 120.0,
        "tier": 2,
        "isDefault": True,
        "kind": "PROMO",
        "identifiers": [{"key": "BillId", "value": "21"}, {"key": "none", "value": None}],
        "first": None,
    },
}

Write = Callable[[str, Any], Path]


@pytest.fixture
def event() -> dict[str, Any]:
    return copy.deepcopy(EVENT)


@pytest.fixture
def points_issued() -> dict[str, Any]:
    """The event's schema, self-contained."""
    schema = copy.deepcopy(POINTS_ISSUED)
    schema["fields"][5]["type"]["fields"][4]["type"]["items"] = copy.deepcopy(KEY_VALUE)
    return schema


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "own"


@pytest.fixture
def write(directory: Path) -> Write:
    """Writes a file into the folder; text as it is, all else as JSON."""

    def to_file(name: str, content: Any) -> Path:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return to_file


@pytest.fixture
def own(directory: Path, write: Write) -> SchemasSettings:
    """Settings of a folder with two mapped events and one without a mapping set."""
    write("common/KeyValue.avsc", KEY_VALUE)
    write("pointsIssued/event.avsc", POINTS_ISSUED)
    write("pointsIssued/to-event.json", {"mappings": []})
    write("customerAdded/event.avsc", CUSTOMER_ADDED)
    write("customerAdded/to-profile.json", {"mappings": []})
    write("tierRenewed/event.avsc", {**CUSTOMER_ADDED, "name": "TierRenewed"})
    return SchemasSettings(directory=directory, builtin=False)


@pytest.fixture
def folder(own: SchemasSettings) -> SchemaFolder:
    return SchemaFolder.load(own)
