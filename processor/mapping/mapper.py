"""An event to the XDM entities of a target; mapping sets are proven and compiled at start."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from processor.errors import Code, Misconfigured, Refused
from processor.mapping.checker import CheckedRow, fields_of, nodes_of
from processor.mapping.compiler import FAILURES, Compiled, Failed, compile_set, row_of
from processor.mapping.deletion import mappable
from processor.mapping.emit import UUIDS
from processor.mapping.expression import Call
from processor.mapping.failures import ExpressionFailed, WrongType
from processor.mapping.identifiers import Identifiers
from processor.mapping.mapping_set import MappingSet, Problem, Row
from processor.mapping.messages import NOBODY, Part, found_at, parts
from processor.mapping.paths import EACH, Path
from processor.mapping.plan import arrange
from processor.mapping.proof import prove
from processor.record import Event
from processor.schemas.folder import EventSchema, SchemaFolder, XdmSchema
from processor.settings import MappingSettings


class Mapped(NamedTuple):
    """One entity, not yet enriched.

    Attributes:
        entity: the XDM entity; no nulls, no empty objects, no empty arrays.
        source: the object that holds ``customerIdentifiers``.
        merged: identifiers of another customer who became this one; mostly empty.
    """

    entity: dict[str, Any]
    source: Mapping[str, Any]
    merged: Mapping[str, Any] = NOBODY


class Failure(NamedTuple):
    """A rule that failed and gave null, in lenient mode.

    Attributes:
        row: the rule's number in the file, from 1.
    """

    event_name: str
    target: str
    row: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What one row did with one event.

    Attributes:
        value: what it gave; `None` when nothing.
        failure: why it failed; empty when it did not.
        read: the fields that its rule reads, as the mapping set writes them, each with its value;
            through ``[*]`` it is the list of them.
    """

    row: Row
    value: Any
    failure: str = ""
    read: tuple[tuple[str, Any], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class _Plan:
    """One mapping set, ready to run.

    Attributes:
        makes_uuids: whether a row calls ``uuid()``.
    """

    mapping_set: MappingSet
    checked: tuple[CheckedRow, ...]
    run: Compiled
    makes_uuids: bool

    def identifiers(self, event: Event, index: int) -> Identifiers | None:
        """What gives the UUIDs of one message; `None` when no row asks for any."""
        return Identifiers(event, self.mapping_set.file, index) if self.makes_uuids else None


class Mapper:
    """Maps events to entities by compiled mapping sets.

    Args:
        tenant: tenant's name; ``_tenant`` in destinations stands for ``_{tenant}``.
        targets: the configured targets, in the settings' order; others are not read.
        xdm: the targets' XDM schemas; a text that goes to a boolean or a date of one is turned
            into it. Of a target without one, every value stays as it is.

    Attributes:
        time_zone: zone of dates that do not say theirs.
        failures: rules that failed and gave null, counted; stays empty in strict mode.

    Raises:
        Misconfigured: every problem of every mapping set, with file, row and column, and every
            target that no mapping set serves.
    """

    def __init__(
        self,
        folder: SchemaFolder,
        settings: MappingSettings,
        *,
        tenant: str,
        targets: Collection[str],
        xdm: Mapping[str, XdmSchema] = MappingProxyType({}),
    ) -> None:
        self.time_zone = _zone(settings.time_zone)
        self.failures: Counter[Failure] = Counter()
        self._lenient = settings.mode == "lenient"
        self._plans: dict[tuple[str, str], _Plan] = {}
        problems: list[Problem] = []
        for event in folder.events.values():
            for target in targets:
                if target in event.mapping_files:
                    problems += self._prepare(event, target, tenant, xdm.get(target))
        if problems:
            raise Misconfigured(
                "\n".join(map(str, problems)),
                mend="Correct the mapping sets.",
                reason="schemas",
            )
        self._targets = {
            name: tuple(target for target in targets if (name, target) in self._plans)
            for name in folder.events
        }
        _require_all_served(targets, {target for _, target in self._plans})

    def targets_of(self, event_name: str) -> tuple[str, ...]:
        """The configured targets that an event feeds, in the settings' order; maybe none."""
        return self._targets.get(event_name, ())

    def map(self, event: Event, target: str, timestamp_ms: int | None) -> list[Mapped]:
        """Map an event to the entities of one target.

        Args:
            event: the decoded event.
            target: name of a configured target.
            timestamp_ms: the record's Kafka timestamp; what expressions call ``now()``.

        Returns:
            One entity; for a mapping set that iterates an array one for each of its elements;
            none where its ``when`` is null.

        Raises:
            Refused: ``mapping.expression`` (a rule failed) or ``mapping.type`` (a field is not what
                its Avro schema says), with the JSON pointer of the destination;
                ``event.unmapped`` when no mapping set leads from the event to the target.
        """
        plan = self._plans.get((event.name, target))
        if plan is None:
            raise Refused(
                f"No mapping set leads from {event.name} to the target {target}.",
                code=Code.EVENT_UNMAPPED,
            )
        try:
            body = mappable(event.body)
            return [
                Mapped(
                    plan.run(body, part.item, timestamp_ms, plan.identifiers(event, part.number)),
                    part.holder,
                    part.merged,
                )
                for part in parts(body, plan.mapping_set)
            ]
        except FAILURES as error:
            raise _refusal(error, plan) from None

    def explain(self, event: Event, target: str, timestamp_ms: int | None) -> list[list[Trace]]:
        """Say what each row did, for each message of an event, in the rows' order.

        Each row runs alone, so one that fails does not hide the others. Rows that fill one array
        together are shown with the array as each of them alone makes it.

        Raises:
            Refused: the array that the mapping set iterates is no array.
        """
        plan = self._plans[event.name, target]
        try:
            seen = Event(event.name, mappable(event.body))
            made = list(parts(seen.body, plan.mapping_set))
        except FAILURES as error:
            raise _refusal(error, plan) from None
        return [
            [self._trace(plan, checked, seen, part, timestamp_ms) for checked in plan.checked]
            for part in made
        ]

    def _prepare(
        self, event: EventSchema, target: str, tenant: str, xdm: XdmSchema | None
    ) -> Sequence[Problem]:
        proof = prove(event, target, tenant=tenant, xdm=xdm)
        if not proof.problems:
            failed: Failed | None = None
            if self._lenient:
                failed = partial(self._failed, event.name, target)
            run = compile_set(proof.mapping_set, proof.tree, self.time_zone, failed)
            uuids = any(_makes_uuids(row) for row in proof.checked)
            self._plans[event.name, target] = _Plan(proof.mapping_set, proof.checked, run, uuids)
        return proof.problems

    def _failed(self, event_name: str, target: str, row: int, _: BaseException) -> None:
        self.failures[Failure(event_name, target, row)] += 1

    def _trace(
        self,
        plan: _Plan,
        checked: CheckedRow,
        event: Event,
        part: Part,
        timestamp_ms: int | None,
    ) -> Trace:
        read = _read(checked, plan.mapping_set, event.body, part.item)
        tree, conflicts = arrange(plan.mapping_set, [checked])
        if conflicts:
            return Trace(checked.row, checked.row.source, read=read)
        run = compile_set(plan.mapping_set, tree, self.time_zone)
        try:
            entity = run(event.body, part.item, timestamp_ms, plan.identifiers(event, part.number))
        except FAILURES as error:
            return Trace(checked.row, None, _reason(error), read)
        return Trace(checked.row, _found(entity, checked.row.destination), read=read)


def _makes_uuids(row: CheckedRow) -> bool:
    return any(isinstance(node, Call) and node.name in UUIDS for node in nodes_of(row.node))


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Misconfigured(
            f"mapping.time_zone: {name!r} is no time zone.",
            mend="Name one of the IANA database, such as Europe/Paris, or UTC.",
        ) from None


def _require_all_served(targets: Collection[str], served: Collection[str]) -> None:
    missing = [target for target in targets if target not in served]
    if missing:
        named = ", ".join(missing)
        raise Misconfigured(
            f"No event has a mapping set for: {named}.",
            mend=f"Add to-{missing[0]}.json to an event's folder, or take "
            f"experience_platform.targets.{missing[0]} out of the settings.",
            reason="schemas",
        )


def _read(
    checked: CheckedRow, mapping_set: MappingSet, body: Mapping[str, Any], item: Any
) -> tuple[tuple[str, Any], ...]:
    """The fields that a row reads, each once, with what stands there."""
    return tuple(
        {
            str(source.path): found_at(source.path, mapping_set.iterate, body, item)
            for source in fields_of(checked.node)
        }.items()
    )


def _found(entity: Any, destination: Path) -> Any:
    """What one row put into an entity of its own; its positions start at 0."""
    for position, step in enumerate(destination.steps):
        if entity is None:
            return None
        if step is EACH:
            rest = Path(destination.steps[position + 1 :])
            return [_found(element, rest) for element in entity] if rest.steps else entity
        entity = entity.get(step) if isinstance(step, str) else entity[0]
    return entity


def _refusal(error: BaseException, plan: _Plan) -> Refused:
    """Turn a failure of compiled code into the record's fault; its line says which row it was."""
    row_number, reading = row_of(_line(error.__traceback__, plan.mapping_set.file))
    rows = {checked.row.number: checked.row for checked in plan.checked}
    row = rows.get(row_number)
    code = Code.MAPPING_TYPE if reading else Code.MAPPING_EXPRESSION
    if row is None:
        return Refused(f"{plan.mapping_set.file}: {_reason(error)}.", code=Code.MAPPING_TYPE)
    return Refused(
        f"{plan.mapping_set.file}, row {row.number} ({row.source_type} to {row.destination}): "
        f"{_reason(error)}.",
        code=code,
        pointer=row.destination.pointer,
    )


def _line(trace: TracebackType | None, file: str) -> int:
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            return trace.tb_lineno
        trace = trace.tb_next
    return 0


def _reason(error: BaseException) -> str:
    """Why a rule failed, in words that never quote the record."""
    if isinstance(error, ExpressionFailed | WrongType):
        return str(error)
    if isinstance(error, ZeroDivisionError):
        return "it divides by zero"
    if isinstance(error, AttributeError):
        return "a field on the way is no object, though its schema says so"
    return f"the value does not fit the rule ({type(error).__name__})"
