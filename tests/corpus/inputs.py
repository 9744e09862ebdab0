"""Makes the bytes of rows: a realistic event, changed, cut, framed or wrapped."""

import copy
import json
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from processor.record import Headers
from processor.schemas import wire
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.folder import EventSchema, SchemaFolder, builtin_directory
from processor.settings import SchemasSettings
from tests.corpus.rows import Input, Inputs, Registry

Payload = Callable[[], tuple[Any, bytes]]
"""The writer's schema, and a value that it wrote or seems to have written."""

EXAMPLES = {"pointsIssued": "purchase", "transactionAdded": "purchase", "customerAdded": "in-store"}


@cache
def schema(name: str) -> EventSchema:
    return SchemaFolder.load(SchemasSettings()).events[name]


@cache
def _example(name: str) -> str:
    path = builtin_directory() / name / "examples" / EXAMPLES[name] / "input.json"
    return path.read_text(encoding="utf-8")


def event(name: str = "transactionAdded", changes: Mapping[str, Any] | None = None) -> Any:
    """A realistic event as JSON values, with values put at dotted places; ``...`` takes one out."""
    made = json.loads(_example(name))
    return _changed(made, changes or {})


def typed(name: str = "transactionAdded", changes: Mapping[str, Any] | None = None) -> Any:
    """The same as Avro decoding gives it; changed afterwards, so that JSON's limits do not hold."""
    return _changed(schema(name).parsed.from_json(event(name)), changes or {})


def _changed(made: Any, changes: Mapping[str, Any]) -> Any:
    for place, value in changes.items():
        *steps, last = place.split(".")
        holder = made
        for step in steps:
            holder = holder[step]
        if value is ...:
            holder.pop(last, None)
        else:
            holder[last] = copy.deepcopy(value)
    return made


def payload(name: str = "transactionAdded", changes: Mapping[str, Any] | None = None) -> bytes:
    """A realistic event as its own schema writes it, without a frame."""
    return schema(name).parsed.write(typed(name, changes))


def raw(*values: bytes | None, headers: Headers = ()) -> Inputs:
    """Values as they are."""
    return lambda _: [Input(value, headers) for value in values]


def as_json(
    name: str = "transactionAdded",
    *each: Mapping[str, Any],
    wrap: Callable[[Any], Any] = lambda made: made,
) -> Inputs:
    """Events as JSON, one for each set of changes."""
    changes = each or ({},)
    return raw(*(json.dumps(wrap(event(name, one))).encode() for one in changes))


def json_text(
    old: str, new: str, *, name: str = "transactionAdded", changes: Mapping[str, Any] | None = None
) -> Inputs:
    """An event as JSON text in which one text stands for another: what no JSON writer would do."""
    text = json.dumps(event(name, changes))
    if old not in text:
        raise AssertionError(old)
    return raw(text.replace(old, new).encode())


def as_avro(
    name: str = "transactionAdded",
    *each: Mapping[str, Any],
    headers: Headers = (),
    timestamp_ms: int | None = 1_750_224_536_000,
) -> Inputs:
    """Events in Confluent framing, one for each set of changes."""
    changes = each or ({},)

    def inputs(registry: Registry) -> list[Input]:
        schema_id = registry.id_of(schema(name).avro)
        return [
            Input(wire.confluent(schema_id, payload(name, one)), headers, timestamp_ms)
            for one in changes
        ]

    return inputs


def framed(
    change: Callable[[bytes], bytes] = lambda whole: whole, *, name: str = "transactionAdded"
) -> Inputs:
    """A good event's value without its frame, changed as bytes, in its frame again."""
    return lambda registry: [
        Input(wire.confluent(registry.id_of(schema(name).avro), change(payload(name))))
    ]


def written_by(*made: Payload) -> Inputs:
    """Values with writer schemas of their own."""

    def inputs(registry: Registry) -> list[Input]:
        return [
            Input(wire.confluent(registry.id_of(avro), value))
            for avro, value in (m() for m in made)
        ]

    return inputs


def last_field(
    field: str, avro_type: Any, value: bytes | str, *, name: str = "transactionAdded"
) -> Inputs:
    """A good event whose writer's last field is this one, with these bytes (or hexadecimal)."""
    return written_by(lambda: _last_field(field, avro_type, value, name))


def _last_field(
    field: str, avro_type: Any, value: bytes | str, name: str
) -> tuple[dict[str, Any], bytes]:
    avro = schema(name).avro
    others = [f for f in avro["fields"] if f["name"] != field]
    made = typed(name)
    written = _writer({**avro, "fields": others}).write(
        {f["name"]: made[f["name"]] for f in others}
    )
    end = bytes.fromhex(value) if isinstance(value, str) else value
    return {**avro, "fields": [*others, {"name": field, "type": avro_type}]}, written + end


def rewritten(
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    values: Mapping[str, Any] | None = None,
    *,
    name: str = "transactionAdded",
) -> Inputs:
    """A good event of a writer whose fields of the envelope differ from ours."""
    return written_by(lambda: _rewritten(change, values or {}, name))


def _rewritten(
    change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
    values: Mapping[str, Any],
    name: str,
) -> tuple[dict[str, Any], bytes]:
    avro = copy.deepcopy(schema(name).avro)
    avro["fields"] = change(avro["fields"])
    return avro, _writer(avro).write({**typed(name), **values})


def _writer(avro: Mapping[str, Any]) -> WriterSchema:
    return vet(avro)


def unknown_id(schema_id: int) -> Inputs:
    """A good event under an id, as an unsigned number."""
    return raw(b"\x00" + struct.pack(">I", schema_id) + payload())


def number(value: int) -> bytes:
    """A number as Avro writes it."""
    left = (value << 1) ^ (value >> 63)
    made = bytearray()
    while left > 0x7F:
        made.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*made, left])


def headed(value: bytes, header: tuple[str, bytes | None], *more: Sequence[Any]) -> Inputs:
    """A value with headers."""
    return raw(value, headers=(header, *more))  # type: ignore[arg-type] # pairs, as rows write them
