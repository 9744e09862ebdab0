"""Decoding: agrees with fastavro on good bytes, and refuses all others, and nothing else."""

import contextlib
import copy
import io
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.errors import Code, Refused
from processor.schemas import limits
from processor.schemas.avro import WriterSchema, vet

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
LONGS = st.integers(-(2**63), 2**63 - 1)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": LONGS,
    "double": st.floats(allow_nan=False),
    "float": st.floats(allow_nan=False, width=32),
    "bytes": st.binary(max_size=200),
    "string": st.text(max_size=100),
}
Typed = tuple[Any, st.SearchStrategy[Any]]


def record(*types: Any) -> dict[str, Any]:
    fields = [{"name": f"f{i}", "type": each} for i, each in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


def inside(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Arrays, maps and optional values of what is inside."""
    arrays = inner.map(lambda t: ({"type": "array", "items": t[0]}, st.lists(t[1], max_size=5)))
    maps = inner.map(
        lambda t: (
            {"type": "map", "values": t[0]},
            st.dictionaries(st.text(max_size=5), t[1], max_size=3),
        )
    )
    return arrays | maps


def optional(typed: Typed) -> Typed:
    return ["null", typed[0]], st.none() | typed[1]


TYPES = st.recursive(
    st.sampled_from(list(PRIMITIVES.items())),
    inside,
    max_leaves=4,
)


@st.composite
def schemas_and_events(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    typed = draw(st.lists(TYPES | TYPES.map(optional), min_size=1, max_size=6))
    event = {f"f{i}": draw(values) for i, (_, values) in enumerate(typed)}
    return record(*(schema for schema, _ in typed)), event


def fastavro_bytes(schema: Any, event: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(copy.deepcopy(schema)), event)
    return stream.getvalue()


def code_of(schema: WriterSchema, payload: bytes, reader: WriterSchema | None = None) -> Code:
    with pytest.raises(Refused) as caught:
        schema.read(payload, reader)
    return caught.value.code


@UNHURRIED
@given(schemas_and_events())
def test_what_fastavro_writes_is_read_as_fastavro_reads_it(
    drawn: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    schema, event = drawn
    payload = fastavro_bytes(schema, event)

    assert vet(schema).read(payload) == fastavro.schemaless_reader(
        io.BytesIO(payload), fastavro.parse_schema(schema), None
    )


@UNHURRIED
@given(schemas_and_events())
def test_what_is_written_is_read_again(drawn: tuple[dict[str, Any], dict[str, Any]]) -> None:
    schema, event = vet(drawn[0]), drawn[1]

    assert schema.read(schema.write(event)) == event


@UNHURRIED
@given(schemas_and_events(), st.data())
def test_a_payload_cut_anywhere_is_refused(
    drawn: tuple[dict[str, Any], dict[str, Any]], data: st.DataObject
) -> None:
    schema, event = vet(drawn[0]), drawn[1]
    payload = schema.write(event)
    cut = data.draw(st.integers(0, len(payload) - 1))

    assert code_of(schema, payload[:cut]) is Code.DECODE_TRUNCATED


def test_an_event_cut_at_every_byte_is_truncated(
    points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    schema = vet(points_issued)
    payload = schema.write(event)

    codes = {code_of(schema, payload[:cut]) for cut in range(len(payload))}

    assert codes == {Code.DECODE_TRUNCATED}


@UNHURRIED
@given(st.binary(max_size=300))
def test_random_bytes_give_an_event_or_a_refusal(payload: bytes) -> None:
    schema = vet(record(["null", "string"], "long", {"type": "array", "items": "string"}))

    with contextlib.suppress(Refused):
        assert schema.read(payload).keys() == {"f0", "f1", "f2"}


def test_every_flipped_bit_gives_a_canonical_event_or_a_refusal(
    points_issued: dict[str, Any], event: dict[str, Any]
) -> None:
    schema = vet(points_issued)
    payload = schema.write(event)

    for bit in range(8 * len(payload)):
        flipped = bytearray(payload)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            read = schema.read(bytes(flipped))
        except Refused:
            continue
        # A block count may be written negative, with a size that nobody needs; maps lose repeats.
        assert len(schema.write(read)) <= len(flipped)


REFUSALS: dict[str, tuple[list[Any], bytes, Code]] = {
    "bytes after the end": (["int"], b"\x02\x00", Code.DECODE_TRAILING_BYTES),
    "number in needless bytes": (["int"], b"\x82\x00", Code.DECODE_VALUE),
    "number of 1,000 bytes": (["long"], b"\x80" * 1_000 + b"\x01", Code.DECODE_VALUE),
    "number beyond 64 bits": (["long"], b"\xff" * 9 + b"\x7f", Code.DECODE_VALUE),
    "number cut": (["long"], b"\xff\xff", Code.DECODE_TRUNCATED),
    "union index 7": ([["null", "int"]], b"\x0e", Code.DECODE_VALUE),
    "union index -1": ([["null", "int"]], b"\x01\x02", Code.DECODE_VALUE),
    "union index in needless bytes": ([["null", "int"]], b"\x80\x00", Code.DECODE_VALUE),
    "enum index 9": ([{"type": "enum", "name": "E", "symbols": ["A"]}], b"\x12", Code.DECODE_VALUE),
    "enum index -1": (
        [{"type": "enum", "name": "E", "symbols": ["A"]}],
        b"\x01",
        Code.DECODE_VALUE,
    ),
    "boolean 7": (["boolean"], b"\x07", Code.DECODE_VALUE),
    "text of -1 bytes": (["string"], b"\x01", Code.DECODE_VALUE),
    "text of -300 bytes": (["string"], b"\xd7\x04", Code.DECODE_VALUE),
    "text of 2^31 bytes": (["string"], b"\x80\x80\x80\x80\x10abc", Code.DECODE_TRUNCATED),
    "text of 2^62 bytes": (
        ["string"],
        b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01abc",
        Code.DECODE_TRUNCATED,
    ),
    "text that is not UTF-8": (["string"], b"\x04\xff\xfe", Code.DECODE_UTF8),
    "text that is a surrogate": (["string"], b"\x06\xed\xa0\x80", Code.DECODE_UTF8),
    "fixed cut": ([{"type": "fixed", "name": "F", "size": 8}], b"abc", Code.DECODE_TRUNCATED),
    "double cut": (["double"], b"abc", Code.DECODE_TRUNCATED),
    "nothing at all": (["int"], b"", Code.DECODE_TRUNCATED),
    "array of 2^40 texts": (
        [{"type": "array", "items": "string"}],
        b"\x80\x80\x80\x80\x80\x40",
        Code.DECODE_TRUNCATED,
    ),
    "block of -2^63": (
        [{"type": "array", "items": "int"}],
        b"\xff" * 9 + b"\x01\x00\x00",
        Code.DECODE_TRUNCATED,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_bytes_that_are_not_avro_of_the_schema_are_refused(name: str) -> None:
    types, payload, expected = REFUSALS[name]

    assert code_of(vet(record(*types)), payload) is expected


def test_too_many_items_are_refused_whatever_arrays_they_are_in() -> None:
    schema = vet(record({"type": "array", "items": {"type": "array", "items": "int"}}))
    half = [0] * (limits.ITEMS_MAX // 2)

    within = schema.write({"f0": [half]})
    beyond = schema.write({"f0": [half, half]})

    assert len(schema.read(within)["f0"][0]) == limits.ITEMS_MAX // 2
    assert code_of(schema, beyond) is Code.DECODE_LIMIT


def test_a_payload_beyond_the_byte_limit_is_refused() -> None:
    schema = vet(record("bytes"))

    assert code_of(schema, bytes(limits.PAYLOAD_MAX_BYTES + 1)) is Code.DECODE_LIMIT


def test_blocks_with_a_size_are_read() -> None:
    schema = vet(record({"type": "array", "items": "int"}))

    assert schema.read(b"\x03\x04\x02\x04\x00") == {"f0": [1, 2]}


def test_of_a_maps_repeated_key_the_last_counts() -> None:
    schema = vet(record({"type": "map", "values": "int"}))

    assert schema.read(b"\x04\x02a\x02\x02a\x04\x00") == {"f0": {"a": 2}}


def test_a_union_of_many_branches_has_indices_of_two_bytes() -> None:
    branches = [{"type": "fixed", "name": f"F{i}", "size": 1} for i in range(100)]
    schema = vet(record(branches))

    assert schema.read(b"\xc6\x01x") == {"f0": b"x"}
    assert code_of(schema, b"\xc8\x01x") is Code.DECODE_VALUE


def test_logical_types_stay_raw(points_issued: dict[str, Any], event: dict[str, Any]) -> None:
    schema = vet(points_issued)

    assert schema.read(schema.write(event))["createdAt"] == 1750224535590


def test_a_memoryview_is_read_like_bytes() -> None:
    assert vet(record("string")).read(memoryview(b"\x02a")) == {"f0": "a"}


DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}


def test_a_decimal_stays_raw_but_within_its_precision() -> None:
    schema = vet(record(DECIMAL))

    assert schema.read(schema.write({"f0": b"\x27\x0f"})) == {"f0": b"\x27\x0f"}
    assert code_of(schema, schema.write({"f0": b"\x27\x10"})) is Code.DECODE_VALUE
    assert code_of(schema, schema.write({"f0": b"\x00" * 40})) is Code.DECODE_LIMIT


def test_a_uuid_has_to_be_one() -> None:
    schema = vet(record({"type": "string", "logicalType": "uuid"}))
    text = "4647d7b7-0000-4000-8000-40ff87f8a445"

    assert schema.read(schema.write({"f0": text})) == {"f0": text}
    assert code_of(schema, schema.write({"f0": "yes"})) is Code.DECODE_VALUE


def test_an_event_that_does_not_fit_cannot_be_written() -> None:
    with pytest.raises(Refused) as caught:
        vet(record("int")).write({"f0": "secret-value"})

    assert caught.value.code is Code.EVENT_INVALID
    assert "secret-value" not in str(caught.value)


def test_a_schema_shows_its_name_alone(points_issued: dict[str, Any]) -> None:
    assert repr(vet(points_issued)) == "WriterSchema(com.capillarytech.events.PointsIssued)"
