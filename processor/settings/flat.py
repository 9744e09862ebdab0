"""Settings as a flat map of dotted keys and texts: judged without reading or asking anything."""

from collections.abc import Mapping
from typing import Any, get_origin

from pydantic import ValidationError

from processor.settings.checks import check
from processor.settings.complaints import field_at, problems_of
from processor.settings.environment import items
from processor.settings.models import Settings
from processor.settings.paths import free_names, section_of
from processor.settings.problem import Problem


def path_of(key: str) -> tuple[str, ...]:
    """Where a dotted key stands: ``kafka.properties.sasl.password`` ends in one name with a dot."""
    rest, path = key.split("."), []
    model: Any = Settings
    while rest and model is not None:
        step = rest.pop(0)
        path.append(step)
        field = model.model_fields.get(step)
        if field is None:
            break
        names, model = free_names(field.annotation), section_of(field.annotation)
        if names is not None and rest:
            path.append(rest.pop(0) if model else ".".join(rest))
            if model is None:
                return tuple(path)
    return (*path, *rest)


def tables_of(flat: Mapping[str, str]) -> dict[str, Any]:
    """The tables of a settings file that say the same."""
    tables: dict[str, Any] = {}
    for key, text in flat.items():
        *above, last = path_of(key)
        table = tables
        for name in above:
            inner = table.setdefault(name, {})
            table = inner if isinstance(inner, dict) else {}
        field = field_at((*above, last))
        is_list = field is not None and get_origin(field.annotation) is list
        table[last] = items(text) if is_list else text
    return tables


def complaints_about(flat: Mapping[str, str]) -> dict[str, list[str]]:
    """What is wrong, by dotted key; never the value of a secret.

    No file is looked for: whoever asks over HTTP must not learn what this host holds.
    """
    tables = tables_of(flat)
    problems: list[Problem] = []
    try:
        Settings.model_validate(tables)
    except ValidationError as error:
        problems += problems_of(error, {})
    problems += check(tables, files=False)
    found: dict[str, list[str]] = {}
    for problem in problems:
        sentences = found.setdefault(problem.key, [])
        if problem.sentence not in sentences:
            sentences.append(problem.sentence)
    return found
