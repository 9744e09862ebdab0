"""The bytes that hang or kill a bare decoder, each in a process with little time and memory."""

import json
import subprocess
import sys
from typing import Any

import pytest

LIMITED = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
from processor.errors import Refused
from processor.schemas.avro import vet
resource.setrlimit(resource.RLIMIT_AS, (600_000_000, 600_000_000))
schema, made = json.load(sys.stdin)
payload = b"".join(bytes.fromhex(part) * times for part, times in made)
started = time.process_time()
try:
    vet(schema).read(payload)
    verdict = "read"
except Refused as refused:
    verdict = refused.code.value
print(json.dumps([verdict, time.process_time() - started]))
"""
EMPTY = {"type": "record", "name": "Empty", "fields": []}
RECURSIVE = {
    "type": "record",
    "name": "List",
    "fields": [{"name": "next", "type": ["null", "List"]}],
}
NUMBER = {"type": "record", "name": "N", "fields": [{"name": "n", "type": "int"}]}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 2}
COUNT_2_62 = [["80", 8], ["8001", 1]]
COUNT_2_24 = [["80808010", 1]]
LENGTH_1_MB = [["80808001", 1]]


def array(items: Any) -> dict[str, Any]:
    return record({"type": "array", "items": items})


def record(inner: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "f", "type": inner}]}


def repeated(fields: int, items: int) -> tuple[Any, list[list[Any]]]:
    """Many items of many one-byte fields, as large as a value may be."""
    many = [{"name": f"f{i}", "type": "boolean"} for i in range(fields)]
    count = items << 1
    varint = ""
    while count > 0x7F:
        varint += f"{count & 0x7F | 0x80:02x}"
        count >>= 7
    schema = array({"type": "record", "name": "Many", "fields": many})
    return schema, [[varint + f"{count:02x}", 1], ["01", fields * items], ["00", 1]]


ROWS: dict[str, tuple[Any, list[list[Any]], str]] = {
    "B14 2^62 nulls in 10 bytes": (array("null"), COUNT_2_62, "decode.schema_refused"),
    "B15 2^24 nulls in 5 bytes": (array("null"), COUNT_2_24, "decode.schema_refused"),
    "B16 2^24 empty records": (array(EMPTY), COUNT_2_24, "decode.schema_refused"),
    "B17 a block of -2^62": (
        array("int"),
        [["ff", 8], ["7f00", 1]],
        "decode.truncated",
    ),
    "B17 a block of -2^63": (array("int"), [["ff", 9], ["0100", 1]], "decode.truncated"),
    "B18 2^62 texts, no data": (array("string"), COUNT_2_62, "decode.truncated"),
    "B19 1,000,000 one-byte records": (
        array(NUMBER),
        [["80897a", 1], ["02", 1_000_000], ["00", 1]],
        "decode.limit",
    ),
    "B20 500 levels": (RECURSIVE, [["02", 500], ["00", 1]], "decode.schema_refused"),
    "B21 6,000 levels": (RECURSIVE, [["02", 6_000], ["00", 1]], "decode.schema_refused"),
    "B22 a text of 2^62 bytes": (record("string"), [*COUNT_2_62, ["61", 3]], "decode.truncated"),
    "B25 a number of 1,000,000 bytes": (record("long"), [["ff", 1_000_000]], "decode.value"),
    "B34 a decimal of 1 MiB": (
        record(DECIMAL),
        [*LENGTH_1_MB, ["7f", 1_048_576]],
        "decode.limit",
    ),
    "4 MB of items with 80 fields": (*repeated(80, 49_000), "read"),
    "4 MB of items with 4,000 fields": (*repeated(4_000, 1_000), "read"),
}


@pytest.mark.parametrize("row", ROWS)
def test_hostile_bytes_neither_hang_nor_kill(row: str) -> None:
    schema, payload, expected = ROWS[row]

    done = subprocess.run(
        [sys.executable, "-c", LIMITED],
        input=json.dumps([schema, payload]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    verdict, cpu_s = json.loads(done.stdout)
    assert verdict == expected
    assert cpu_s < 5
