"""The fields of an Avro schema, flat."""

from typing import Any

import pytest

from processor.schemas.avro import vet
from processor.schemas.fields import fields_of

PLACE = {
    "type": "record",
    "name": "Place",
    "namespace": "shared",
    "fields": [{"name": "code", "type": "string", "doc": "of the store"}],
}


def paths(*fields: dict[str, Any]) -> list[tuple[str, str]]:
    schema = {"type": "record", "name": "E", "namespace": "events", "fields": list(fields)}
    vet(schema)  # what is no schema proves nothing
    return [(field.path, field.type) for field in fields_of(schema)]


@pytest.mark.parametrize(
    ("avro", "words"),
    [
        ("long", "long"),
        (["null", "double"], "double or null"),
        ({"type": "long", "logicalType": "timestamp-millis"}, "long (timestamp-millis)"),
        ({"type": "array", "items": ["null", "string"]}, "string or null[]"),
        ({"type": "map", "values": "int"}, "map of int"),
        ({"type": "enum", "name": "K", "symbols": ["A", "B"]}, "enum A, B"),
        ({"type": "fixed", "name": "F", "size": 4}, "fixed 4"),
        ({"type": {"type": "string"}}, "string"),
    ],
)
def test_a_type_is_said_in_words(avro: Any, words: str) -> None:
    assert paths({"name": "f", "type": avro}) == [("f", words)]


def test_inner_fields_follow_their_outer_one() -> None:
    found = paths(
        {"name": "a", "type": ["null", PLACE]},
        {"name": "b", "type": {"type": "array", "items": "shared.Place"}},
        {"name": "c", "type": {"type": "map", "values": "shared.Place"}},
    )

    assert found == [
        ("a", "record or null"),
        ("a.code", "string"),
        ("b", "record[]"),
        ("b[*].code", "string"),
        ("c", "map of record"),
        ("c.*.code", "string"),
    ]


def test_a_shared_type_has_one_place_and_many_paths() -> None:
    fields = [{"name": "a", "type": PLACE}, {"name": "b", "type": "shared.Place"}]
    schema = {"type": "record", "name": "E", "fields": fields}

    places = {field.path: (field.place, field.doc) for field in fields_of(schema)}

    assert places["a.code"] == places["b.code"] == (("shared.Place", "code"), "of the store")
    assert places["a"][0] == ("E", "a")


def test_a_name_without_namespace_is_that_of_the_record_around_it() -> None:
    inner = {"type": "record", "name": "In", "fields": [{"name": "x", "type": "int"}]}

    found = paths({"name": "a", "type": inner}, {"name": "b", "type": "In"})

    assert found[-1] == ("b.x", "int")
