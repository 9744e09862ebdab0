"""Where a setting stands: from dotted keys and variable names to the field that describes it."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from processor.settings.models import Section, Settings

PREFIX = "PROCESSOR_"
FREE = "<name>"
_NEAR = 0.6  # difflib's own cutoff for close matches
_AT_HOME = 0.15  # what one letter in six or seven is worth


class Slot(NamedTuple):
    """A place in the settings.

    Attributes:
        path: keys from the top, such as ``("kafka", "properties", "sasl.password")``.
        field: what pydantic knows about it; `None` inside a table of free names.
    """

    path: tuple[str, ...]
    field: FieldInfo | None


def section_of(annotation: Any) -> type[Section] | None:
    """The table class behind ``Section`` or ``Section | None``; `None` when it is no table."""
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Section):
            return candidate
    return None


def free_names(annotation: Any) -> Any:
    """The annotation of the values of a table with free names; `None` when it is none."""
    return get_args(annotation)[1] if get_origin(annotation) is dict else None


def slot_of_variable(variable: str) -> Slot | None:
    """The place that a variable such as ``PROCESSOR_KAFKA__TOPICS`` sets; `None`: there is none."""
    parts = variable.removeprefix(PREFIX).lower().split("__")
    return _walk(Settings, tuple(parts), ())


def _walk(model: type[BaseModel], rest: tuple[str, ...], path: tuple[str, ...]) -> Slot | None:
    key, *after = rest
    field = model.model_fields.get(key)
    if field is None:
        return None
    path = (*path, key)
    if not after:
        return Slot(path, field)
    if section := section_of(field.annotation):
        values = free_names(field.annotation)
        if values is None:
            return _walk(section, tuple(after), path)
        name, *keys = after
        return _walk(section, tuple(keys), (*path, name)) if keys else None
    if free_names(field.annotation) is not None:
        name = property_name(after)
        return Slot((*path, name), None) if name else None
    return None


def property_name(parts: Sequence[str]) -> str:
    """``["sasl_password_file"]`` → ``sasl.password_file``, as in ``[kafka.properties]``."""
    name = ".".join(parts)
    stem = name.removesuffix("_file")
    dotted = stem if stem == "log_level" else stem.replace("_", ".")
    return dotted + name[len(stem) :]


def known_keys(model: type[BaseModel] = Settings, path: tuple[str, ...] = ()) -> Iterator[Slot]:
    """Every key, tables included; free names stand as ``<name>``."""
    for name, field in model.model_fields.items():
        yield Slot((*path, name), field)
        if section := section_of(field.annotation):
            inner = () if free_names(field.annotation) is None else (FREE,)
            yield from known_keys(section, (*path, name, *inner))


def is_table(field: FieldInfo) -> bool:
    """Whether the key holds other keys."""
    return section_of(field.annotation) is not None or free_names(field.annotation) is not None


def variable_of(path: Sequence[str]) -> str:
    """The environment variable of a key."""
    return PREFIX + "__".join(path).replace(".", "_").upper()


def nearest(path: Sequence[str], known: Iterable[Slot]) -> tuple[str, ...] | None:
    """The key that a misspelt one probably means; `None` when nothing is near.

    Compared by its last word and as a whole, so that a key in the wrong table is found too; a key
    nearly right in its own table comes before one that is right in another.
    """
    best: tuple[str, ...] | None = None
    best_rank = (0.0, 0.0)
    for slot in known:
        last = _ratio(path[-1], slot.path[-1])
        whole = _ratio(".".join(path), ".".join(slot.path))
        nearness = max(last, whole)
        at_home = slot.path[:-1] == tuple(path[:-1])
        rank = (nearness + _AT_HOME * at_home, last + whole)
        if nearness > _NEAR and rank > best_rank:
            best, best_rank = slot.path, rank
    if best is not None and len(best) == len(path):  # <name> is the one that was given
        return tuple(b if a == FREE else a for a, b in zip(best, path, strict=True))
    return best


def _ratio(given: str, known: str) -> float:
    return difflib.SequenceMatcher(None, given.lower(), known).ratio()
