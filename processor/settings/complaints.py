"""What pydantic found wrong, as sentences with the shape a key should have and never its value."""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from processor.settings.masking import printable
from processor.settings.models import Settings
from processor.settings.paths import FREE, free_names, is_table, known_keys, nearest, section_of
from processor.settings.problem import Problem

_MISSING_TABLES = {
    "kafka": "bootstrap_servers and topics",
    "ims": "client_id and client_secret_file",
    "experience_platform": "org_id, tenant and the tables of its targets, "
    "[experience_platform.targets.<name>]",
}


def problems_of(
    error: ValidationError, variables: Mapping[tuple[str, ...], str]
) -> Iterator[Problem]:
    """One sentence for each thing that pydantic refused.

    Args:
        error: from the validation of `Settings`.
        variables: which environment variable gave a key, by the key's path.
    """
    seen: set[tuple[str, ...]] = set()
    for detail in error.errors(include_url=False, include_input=False):
        path = _path(detail["loc"])
        if path not in seen:  # a union refuses once for each of its members
            seen.add(path)
            yield Problem(_named(path, variables), _sentence(detail, path))


def _path(loc: Sequence[int | str]) -> tuple[str, ...]:
    """The key's path; items of a list and the marks of pydantic are not part of it."""
    path: list[str] = []
    model: Any = Settings
    for step in loc:
        if isinstance(step, int) or step == "[key]":
            break
        path.append(step)
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(step)
            if field is None:
                break
            values = free_names(field.annotation)
            model = section_of(field.annotation) if values is None else _Free(values)
        elif isinstance(model, _Free):
            model = section_of(model.values)
        else:
            path.pop()
            break
    return tuple(path)


class _Free:
    """A table whose names are free, and what its values are."""

    def __init__(self, values: Any) -> None:
        self.values = values


def _named(path: tuple[str, ...], variables: Mapping[tuple[str, ...], str]) -> str:
    key = printable(".".join(path))
    variable = variables.get(path)
    return f"{key} (from {variable})" if variable else key


def _sentence(detail: ErrorDetails, path: tuple[str, ...]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(path)
    if detail["loc"] and detail["loc"][-1] == "[key]":
        return (
            f"{printable(str(detail['loc'][-2]))!r} is no name for a target; use a-z, 0-9, - and _."
        )
    if kind == "value_error":
        return f"{detail['ctx']['error']}."
    field = field_at(path)
    if kind == "missing":
        if tables := _MISSING_TABLES.get(".".join(path)):
            return f"this table is missing; give [{path[0]}] with {tables}."
        return f"missing; give {shape(field)}." if field else "missing."
    return f"give {shape(field)}." if field else f"give a table, [{'.'.join(path)}]."


def _unknown(path: tuple[str, ...]) -> str:
    if near := nearest(path, known_keys()):
        return f"no such setting; did you mean {printable('.'.join(near))}?"
    table = path[:-1]
    siblings = [slot.path[-1] for slot in known_keys() if _fits(slot.path[:-1], table)]
    where = f"[{printable('.'.join(table))}]" if table else "the top of the file"
    return f"no such setting; {where} knows {', '.join(siblings)}."


def _fits(known: tuple[str, ...], table: tuple[str, ...]) -> bool:
    return len(known) == len(table) and all(
        a in {b, FREE} for a, b in zip(known, table, strict=True)
    )


def field_at(path: Sequence[str]) -> FieldInfo | None:
    """The field of a key; `None` for a table of a free name, or when there is no such key."""
    model: type[BaseModel] = Settings
    steps = list(path)
    while steps:
        field = model.model_fields.get(steps.pop(0))
        if field is None or not steps:
            return field
        inner = section_of(field.annotation)
        if inner is None:
            return field
        if free_names(field.annotation) is not None:
            steps.pop(0)
        model = inner
    return None


def shape(field: FieldInfo) -> str:
    """What a value of this field looks like, in words."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    annotation = kinds[0] if kinds and NoneType in get_args(field.annotation) else field.annotation
    if is_table(field):
        return "a table"
    words = _kind(annotation)
    bounds = [word for item in field.metadata if (word := _bound(item))]
    if annotation is str and field.description:
        return f"text: {field.description}"
    return f"{words} {' and '.join(bounds)}" if bounds else words


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(get_args(annotation))}"
    if get_origin(annotation) is list:
        inner = "numbers" if get_args(annotation) == (int,) else "text"
        return f"a list of {inner}; in the environment, separated by commas"
    if annotation is SecretStr:
        return "text (better: the file that holds it, with _file behind the key)"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(annotation, "the path of a file")


def _bound(item: Any) -> str:
    match item:
        case annotated_types.Gt(gt=least):
            return f"above {least}"
        case annotated_types.Ge(ge=least):
            return f"from {least}"
        case annotated_types.Le(le=most):
            return f"up to {most}"
        case annotated_types.Lt(lt=most):
            return f"below {most}"
        case annotated_types.MinLen():
            return "that is not empty"
        case _:
            return ""
