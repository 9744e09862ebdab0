"""The README names every setting, code, reason, metric and command, and none that is not there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from processor.cli.app import command
from processor.connector.books import BooksCollector
from processor.connector.ledger import Ledger
from processor.connector.mends import MENDS
from processor.errors import Code, FilterReason
from processor.settings import Settings, TargetSettings
from processor.telemetry.metrics import TaskMetrics, of_worker

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TARGET = "….{key}"


def section(title: str) -> str:
    """The text below a heading, up to the next of its rank or above."""
    flags = re.MULTILINE | re.DOTALL
    found = re.search(rf"^(#+) {re.escape(title)}$(.*?)(?=^#{{1,2}} |\Z)", README, flags)
    assert found is not None, title
    return found[2]


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        inner = (
            None if get_origin(field.annotation) is dict else next(filter(_is_table, kinds), None)
        )
        if inner is not None:
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def first_column(text: str) -> list[str]:
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_settings_table_is_the_settings() -> None:
    expected = set(keys(Settings)) | {TARGET.format(key=key) for key in keys(TargetSettings)}

    documented = first_column(section("Settings"))

    assert set(documented) == expected
    assert len(documented) == len(set(documented))


def test_the_code_table_is_the_codes() -> None:
    text = section("Codes")

    assert set(first_column(text)) == set(Code)
    assert all(f"`{reason}`" in text for reason in FilterReason)


def test_the_code_table_says_the_mends_that_the_commands_say() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]+ \| ([^|]+) \|$", section("Codes"), re.MULTILINE)
    said = {
        code: f"{mend[0].upper()}{mend[1:]}.".replace("`", "")
        for codes, mend in rows
        for code in re.findall(r"`([^`]+)`", codes)
    }

    assert said == MENDS


def test_the_metrics_table_is_the_metrics() -> None:
    metrics = TaskMetrics()
    metrics.registry.register(BooksCollector(Ledger()))
    exported = {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in [*metrics.registry.collect(), *of_worker("1", {})]
    }

    documented = {name.partition("{")[0] for name in first_column(section("Run it"))}

    assert documented == exported


@pytest.mark.parametrize("group", command().commands)  # type: ignore[attr-defined] # a click group
def test_every_command_is_documented(group: str) -> None:
    assert re.search(rf"`processor {group}\b", section("Commands"))


def test_every_documented_command_exists() -> None:
    documented = {cell.split()[1] for cell in first_column(section("Commands"))}

    assert documented <= set(command().commands)  # type: ignore[attr-defined] # a click group


@pytest.mark.parametrize("page", [*sorted(ROOT.glob("docs/*.md")), ROOT / "README.md"], ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []
