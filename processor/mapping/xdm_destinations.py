"""What an XDM schema says of a mapping set's destinations: unknown, of another type, left out."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from processor.mapping.checker import Complaint
from processor.mapping.mapping_set import MappingSet, Problem
from processor.mapping.paths import EACH, Path
from processor.mapping.plan import Destination, Elements, Fields, Value, first_row
from processor.mapping.shapes import Kind, Shape
from processor.mapping.xdm_types import Schema, XdmTree

ENRICHED = frozenset({"_id", "identityMap"})
"""What every entity gets without a row."""

_MAX_DEPTH = 32
_TAKES: Mapping[Kind, frozenset[str]] = {
    Kind.TEXT: frozenset({"string"}),
    Kind.DATE: frozenset({"string"}),
    Kind.INTEGER: frozenset({"integer", "number"}),
    Kind.NUMBER: frozenset({"number"}),
    Kind.BOOLEAN: frozenset({"boolean"}),
    Kind.OBJECT: frozenset({"object"}),
    Kind.MAP: frozenset({"object"}),
    Kind.ARRAY: frozenset({"array"}),
}
_NAMES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
}
_MENDS = {
    "string": 'Make it a text, such as concat(x, "").',
    "integer": "Turn it into one with to_integer().",
    "number": "Turn it into one with to_decimal().",
    "boolean": "Let the rule give true or false, such as x == 1.",
    "object": "Name a field under the destination.",
    "array": "Let the destination end in [0] for one element, or in [*] for each.",
}
_UNKNOWN = "Correct the destination, or add the field to the XDM schema."


class XdmDestinations:
    """What one XDM schema in JSON Schema form allows; as Experience Platform's, objects are closed.

    Args:
        tenant: name of the tenant; our own schemas have ``_tenant`` in its place. `None`: the
            schema is the tenant's, with names of its own.
    """

    def __init__(self, document: Schema, tenant: str | None) -> None:
        self._tree = XdmTree(document, tenant, branches=True)
        self._sure = XdmTree(document, tenant)

    def problem(self, destination: Path, shape: Shape) -> Complaint | None:
        """Why a value of this shape cannot go there; `None` when it can."""
        schemas = self._tree.root()
        for position, step in enumerate(destination.steps):
            before = str(Path(destination.steps[:position])) or "the XDM schema"
            if isinstance(step, str):
                complaint = self._field(schemas, step, before, first=position == 0)
            else:
                complaint = _kind(schemas, "array", before)
            if complaint is not None:
                return complaint._replace(step=position)
            schemas = self._tree.inside(schemas, step, first=position == 0)
            if not schemas:
                return None
        return self._fits(schemas, shape, "", 0)

    def refused(self, destination: Path, constant: str | float) -> Complaint | None:
        """Why this very value cannot go there; `None` when it can."""
        for schema in self._tree.at(destination):
            allowed = schema.get("enum")
            if isinstance(allowed, list) and constant not in allowed:
                named = ", ".join(map(str, allowed))
                return Complaint(
                    "the XDM schema does not allow this constant", f"Allowed: {named}."
                )
            pattern = schema.get("pattern")
            if isinstance(constant, str) and not _matches(pattern, constant):
                return Complaint(
                    "the XDM schema does not allow this constant", f"Its pattern is {pattern}"
                )
        return None

    def missing(self, mapping_set: MappingSet, root: Fields) -> list[Problem]:
        """Fields that the schema requires of an object that rows fill, and no row gives.

        Args:
            mapping_set: the rows' file.
            root: the rows as a tree.
        """
        return list(self._missing(mapping_set, root, self._sure.root(), Path(())))

    def _missing(
        self, of: MappingSet, place: Destination, schemas: Sequence[Schema], path: Path
    ) -> Iterator[Problem]:
        if isinstance(place, Value):
            inside = place.row.shape
            given: Collection[str] = inside.fields or _required(schemas)
            yield from self._left_out(of, given, schemas, path, place)
            return
        if isinstance(place, Elements):
            steps = (*path.steps, EACH)
            schemas = self._sure.inside(schemas, EACH, first=False)
            yield from self._missing(of, place.inside, schemas, Path(steps))
            return
        first = not path.steps
        if isinstance(place, Fields):
            given = {*place.inside, *(ENRICHED if first else ())}
            yield from self._left_out(of, given, schemas, path, place)
        children = place.inside.items()
        for step, inner in children:
            below = self._sure.inside(schemas, step, first=first)
            yield from self._missing(of, inner, below, Path((*path.steps, step)))

    def _left_out(
        self,
        of: MappingSet,
        given: Collection[str],
        schemas: Sequence[Schema],
        path: Path,
        place: Destination,
    ) -> Iterator[Problem]:
        first = not path.steps
        for name in sorted(_required(schemas)):
            own = self._sure.own_name(name, first=first)
            if own in given:
                continue
            whole = Path((*path.steps, own))
            yield Problem(
                of.file,
                None if first else first_row(place),
                None,
                f"the XDM schema requires {whole}, and no row gives it",
                f"Add a row for {whole}.",
            )

    def _field(
        self, schemas: Sequence[Schema], name: str, before: str, *, first: bool
    ) -> Complaint | None:
        complaint = _kind(schemas, "object", before)
        if complaint is not None:
            return complaint
        if self._tree.inside(schemas, name, first=first) or _is_open(schemas):
            return None
        known = [
            self._tree.own_name(known, first=first)
            for schema in schemas
            for known in schema.get("properties", {})
        ]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        return Complaint(f"{before} has no field {name!r}{meant}", _UNKNOWN)

    def _fits(
        self, schemas: Sequence[Schema], shape: Shape, inner: str, depth: int
    ) -> Complaint | None:
        """Whether a whole value fits, with what is known to be inside it."""
        takes = _TAKES.get(shape.kind)
        allowed = _types(schemas)
        if takes is None or depth > _MAX_DEPTH:
            return None
        if allowed and not takes & allowed:
            wanted = " or ".join(_NAMES.get(name, name) for name in sorted(allowed))
            what = f"its {inner} is {shape.kind}" if inner else f"the row gives {shape.kind}"
            mend = _MENDS.get(min(allowed), _UNKNOWN)
            return Complaint(f"{what}, the XDM schema has {wanted}", mend)
        if shape.kind is Kind.ARRAY and shape.item is not None:
            below = self._tree.inside(schemas, EACH, first=False)
            return self._fits(below, shape.item, f"{inner}[*]", depth + 1)
        for name, field in shape.fields.items():
            where = f"{inner}.{name}" if inner else name
            below = self._tree.inside(schemas, name, first=False)
            if not below and not _is_open(schemas):
                return Complaint(f"it has a field {where!r}, the XDM schema has none", _UNKNOWN)
            complaint = self._fits(below, field, where, depth + 1)
            if complaint is not None:
                return complaint
        return None


def _kind(schemas: Sequence[Schema], wanted: str, before: str) -> Complaint | None:
    """Why a step cannot be taken: what it starts from is of another kind."""
    allowed = _types(schemas)
    if not allowed or wanted in allowed:
        return None
    named = " or ".join(_NAMES.get(name, name) for name in sorted(allowed))
    if "array" in allowed:
        mend = f"Write {before}[0] for one element, or {before}[*] for each."
    else:
        mend = "Correct the destination."
    return Complaint(f"{before} is {named}, not {_NAMES[wanted]}", mend)


def _types(schemas: Sequence[Schema]) -> set[str]:
    """The types that the schemas name; none: any."""
    found: set[str] = set()
    for schema in schemas:
        named = schema.get("type")
        found |= {named} if isinstance(named, str) else set(named or ())
        if named is None and isinstance(schema.get("properties"), Mapping):
            found.add("object")
    return found - {"null"}


def _required(schemas: Sequence[Schema]) -> set[str]:
    found: set[str] = set()
    for schema in schemas:
        names = schema.get("required")
        if isinstance(names, list):
            found.update(name for name in names if isinstance(name, str))
    return found


def _matches(pattern: object, constant: str) -> bool:
    """Whether a text fits a pattern; one that cannot be read is the gate's matter."""
    try:
        return not isinstance(pattern, str) or re.search(pattern, constant) is not None
    except re.error:
        return True


def _is_open(schemas: Sequence[Schema]) -> bool:
    """Whether keys that are not named are let in."""
    for schema in schemas:
        further = schema.get("additionalProperties")
        if further is True or "patternProperties" in schema or isinstance(further, Mapping):
            return True
    return not any(schema.get("properties") for schema in schemas)
