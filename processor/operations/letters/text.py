"""One dead letter as lines of text for a terminal; escaping is left to what prints them (pure)."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from processor.operations.letters.view import Shown

STORY = (
    ("failed at", "failed_at"),
    ("code", "code"),
    ("stage", "stage"),
    ("fingerprint", "fingerprint"),
    ("targets", "targets"),
    ("message", "message"),
    ("event", "event_name"),
    ("event id", "event_id"),
    ("schema id", "schema_id"),
    ("key", "key"),
    ("requests made", "attempts"),
    ("HTTP status", "http_status"),
    ("AEP trace key", "xaction_id"),
    ("replays", "replay_count"),
    ("last replay", "replay_id"),
    ("connector", "connector"),
    ("version", "version"),
)
LINE_BYTES = 16
PRINTABLE = range(0x20, 0x7F)


class Line(NamedTuple):
    """A line, and how it is styled where there are styles."""

    text: str
    style: str = ""


def lines(shown: Shown, *, dump_bytes: int) -> Iterator[Line]:
    """Everything about one dead letter.

    Args:
        shown: masked or revealed already.
        dump_bytes: of the value, at most, when it is revealed.
    """
    fields = shown.fields
    yield Line(f"Dead letter {fields['topic']} {fields['partition']} {fields['offset']}", "bold")
    place = f"{fields['source_topic']} {fields['source_partition']} {fields['source_offset']}"
    yield Line(f"  {'record':<14} {place}, of {fields['source_timestamp'] or 'no time'}")
    for label, name in STORY:
        value = fields[name]
        text = ", ".join(value) if isinstance(value, list) else value
        if text not in (None, ""):
            yield Line(f"  {label:<14} {text}")
    yield from violations(fields["errors"], "  ")
    yield from _trace(fields["stacktrace"])
    yield Line("")
    yield from content(shown.headers, shown.value, dump_bytes)
    yield Line("")
    yield from today(shown.event, shown.today)


def content(
    headers: Sequence[dict[str, Any]], value: dict[str, Any], dump_bytes: int
) -> Iterator[Line]:
    """A record's own headers and its value."""
    yield from _headers(headers)
    yield from _value(value, dump_bytes)


def today(event: dict[str, Any] | None, targets: Sequence[dict[str, Any]]) -> Iterator[Line]:
    """The decoded event, and what each target makes of it."""
    if event is None:
        yield Line("The event cannot be decoded today; its bytes are not shown without --reveal.")
    else:
        yield Line("The event, decoded today", "bold")
        yield from _json(event)
    yield Line("")
    yield Line("The mapping today", "bold")
    for target in targets:
        yield from _target(target)


def hexdump(content: bytes) -> Iterator[str]:
    """Sixteen bytes a line: where, in hexadecimal, and as ASCII where they are printable."""
    for start in range(0, len(content), LINE_BYTES):
        row = content[start : start + LINE_BYTES]
        text = "".join(chr(byte) if byte in PRINTABLE else "." for byte in row)
        yield f"  {start:08x}  {row.hex(' '):<{LINE_BYTES * 3}} {text}"


def _trace(stacktrace: str) -> Iterator[Line]:
    if stacktrace:
        yield Line("  where it was raised", "dim")
    for line in stacktrace.splitlines():
        yield Line(f"    {line}", "dim")


def _headers(headers: Sequence[dict[str, Any]]) -> Iterator[Line]:
    if headers:
        yield Line("Headers of the record", "bold")
    for header in headers:
        size = "null" if header["bytes"] is None else _size(header)
        value = f": {header['value']}" if header.get("value") is not None else ""
        yield Line(f"  {header['name']} ({size}){value}")


def _value(value: dict[str, Any], dump_bytes: int) -> Iterator[Line]:
    yield Line("Value", "bold")
    if value["bytes"] is None:
        yield Line("  null")
        return
    yield Line(f"  {_size(value)}")
    if value.get("hex") is not None:
        content = bytes.fromhex(value["hex"])
        yield from map(Line, hexdump(content[:dump_bytes]))
        if len(content) > dump_bytes:
            yield Line(f"  … {len(content) - dump_bytes} bytes more (--bytes)")


def _size(part: dict[str, Any]) -> str:
    return f"{part['bytes']} bytes, SHA-256 {part['sha256']}"


def _target(target: dict[str, Any]) -> Iterator[Line]:
    name = target["target"] or "before any target"
    match target["verdict"]:
        case "passes":
            yield Line(f"  {name}: passes decoding, mapping and gate", "green")
            yield Line(f"    {_limits(target)}")
            yield from _json(target["entity"])
        case "filtered":
            yield Line(f"  filtered: {target['reason']}", "yellow")
        case _:
            yield Line(f"  {name}: fails, {target['code']}: {target['message']}", "red")
            yield from violations(target["errors"], "    ")


def _limits(target: dict[str, Any]) -> str:
    limit = target["limit_bytes"]
    of = "no limit is set" if limit is None else f"of {limit} that Profile takes"
    return (
        f"_id {target['id']}; entity {target['bytes']} bytes, {of}; "
        f"message {target['message_bytes']} bytes"
    )


def violations(errors: Sequence[dict[str, str]], indent: str) -> Iterator[Line]:
    """What Experience Platform or the gate found, one line each."""
    for error in errors:
        yield Line(f"{indent}{error['pointerToViolation']}: {error['message']}")


def _json(document: Any) -> Iterator[Line]:
    text = orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode()
    for line in text.splitlines():
        yield Line(f"    {line}")
