"""The page of the events, docs/events.md: ``python -m tests.golden.events_page`` writes it."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from processor.mapping import shapes
from processor.mapping.checker import check, fields_of
from processor.mapping.mapping_set import MappingSet, SourceType, load
from processor.schemas.catalogue import DOCUMENTED_EVENTS, DOCUMENTED_FAMILIES
from processor.schemas.folder import EventSchema, SchemaFolder, builtin_directory
from processor.settings import SchemasSettings
from tests.golden.events_words import DELETED, HEAD, NOTES, NOWHERE, TARGETS

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
FOLDER = SchemaFolder.load(SchemasSettings())
EVERYWHERE = 8
"""A row that so many events have is said once, for all of them."""


class Line(NamedTuple):
    """One row of a mapping set, for people.

    Attributes:
        source: the fields it reads, without their ``data.``; or the constant.
    """

    destination: str
    source: str
    note: str


def page() -> str:
    """The whole page."""
    shared = Counter(
        line[:2]
        for event in FOLDER.events.values()
        for line in lines_of(event, "event")
        if _is_field(line)
    )
    common = {line for line, count in shared.items() if count >= EVERYWHERE}
    parts = [HEAD, _overview(), TARGETS, _targets(), *_common(common)]
    for event in FOLDER.events.values():
        parts += _event(event, common)
    parts += _others()
    return "\n".join(parts) + "\n"


def lines_of(event: EventSchema, target: str) -> list[Line]:
    """What a mapping set of ours does, a line a destination."""
    mapping_set = mapping_set_of(event, target)
    document = json.loads(event.mapping_files[target].read_text(encoding="utf-8"))
    said = [row.get("description", "") for row in document["mappings"]]
    rows, _ = check(mapping_set, shapes.of_avro(event.avro))
    lines = []
    for one in rows:
        destination = str(one.row.destination).replace("_acme.", "_tenant.", 1)
        if one.row.source_type is SourceType.STATIC:
            source = f"the text `{one.row.source}`"
        else:
            paths = dict.fromkeys(str(field.path) for field in fields_of(one.node))
            source = ", ".join(f"`{path.removeprefix('data.')}`" for path in paths)
        lines.append(Line(destination, source, said[one.row.number - 1]))
    return lines


def mapping_set_of(event: EventSchema, target: str) -> MappingSet:
    """One of our mapping sets, read."""
    mapping_set, problems = load(event.mapping_files[target], tenant="acme")
    assert problems == []
    return mapping_set


def read_by(event: EventSchema) -> set[str]:
    """Every path of an event that a row of some mapping set of ours reads."""
    found: set[str] = set()
    for target in event.mapping_files:
        mapping_set = mapping_set_of(event, target)
        rows, _ = check(mapping_set, shapes.of_avro(event.avro))
        found |= {str(field.path) for row in rows for field in fields_of(row.node)}
    return found


def own_fields(event: EventSchema) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The fields of ``data`` that no other event shares, innermost ones, with their schemas."""
    (data,) = (field for field in event.avro["fields"] if field["name"] == "data")
    yield from _fields(data["type"], "data")


def _fields(schema: Any, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for field in schema["fields"]:
        inner, name = _inside(field["type"]), f"{path}.{field['name']}"
        if isinstance(inner, dict) and inner.get("type") == "array":
            inner, name = _inside(inner["items"]), f"{name}[*]"
        record = isinstance(inner, dict) and inner.get("type") == "record"
        if _is_shared(inner) or field["name"] == "loyaltyEventId":
            continue
        if record:
            yield from _fields(inner, name)
        else:
            yield name, field


def _inside(kind: Any) -> Any:
    """A type without its null."""
    return next(one for one in kind if one != "null") if isinstance(kind, list) else kind


def _is_shared(kind: Any) -> bool:
    if isinstance(kind, str):
        return ".common." in kind
    return isinstance(kind, dict) and ".common" in kind.get("namespace", "")


def _is_field(line: Line) -> bool:
    return line.source.startswith("`") and line.destination != "timestamp"


def _overview() -> str:
    rows = [
        (f"[`{name}`](#{name.lower()})", event.avro["doc"], _codes(event.mapping_files))
        for name, event in FOLDER.events.items()
    ]
    return _table(("event", "what happened", "targets"), rows)


def _targets() -> str:
    rows = []
    for target in sorted({t for event in FOLDER.events.values() for t in event.mapping_files}):
        file = builtin_directory() / "xdm" / f"{target}.json"
        schema = json.loads(file.read_text(encoding="utf-8"))
        groups = [part.rpartition("/")[2] for part in schema["meta:intendedToExtend"]]
        what = schema["description"].partition(" Replace it")[0]
        rows.append((f"`{target}`", what, _codes(groups)))
    return _table(("target", "what it holds", "class and field groups"), rows)


def _common(common: set[tuple[str, str]]) -> Iterable[str]:
    yield "\n## What messages of events have alike\n"
    yield "Most have these; where an event lacks the field, its message does.\n"
    rows = [(f"`{destination}`", source) for destination, source in sorted(common)]
    yield _table(("XDM field", "from"), rows)
    yield NOWHERE.rstrip("\n")


def _event(event: EventSchema, common: set[tuple[str, str]]) -> Iterator[str]:
    yield f"\n## {event.name}\n"
    yield event.avro["doc"]
    if event.name in NOTES:
        yield f"\n{NOTES[event.name]}"
    if event.name == "customerUpdated":
        yield DELETED.rstrip("\n")
    for target in event.mapping_files:
        mapping_set = mapping_set_of(event, target)
        lines = [line for line in lines_of(event, target) if line[:2] not in common]
        yield f"\n**`{target}`**{_when(mapping_set)}\n"
        rows = [(f"`{line.destination}`", line.source, line.note) for line in lines]
        yield _table(("XDM field", "from", ""), rows)
    unmapped = [
        (f"`{path.removeprefix('data.')}`", field["unmapped"])
        for path, field in own_fields(event)
        if "unmapped" in field
    ]
    if unmapped:
        yield "\nNot sent:\n"
        yield _table(("field", "why"), unmapped)


def _when(mapping_set: MappingSet) -> str:
    said = ""
    if mapping_set.iterate is not None:
        said += f", a message for each of `{str(mapping_set.iterate).removeprefix('data.')}`"
    if mapping_set.when is not None:
        said += f", only where `{str(mapping_set.when).removeprefix('data.')}` is there"
    return f"{said}:"


def _others() -> Iterator[str]:
    yield "\n## Documented events without a mapping\n"
    yield (
        "Capillary documents these, too. They are filtered as `unmapped_event` (a setting makes "
        "dead letters of them);\na name that is in neither list is `event.unknown`. A folder of "
        "your own maps any of them: [mapping.md](mapping.md#files).\n"
    )
    names = sorted(DOCUMENTED_EVENTS - set(FOLDER.events))
    families = [f"`{family}…`" for family in DOCUMENTED_FAMILIES]
    yield ", ".join([*(f"`{name}`" for name in names), *families]) + "."


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return re.sub(r"\|  \|", "| |", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
