"""B11 to B40, without the generated ones: the Avro body."""

import math
from collections.abc import Sequence
from typing import Any

from processor.errors import Code
from tests.corpus.inputs import (
    as_avro,
    as_json,
    event,
    framed,
    last_field,
    number,
    rewritten,
    schema,
    typed,
    written_by,
)
from tests.corpus.own_event import OWN_EVENT, OWN_FOLDER, own_event, own_prefix
from tests.corpus.rows import DELIVER, REFUSE_SCHEMA, Delivered, Row, dead_letter

TRUNCATED = dead_letter(Code.DECODE_TRUNCATED)
VALUE = dead_letter(Code.DECODE_VALUE)
UTF8 = dead_letter(Code.DECODE_UTF8)
LIMIT = dead_letter(Code.DECODE_LIMIT)
EXPRESSION = dead_letter(Code.MAPPING_EXPRESSION)
VIOLATION = dead_letter(Code.GATE_VIOLATION)

NOTHING = {"type": "array", "items": "null"}
EMPTY = {"type": "array", "items": {"type": "record", "name": "Empty", "fields": []}}
NUMBERS = {"type": "array", "items": "int"}
TEXTS = {"type": "array", "items": "string"}
ITEM = {"type": "record", "name": "Item", "fields": [{"name": "n", "type": "int"}]}
CHAIN = {"type": "record", "name": "Chain", "fields": [{"name": "next", "type": ["null", "Chain"]}]}
KIND = {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2}
UUID = {"type": "string", "logicalType": "uuid"}
FIXED = {"type": "fixed", "name": "Sixteen", "size": 16}
MAP = {"type": "map", "values": "string"}
OPTIONAL_TEXT = ["null", "string"]
INT64_MAX, INT64_MIN = 2**63 - 1, -(2**63)


def decimal(size: int) -> bytes:
    return number(size) + b"\x7f" * size


def store_code(delivered: Sequence[Delivered]) -> None:
    """The event's own fields are not disturbed by what stands beside them."""
    for one in delivered:
        assert one.entity()["commerce"]["commerceScope"]["storeCode"] == "HSR-01"


def without(name: str) -> Any:
    return lambda fields: [field for field in fields if field["name"] != name]


def of_type(name: str, avro_type: Any) -> Any:
    return lambda fields: [
        {"name": name, "type": avro_type} if field["name"] == name else field for field in fields
    ]


def backwards(delivered: Sequence[Delivered]) -> None:
    assert [one.entity()["_id"] for one in delivered] == [event()["eventId"]] * 3
    store_code(delivered)


def of_seconds(delivered: Sequence[Delivered]) -> None:
    assert delivered[0].entity()["timestamp"] == "2025-06-18T05:28:55.000Z"


def twice() -> tuple[Any, bytes]:
    """A map that says ``a`` twice, behind all else."""
    fields, written = own_prefix(without="trace")
    avro = {**OWN_EVENT, "fields": [*fields, {"name": "trace", "type": MAP}]}
    return avro, written + bytes.fromhex("04 0261 0231 0261 0232 00")


def last_wins(delivered: Sequence[Delivered]) -> None:
    assert delivered[0].entity()["_acme"]["own"]["trace"] == {"a": "2"}


SIZES = (
    Row("B11", "100 trailing bytes", framed(lambda whole: whole + bytes(100)),
        dead_letter(Code.DECODE_TRAILING_BYTES)),
    Row("B14", "2^62 nulls in 10 bytes", last_field("x", NOTHING, number(2**62) + b"\0"),
        REFUSE_SCHEMA),
    Row("B15", "2^24 nulls in 5 bytes", last_field("x", NOTHING, number(2**24) + b"\0"),
        REFUSE_SCHEMA),
    Row("B16", "2^24 empty records", last_field("x", EMPTY, number(2**24) + b"\0"), REFUSE_SCHEMA),
    Row("B17", "a block of -2^62 items", last_field("x", NUMBERS, number(-(2**62)) + b"\0\0"),
        TRUNCATED),
    Row("B17", "a block of INT64_MIN items", last_field("x", NUMBERS, number(INT64_MIN) + b"\0\0"),
        TRUNCATED),
    Row("B18", "2^40 texts and no data", last_field("x", TEXTS, number(2**40)), TRUNCATED),
    Row("B19", "1,000,000 one-byte records", last_field("x", {"type": "array", "items": ITEM},
        number(1_000_000) + b"\x02" * 1_000_000 + b"\0"), LIMIT),
    Row("B19", "1,000,000 one-byte records in blocks of one", last_field("x", {"type": "array",
        "items": ITEM}, b"\x02\x02" * 1_000_000 + b"\0"), LIMIT),
    Row("B20", "a recursive record, 500 levels", last_field("x", CHAIN, b"\x02" * 500 + b"\0"),
        REFUSE_SCHEMA),
    Row("B21", "a recursive record, 6,000 levels", last_field("x", CHAIN, b"\x02" * 6_000 + b"\0"),
        REFUSE_SCHEMA),
    Row("B21", "a recursive record, 1,000,000 levels",
        last_field("x", CHAIN, b"\x02" * 1_000_000 + b"\0"), REFUSE_SCHEMA),
    Row("B22", "a text of 2^31 bytes that has 3", last_field("x", "string", number(2**31) + b"aaa"),
        TRUNCATED),
    Row("B22", "a text of 2^62 bytes that has 3", last_field("x", "string", number(2**62) + b"aaa"),
        TRUNCATED),
    Row("B22", "bytes of 2^62 that are 3", last_field("x", "bytes", number(2**62) + b"aaa"),
        TRUNCATED),
    Row("B23", "a text of length -1", last_field("x", "string", number(-1)), VALUE),
    Row("B23", "bytes of length INT64_MIN", last_field("x", "bytes", number(INT64_MIN)), VALUE),
    Row("B24", "invalid UTF-8 in a field that is mapped",
        framed(lambda whole: whole.replace(b"HSR-01", b"HSR\xff01")), UTF8),
    Row("B24", "an overlong NUL in a field that is left out",
        last_field("x", "string", b"\x04\xc0\x80"), UTF8),
    Row("B25", "a number of 1,000 bytes", last_field("x", "long", b"\x80" * 1_000 + b"\x01"),
        VALUE),
    Row("B25", "zero in two bytes", last_field("x", "long", b"\x80\0"), VALUE),
    Row("B25", "a number beyond 64 bits", last_field("x", "long", b"\xff" * 9 + b"\x02"), VALUE),
    Row("B26", "a number cut off", last_field("x", "long", b"\x80\x80"), TRUNCATED),
)  # fmt: skip

VALUES = (
    Row("B27", "union index 7", last_field("eventId", OPTIONAL_TEXT, number(7)), VALUE),
    Row("B28", "union index -1", last_field("eventId", OPTIONAL_TEXT, number(-1) + b"\x02a"),
        VALUE),
    Row("B29", "enum index 9", last_field("x", KIND, number(9)), VALUE),
    Row("B29", "enum index -1", last_field("x", KIND, number(-1)), VALUE),
    Row("B30", "boolean 7", last_field("x", "boolean", b"\x07"), VALUE),
    Row("B31", "an amount that is NaN", as_avro("transactionAdded", {"data.amount": math.nan}),
        EXPRESSION, pointer="/commerce/order/priceTotal"),
    Row("B31", "an amount that is Infinity, and -Infinity", as_avro("transactionAdded",
        {"data.amount": math.inf}, {"data.amount": -math.inf}), EXPRESSION,
        pointer="/commerce/order/priceTotal"),
    Row("B31", "points that are NaN", as_avro("pointsIssued",
        {"data.totalPointsIssued": math.nan}), dead_letter(Code.MAPPING_TYPE),
        pointer="/loyalty/pointsGained/*/value"),
    Row("B31", "NaN in a field that is not mapped", last_field("x", "double",
        b"\0\0\0\0\0\0\xf8\x7f"), DELIVER, check=store_code, reason="nobody reads it"),
    Row("B32", "a time of INT64_MAX, INT64_MIN, year 9999+", as_avro("transactionAdded",
        {"data.enteredAt": INT64_MAX}, {"data.enteredAt": INT64_MIN},
        {"data.enteredAt": 253_402_300_800_000}), EXPRESSION, pointer="/timestamp"),
    Row("B32", "createdAt of INT64_MAX, INT64_MIN", as_avro("pointsIssued",
        {"createdAt": INT64_MAX}, {"createdAt": INT64_MIN}), EXPRESSION, pointer="/timestamp"),
    Row("B32", "a negative time", as_avro("transactionAdded", {"data.enteredAt": -1}), VIOLATION,
        pointer="/timestamp"),
    Row("B33", "seconds for milliseconds, where Capillary sends both", as_avro("transactionAdded",
        {"data.enteredAt": 1_750_224_535}), DELIVER, check=of_seconds,
        reason="the mapping set takes a number below 1e11 for seconds"),
    Row("B33", "createdAt in seconds", as_avro("pointsIssued", {"createdAt": 1_750_224_535}),
        VIOLATION, pointer="/timestamp", reason="it would be in January 1970"),
    Row("B33", "createdAt in microseconds", as_avro("pointsIssued",
        {"createdAt": 1_750_224_535_590_000}), EXPRESSION, pointer="/timestamp"),
    Row("B33", "createdAt of 0", as_avro("pointsIssued", {"createdAt": 0}), VIOLATION,
        pointer="/timestamp"),
    *(
        Row("B34", f"a decimal of {name}", last_field("x", DECIMAL, decimal(size)), LIMIT)
        for name, size in (("64 KB", 65_536), ("256 KB", 262_144), ("1 MiB", 1_048_576))
    ),
    Row("B35", "a decimal of more digits than its precision", last_field("x",
        {**DECIMAL, "precision": 4}, b"\x06\x7f\xff\xff"), VALUE),
    Row("B35", "a decimal of 40 bytes", last_field("x", DECIMAL, decimal(40)), LIMIT),
    Row("B35", "the same in a schema of the operator's", own_event(amount=b"\x0f\x42\x40"), VALUE,
        pointer="/amount", folder=OWN_FOLDER),
    Row("B36", "a UUID that is none", last_field("x", UUID, number(4) + b"abcd"), VALUE),
    Row("B36", "the same in a schema of the operator's", own_event(reference="not a uuid"), VALUE,
        pointer="/reference", folder=OWN_FOLDER),
    Row("B37", "a fixed value cut off", last_field("x", FIXED, bytes(15)), TRUNCATED),
    Row("B38", "a map with a key twice", written_by(twice),
        DELIVER, check=last_wins, folder=OWN_FOLDER,
        reason="the last wins, as in JSON; not counted: that would cost time for every event"),
)  # fmt: skip

RESOLUTION = (
    Row("B39", "a newer writer: further fields", rewritten(
        lambda fields: [{"name": "new", "type": TEXTS}, *fields], {"new": ["a", "b"]}), DELIVER,
        check=store_code),
    Row("B39", "a field is missing that has a default", rewritten(without("refId")), DELIVER,
        check=store_code),
    Row("B39", "a field is missing that has none", rewritten(without("orgId")),
        dead_letter(Code.DECODE_RESOLUTION), pointer="/orgId"),
    Row("B39", "an int where ours has a long", rewritten(of_type("orgId", "int")), DELIVER,
        check=store_code),
    Row("B39", "text where ours has a long", rewritten(of_type("orgId", "string"),
        {"orgId": "51186"}), dead_letter(Code.DECODE_RESOLUTION), pointer="/orgId"),
    Row("B39", "a field under its alias", own_event(rename={"reference": "oldReference"}), DELIVER,
        folder=OWN_FOLDER),
    Row("B39", "a record under another name in the registry, its event named in the body",
        written_by(lambda: ({**schema("transactionAdded").avro, "name": "Envelope"},
            schema("transactionAdded").parsed.write(typed()))), DELIVER, check=store_code),
    Row("B39", "a schema of one event, a body that names another",
        as_avro("transactionAdded", {"eventName": "pointsIssued"}),
        dead_letter(Code.EVENT_INVALID), pointer="/eventName"),
    Row("B40", "three writer schemas with one record name, in turns", lambda registry: [
        *as_avro()(registry), *rewritten(lambda fields: fields[::-1])(registry),
        *rewritten(without("traceAttributes"))(registry)], DELIVER, check=backwards),
    Row("B40", "JSON beside them", as_json(), DELIVER, check=store_code),
)  # fmt: skip

ROWS = (*SIZES, *VALUES, *RESOLUTION)
