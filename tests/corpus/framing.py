"""B1 to B10: how a value says what it is."""

import json
import uuid

from processor.errors import Code, FilterReason
from processor.schemas import wire
from tests.corpus.inputs import (
    as_avro,
    as_json,
    event,
    headed,
    payload,
    raw,
    schema,
    unknown_id,
)
from tests.corpus.rows import DELIVER, WAIT, Input, Inputs, Registry, Row, dead_letter, filtered

FRAMING = dead_letter(Code.DECODE_FRAMING)
UNKNOWN_ID = dead_letter(Code.DECODE_UNKNOWN_SCHEMA_ID)
AVRO_ONLY = {"converter": {"value": "avro"}}
JSON_ONLY = {"converter": {"value": "json"}}
JSON_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "transactionAdded",
    "type": "object",
}
PROTOBUF = 'syntax = "proto3"; message TransactionAdded { string event_name = 1; }'
AWAY_ID = 503
"""The id for which the registry of these tests answers 503."""
GUID = uuid.UUID("89791762-2336-4186-9674-299b90a802e2")
"""The GUID that the registry of these tests knows; it is that of transactionAdded."""
HEADER = wire.SCHEMA_ID_HEADER
TEXT = json.dumps(event()).encode()


def of_type(document: object, kind: str) -> Inputs:
    return lambda registry: [Input(wire.confluent(registry.id_of(document, kind), payload()))]


def framed_twice(registry: Registry) -> list[Input]:
    schema_id = registry.id_of(schema("transactionAdded").avro)
    return [Input(wire.confluent(schema_id, wire.confluent(schema_id, payload())))]


def under_header_of_avro(registry: Registry) -> list[Input]:
    schema_id = registry.id_of(schema("transactionAdded").avro)
    prefix = wire.confluent(schema_id, b"")
    return [Input(payload(), ((HEADER, b"nonsense"), (HEADER, prefix)))]


def single_object(cut: int | None = None) -> bytes:
    fingerprint = schema("transactionAdded").parsed.fingerprint
    return wire.single_object(fingerprint, payload())[:cut]


ROWS = (
    Row("B1", "null value", raw(None), filtered(FilterReason.TOMBSTONE)),
    Row(
        "B1",
        "null value, dead-lettered by setting",
        raw(None),
        dead_letter(Code.EVENT_INVALID),
        settings={"converter": {"on_null_value": "dead_letter"}},
    ),
    Row("B2", "zero-length value", raw(b""), FRAMING, says="empty"),
    *(
        Row("B3", f"the first {size} of Confluent's 5 bytes", raw(b"\0\0\0\0"[:size]), FRAMING)
        for size in (1, 2, 3, 4)
    ),
    Row("B3", "1 byte of single-object encoding", raw(b"\xc3"), FRAMING),
    Row("B4", "magic byte 1 in front of an id", raw(b"\x01\0\0\0\x01" + payload()), FRAMING),
    Row("B4", "plain JSON", raw(TEXT), DELIVER, reason="converter.value is «auto»"),
    Row("B4", "plain JSON, Avro wanted", raw(TEXT), FRAMING, says="looks like JSON",
        settings=AVRO_ONLY),
    Row("B4", "JSON after a byte order mark", raw(b"\xef\xbb\xbf" + TEXT), DELIVER),
    Row("B4", "a byte order mark alone", raw(b"\xef\xbb\xbf"), FRAMING),
    Row("B4", "JSON in UTF-16", raw(json.dumps(event()).encode("utf-16")), FRAMING),
    Row("B4", "a JSON list of events", raw(b"[" + TEXT + b"]"), FRAMING, says="JSON list"),
    Row("B4", "Avro, JSON wanted", as_avro(), FRAMING, says="starts like Avro",
        settings=JSON_ONLY),
    Row("B5", "schema id 0", unknown_id(0), UNKNOWN_ID, says="start at 1"),
    Row("B5", "schema id -1", unknown_id(2**32 - 1), UNKNOWN_ID, says="start at 1"),
    Row("B5", "schema id 2^31-1", unknown_id(2**31 - 1), UNKNOWN_ID,
        reason="after unknown_id_grace_s, which the connector waits and this table does not"),
    Row("B5", "an id that the registry does not know", unknown_id(404_404), UNKNOWN_ID),
    Row("B5", "an id while the registry is away", unknown_id(AWAY_ID), WAIT),
    Row("B5", "an id, but no registry in the settings", unknown_id(1), WAIT,
        settings={"schema_registry": None}, reason="the set-up's fault: the partition is held"),
    Row("B6", "the id of a JSON Schema", of_type(JSON_SCHEMA, "JSON"),
        dead_letter(Code.DECODE_WRONG_SCHEMA_TYPE)),
    Row("B6", "the id of a Protobuf schema", of_type(PROTOBUF, "PROTOBUF"),
        dead_letter(Code.DECODE_WRONG_SCHEMA_TYPE)),
    Row("B7", "an Avro container file", raw(b"Obj\x01\x04\x14avro.codec\x08null" + payload()),
        FRAMING, says="container file"),
    Row("B8", "single-object encoding, schema known", raw(single_object()), DELIVER,
        reason="Avro's own framing needs no registry"),
    Row("B8", "single-object encoding, schema unknown",
        raw(wire.single_object(b"\x01" * 8, payload())), UNKNOWN_ID, says="versions folder"),
    Row("B8", "single-object encoding, cut in its fingerprint", raw(single_object(9)), FRAMING),
    Row("B8", "single-object encoding, cut behind its fingerprint", raw(single_object(10)),
        dead_letter(Code.DECODE_TRUNCATED)),
    Row("B9", "schema GUID in a header", headed(payload(), wire.guid_header(GUID)), DELIVER),
    Row("B9", "an unknown GUID", headed(payload(), wire.guid_header(uuid.UUID(int=7))), UNKNOWN_ID),
    Row("B9", "schema id in a header, the last one counts", under_header_of_avro, DELIVER),
    Row("B9", "nonsense in the schema id's header", headed(payload(), (HEADER, b"\x01short")),
        FRAMING, says="neither a schema GUID nor a schema id"),
    Row("B9", "a null schema id's header, the value framed as ever",
        lambda registry: [one._replace(headers=((HEADER, None),)) for one in as_avro()(registry)],
        DELIVER),
    Row("B10", "framed twice", framed_twice, dead_letter(Code.DECODE_VALUE)),
    Row("B4", "JSON and Avro in turns", lambda registry: [*as_json()(registry),
        *as_avro()(registry)], DELIVER),
)  # fmt: skip
