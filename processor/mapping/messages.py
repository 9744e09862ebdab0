"""Which messages a mapping set makes of one event, and whom each of them is about."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from processor.mapping.failures import WrongType
from processor.mapping.mapping_set import MappingSet
from processor.mapping.paths import EACH, Path, Step
from processor.mapping.values import kind_of

IDENTIFIERS = "customerIdentifiers"
NOBODY: Mapping[str, Any] = MappingProxyType({})


class Part(NamedTuple):
    """What one message is made of.

    Attributes:
        number: of the message among those of its event and target, from 0.
        item: element of the iterated array, else `None`.
        holder: the object with ``customerIdentifiers``; empty when there is none.
        merged: identifiers of another customer who became this one; mostly empty.
    """

    number: int
    item: Any
    holder: Mapping[str, Any]
    merged: Mapping[str, Any] = NOBODY


def parts(body: Mapping[str, Any], mapping_set: MappingSet) -> Iterator[Part]:
    """The messages of an event, without those whose ``when`` is null.

    Raises:
        WrongType: what the mapping set iterates is no array.
    """
    items = [None] if mapping_set.iterate is None else _items(body, mapping_set.iterate)
    number = 0
    for item in items:
        if (
            mapping_set.when is not None
            and found_at(mapping_set.when, mapping_set.iterate, body, item) is None
        ):
            continue
        yield Part(number, item, _holder(body, item, mapping_set), _merged(body, item, mapping_set))
        number += 1


def _items(body: Mapping[str, Any], iterate: Path) -> list[Any]:
    """The elements of the array that a mapping set iterates, nulls left out."""
    value = _value_at(body, iterate.steps[:-1])
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongType(f"{iterate} is {kind_of(value)}, not an array")
    return [item for item in value if item is not None]


def _holder(body: Mapping[str, Any], item: Any, mapping_set: MappingSet) -> Mapping[str, Any]:
    if mapping_set.identity is None:
        found = body.get("data") if mapping_set.iterate is None else item
        return found if isinstance(found, Mapping) else NOBODY
    found = found_at(mapping_set.identity, mapping_set.iterate, body, item)
    if not isinstance(found, Mapping):
        return NOBODY
    return {IDENTIFIERS: found} if _names_identifiers(mapping_set.identity) else found


def _names_identifiers(path: Path) -> bool:
    """Whether a path leads to identifiers themselves, such as ``survivorCustomerIdentifiers``."""
    last = path.steps[-1]
    return isinstance(last, str) and last.lower().endswith(IDENTIFIERS.lower())


def _merged(body: Mapping[str, Any], item: Any, mapping_set: MappingSet) -> Mapping[str, Any]:
    if mapping_set.merged is None:
        return NOBODY
    found = found_at(mapping_set.merged, mapping_set.iterate, body, item)
    return found if isinstance(found, Mapping) else NOBODY


def found_at(path: Path, iterate: Path | None, body: Mapping[str, Any], item: Any) -> Any:
    """What stands at a path of the event, or of the iterated element when it begins there."""
    if iterate is not None and path.starts_with(iterate):
        return _value_at(item, path.steps[len(iterate) :])
    return _value_at(body, path.steps)


def _value_at(value: Any, steps: tuple[Step, ...]) -> Any:
    for position, step in enumerate(steps):
        if step is EACH and isinstance(value, list):
            return [_value_at(element, steps[position + 1 :]) for element in value]
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value
