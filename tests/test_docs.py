"""The docs name every setting, metric and command, and none that is not there; what they say runs.

Every link leads to a file and a heading that are there, and every command of the pages that people
copy from parses as it is written.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from processor.cli.app import command
from processor.connector.books import BooksCollector, RuleFailuresCollector
from processor.connector.ledger import Ledger
from processor.connector.mends import CODES, MENDS, REASONS
from processor.errors import Code, FilterReason
from processor.settings import Settings, TargetSettings
from processor.telemetry.metrics import TaskMetrics, of_worker
from tests import codes_page
from tests.pages import anchors, commands, without_blocks

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
CONFIGURE = (ROOT / "docs" / "configure.md").read_text()
RUNBOOK = (ROOT / "docs" / "operate.md").read_text()
PAGES = [*sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("*.md"))]
TARGET = "….{key}"
by_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])

SYMPTOMS = (
    "lag-grows",
    "paused",
    "dead-letters-grow",
    "token-refused",
    "rebalance-storm",
    "task-failed",
    "not-ready",
    "books-do-not-balance",
)
"""Anchors of the runbook that alerts link to."""


def section(title: str, page: str = README) -> str:
    """The text below a heading, up to the next of its rank or above."""
    flags = re.MULTILINE | re.DOTALL
    found = re.search(rf"^(#+) {re.escape(title)}$(.*?)(?=^#{{1,2}} |\Z)", page, flags)
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

    documented = first_column(section("Settings", CONFIGURE))

    assert set(documented) == expected
    assert len(documented) == len(set(documented))


def test_the_page_of_codes_is_what_the_commands_say() -> None:
    written = codes_page.PAGE.read_text(encoding="utf-8")

    assert written == codes_page.page(), "write it anew: python -m tests.codes_page"


def test_every_code_and_every_reason_has_its_meaning() -> None:
    assert set(CODES) == set(MENDS) == set(Code)
    assert set(REASONS) == set(FilterReason)
    for about in CODES.values():
        assert about.meaning.endswith(".")
        assert about.mend.endswith(".")


def test_the_metrics_table_is_the_metrics() -> None:
    metrics = TaskMetrics()
    metrics.registry.register(BooksCollector(Ledger()))
    metrics.registry.register(RuleFailuresCollector({}))
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


@by_page
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", without_blocks(page.read_text()))
    lost = []
    for file, anchor in links:
        target = page.parent / file if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(f"{file}#{anchor}")

    assert lost == []


def test_alerts_and_commands_point_at_headings_that_are_there() -> None:
    files = [*ROOT.glob("processor/**/*.py"), *ROOT.glob("deploy/**/*.yml"), ROOT / "README.md"]
    pointed = {
        found
        for file in files
        for found in re.findall(r"(docs/[a-z-]+\.md)#([a-z0-9-]+)", file.read_text())
    }

    assert {anchor for page, anchor in pointed if page == "docs/operate.md"} >= set(SYMPTOMS)
    assert [f"{p}#{a}" for p, a in pointed if a not in anchors(ROOT / p)] == []


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", index))

    assert linked == {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}


@by_page
def test_every_command_that_a_page_shows_parses(page: Path) -> None:
    for words in commands(page.read_text()):
        given: Any = command()
        left = list(words)
        while hasattr(given, "commands"):
            assert left, words
            assert left[0] in given.commands, words
            given = given.commands[left.pop(0)]
        given.make_context(given.name, left)  # raises what a person would be told


def test_the_runbook_has_each_symptom_and_what_to_run() -> None:
    assert set(SYMPTOMS) <= anchors(ROOT / "docs" / "operate.md")
    for symptom in SYMPTOMS:
        text = section(symptom.replace("-", " ").capitalize(), RUNBOOK)
        expected = ["**See**", "**Why**", "**Mend**"]
        if symptom == "paused":
            expected.pop()  # its table of reasons has what to do
        assert [word for word in expected if word not in text] == [], symptom
        assert list(commands(text)), symptom


def test_the_runbook_names_every_reason_to_wait() -> None:
    named = set(first_column(section("Paused", RUNBOOK)))

    assert reasons_to_wait() | {"systemic", "paused"} <= named


def test_the_runbook_names_no_metric_that_is_not_there() -> None:
    table = section("Run it")

    assert [name for name in re.findall(r"processor_[a-z_]+", RUNBOOK) if name not in table] == []


def reasons_to_wait() -> set[str]:
    """What `processor_paused` may be labelled with, as the source has it."""
    source = "".join(path.read_text() for path in (ROOT / "processor").rglob("*.py"))
    begun = r"(?:pauses\.begin|_in_trouble|_trouble|\.trouble,)\(?\s*\"([a-z_]+)\""
    return set(re.findall(begun, source))
