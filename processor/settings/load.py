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
_PROPERTY_TABLES = ("properties", "consumer", "producer")


def load(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this connector.

    Args:
        config: the TOML file; `None`: the one that ``PROCESSOR_CONFIG`` names, else none.
        environ: variables that begin with ``PROCESSOR_`` come over the file's keys.

    Raises:
        Misconfigured: the file cannot be read, or with one line for each setting that is wrong.
            It names keys and the shape they should have, never the values of secrets.
    """
    if config is None and (named := environ.get(CONFIG_VARIABLE)):
        config = Path(named)
    environment = EnvironmentSource(environ)
    tables = _merged(_file(config) if config else {}, environment())
    problems = [*environment.problems]
    try:
        _flatten_properties(tables)
        settings = Settings.model_validate(tables)
    except ValidationError as error:
        problems.extend(problems_of(error, environment.variables))
    problems.extend(check(tables))
    if problems:
        raise Misconfigured(_report(config, problems))
    return settings


def _file(path: Path) -> dict[str, Any]:
    name = printable(str(path))
    try:
        return tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        raise Misconfigured(
            f"There is no settings file {name}.",
            mend="Correct --config or PROCESSOR_CONFIG.",
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(
            f"The settings file {name} is not TOML: {printable(str(error))}."
        ) from None
    except UnicodeDecodeError:
        raise Misconfigured(
            f"The settings file {name} is not UTF-8 text.", mend="Save it as UTF-8."
        ) from None
    except OSError as error:
        raise Misconfigured(
            f"The settings file {name} cannot be read ({error.strerror}).",
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


def _report(config: Path | None, problems: list[Problem]) -> str:
    if config is None:
        where = "The settings (no file given; use --config FILE or PROCESSOR_CONFIG)"
    else:
        where = f"The settings in {printable(str(config))}"
    lines = sorted({str(problem) for problem in problems})
    return "\n".join([f"{where} are wrong:", *(f"  {line}" for line in lines)])
