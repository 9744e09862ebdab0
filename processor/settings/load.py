"""Settings from a TOML file with the environment over it; everything that is wrong at once."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from processor.errors import Misconfigured
from processor.settings.checks import check
from processor.settings.complaints import problems_of
from processor.settings.environment import EnvironmentSource
from processor.settings.masking import flat_properties, printable
from processor.settings.models import Settings
from processor.settings.problem import Problem

CONFIG_VARIABLE = "PROCESSOR_CONFIG"
OVERRIDABLE = ("experience_platform", "ims")
"""Where messages go, and who we are there; all else is the connector's own."""

_PROPERTY_TABLES = ("properties", "consumer", "producer")


def load(
    config: Path | None,
    environ: Mapping[str, str] = os.environ,
    *,
    override: Path | None = None,
) -> Settings:
    """The settings of this connector.

    Args:
        config: the TOML file; `None`: the one that ``PROCESSOR_CONFIG`` names, else none.
        environ: variables that begin with ``PROCESSOR_`` come over the file's keys.
        override: a TOML file whose tables (`OVERRIDABLE`) stand in place of those of file and
            environment, whole: nothing of the old table stays.

    Raises:
        Misconfigured: the file cannot be read, or with one line for each setting that is wrong.
            It names keys and the shape they should have, never the values of secrets.
    """
    if config is None and (named := environ.get(CONFIG_VARIABLE)):
        config = Path(named)
    environment = EnvironmentSource(environ)
    tables = _merged(_file(config) if config else {}, environment())
    variables = environment.variables
    if override is not None:
        instead = _override(override)
        tables |= instead
        variables = {path: name for path, name in variables.items() if path[0] not in instead}
    problems = [*environment.problems]
    try:
        _flatten_properties(tables)
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        problems.extend(problems_of(error, variables))
    problems.extend(check(tables))
    if problems:
        raise Misconfigured(_report(config, override, problems))
    return settings


def _override(path: Path) -> dict[str, Any]:
    """The tables that stand in place of others.

    Raises:
        Misconfigured: the file cannot be read, or holds something else.
    """
    tables = _file(path, "override file", "--target-override")
    name = printable(str(path))
    if others := sorted(printable(key) for key in tables if key not in OVERRIDABLE):
        raise Misconfigured(
            f"The override file {name} holds {', '.join(others)}; only the tables "
            f"{' and '.join(f'[{key}]' for key in OVERRIDABLE)} can be overridden.",
            mend="Take the rest out: it stays as configured.",
        )
    if OVERRIDABLE[0] not in tables:
        raise Misconfigured(
            f"The override file {name} has no table [{OVERRIDABLE[0]}].",
            mend="Give it the whole table: org_id, tenant, sandbox_name and the targets.",
        )
    return tables


def _file(
    path: Path, what: str = "settings file", given_by: str = "--config or PROCESSOR_CONFIG"
) -> dict[str, Any]:
    name = printable(str(path))
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise Misconfigured(
            f"There is no {what} {name}.",
            mend=f"Correct {given_by}.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"The {what} {name} is not TOML: {printable(str(error))}.") from None
    except UnicodeDecodeError:
        raise Misconfigured(
            f"The {what} {name} is not UTF-8 text.", mend="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise Misconfigured(
            f"The {what} {name} cannot be read ({error.strerror}).",
            mend="Give a readable file.",
        ) from error


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = _merged(old, value)
        else:
            merged[key] = value
    return merged


def _flatten_properties(tables: dict[str, Any]) -> None:
    """``sasl.password`` without quotes is a table in TOML; the variable for it is none."""
    kafka = tables.get("kafka")
    if not isinstance(kafka, dict):
        return
    for name in _PROPERTY_TABLES:
        if name in kafka:
            try:
                kafka[name] = flat_properties(kafka[name])
            except ValueError:
                continue  # the model says what is wrong with it


def _report(config: Path | None, override: Path | None, problems: list[Problem]) -> str:
    if config is None:
        where = "The settings (no file given; use --config FILE or PROCESSOR_CONFIG)"
    else:
        where = f"The settings in {printable(str(config))}"
    if override is not None:
        where = f"{where}, with {printable(str(override))} over them,"
    lines = sorted({str(problem) for problem in problems})
    return "\n".join([f"{where} are wrong:", *(f"  {line}" for line in lines)])
