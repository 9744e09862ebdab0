"""A vetted Avro schema of a record: bytes to events and back, within limits, one error type."""

import json
from collections.abc import Mapping
from functools import cached_property
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer
from fastavro.schema import fingerprint

from processor.errors import Code, Refused
from processor.schemas import limits
from processor.schemas.avro_types import RecordType, canonical_form, parse, refuse
from processor.schemas.compiled import Read, compiled
from processor.schemas.json_types import converter
from processor.schemas.resolution import answers_to


def vet(schema: str | Mapping[str, Any]) -> "WriterSchema":
    """Check a schema once, so that reading any bytes with it ends quickly.

    Args:
        schema: self-contained Avro schema of a record, as text or parsed JSON.

    Raises:
        Refused: ``decode.schema_refused``: not a record, not valid Avro, recursive, too deep, too
            large, with array or map items that take no bytes, or with a default of a wrong type.
    """
    if isinstance(schema, str):
        if len(schema) > limits.SCHEMA_TEXT_MAX_BYTES:
            refuse(f"its text is longer than {limits.SCHEMA_TEXT_MAX_BYTES} bytes")
        try:
            schema = json.loads(schema)
        except (ValueError, RecursionError):
            refuse("its text is not JSON")
    avro_type = parse(schema)
    if not isinstance(schema, Mapping) or not isinstance(avro_type, RecordType):
        refuse("an event is a record, and this schema is not")
    return WriterSchema(avro_type, schema)


class WriterSchema:
    """A vetted Avro schema of a record; the reader's schemas are of this class too.

    Attributes:
        type: as a tree.
        document: as the JSON it was given in.
    """

    def __init__(self, avro_type: RecordType, document: Mapping[str, Any]) -> None:
        self.type = avro_type
        self.document = document
        self._from_json = converter(avro_type)
        self._readings: dict[WriterSchema, Read | Refused] = {}

    def __repr__(self) -> str:
        return f"WriterSchema({self.name})"

    @property
    def name(self) -> str:
        """The record's full name."""
        return self.type.name

    def answers_to(self, name: str) -> bool:
        """Whether the record has this name or alias, whole or without its namespace."""
        return answers_to(self.type, name)

    @cached_property
    def canonical(self) -> str:
        """The Parsing Canonical Form."""
        return canonical_form(self.type)

    @cached_property
    def fingerprint(self) -> bytes:
        """CRC-64-AVRO of the canonical form, little-endian, as single-object encoding has it."""
        return bytes.fromhex(fingerprint(self.canonical, "CRC-64-AVRO"))

    @cached_property
    def _writable(self) -> Any:
        return parse_schema(json.loads(self.canonical))

    def read(
        self, payload: bytes | memoryview, reader: "WriterSchema | None" = None
    ) -> dict[str, Any]:
        """Decode bytes that were written with this schema.

        Args:
            payload: the Avro binary form of one record, nothing before or after it.
            reader: schema to resolve to, `None`: this one. Logical types stay raw.

        Raises:
            Refused: ``decode.*``; nothing else is raised, whatever the bytes are.
        """
        if len(payload) > limits.PAYLOAD_MAX_BYTES:
            raise Refused(
                f"The value has {len(payload)} bytes; {limits.PAYLOAD_MAX_BYTES} are the limit.",
                code=Code.DECODE_LIMIT,
            )
        return self._reading(reader or self)(bytes(payload))

    def resolves_to(self, reader: "WriterSchema") -> None:
        """Check that what was written with this schema can be read as the reader's.

        Raises:
            Refused: ``decode.resolution`` with the field's pointer.
        """
        self._reading(reader)

    def _reading(self, reader: "WriterSchema") -> Read:
        known = self._readings.get(reader)
        if known is None:
            try:
                known = compiled(self.type, reader.type)
            except Refused as refused:
                known = refused
            self._readings[reader] = known
        if isinstance(known, Refused):
            raise again(known)
        return known

    def from_json(self, value: Any) -> dict[str, Any]:
        """Type a JSON value with this schema, into the shape that :meth:`read` gives.

        Raises:
            Refused: ``event.invalid`` with the field's pointer, or ``decode.limit``.
        """
        event: dict[str, Any] = self._from_json(value)
        return event

    def write(self, event: Mapping[str, Any]) -> bytes:
        """Encode an event in the shape that :meth:`read` gives.

        Raises:
            Refused: ``event.invalid``: a value is not of its field's type.
        """
        stream = BytesIO()
        try:
            schemaless_writer(stream, self._writable, event)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError):
            raise Refused(
                f"The event does not fit its schema {self.name}.", code=Code.EVENT_INVALID
            ) from None
        return stream.getvalue()


def again(refused: Refused) -> Refused:
    """The same refusal as a new exception: one that was kept would collect tracebacks."""
    return Refused(str(refused), code=refused.code, pointer=refused.pointer)
