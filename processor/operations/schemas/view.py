"""What the schemas folder holds: its events, the fields of one, and where each field goes."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from processor.errors import Misconfigured
from processor.mapping.checker import fields_of as fields_read
from processor.mapping.mapping_set import Row
from processor.mapping.paths import EACH, Path
from processor.mapping.proof import prove
from processor.operations.schemas.context import Context
from processor.operations.schemas.examples import cases_of
from processor.schemas.fields import FieldOf, Place, fields_of, full_name
from processor.schemas.folder import EventSchema

Destinations = Mapping[str, Sequence[str]]
"""By target, the paths in its entity."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One event of the folder.

    Attributes:
        origin: whose it is.
        record: full name of its Avro record.
        versions: names of its older writer schemas.
        targets: number of rows by target that it has a mapping set for; `None`: it cannot be read.
        configured: those of them that the settings have.
        examples: their names.
    """

    name: str
    origin: Literal["builtin", "own"]
    record: str
    versions: tuple[str, ...]
    targets: Mapping[str, int | None]
    configured: tuple[str, ...]
    examples: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The event as JSON shows it."""
        return {
            "event": self.name,
            "from": self.origin,
            "record": self.record,
            "versions": self.versions,
            "targets": self.targets,
            "configured": self.configured,
            "examples": self.examples,
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """A field of an event, and where it goes.

    Attributes:
        goes_to: by target, the destinations of the rows that read it.
    """

    field: FieldOf
    goes_to: Destinations

    def document(self) -> dict[str, Any]:
        """The field as JSON shows it."""
        field = self.field
        return {
            "path": field.path,
            "type": field.type,
            "doc": field.doc,
            "xdm": {target: list(paths) for target, paths in self.goes_to.items()},
        }


def list_events(context: Context) -> Iterator[Listed]:
    """Every event that can be used."""
    for event in context.folder.events.values():
        yield Listed(
            event.name,
            context.origin(event),
            event.parsed.name,
            tuple(event.versions),
            {target: _rows(context, event, target) for target in event.mapping_files},
            tuple(target for target in event.mapping_files if target in context.configured),
            tuple(case.name for case in cases_of(event)),
        )


def show_event(context: Context, name: str) -> list[Shown]:
    """Every field of an event with where it goes.

    Raises:
        Misconfigured: there is no such event, or a mapping set of it is wrong.
    """
    event = context.event(name)
    goes_to = _goes_to(context, event)
    return [
        Shown(field, {t: paths for t, by in goes_to.items() if (paths := by.get(field.path))})
        for field in fields_of(event.avro)
    ]


def avro_with_xdm(context: Context, name: str) -> dict[str, Any]:
    """The self-contained Avro schema of an event, with an ``xdm`` property at each field that goes.

    A shared type stands once, where it is first used; its fields say where they go from anywhere.

    Raises:
        Misconfigured: there is no such event, or a mapping set of it is wrong.
    """
    event = context.event(name)
    by_place: dict[Place, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for shown in show_event(context, name):
        for target, paths in shown.goes_to.items():
            known = by_place[shown.field.place][target]
            known += [path for path in paths if path not in known]
    written: dict[str, Any] = _written(event.avro, "", by_place)
    return written


def _written(schema: Any, namespace: str, by_place: Mapping[Place, Any]) -> Any:
    if isinstance(schema, list):
        return [_written(branch, namespace, by_place) for branch in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = dict(schema)
    name = ""
    if isinstance(schema.get("name"), str) and "type" in schema:
        name = full_name(schema, namespace)
        namespace = name.rpartition(".")[0]
    for key in ("type", "items", "values"):
        if key in made and not isinstance(made[key], str):
            made[key] = _written(made[key], namespace, by_place)
    if "fields" in made:
        made["fields"] = [
            {
                **{key: value for key, value in field.items() if key != "xdm"},
                "type": _written(field["type"], namespace, by_place),
                **(
                    {"xdm": by_place[place]} if (place := (name, field["name"])) in by_place else {}
                ),
            }
            for field in made["fields"]
        ]
    return made


def _goes_to(context: Context, event: EventSchema) -> dict[str, dict[str, list[str]]]:
    """By target and by path of the event, the destinations; positions stand as ``[*]``."""
    found: dict[str, dict[str, list[str]]] = {}
    tenant = context.tenant if context.settings else "tenant"
    for target in event.mapping_files:
        proof = prove(event, target, tenant=tenant)
        if proof.problems:
            raise Misconfigured(
                "\n".join(map(str, proof.problems)),
                mend="`processor schemas check` says what to change.",
                reason="schemas",
            )
        by_path: dict[str, list[str]] = defaultdict(list)
        for checked in proof.checked:
            for source in fields_read(checked.node):
                _add(by_path[_anywhere(source.path)], checked.row)
        found[target] = dict(by_path)
    return found


def _add(paths: list[str], row: Row) -> None:
    if (destination := str(row.destination)) not in paths:
        paths.append(destination)


def _anywhere(path: Path) -> str:
    return str(Path(tuple(EACH if isinstance(step, int) else step for step in path.steps)))


def _rows(context: Context, event: EventSchema, target: str) -> int | None:
    rows = prove(event, target, tenant=context.tenant).mapping_set.rows
    return len(rows) or None
