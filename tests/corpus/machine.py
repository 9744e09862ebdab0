"""What a record meets before anything is sent: the pipeline's own parts, and a registry's answers.

Used in a process of its own with little time and memory, see :mod:`tests.corpus.run`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson

from processor.connector.assembly import shaping
from processor.connector.graveyard import Names
from processor.errors import Code, Misconfigured, TryAgain
from processor.local.programs import toml
from processor.operations.rehearsal import Rehearsal, Rehearsed
from processor.record import Record
from processor.schemas.registry import SchemaRegistry
from processor.settings import Settings, load
from tests.corpus.framing import AWAY_ID, GUID
from tests.corpus.inputs import schema
from tests.corpus.rows import (
    DELIVER,
    REFUSE_SCHEMA,
    WAIT,
    Delivered,
    Input,
    Made,
    Verdict,
    dead_letter,
    filtered,
)

NOTHING = Delivered(())
TARGETS = ("event", "loyalty", "profile")
REGISTRY = "http://registry:8081"
USUAL: Mapping[str, Any] = {
    "name": "corpus",
    "kafka": {"bootstrap_servers": "127.0.0.1:1", "topics": ["events"]},
    "schema_registry": {"url": REGISTRY},
    "ims": {"client_id": "c", "client_secret": "s"},
    "experience_platform": {
        "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
        "tenant": "acme",
        "targets": {
            name: {"inlet_id": name, "dataset_id": "d", "schema_id": f"https://x/{name}"}
            for name in TARGETS
        },
    },
}


class StandInRegistry(httpx.AsyncBaseTransport):
    """Answers for the schemas that rows put into it; one id it cannot answer for."""

    def __init__(self) -> None:
        self._answers: list[dict[str, Any]] = []

    def id_of(self, schema: Any, kind: str = "AVRO") -> int:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        answer = {"schema": text, "schemaType": kind}
        if answer not in self._answers:
            self._answers.append(answer)
        return self._answers.index(answer) + 1

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        key = request.url.path.rpartition("/")[2]
        if key == str(AWAY_ID):
            return httpx.Response(503)
        if key == str(GUID):
            own = json.dumps(schema("transactionAdded").avro)
            return httpx.Response(200, json={"schema": own})
        if key.isdigit() and 0 < int(key) <= len(self._answers):
            return httpx.Response(200, json=self._answers[int(key) - 1])
        return httpx.Response(404, json={"error_code": 40403, "message": "Schema not found"})


class Outcome:
    """What became of one record.

    Attributes:
        said: the refusal's words.
        pointer: of the refusal.
        delivered: its messages.
    """

    def __init__(
        self,
        verdict: Verdict,
        said: str = "",
        pointer: str = "",
        delivered: Delivered = NOTHING,
    ) -> None:
        self.verdict = verdict
        self.said = said
        self.pointer = pointer
        self.delivered = delivered


class Machine:
    """Decoder, mapping, enrichment and gate as some settings build them."""

    def __init__(
        self, settings: Mapping[str, Any], folder: Mapping[str, Any], directory: Path
    ) -> None:
        self.registry = StandInRegistry()
        self._offset = 0
        made = _settings(settings, folder, directory)
        registry = None
        if made.schema_registry is not None:
            registry = SchemaRegistry(made.schema_registry, self.registry)
        names = Names(made.name, "0", made.dead_letter_topic)
        self._rehearsal = Rehearsal(shaping(made), registry, names)

    async def outcome(self, given: Input) -> Outcome:
        """Carry one record as far as its messages."""
        self._offset += 1
        record = Record(
            "events", 0, self._offset, given.timestamp_ms, b"k", given.value, given.headers
        )
        try:
            rehearsed = await self._rehearsal.rehearse(record)
        except (TryAgain, Misconfigured) as held:
            return Outcome(WAIT, str(held))
        if rehearsed.fails:
            # The dead letter's fingerprint and stack trace have to come about, too.
            self._rehearsal.fingerprint(rehearsed)
            error = rehearsed.passage.failures[0].error
            refused_schema = error.code is Code.DECODE_SCHEMA_REFUSED
            verdict = REFUSE_SCHEMA if refused_schema else dead_letter(error.code)
            said = " ".join([str(error), *(v.message for v in error.violations)])
            return Outcome(verdict, said, error.pointer)
        if rehearsed.filtered is not None:
            return Outcome(filtered(rehearsed.filtered))
        return Outcome(DELIVER, delivered=_delivered(rehearsed))


def _delivered(rehearsed: Rehearsed) -> Delivered:
    return Delivered(
        [
            Made(
                parcel.message.target,
                parcel.message.id,
                orjson.loads(parcel.message.body)["body"]["xdmEntity"],
            )
            for parcel in rehearsed.parcels
        ]
    )


def _settings(tables: Mapping[str, Any], folder: Mapping[str, Any], directory: Path) -> Settings:
    directory.mkdir(parents=True)
    merged: dict[str, Any] = {**USUAL}
    for name, table in tables.items():
        merged[name] = table
        if table is None:
            del merged[name]
    for name, document in folder.items():
        path = directory / "schemas" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
        merged["schemas"] = {"directory": str(directory / "schemas")}
    config = directory / "processor.toml"
    config.write_text(toml(merged))
    return load(config, {})
