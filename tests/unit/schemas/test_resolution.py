"""A writer's schema that is not the reader's: what fits, what comes in, what is refused."""

from typing import Any

import pytest

from processor.errors import Code, Refused
from processor.schemas.avro import vet


def record(*fields: dict[str, Any], name: str = "R") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name: str, avro_type: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro_type, **more}


def resolved(writer: Any, reader: Any, value: Any) -> Any:
    """What becomes of a value of one type that is read as another."""
    wrote, wants = vet(record(field("f", writer))), vet(record(field("f", reader)))
    return wrote.read(wrote.write({"f": value}), wants)["f"]


def refusal(writer: Any, reader: Any, value: Any) -> tuple[Code, str]:
    with pytest.raises(Refused) as caught:
        resolved(writer, reader, value)
    return caught.value.code, caught.value.pointer


PROMOTIONS: list[tuple[Any, Any, Any, Any]] = [
    ("int", "long", 1, 1),
    ("int", "double", 1, 1.0),
    ("long", "float", 1, 1.0),
    ("long", "double", 1, 1.0),
    ("float", "double", 0.5, 0.5),
    ("string", "bytes", "é", b"\xc3\xa9"),
    ("bytes", "string", b"\xc3\xa9", "é"),
    ("int", ["null", "double"], 1, 1.0),
    ("int", ["double", "int"], 1, 1),
    (["null", "int"], ["null", "double"], 1, 1.0),
    (["null", "int"], "double", 1, 1.0),
    (["int", "string"], ["string", "long"], 7, 7),
    ({"type": "array", "items": "int"}, {"type": "array", "items": "double"}, [1], [1.0]),
    ({"type": "map", "values": "int"}, {"type": "map", "values": "double"}, {"a": 1}, {"a": 1.0}),
]


@pytest.mark.parametrize(("writer", "reader", "value", "expected"), PROMOTIONS)
def test_a_value_is_promoted(writer: Any, reader: Any, value: Any, expected: Any) -> None:
    read = resolved(writer, reader, value)

    assert read == expected
    assert type(read) is type(expected)


MISMATCHES: list[tuple[Any, Any, Any]] = [
    ("string", "long", "1"),
    ("long", "int", 1),
    ("double", "long", 1.0),
    ("string", ["null", "long"], "1"),
    ({"type": "array", "items": "string"}, "string", ["a"]),
    ("string", {"type": "enum", "name": "E", "symbols": ["A"]}, "A"),
    (["null", "string"], "string", None),
    (["null", "string"], ["null", "long"], "1"),
    (
        {"type": "fixed", "name": "F", "size": 2},
        {"type": "fixed", "name": "F", "size": 3},
        b"ab",
    ),
]


@pytest.mark.parametrize(("writer", "reader", "value"), MISMATCHES)
def test_a_value_of_another_type_is_refused_with_its_place(
    writer: Any, reader: Any, value: Any
) -> None:
    assert refusal(writer, reader, value) == (Code.DECODE_RESOLUTION, "/f")


def test_a_branch_that_does_not_fit_harms_only_its_own_values() -> None:
    assert resolved(["null", "string"], "string", "a") == "a"
    assert resolved(["null", "string"], ["null", "long"], None) is None


def test_what_the_reader_does_not_have_is_left_out_but_still_checked() -> None:
    wrote = vet(record(field("a", "string"), field("extra", "string"), field("b", "int")))
    wants = vet(record(field("b", "int"), field("a", "string")))
    payload = wrote.write({"a": "x", "extra": "y", "b": 1})

    assert wrote.read(payload, wants) == {"a": "x", "b": 1}
    with pytest.raises(Refused, match="too early"):
        wrote.read(payload[:-2], wants)


def test_what_the_writer_does_not_have_gets_its_default_each_time_anew() -> None:
    wrote = vet(record(field("a", "int")))
    wants = vet(
        record(
            field("a", "int"),
            field("n", ["null", "string"], default=None),
            field("list", {"type": "array", "items": "int"}, default=[1]),
            field("bytes", "bytes", default="\u00ff"),
            field("record", record(field("x", "double", default=3), name="In"), default={}),
        )
    )

    first, second = (wrote.read(b"\x02", wants) for _ in range(2))
    first["list"].append(2)

    expected = {"a": 1, "n": None, "list": [1], "bytes": b"\xff", "record": {"x": 3.0}}
    assert second == expected


def test_a_missing_field_without_default_is_refused_with_its_place() -> None:
    inner = vet(record(field("data", record(field("a", "int"), name="D"))))
    wants = vet(record(field("data", record(field("a", "int"), field("b", "int"), name="D"))))

    with pytest.raises(Refused) as caught:
        inner.read(b"\x02", wants)

    assert (caught.value.code, caught.value.pointer) == (Code.DECODE_RESOLUTION, "/data/b")


def test_a_field_renamed_with_an_alias_is_found() -> None:
    wrote = vet(record(field("old", "int")))
    wants = vet(record(field("new", "long", aliases=["old"])))

    assert wrote.read(b"\x02", wants) == {"new": 1}


def test_an_alias_gives_way_to_the_name_itself() -> None:
    wrote = vet(record(field("old", "int"), field("new", "int")))
    wants = vet(record(field("new", "int", aliases=["old"])))

    assert wrote.read(b"\x02\x04", wants) == {"new": 2}


def test_of_two_aliases_the_first_that_was_written_counts() -> None:
    wrote = vet(record(field("old", "int"), field("older", "int")))
    wants = vet(record(field("new", "int", aliases=["older", "old"])))

    assert wrote.read(b"\x02\x04", wants) == {"new": 1}


E_AB = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
E_A = {"type": "enum", "name": "E", "symbols": ["A"]}


def test_a_symbol_that_the_reader_does_not_know_gets_its_default_or_is_refused() -> None:
    assert resolved(E_AB, {**E_A, "default": "A"}, "B") == "A"
    assert resolved(E_AB, E_A, "A") == "A"
    assert refusal(E_AB, E_A, "B") == (Code.DECODE_RESOLUTION, "/f")


def test_of_two_records_the_one_of_the_same_name_is_taken() -> None:
    first, second = (record(field(name, "int"), name=name.upper()) for name in ("a", "b"))
    renamed = {**second, "name": "Other", "aliases": ["B"]}

    assert resolved(second, ["null", first, second], {"b": 1}) == {"b": 1}
    assert resolved(second, ["null", first, renamed], {"b": 1}) == {"b": 1}


def test_a_record_inside_may_have_another_name() -> None:
    wrote, wants = (record(field("x", "int"), name=name) for name in ("Generated17", "Data"))

    assert resolved(wrote, ["null", wants], {"x": 1}) == {"x": 1}


def test_units_of_time_are_changed_into_each_other() -> None:
    millis, micros, nanos = (
        {"type": "long", "logicalType": f"timestamp-{unit}"}
        for unit in ("millis", "micros", "nanos")
    )

    assert resolved(micros, millis, 1_750_224_535_590_123) == 1_750_224_535_590
    assert resolved(nanos, millis, 1_750_224_535_590_123_456) == 1_750_224_535_590
    assert resolved(millis, micros, 7) == 7_000
    assert resolved(millis, "long", 7) == 7


def test_decimals_of_another_scale_are_refused() -> None:
    two, three = (
        {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": scale}
        for scale in (2, 3)
    )

    assert refusal(two, three, b"\x01") == (Code.DECODE_RESOLUTION, "/f")


def test_a_writer_that_cannot_be_resolved_is_refused_again_and_again() -> None:
    wrote, wants = vet(record(field("f", "string"))), vet(record(field("f", "int")))

    with pytest.raises(Refused) as first:
        wrote.read(b"\x02a", wants)
    with pytest.raises(Refused) as second:
        wrote.read(b"\x02a", wants)

    assert str(first.value) == str(second.value)
    assert first.value is not second.value
