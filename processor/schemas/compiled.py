"""A writer's and a reader's schema to a Python function that decodes, strictly and quickly.

Everything that can be known from the two schemas is worked out once and written as Python source:
which field goes where, which is left out, which default comes in. What is left for each record is
a straight line of reads. Only numbers made here and names that :mod:`processor.schemas.avro_types`
let through (letters, digits, underscores) get into the source; all else is passed in as values.

fastavro was measured first (a pointsIssued event, 380 bytes, one core): 35 us alone, 85 us with
its own resolution, 1 us more for guards; this takes 17 us either way and needs no guards. fastavro
takes index -1, a boolean 7, numbers in needless or too many bytes, and skips an unread field
without noticing that it was cut off. It is the yardstick in the tests, and it writes.
"""

import struct
from collections.abc import Callable, Iterable
from copy import deepcopy
from textwrap import indent
from typing import Any, NoReturn

from processor.errors import Code, Refused
from processor.schemas import limits
from processor.schemas.avro_types import (
    Array,
    AvroType,
    Enum,
    Field,
    Fixed,
    Map,
    Primitive,
    RecordType,
    Union,
)
from processor.schemas.json_types import typed_default
from processor.schemas.resolution import branch_for, finish_of, mismatch, promotion

Read = Callable[[bytes], dict[str, Any]]
Lines = list[str]

_SIGN = "({n} >> 1) ^ -({n} & 1)"
_VARINT_MAX_BYTES = 10
_ONE_BYTE_INDICES = 64


def compiled(writer: RecordType, reader: RecordType) -> Read:
    """A function that decodes the writer's bytes into the reader's shape.

    The names of the two outermost records are not compared: the caller knows that both are the
    same event.

    The function raises:
        Refused: ``decode.truncated``, ``decode.trailing_bytes``, ``decode.value``,
            ``decode.utf8``, ``decode.limit`` or ``decode.resolution``; nothing else.

    Raises:
        Refused: ``decode.resolution`` with the field's pointer: no value of the writer could have
            the reader's type. Inside a union that is found only when such a value arrives.
    """
    source = _Source()
    root = source.record(writer, reader, "")
    read: Callable[[bytes, int, list[int]], tuple[dict[str, Any], int]] = source.build()[root]

    def decode(payload: bytes) -> dict[str, Any]:
        try:
            event, end = read(payload, 0, [limits.ITEMS_MAX])
        except (IndexError, struct.error):
            end = len(payload) + 1
        except UnicodeDecodeError as error:
            if not payload.endswith(error.object) or error.reason != "unexpected end of data":
                raise Refused("A text of the event is not UTF-8.", code=Code.DECODE_UTF8) from None
            end = len(payload) + 1
        if end > len(payload):
            raise Refused("The event's bytes end too early.", code=Code.DECODE_TRUNCATED)
        if end < len(payload):
            raise Refused(
                f"The event's bytes go on for {len(payload) - end} bytes after its end.",
                code=Code.DECODE_TRAILING_BYTES,
            )
        return event

    return decode


def _long(data: bytes, place: int) -> tuple[int, int]:
    """A number of several bytes, in its shortest form and within 64 bits."""
    value = shift = 0
    for byte in data[place : place + _VARINT_MAX_BYTES]:
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # the bit that says that another byte follows
            if (byte == 0 and shift > 0) or value >> 64:
                break
            return (value >> 1) ^ -(value & 1), place
        shift += 7
    else:
        if shift < 7 * _VARINT_MAX_BYTES:
            raise IndexError
    raise _value("A number in the event is not in Avro's shortest form, or beyond 64 bits", "")


def _size(data: bytes, place: int) -> tuple[int, int]:
    """The length of a text or of bytes; one beyond the payload is found by who goes on there."""
    size, place = _long(data, place)
    if size < 0:
        raise _value("A length in the event is negative", "")
    return size, place


def _block(data: bytes, place: int, left: list[int]) -> tuple[int, int]:
    """How many items the next block of an array or map has, 0 at its end.

    A negative number is followed by the block's size, which nobody needs.
    """
    count, place = _long(data, place)
    if count < 0:
        count = -count
        _, place = _long(data, place)
    left[0] -= count
    if left[0] < 0:
        if count > len(data) - place:
            raise IndexError  # each item takes a byte
        raise Refused(
            f"The event has more than {limits.ITEMS_MAX} items in its arrays and maps.",
            code=Code.DECODE_LIMIT,
        )
    return count, place


def _value(what: str, pointer: str) -> Refused:
    return Refused(f"{what}.", code=Code.DECODE_VALUE, pointer=pointer)


class _Source:
    """The source text under way: one function for each record, array and map."""

    def __init__(self) -> None:
        self._functions: Lines = []
        self._values: dict[str, Any] = {
            "long": _long,
            "size": _size,
            "block": _block,
            "copy": deepcopy,
            "double": struct.Struct("<d").unpack_from,
            "single": struct.Struct("<f").unpack_from,
        }

    def build(self) -> dict[str, Any]:
        """Run the source; returns its functions by name."""
        made = dict(self._values)
        exec("\n".join(self._functions), made)  # noqa: S102  # see the module's docstring
        return made

    def record(self, writer: RecordType, reader: RecordType, pointer: str) -> str:
        """Write the function of a record; returns its name."""
        lines: Lines = []
        names = {wrote.name: name for wrote, name in pairs(writer, reader)}
        taken: dict[str, str] = {}
        wanted = {field.name: field for field in reader.fields}
        for number, wrote in enumerate(writer.fields):
            variable = f"v{number}"
            name = names.get(wrote.name)
            if name is None:
                lines += self._read(wrote.type, wrote.type, variable, f"{pointer}/{wrote.name}")
                continue
            lines += self._read(wrote.type, wanted[name].type, variable, f"{pointer}/{name}")
            taken[name] = variable
        entries = (
            f"{field.name!r}: {taken.get(field.name) or self._default(field, pointer)}"
            for field in reader.fields
        )
        return self._function([*lines, f"return {{{', '.join(entries)}}}, p"])

    def _default(self, field: Field, pointer: str) -> str:
        if not field.has_default:
            raise Refused(
                f"The writer's schema has no field {pointer}/{field.name}, which our schema "
                "wants and gives no default for.",
                code=Code.DECODE_RESOLUTION,
                pointer=f"{pointer}/{field.name}",
            )
        default = typed_default(field)
        name = self._known(default)
        return f"copy({name})" if isinstance(default, (list, dict)) else name

    def _array(self, writer: Array, reader: Array, pointer: str) -> str:
        item = self._read(writer.items, reader.items, "v", f"{pointer}/*")
        return self._blocks("[]", [*item, "made.append(v)"])

    def _map(self, writer: Map, reader: Map, pointer: str) -> str:
        key = self._sized("k", ".decode()")
        item = self._read(writer.values, reader.values, "v", f"{pointer}/*")
        return self._blocks("{}", [*key, *item, "made[k] = v"])

    def _blocks(self, empty: str, item: Lines) -> str:
        return self._function(
            [
                f"made = {empty}",
                "while True:",
                "    c = d[p]",
                "    if c == 0:",
                "        return made, p + 1",
                "    c, p = block(d, p, left)",
                "    for _ in range(c):",
                *_indented(_indented(item)),
            ]
        )

    def _read(self, writer: AvroType, reader: AvroType, variable: str, pointer: str) -> Lines:
        """Statements that read one value into a variable."""
        if isinstance(writer, Union):
            return self._union(writer, reader, variable, pointer)
        if isinstance(reader, Union):
            reader = branch_for(writer, reader, pointer)
        lines = self._plain(writer, reader, variable, pointer)
        finish = finish_of(writer, reader, pointer)
        if finish is not None:
            lines.append(f"{variable} = {self._known(finish)}({variable})")
        return lines

    def _plain(self, writer: AvroType, reader: AvroType, variable: str, pointer: str) -> Lines:
        match writer, reader:
            case Primitive(kind=kind), _ if kind == reader.kind or promotion(kind, reader.kind):
                return self._primitive(kind, variable, pointer)
            case Fixed(size=size), Fixed(size=same) if size == same:
                return [f"e = p + {size}", f"{variable} = d[p:e]", "p = e"]
            case Enum(), Enum():
                return self._enum(writer, reader, variable, pointer)
            case RecordType(), RecordType():
                return self._call(self.record(writer, reader, pointer), variable)
            case Array(), Array():
                return self._call(self._array(writer, reader, pointer), variable)
            case Map(), Map():
                return self._call(self._map(writer, reader, pointer), variable)
            case _:
                raise mismatch(writer, reader, pointer)

    def _primitive(self, kind: str, variable: str, pointer: str) -> Lines:
        match kind:
            case "null":
                return [f"{variable} = None"]
            case "boolean":
                wrong = self._refusing(_value("A boolean of the event is neither 0 nor 1", pointer))
                return [
                    "b = d[p]",
                    "p += 1",
                    "if b > 1:",
                    f"    {wrong}()",
                    f"{variable} = b == 1",
                ]
            case "int" | "long":
                return _number(variable)
            case "float":
                return [f"{variable} = single(d, p)[0]", "p += 4"]
            case "double":
                return [f"{variable} = double(d, p)[0]", "p += 8"]
            case "bytes":
                return self._sized(variable, "")
            case _:
                return self._sized(variable, ".decode()")

    @staticmethod
    def _sized(variable: str, convert: str) -> Lines:
        # An odd first byte is a negative length, a large one has more bytes: both go the long way.
        return [
            "n = d[p]",
            "if n & 129:",
            "    n, p = size(d, p)",
            "    e = p + n",
            "else:",
            "    p += 1",
            "    e = p + (n >> 1)",
            f"{variable} = d[p:e]{convert}",
            "p = e",
        ]

    def _union(self, writer: Union, reader: AvroType, variable: str, pointer: str) -> Lines:
        lines = ["b = d[p]", "p += 1"]
        if len(writer.branches) > _ONE_BYTE_INDICES:
            lines = ["b, p = long(d, p)", "b += b"]
        for index, branch in enumerate(writer.branches):
            lines.append(f"{'elif' if index else 'if'} b == {2 * index}:")
            try:
                lines += _indented(self._read(branch, reader, variable, pointer))
            except Refused as refused:
                lines.append(f"    {self._refusing(refused)}()")
        return [*lines, "else:", f"    {self._refusing(_no_index(pointer))}()"]

    def _enum(self, writer: Enum, reader: Enum, variable: str, pointer: str) -> Lines:
        symbols = {
            index: symbol if symbol in reader.symbols else reader.default
            for index, symbol in enumerate(writer.symbols)
        }
        unknown = Refused(
            "The event has an enum symbol that our schema does not know.",
            code=Code.DECODE_RESOLUTION,
            pointer=pointer,
        )
        return [
            *_number("b"),
            f"if b not in {self._known(symbols)}:",
            f"    {self._refusing(_no_index(pointer))}()",
            f"{variable} = {self._known(symbols)}[b]",
            f"if {variable} is None:",
            f"    {self._refusing(unknown)}()",
        ]

    @staticmethod
    def _call(function: str, variable: str) -> Lines:
        return [f"{variable}, p = {function}(d, p, left)"]

    def _refusing(self, refused: Refused) -> str:
        """The name of a function that raises this refusal, each time a new one."""

        def refuse() -> NoReturn:
            raise Refused(str(refused), code=refused.code, pointer=refused.pointer)

        return self._known(refuse)

    def _known(self, value: Any) -> str:
        """Pass a value in; returns its name."""
        name = f"k{len(self._values)}"
        self._values[name] = value
        return name

    def _function(self, body: Lines) -> str:
        name = f"f{len(self._functions)}"
        self._functions.append("\n".join([f"def {name}(d, p, left):", *_indented(body)]))
        return name


def _number(variable: str) -> Lines:
    return [
        "n = d[p]",
        "if n < 128:",
        "    p += 1",
        f"    {variable} = {_SIGN.format(n='n')}",
        "else:",
        f"    {variable}, p = long(d, p)",
    ]


def _no_index(pointer: str) -> Refused:
    return _value("A union or enum of the event has an index that its schema has not", pointer)


def pairs(writer: RecordType, reader: RecordType) -> Iterable[tuple[Field, str]]:
    """Each writer's field that the reader wants, with the reader's name of it."""
    wanted = {field.name for field in reader.fields}
    by_alias = {alias: field.name for field in reader.fields for alias in field.aliases}
    found = {field.name for field in writer.fields} & wanted
    for wrote in writer.fields:
        if wrote.name in wanted:
            yield wrote, wrote.name
        elif (name := by_alias.get(wrote.name)) is not None and name not in found:
            found.add(name)
            yield wrote, name


def _indented(lines: Lines) -> Lines:
    return [indent(line, "    ") for line in lines]
