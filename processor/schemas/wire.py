"""How a record's value says which schema wrote it: wire formats, taken apart and put together."""

import struct
import uuid
from dataclasses import dataclass
from typing import Literal, NamedTuple

from processor.errors import Code, Refused
from processor.record import Headers

SCHEMA_ID_HEADER = "__value_schema_id"
"""Header of Confluent's newer serializers; it counts before the value's own prefix."""

_CONFLUENT = 0x00
_GUID = 0x01
_SINGLE_OBJECT = b"\xc3\x01"
_CONTAINER = b"Obj\x01"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_STARTS = b"{ \t\r\n"
_PREFIX_BYTES = 5
_GUID_BYTES = 17
_SINGLE_OBJECT_BYTES = 10

Format = Literal["auto", "avro", "json"]


@dataclass(frozen=True, slots=True)
class SchemaKey:
    """A writer schema's name in a registry: its id, or its GUID. Its text is for people."""

    id: int | uuid.UUID

    def __str__(self) -> str:
        return str(self.id)


class Registered(NamedTuple):
    """Avro bytes whose schema is in a registry, under an id or a GUID."""

    id: int | uuid.UUID
    payload: bytes


class Fingerprinted(NamedTuple):
    """Avro bytes whose schema is known by its CRC-64-AVRO fingerprint, little-endian."""

    fingerprint: bytes
    payload: bytes

    @property
    def schema_id(self) -> str:
        """The fingerprint in hexadecimal, as people write it."""
        return self.fingerprint[::-1].hex()


class Json(NamedTuple):
    """JSON text in UTF-8."""

    payload: bytes


Framed = Registered | Fingerprinted | Json


def unframe(value: bytes, headers: Headers, wanted: Format) -> Framed:
    """Say how a value is framed, and take the frame off.

    Args:
        value: not `None`; a null value is not framed at all.
        headers: of the record; :data:`SCHEMA_ID_HEADER` comes before the value's prefix.
        wanted: ``avro`` takes Confluent framing and single-object encoding, ``json`` JSON, and
            ``auto`` all of them.

    Raises:
        Refused: ``decode.framing``, or ``decode.unknown_schema_id`` for an id below 1, which no
            registry gives.

    Source:
        Confluent's wire format; Avro specification 1.11, "Single-object encoding".
    """
    if wanted == "json":
        return Json(_json(value))
    in_header = _from_headers(headers)
    if in_header is not None:
        return Registered(in_header, value)
    if value[:1] == b"\x00" and len(value) >= _PREFIX_BYTES:
        return Registered(_positive(value, 1), value[_PREFIX_BYTES:])
    if value[:2] == _SINGLE_OBJECT and len(value) >= _SINGLE_OBJECT_BYTES:
        return Fingerprinted(value[2:_SINGLE_OBJECT_BYTES], value[_SINGLE_OBJECT_BYTES:])
    if _looks_like_json(value):
        if wanted == "auto":
            return Json(_json(value))
        raise _unframed("it looks like JSON; set converter.value to «auto» or «json»")
    raise _unframed(_hint(value))


def schema_id_of(value: bytes | None, headers: Headers) -> str:
    """How a record names its writer's schema, decodable or not, as ``Event.schema_id`` has it.

    For the story of a record that could not be decoded; ``""`` when it names none.
    """
    try:
        framed = unframe(value or b"", headers, "auto")
    except Refused:
        return ""
    match framed:
        case Registered():
            return str(framed.id)
        case Fingerprinted():
            return framed.schema_id
        case Json():
            return ""


def confluent(schema_id: int, payload: bytes) -> bytes:
    """Put Confluent's frame before Avro bytes."""
    return struct.pack(">bI", _CONFLUENT, schema_id) + payload


def single_object(fingerprint: bytes, payload: bytes) -> bytes:
    """Put the frame of single-object encoding before Avro bytes."""
    return _SINGLE_OBJECT + fingerprint + payload


def guid_header(guid: uuid.UUID) -> tuple[str, bytes]:
    """The header that names a schema by its GUID."""
    return SCHEMA_ID_HEADER, bytes([_GUID]) + guid.bytes


def _from_headers(headers: Headers) -> int | uuid.UUID | None:
    """The schema that the last of the schema id headers names; `None`: there is none."""
    found = None
    for name, content in headers:
        if name == SCHEMA_ID_HEADER:
            found = content
    if found is None:
        return None
    if found[:1] == bytes([_GUID]) and len(found) == _GUID_BYTES:
        return uuid.UUID(bytes=found[1:])
    if found[:1] == bytes([_CONFLUENT]) and len(found) == _PREFIX_BYTES:
        return _positive(found, 1)
    raise _unframed(f"its header {SCHEMA_ID_HEADER} holds neither a schema GUID nor a schema id")


def _positive(data: bytes, offset: int) -> int:
    schema_id: int = struct.unpack_from(">i", data, offset)[0]
    if schema_id < 1:
        raise Refused(
            f"The value names the schema id {schema_id}; a registry's ids start at 1.",
            code=Code.DECODE_UNKNOWN_SCHEMA_ID,
        )
    return schema_id


def _looks_like_json(value: bytes) -> bool:
    return value[:1] != b"" and (value[0] in _JSON_STARTS or value[:3] == _BYTE_ORDER_MARK)


def _json(value: bytes) -> bytes:
    """JSON text without a byte order mark."""
    text = value.removeprefix(_BYTE_ORDER_MARK)
    if text[:1] == b"" or text[0] not in _JSON_STARTS:
        raise _unframed(f"it is not a JSON object; {_hint(value)}")
    return text


def _hint(value: bytes) -> str:
    if value[:1] == b"":
        return "it is empty"
    if value[:4] == _CONTAINER:
        return "it is an Avro container file; send each of its records as a value of its own"
    if value[:1] == b"\x00" or value[:2] == _SINGLE_OBJECT:
        return (
            "it ends before its schema id does"
            if len(value) < _PREFIX_BYTES
            else ("it starts like Avro; set converter.value to «auto» or «avro»")
        )
    if value[:1] == b"[":
        return "it looks like a JSON list; send one event a record"
    return "it starts like none of Confluent's Avro, single-object Avro and JSON"


def _unframed(why: str) -> Refused:
    return Refused(f"The value cannot be read: {why}.", code=Code.DECODE_FRAMING)
