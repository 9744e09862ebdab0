"""What stands in place of a customer's values."""

import json

from processor.operations.masking import (
    Mask,
    key_bytes,
    names_in_avro,
    names_in_json_schema,
    shown_key,
    size_and_hash,
)


def test_no_value_and_no_unknown_name_is_left() -> None:
    document = {
        "eventName": "pointsIssued",
        "eventId": ["not", "text"],
        "data": {
            "name": "Asha",
            "points": 17.5,
            "member": True,
            "photo": b"\x89PNG",
            "nothing": None,
            "items": [{"name": "Asha"}, "Asha"],
            "asha@mail.test": 1,
            "other@mail.test": 2,
        },
    }

    names = {"eventName", "data", "name", "points", "member", "photo", "nothing", "items"}
    masked = Mask(names | {"eventId"}, clear={"eventName", "eventId", "name"}).document(document)

    assert masked == {
        "eventName": "pointsIssued",
        "eventId": ["<text, 3 characters>", "<text, 4 characters>"],
        "data": {
            "name": "<text, 4 characters>",
            "points": "<number>",
            "member": "<true or false>",
            "photo": "<4 bytes>",
            "nothing": None,
            "items": [{"name": "<text, 4 characters>"}, "<text, 4 characters>"],
            "<name 7, 14 characters>": "<number>",
            "<name 8, 15 characters>": "<number>",
        },
    }
    assert "sha" not in json.dumps(masked)


def test_a_masked_key_is_the_same_for_the_same_customer_and_tells_nothing_else() -> None:
    shown = shown_key(b"4711", reveal=False)

    assert shown == shown_key(b"4711", reveal=False) != shown_key(b"4712", reveal=False)
    assert shown is not None
    assert "4711" not in shown
    assert shown.endswith("(4 bytes)")
    assert shown_key(None, reveal=False) is None


def test_a_revealed_key_is_what_the_option_takes() -> None:
    for key in (b"4711", b"\x00\xff", "ключ".encode(), b""):
        shown = shown_key(key, reveal=True)
        assert shown is not None
        assert key_bytes(shown) == key


def test_bytes_are_told_by_size_and_hash() -> None:
    assert size_and_hash(None) == {"bytes": None, "sha256": None}
    assert size_and_hash(b"")["bytes"] == 0
    assert len(size_and_hash(b"x")["sha256"]) == 64


def test_names_are_those_that_schemas_give() -> None:
    inner = {"type": "record", "name": "I", "fields": [{"name": "b", "type": "string"}]}
    avro = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": ["null", inner]},
            {"name": "m", "type": {"type": "map", "values": "string"}},
        ],
    }
    xdm = {
        "properties": {"a": {"properties": {"b": {}}}, "c": {"items": {"properties": {"d": {}}}}}
    }

    assert names_in_avro(avro) == {"a", "b", "m"}
    assert names_in_json_schema(xdm) == {"a", "b", "c", "d"}
