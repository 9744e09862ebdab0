"""What a schema may look like, and that a hostile one is refused at once."""

import json
from typing import Any

import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from processor.errors import Code, Refused
from processor.schemas.avro import vet


def record(*types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{i}", "type": each} for i, each in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


def nested(depth: int) -> Any:
    schema: Any = "long"
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def doubling(levels: int) -> dict[str, Any]:
    """A record whose written-out form has 2^levels empty records and not one byte."""
    schema: dict[str, Any] = {"type": "record", "name": "L0", "fields": []}
    for level in range(1, levels):
        fields = [{"name": "a", "type": schema}, {"name": "b", "type": f"L{level - 1}"}]
        schema = {"type": "record", "name": f"L{level}", "fields": fields}
    return schema


EMPTY = {"type": "record", "name": "Empty", "fields": []}
NOTHING = {"type": "fixed", "name": "Nothing", "size": 0}
RECURSIVE = {
    "type": "record",
    "name": "List",
    "fields": [{"name": "next", "type": ["null", "List"]}],
}
HOSTILE = {
    "array of null": record({"type": "array", "items": "null"}),
    "array of empty records": record({"type": "array", "items": EMPTY}),
    "array of fixed 0": record({"type": "array", "items": NOTHING}),
    "array of records of nothing": record(
        {"type": "array", "items": {**record("null", NOTHING), "name": "Hollow"}}
    ),
    "map of null": record({"type": "map", "values": "null"}),
    "recursive": RECURSIVE,
    "too deep": record(nested(70)),
    "far too deep": record(nested(400)),
    "too many fields": record(*["int"] * 6_000),
    "too many when written out": doubling(40),
    "too many empty fields": record(*["null"] * 300),
    "too many branches": record(
        [{"type": "fixed", "name": f"F{i}", "size": 1} for i in range(300)]
    ),
    "huge fixed": record({"type": "fixed", "name": "F", "size": 2**40}),
    "huge decimal": record(
        {"type": "bytes", "logicalType": "decimal", "precision": 100_000, "scale": 0}
    ),
}
INVALID = {
    "no record": "string",
    "union at the root": ["null", EMPTY],
    "unknown name": record("Unheard"),
    "no fields": {"type": "record", "name": "R"},
    "field without type": {"type": "record", "name": "R", "fields": [{"name": "a"}]},
    "two fields of one name": {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}],
    },
    "name twice": record(NOTHING, {**NOTHING, "size": 4}),
    "name that is code": record({**EMPTY, "name": "x'+__import__('os')+'"}),
    "field name that is code": {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a': 1}, exit()) #", "type": "int"}],
    },
    "union in union": record(["null", ["int"]]),
    "one type twice in a union": record(["int", "int"]),
    "empty union": record([]),
    "enum without symbols": record({"type": "enum", "name": "E", "symbols": []}),
    "enum with a foreign default": record(
        {"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}
    ),
    "negative fixed": record({"type": "fixed", "name": "F", "size": -1}),
    "array without items": record({"type": "array"}),
    "number as a type": record(7),
    "default of a wrong type": {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "int", "default": "one"}],
    },
    "aliases that are no list": {**EMPTY, "aliases": "A"},
}


@pytest.mark.parametrize("name", [*HOSTILE, *INVALID])
def test_a_schema_that_could_harm_or_is_not_avro_is_refused(name: str) -> None:
    schema = (HOSTILE | INVALID)[name]

    with pytest.raises(Refused) as caught:
        vet(json.dumps(schema))

    assert caught.value.code is Code.DECODE_SCHEMA_REFUSED


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, json.dumps({**EMPTY, "doc": "x" * 1_000_000})],
    ids=["empty", "cut", "deep", "long"],
)
def test_a_schema_text_that_is_not_json_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        vet(text)

    assert caught.value.code is Code.DECODE_SCHEMA_REFUSED


def test_a_schema_within_every_limit_is_taken() -> None:
    schema = record(nested(60), *["long"] * 4_000, *["null"] * 200)

    assert vet(schema).name == "R"


def test_canonical_form_and_fingerprint_are_those_of_fastavro(
    points_issued: dict[str, Any],
) -> None:
    points_issued["fields"].append({"name": "id", "type": {**NOTHING, "size": 16}})

    schema = vet(points_issued)

    expected = to_parsing_canonical_form(fastavro.parse_schema(points_issued))
    assert schema.canonical == expected
    assert schema.fingerprint.hex() == fingerprint(expected, "CRC-64-AVRO")


def test_names_are_found_with_and_without_their_namespace() -> None:
    inner = {"type": "record", "name": "In", "fields": [{"name": "x", "type": "int"}]}
    schema = vet({**record(inner, "In", "a.b.In"), "namespace": "a.b"})

    event = {"f0": {"x": 1}, "f1": {"x": 2}, "f2": {"x": 3}}

    assert schema.read(schema.write(event)) == event


def test_a_logical_type_that_makes_no_sense_counts_for_nothing() -> None:
    wrong = {"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 9}
    schema = vet(record(wrong))

    assert schema.read(schema.write({"f0": b"\x7f" * 40})) == {"f0": b"\x7f" * 40}


def test_type_objects_inside_type_objects_are_taken() -> None:
    schema = vet(record({"type": {"type": "string", "avro.java.string": "String"}}))

    assert schema.read(b"\x02a") == {"f0": "a"}
