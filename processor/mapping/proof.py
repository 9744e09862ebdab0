"""One mapping set against its Avro schema, and where asked against its target's XDM schema."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from processor.mapping import shapes
from processor.mapping.checker import CheckedRow, check, fields_of, nodes_of
from processor.mapping.coercions import TRUE
from processor.mapping.expression import Call, Literal
from processor.mapping.mapping_set import MappingSet, Problem, load
from processor.mapping.plan import Fields, arrange
from processor.mapping.xdm_destinations import XdmDestinations
from processor.mapping.xdm_types import XdmTypes
from processor.schemas.folder import EventSchema, XdmSchema

_ID = ("_id",)
_UUIDS = frozenset({"uuid", "guid"})


@dataclass(frozen=True, slots=True)
class Proof:
    """What was found.

    Attributes:
        checked: the rows without problems.
        tree: the same by destination.
        problems: all of them; none when the set can run.
    """

    mapping_set: MappingSet
    checked: tuple[CheckedRow, ...]
    tree: Fields
    problems: tuple[Problem, ...]


def prove(
    event: EventSchema,
    target: str,
    *,
    tenant: str,
    xdm: XdmSchema | None = None,
    destinations: bool = False,
) -> Proof:
    """Read a mapping set and find everything that is wrong with it.

    Args:
        event: the event that it maps.
        target: the target that it maps to; the event has a mapping set for it.
        tenant: tenant's name; ``_tenant`` in destinations stands for ``_{tenant}``.
        xdm: the target's schema; a text that goes to a boolean or a date of it becomes one.
        destinations: also hold every destination against it, and what it requires. At a start
            only the gate does so, record by record: our schemas are guesses at a tenant's.
    """
    types = XdmTypes(xdm.document, tenant) if xdm is not None else None
    allowed = None
    if xdm is not None and destinations:
        allowed = XdmDestinations(xdm.document, None if xdm.tenant_owned else tenant)
    mapping_set, problems = load(event.mapping_files[target], tenant=tenant)
    unread = bool(problems)
    checked, found = check(mapping_set, shapes.of_avro(event.avro), allowed, types)
    tree, conflicts = arrange(mapping_set, checked)
    problems += [*found, *conflicts, *_primaries(mapping_set, checked)]
    problems += _repeated_ids(mapping_set, checked)
    # A row that could not be read may be the one that gives a required field.
    if allowed is not None and not unread and len(checked) == len(mapping_set.rows):
        problems += allowed.missing(mapping_set, tree)
    return Proof(mapping_set, tuple(checked), tree, tuple(problems))


def _primaries(mapping_set: MappingSet, rows: Sequence[CheckedRow]) -> Iterable[Problem]:
    """Rows that make a second identity the primary one, for every record."""
    always = [row.row for row in rows if _makes_primary(row)]
    for row in always[1:]:
        yield Problem(
            mapping_set.file,
            row.number,
            1,
            f"{row.destination}: a second primary identity; row {always[0].number} gives one",
            "Keep one primary identity, and make the others false.",
        )


def _repeated_ids(mapping_set: MappingSet, rows: Sequence[CheckedRow]) -> Iterable[Problem]:
    """A row that gives several messages one ``_id``: Profile drops all but the first silently."""
    iterate = mapping_set.iterate
    for row in rows:
        if row.row.destination.steps != _ID or _makes_uuids(row):
            continue
        paths = [field.path for field in fields_of(row.node)]
        if not paths:
            message = "the _id is the same for every event, and Profile keeps the first of an _id"
            mend = "Take out the row, or read a field that no other event has, such as eventId."
        elif iterate is not None and not any(path.starts_with(iterate) for path in paths):
            message = (
                f"each message of {iterate} has the same _id, and Profile keeps the first of it"
            )
            mend = f"Take out the row, or read a field of {iterate} that tells them apart, too."
        else:
            continue
        yield Problem(mapping_set.file, row.row.number, 1, message, mend)


def _makes_uuids(row: CheckedRow) -> bool:
    return any(isinstance(node, Call) and node.name in _UUIDS for node in nodes_of(row.node))


def _makes_primary(row: CheckedRow) -> bool:
    steps = row.row.destination.steps
    if steps[0] != "identityMap" or steps[-1] != "primary" or not isinstance(row.node, Literal):
        return False
    value = row.node.value
    return value is True or (isinstance(value, str) and value in TRUE)
