"""What a new Avro version changes, whether ours can still read it, and which mapping rows break."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from processor.errors import Misconfigured, Refused
from processor.mapping.proof import prove
from processor.operations.schemas.context import Context
from processor.schemas.avro import WriterSchema, vet
from processor.schemas.branches import unreadable
from processor.schemas.fields import fields_of
from processor.schemas.folder import EventSchema
from processor.schemas.inlining import inline

_MAX_FILE_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is not as it was.

    Attributes:
        path: as mapping sets write it.
        old: its type; `None` when it was not there; likewise `new`.
    """

    what: Literal["added", "removed", "changed"]
    path: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        match self.what:
            case "added":
                return f"added    {self.path}: {self.new}"
            case "removed":
                return f"removed  {self.path}: {self.old}"
            case "changed":
                return f"changed  {self.path}: {self.old} is now {self.new}"


@dataclass(frozen=True, slots=True)
class Break:
    """A row of a mapping set that the old version served and the new one does not.

    Attributes:
        row: its number, from 1; `None`: the set as a whole.
        column: where in its source, from 1.
        mend: what to change.
    """

    target: str
    file: str
    row: int | None
    column: int | None
    message: str
    mend: str

    def __str__(self) -> str:
        place = f"{self.target}: {self.file}"
        for name in ("row", "column"):
            number = getattr(self, name)
            place += f", {name} {number}" if number is not None else ""
        return f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Everything that is to be said.

    Attributes:
        event: the event of the folder that they are versions of; `None`: none has that record.
        unreadable: why records of the new version, or those with some value, cannot be read as
            ours; empty when all can.
        old_unreadable: why records of the old version could not be read with the new one as ours.
    """

    old: str
    new: str
    event: str | None
    changes: tuple[Change, ...]
    unreadable: str = ""
    old_unreadable: str = ""
    breaks: tuple[Break, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether something breaks."""
        return bool(self.breaks or self.unreadable)

    def document(self) -> dict[str, Any]:
        """The difference as JSON shows it."""
        return {**asdict(self), "verdict": "breaks" if self.bad else "ok"}


def diff(context: Context, old: str, new: str, *, event: str = "") -> Difference:
    """Compare two versions of an Avro schema.

    Args:
        context: the folder whose mapping sets are asked.
        old: an Avro file; an event of the folder; or ``EVENT@VERSION``, an older one of it.
        new: likewise.
        event: the event that they are versions of; empty: found by the name of their record.

    Raises:
        Misconfigured: one of them cannot be found, read or used, or there is no such event.
    """
    before, after = _version(context, old), _version(context, new)
    ours = (
        context.event(event) if event else _event_of(context, after) or _event_of(context, before)
    )
    changes = tuple(_changes(before, after))
    if ours is None:
        return Difference(old, new, None, changes, old_unreadable=_why_not(before, after))
    return Difference(
        old,
        new,
        ours.name,
        changes,
        unreadable=_why_not(after, ours.parsed),
        old_unreadable=_why_not(before, after),
        breaks=tuple(_breaks(context, ours, before, after)),
    )


def _version(context: Context, given: str) -> WriterSchema:
    """The schema that a person names.

    Raises:
        Misconfigured: it is none.
    """
    path = Path(given)
    if path.is_file():
        return _read(context, path)
    name, _, version = given.partition("@")
    if name not in context.folder.events:
        raise Misconfigured(
            f"{given} is neither an Avro file nor an event of the schemas folder.",
            mend=f"The events are: {', '.join(context.folder.events) or 'none'}.",
            reason="schemas",
        )
    event = context.folder.events[name]
    if not version:
        return event.parsed
    if version not in event.versions:
        raise Misconfigured(
            f"{name} has no version {version}.",
            mend=f"Its versions are: {', '.join(event.versions) or 'none but the current one'}.",
            reason="schemas",
        )
    return event.versions[version]


def _read(context: Context, path: Path) -> WriterSchema:
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise Misconfigured(f"{path} has more than {_MAX_FILE_BYTES} bytes.", reason="schemas")
        document = json.loads(path.read_text(encoding="utf-8"))
        return vet(inline(document, context.folder.library))
    except Refused as refused:
        raise Misconfigured(f"{path}: {refused}", reason="schemas") from refused
    except (OSError, ValueError, RecursionError) as error:
        raise Misconfigured(
            f"{path} cannot be read as an Avro schema.", mend="Correct the file.", reason="schemas"
        ) from error


def _event_of(context: Context, schema: WriterSchema) -> EventSchema | None:
    events = context.folder.events.values()
    return next((event for event in events if event.parsed.answers_to(schema.name)), None)


def _changes(old: WriterSchema, new: WriterSchema) -> Iterator[Change]:
    before = {field.path: field.type for field in fields_of(old.document)}
    after = {field.path: field.type for field in fields_of(new.document)}
    for path, kind in before.items():
        if path not in after:
            yield Change("removed", path, kind, None)
        elif after[path] != kind:
            yield Change("changed", path, kind, after[path])
    for path, kind in after.items():
        if path not in before:
            yield Change("added", path, None, kind)


def _why_not(writer: WriterSchema, reader: WriterSchema) -> str:
    """Why records of the writer, or those with some value, cannot be read; empty when all can."""
    try:
        writer.resolves_to(reader)
    except Refused as refused:
        return str(refused)
    return " ".join(dict.fromkeys(map(str, unreadable(writer.type, reader.type))))


def _breaks(
    context: Context, event: EventSchema, old: WriterSchema, new: WriterSchema
) -> Iterator[Break]:
    """What is wrong with a mapping set on the new version, and was not on the old one."""
    for target, file in event.mapping_files.items():
        try:
            xdm = context.xdm_schema(target)
        except Misconfigured:
            xdm = None
        problems = [
            prove(
                replace(event, avro=dict(schema.document)),
                target,
                tenant=context.tenant,
                xdm=xdm,
                destinations=True,
            ).problems
            for schema in (old, new)
        ]
        for problem in problems[1]:
            if problem not in problems[0]:
                yield Break(
                    target, str(file), problem.row, problem.column, problem.message, problem.mend
                )
