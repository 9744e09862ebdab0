"""JSON events: Capillary's wrappings, and types as the Avro schema has them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Code, Refused
from processor.schemas import limits
from processor.schemas.avro import vet
from processor.schemas.json_converter import envelope

FLAT = {"eventName": "pointsIssued", "eventId": "e-1", "data": {"points": 1}}


def typed(avro_type: Any, value: Any) -> Any:
    schema = {"type": "record", "name": "R", "fields": [{"name": "f", "type": avro_type}]}
    return vet(schema).from_json({"f": value})["f"]


def refusal_of(avro_type: Any, value: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        typed(avro_type, value)
    return caught.value


def test_an_event_gets_the_shape_that_avro_decoding_gives(
    points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    schema = vet(points_issued)
    sent = json.loads(json.dumps(event))
    sent["data"]["points"] = 120
    sent["data"]["tier"] = 2.0
    sent["unheardOf"] = {"a": [1]}

    assert schema.from_json(sent) == schema.read(schema.write(event)) == event


def test_missing_fields_get_their_defaults_each_time_anew(points_issued: dict[str, Any]) -> None:
    schema = vet(points_issued)
    sent = {"eventName": "pointsIssued", "orgId": 1, "createdAt": 2, "data": {}}

    schema.from_json(sent)["data"]["identifiers"].append("mine")

    assert schema.from_json(sent)["trace"] == {}
    assert schema.from_json(sent)["data"] == {
        "points": None,
        "tier": None,
        "isDefault": None,
        "kind": "REGULAR",
        "identifiers": [],
        "first": None,
    }


def test_null_counts_as_missing_where_the_type_has_no_null(points_issued: dict[str, Any]) -> None:
    schema = vet(points_issued)
    sent = {"eventName": "x", "orgId": 1, "createdAt": 2, "data": {"identifiers": None}}

    assert schema.from_json(sent)["data"]["identifiers"] == []
    with pytest.raises(Refused) as caught:
        schema.from_json({**sent, "orgId": None})
    assert (caught.value.code, caught.value.pointer) == (Code.EVENT_INVALID, "/orgId")


def test_a_field_is_also_found_by_its_alias(
    points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    event["data"]["ids"] = event["data"].pop("identifiers")

    assert vet(points_issued).from_json(event)["data"]["identifiers"][0]["key"] == "BillId"


def test_the_pointer_names_the_place_and_no_message_names_the_value(
    points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    event["data"]["identifiers"][1]["key"] = 4711

    with pytest.raises(Refused) as caught:
        vet(points_issued).from_json(event)

    assert caught.value.pointer == "/data/identifiers/*/key"
    assert "4711" not in str(caught.value)


DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}
FIXED_DECIMAL = {**DECIMAL, "type": "fixed", "name": "D", "size": 4}
ENUM = {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "B"}
TAKEN: list[tuple[Any, Any, Any]] = [
    ("int", 1676.0, 1676),
    ("long", 2**63 - 1, 2**63 - 1),
    ("long", 2.0**53, 2**53),
    ("double", 5, 5.0),
    ("bytes", "\u00ff", b"\xff"),
    ({"type": "fixed", "name": "F", "size": 1}, "\u00ff", b"\xff"),
    (DECIMAL, 8.12, b"\x03\x2c"),
    (DECIMAL, 3, b"\x01\x2c"),
    (DECIMAL, "\u0001", b"\x01"),
    (FIXED_DECIMAL, -1, b"\xff\xff\xff\x9c"),
    (ENUM, "A", "A"),
    (ENUM, "Z", "B"),
    (["null", "int"], None, None),
    (["int", "double"], 1.5, 1.5),
    (["int", "string"], "a", "a"),
    ({"type": "map", "values": "int"}, {"a": 1.0}, {"a": 1}),
    ("null", None, None),
    ({"type": "array", "items": "int"}, [None, 1, None], [1]),
    ({"type": "array", "items": ["null", "int"]}, [None, 1], [None, 1]),
    ({"type": "map", "values": "int"}, {"a": None, "b": 1}, {"b": 1}),
    ({"type": "map", "values": ["null", "int"]}, {"a": None}, {"a": None}),
]
REFUSED: list[tuple[Any, Any]] = [
    ("int", "1"),
    ("int", 1.5),
    ("int", True),
    ("int", 2**31),
    ("long", 2**63),
    ("long", 1.8446744073709552e19),
    ("long", -9.223372036854775808e18),  # how JSON readers give -2^63-1
    ("double", "812.50"),
    ("double", True),
    ("double", 10**400),
    ("double", float("nan")),
    ("string", 1),
    ("string", None),
    ("boolean", 1),
    ("boolean", "true"),
    ("bytes", "\u0100"),
    ("bytes", 1),
    (DECIMAL, 0.001),
    (DECIMAL, 100),
    ({"type": "fixed", "name": "F", "size": 1}, "ab"),
    ({"type": "enum", "name": "E", "symbols": ["A"]}, "B"),
    ({"type": "enum", "name": "E", "symbols": ["A"]}, 0),
    (["null", "int"], "1"),
    (["int", "boolean"], "1"),
    ({"type": "array", "items": "int"}, {}),
    ({"type": "map", "values": "int"}, []),
    ({"type": "record", "name": "In", "fields": []}, []),
]


@pytest.mark.parametrize(("avro_type", "value", "expected"), TAKEN)
def test_a_value_gets_its_fields_type(avro_type: Any, value: Any, expected: Any) -> None:
    made = typed(avro_type, value)

    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(("avro_type", "value"), REFUSED)
def test_a_value_of_another_type_is_refused_with_its_place(avro_type: Any, value: Any) -> None:
    refused = refusal_of(avro_type, value)

    assert (refused.code, refused.pointer) == (Code.EVENT_INVALID, "/f")


@pytest.mark.parametrize("kind", ["array", "map"])
def test_too_many_items_are_refused(kind: str) -> None:
    count = limits.ITEMS_MAX + 1
    items: Any = [0] * count if kind == "array" else dict.fromkeys(map(str, range(count)), 0)

    refused = refusal_of({"type": kind, "items": "int", "values": "int"}, items)

    assert refused.code is Code.DECODE_LIMIT


@pytest.mark.parametrize(
    "wrapped",
    [
        FLAT,
        {"eventId": "e-1", "eventType": "1_pointsIssued", "attributes": {**FLAT}},
        {"eventId": "e-1", "attributes": {"eventName": "pointsIssued", "data": FLAT["data"]}},
        {"data": FLAT, "errors": None, "warnings": None},
        {"event": {"body": FLAT}},
        {"eventId": "other", "event": {"body": FLAT}},
        {"eventId": "other", "data": FLAT},
        {"eventName": None, "eventId": "other", "attributes": FLAT},
        {"eventId": "e-1", "attributes": {**FLAT, "eventId": None}},
        {"eventId": "e-1", "attributes": {**FLAT, "eventId": " "}},
        {"eventId": "e-1", "data": {**FLAT, "eventId": ""}},
        {"eventId": "x", "event": {"eventId": "e-1", "body": {**FLAT, "eventId": None}}},
        {"eventId": "e-1", "event": {"body": {k: FLAT[k] for k in FLAT if k != "eventId"}}},
    ],
)
def test_capillarys_wrappings_come_off(wrapped: dict[str, Any]) -> None:
    assert envelope(json.dumps(wrapped).encode()) == FLAT


REFUSED_TEXTS = {
    "no event name": (b'{"data": {"eventId": "e"}}', Code.EVENT_INVALID),
    "wrappings of other types": (
        b'{"data": [], "attributes": "x", "event": {"body": 1}}',
        Code.EVENT_INVALID,
    ),
    "no object": (b"  7", Code.DECODE_JSON),
    "cut": (b'{"eventName": "poi', Code.DECODE_JSON),
    "more after the end": (b"{} {}", Code.DECODE_JSON),
    "NaN": (b'{"eventName": NaN}', Code.DECODE_JSON),
    "beyond a double": (b'{"eventName": 1e309}', Code.DECODE_JSON),
    "lone surrogate": (b'{"eventName": "\\ud800"}', Code.DECODE_JSON),
    "too deep": (b'{"a":' * 2_000 + b"1" + b"}" * 2_000, Code.DECODE_JSON),
    "not UTF-8": (b'{"eventName": "\xff"}', Code.DECODE_UTF8),
    "too long": (b"{" + b" " * limits.PAYLOAD_MAX_BYTES + b"}", Code.DECODE_LIMIT),
    "too many values": (b'{"a":[' + b"0," * 1_100_000 + b"0]}", Code.DECODE_LIMIT),
}


@pytest.mark.parametrize("name", REFUSED_TEXTS)
def test_what_is_no_json_event_is_refused(name: str) -> None:
    text, expected = REFUSED_TEXTS[name]

    with pytest.raises(Refused) as caught:
        envelope(text)

    assert caught.value.code is expected


def test_of_a_repeated_key_the_last_counts() -> None:
    assert envelope(b'{"eventName": "a", "eventName": "b"}') == {"eventName": "b"}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["eventName", "orgId", "createdAt", "data"]), VALUES))
def test_any_json_gives_an_event_or_a_refusal(value: dict[str, Any]) -> None:
    inner = {"type": "record", "name": "D", "fields": [{"name": "x", "type": "double"}]}
    schema = vet(
        {
            "type": "record",
            "name": "R",
            "fields": [
                {"name": "eventName", "type": "string"},
                {"name": "orgId", "type": ["null", "long", "boolean"], "default": None},
                {"name": "createdAt", "type": {"type": "array", "items": "int"}, "default": []},
                {"name": "data", "type": inner, "default": {"x": 1}},
            ],
        }
    )

    try:
        event = schema.from_json(value)
    except Refused:
        return

    assert schema.read(schema.write(event)) == event
