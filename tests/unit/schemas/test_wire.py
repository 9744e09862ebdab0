"""How a value says which schema wrote it."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Code, Refused
from processor.schemas.wire import (
    Fingerprinted,
    Format,
    Json,
    Registered,
    SchemaKey,
    confluent,
    guid_header,
    schema_id_of,
    single_object,
    unframe,
)

GUID = uuid.UUID("0f3c1a52-9d2b-4c3e-8a77-1b2c3d4e5f60")


def refusal(value: bytes, wanted: Format = "auto") -> Refused:
    with pytest.raises(Refused) as caught:
        unframe(value, (), wanted)
    return caught.value


@given(st.integers(1, 2**31 - 1), st.binary())
def test_confluents_frame_comes_off_as_it_went_on(schema_id: int, payload: bytes) -> None:
    assert unframe(confluent(schema_id, payload), (), "auto") == Registered(schema_id, payload)


@given(st.binary(min_size=8, max_size=8), st.binary())
def test_single_object_encoding_comes_off_as_it_went_on(crc: bytes, payload: bytes) -> None:
    assert unframe(single_object(crc, payload), (), "avro") == Fingerprinted(crc, payload)


def test_a_fingerprint_is_shown_as_people_write_it() -> None:
    assert Fingerprinted(bytes(range(8)), b"").schema_id == "0706050403020100"


def test_a_header_comes_before_the_prefix_and_the_last_of_them_counts() -> None:
    headers = [("a", None), guid_header(uuid.uuid4()), guid_header(GUID), ("b", b"\x00\xff")]
    value = confluent(7, b"payload")

    assert unframe(value, headers, "auto") == Registered(GUID, value)
    assert str(SchemaKey(GUID)) == str(GUID)


def test_a_header_may_hold_an_id() -> None:
    assert unframe(b"x", [("__value_schema_id", confluent(7, b""))], "auto") == Registered(7, b"x")


@pytest.mark.parametrize("content", [b"", b"\x01", b"\x02" + bytes(16), b"\x01" + bytes(15)])
def test_a_header_that_names_no_schema_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as caught:
        unframe(confluent(7, b""), [("__value_schema_id", content)], "auto")

    assert caught.value.code is Code.DECODE_FRAMING


@pytest.mark.parametrize("schema_id", [0, 2**31, 2**32 - 1])
def test_an_id_that_no_registry_gives_is_unknown(schema_id: int) -> None:
    assert refusal(confluent(schema_id, b"")).code is Code.DECODE_UNKNOWN_SCHEMA_ID


@pytest.mark.parametrize("text", [b'{"a":1}', b' \r\n\t{"a":1}', b"{", b'\xef\xbb\xbf{"a":1}'])
@pytest.mark.parametrize("wanted", ["auto", "json"])
def test_json_is_known_by_its_first_byte(text: bytes, wanted: Format) -> None:
    assert unframe(text, (), wanted) == Json(text.removeprefix(b"\xef\xbb\xbf"))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (b"", "it is empty"),
        (b"\x00", "before its schema id"),
        (b"\x00\x00\x00\x01", "before its schema id"),
        (b"Obj\x01" + bytes(20), "container file"),
        (b"[{}]", "JSON list"),
        (b"\x01", "starts like none"),
        (b"\xff\xfe", "starts like none"),
    ],
)
def test_what_is_not_framed_is_refused_with_a_hint(value: bytes, hint: str) -> None:
    refused = refusal(value)

    assert refused.code is Code.DECODE_FRAMING
    assert hint in str(refused)


def test_only_the_formats_that_the_settings_want_are_taken() -> None:
    assert "looks like JSON" in str(refusal(b"{}", "avro"))
    assert "starts like Avro" in str(refusal(confluent(1, b""), "json"))
    assert "starts like Avro" in str(refusal(single_object(bytes(8), b""), "json"))


def test_a_record_that_cannot_be_decoded_still_says_which_schema_wrote_it() -> None:
    values = [confluent(7, b"?"), single_object(bytes(range(8)), b"?"), b"{", b"\x00", None]

    said = [schema_id_of(value, ()) for value in values]

    assert said == ["7", "0706050403020100", "", "", ""]
    assert schema_id_of(b"?", [guid_header(GUID)]) == str(GUID)


@given(st.binary(max_size=16))
def test_any_bytes_are_framed_or_refused(value: bytes) -> None:
    try:
        framed = unframe(value, (), "auto")
    except Refused:
        return

    assert value.endswith(framed.payload)


@pytest.mark.parametrize("first", range(256))
def test_every_first_byte_and_size_is_framed_or_refused(first: int) -> None:
    for size in range(17):
        value = bytes([first]) + bytes(size)
        try:
            unframe(value, (), "auto")
        except Refused as refused:
            assert refused.code in {  # noqa: PT017  # most of these values are refused
                Code.DECODE_FRAMING,
                Code.DECODE_UNKNOWN_SCHEMA_ID,
            }
