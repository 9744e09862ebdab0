"""Branches of a writer's unions that a reader has no type for: only their own values are lost."""

from collections.abc import Iterator

from processor.errors import Refused
from processor.schemas.avro_types import Array, AvroType, Enum, Map, RecordType, Union
from processor.schemas.compiled import pairs
from processor.schemas.resolution import branch_for, mismatch, promotion


def unreadable(writer: AvroType, reader: AvroType, pointer: str = "") -> Iterator[Refused]:
    """Each branch, and each symbol of an enum, whose values the reader refuses.

    Decoding takes such a schema, because a record without such a value can be read; whoever
    compares versions has to know. Each is what decoding raises of such a value.

    Args:
        writer: a type that resolves to the reader's.
        reader: the type that values are read as.
        pointer: of the value in the event.
    """
    if isinstance(writer, Union):
        for branch in writer.branches:
            yield from unreadable(branch, reader, pointer)
        return
    if isinstance(reader, Union):
        try:
            reader = branch_for(writer, reader, pointer)
        except Refused as refused:
            yield refused
            return
    match writer, reader:
        case RecordType(), RecordType():
            wanted = {field.name: field.type for field in reader.fields}
            for wrote, name in pairs(writer, reader):
                yield from unreadable(wrote.type, wanted[name], f"{pointer}/{name}")
        case Array(), Array():
            yield from unreadable(writer.items, reader.items, f"{pointer}/*")
        case Map(), Map():
            yield from unreadable(writer.values, reader.values, f"{pointer}/*")
        case Enum(), Enum():
            if reader.default is None and set(writer.symbols) - set(reader.symbols):
                yield mismatch(writer, reader, pointer)
        case _ if writer.kind != reader.kind and not promotion(writer.kind, reader.kind):
            yield mismatch(writer, reader, pointer)
