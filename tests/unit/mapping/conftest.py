"""A mapping set of one test: its schema, its rows, and the mapper that runs them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.mapping.mapper import Mapper
from processor.record import Event
from processor.schemas.folder import SchemaFolder, XdmSchema
from processor.settings import MappingSettings, SchemasSettings

Row = tuple[str, Any, str]


def nullable(avro: Any) -> list[Any]:
    return ["null", avro]


LINE = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "sku", "type": ["null", "string"], "default": None},
        {"name": "price", "type": ["null", "double"], "default": None},
        {
            "name": "notes",
            "type": nullable(
                {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "Note",
                        "fields": [{"name": "text", "type": ["null", "string"], "default": None}],
                    },
                }
            ),
            "default": None,
        },
    ],
}

DATA = {
    "type": "record",
    "name": "Data",
    "fields": [
        {"name": name, "type": nullable(avro), "default": None}
        for name, avro in {
            "text": "string",
            "other": "string",
            "whole": "long",
            "number": "double",
            "flag": "boolean",
            "raw": "bytes",
            "tags": {"type": "array", "items": "string"},
            "lines": {"type": "array", "items": LINE},
            "spare": {"type": "array", "items": "Line"},
            "labels": {"type": "map", "values": "string"},
            "customerIdentifiers": {
                "type": "record",
                "name": "Customer",
                "fields": [{"name": "customerId", "type": ["null", "long"], "default": None}],
            },
        }.items()
    ]
    + [{"name": "mixed", "type": ["null", "string", "long"], "default": None}],
}

SCHEMA = {
    "type": "record",
    "name": "Tried",
    "namespace": "test",
    "fields": [
        {"name": "eventName", "type": "string"},
        {"name": "createdAt", "type": "long"},
        {"name": "data", "type": DATA},
    ],
}


class Trial:
    """Writes a folder with one event, and maps with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def mapper(
        self,
        *rows: Row,
        settings: MappingSettings | None = None,
        xdm: dict[str, Any] | None = None,
        **keys: Any,
    ) -> Mapper:
        mappings = [
            {"sourceType": kind, "source": source, "destination": destination}
            for kind, source, destination in rows
        ]
        return self.mapper_of({"mappings": mappings, **keys}, settings=settings, xdm=xdm)

    def mapper_of(
        self,
        document: Any,
        *,
        settings: MappingSettings | None = None,
        xdm: dict[str, Any] | None = None,
    ) -> Mapper:
        """The mapper of a whole file."""
        event = self._folder / "tried"
        event.mkdir(exist_ok=True)
        (event / "event.avsc").write_text(json.dumps(SCHEMA))
        (event / "to-event.json").write_text(json.dumps(document))
        schemas = {} if xdm is None else {"event": XdmSchema(xdm, self._folder, tenant_owned=True)}
        return Mapper(
            SchemaFolder.load(SchemasSettings(directory=self._folder, builtin=False)),
            settings or MappingSettings(),
            tenant="acme",
            targets=["event"],
            xdm=schemas,
        )

    def problems(self, *rows: Row, **keys: Any) -> str:
        with pytest.raises(Misconfigured) as caught:
            self.mapper(*rows, **keys)
        return str(caught.value)

    def one(self, *rows: Row, timestamp_ms: int | None = None, **data: Any) -> dict[str, Any]:
        mapped = self.mapper(*rows).map(tried(**data), "event", timestamp_ms)
        assert len(mapped) == 1
        return mapped[0].entity

    def value(self, expression: str, timestamp_ms: int | None = None, **data: Any) -> Any:
        """What one expression gives."""
        return self.one(("EXPRESSION", expression, "out"), timestamp_ms=timestamp_ms, **data).get(
            "out"
        )


def tried(**data: Any) -> Event:
    return Event("tried", {"eventName": "tried", "createdAt": 1_750_224_535_590, "data": data})


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


@pytest.fixture
def event() -> Callable[..., Event]:
    return tried
