"""Which type an XDM schema gives a destination, as far as it says."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from processor.mapping.mapping_set import TENANT
from processor.mapping.paths import Path, Step

_MAX_DEPTH = 32
_TYPES = frozenset({"boolean", "integer", "number"})
_FORMATS = frozenset({"date", "date-time"})
_ALL_OF = ("allOf",)
_BRANCHES = ("allOf", "anyOf", "oneOf")

Schema = Mapping[str, Any]


class Types(Protocol):
    """What says the types of destinations."""

    def of(self, destination: Path) -> str | None:
        """The type of a destination.

        Returns:
            ``boolean``, ``integer``, ``number``, ``date`` or ``date-time``; `None`: another one, or
            none is known.
        """


class XdmTree:
    """Walks an XDM schema in JSON Schema form along destinations.

    Args:
        tenant: name of the tenant; our own schemas have ``_tenant`` in its place. `None`: the
            schema is the tenant's, with names of its own.
        branches: look into ``anyOf`` and ``oneOf`` too: what is possible, not only what is sure.
    """

    def __init__(self, document: Schema, tenant: str | None, *, branches: bool = False) -> None:
        self._document = document
        self._tenant = TENANT if tenant is None else f"_{tenant}"
        self._compositions = _BRANCHES if branches else _ALL_OF

    def root(self) -> list[Schema]:
        """The schema itself, with all that it is made of."""
        return list(self._whole([self._document], 0))

    def inside(self, schemas: Sequence[Schema], step: Step, *, first: bool) -> list[Schema]:
        """The schemas of what one step leads to; none when it leads nowhere.

        Args:
            schemas: of what the step starts from.
            step: a field's name, a position, or every element.
            first: whether it starts from the root, where the tenant's namespace stands.
        """
        if isinstance(step, str):
            found = [
                inner for schema in schemas for inner in self._fields(schema, step, first=first)
            ]
        else:
            found = [schema.get("items") for schema in schemas]
        return list(self._whole(found, 0))

    def at(self, destination: Path) -> list[Schema]:
        """The schemas of a destination."""
        found = self.root()
        for position, step in enumerate(destination.steps):
            found = self.inside(found, step, first=position == 0)
        return found

    def own_name(self, name: str, *, first: bool) -> str:
        """A field's name as the mapping set has it, where ours stands for the tenant's."""
        return self._tenant if first and name == TENANT else name

    def _fields(self, schema: Schema, name: str, *, first: bool) -> Iterable[Any]:
        properties = schema.get("properties")
        if isinstance(properties, Mapping):
            if first and name == self._tenant and name not in properties:
                name = TENANT
            if name in properties:
                return [properties[name]]
        return [schema.get("additionalProperties")]

    def _whole(self, schemas: Iterable[Any], depth: int) -> Iterator[Schema]:
        """The schemas with all that they are made of; what is no schema is left out."""
        for schema in schemas:
            if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
                continue
            yield schema
            for composition in self._compositions:
                parts = schema.get(composition)
                if isinstance(parts, list):
                    yield from self._whole(parts, depth + 1)
            if isinstance(schema.get("$ref"), str):
                yield from self._whole([self._pointed(schema["$ref"])], depth + 1)

    def _pointed(self, pointer: str) -> Any:
        """What a local reference leads to; `None` when nothing."""
        if not pointer.startswith("#/"):
            return None
        place: Any = self._document
        for part in pointer[2:].split("/"):
            if not isinstance(place, Mapping):
                return None
            place = place.get(part.replace("~1", "/").replace("~0", "~"))
        return place


class XdmTypes:
    """The types of one XDM schema in JSON Schema form.

    Args:
        tenant: name of the tenant; our own schemas have ``_tenant`` in its place.
    """

    def __init__(self, document: Schema, tenant: str) -> None:
        self._tree = XdmTree(document, tenant)

    def of(self, destination: Path) -> str | None:
        """The type of a destination."""
        for schema in self._tree.at(destination):
            if schema.get("type") in _TYPES:
                return str(schema["type"])
            if schema.get("type") == "string" and schema.get("format") in _FORMATS:
                return str(schema["format"])
        return None
