"""``FIELD=VALUE``: a condition on a field of the decoded event, by its dotted path (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from processor.errors import Misconfigured
from processor.record import Event

CONSTANTS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class Where:
    """One condition.

    Attributes:
        path: names from the event's envelope inwards, such as ``("data", "totalPoints")``.
        value: what has to stand there, as text.
    """

    path: tuple[str, ...]
    value: str = field(repr=False)

    def holds(self, event: Event) -> bool:
        """Whether the field is there and has the value; of a list, any item may have it.

        A number equals a number however it is written, ``true``, ``false`` and ``null`` are
        themselves, and text equals the very same text.
        """
        return any(self._equals(found) for found in _at(event.body, self.path))

    def _equals(self, found: Any) -> bool:
        if found is None or isinstance(found, bool):
            return self.value in CONSTANTS and CONSTANTS[self.value] is found
        if isinstance(found, int | float):
            try:
                return Decimal(self.value) == Decimal(str(found))
            except InvalidOperation:
                return False
        return isinstance(found, str) and found == self.value


def where(text: str) -> Where:
    """Read one condition.

    Raises:
        Misconfigured: there is no ``=``, or no path before it.
    """
    path, equals, value = text.partition("=")
    names = tuple(path.strip().split("."))
    if not equals or not all(names):
        raise Misconfigured(
            "--where takes FIELD=VALUE, with a dotted path on the decoded event, such as "
            "data.customerIdentifiers.customerId=4711."
        )
    return Where(names, value)


def _at(value: Any, path: Sequence[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _at(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _at(value[path[0]], path[1:])
