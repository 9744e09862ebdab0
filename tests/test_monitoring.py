"""Dashboard and alerts name nothing that the processor does not export, and all of it is shown."""

import re
from pathlib import Path

import pytest
import yaml

from processor.connector.status import ConnectorState, TaskState
from tests.deploy import promql
from tests.exported import PROMISED, samples
from tests.pages import anchors

ROOT = Path(__file__).parents[1]
AS_ORDERED = {state.value.lower() for state in ConnectorState}
"""Reasons to wait that somebody gave."""

SEVERITIES = {"critical", "warning", "info"}
EXPRESSIONS = [*promql.alerting(), *promql.shown()]
SOURCE = "\n".join(path.read_text() for path in (ROOT / "processor").rglob("*.py"))

every = pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda e: e.where)


@every
def test_only_metrics_and_labels_that_are_exported_are_named(
    expression: promql.Expression,
) -> None:
    exported = samples()

    assert expression.selected
    for name, labels in expression.selected:
        assert name in exported, name
        assert labels <= exported[name] | promql.OF_PROMETHEUS, name


@every
def test_what_is_grouped_by_is_a_label_of_what_is_grouped(expression: promql.Expression) -> None:
    exported = samples()
    labels = {label for name, _ in expression.selected for label in exported[name]}

    assert expression.grouped <= labels | promql.OF_PROMETHEUS


@every
def test_a_fixed_value_of_a_label_is_one_that_the_processor_sets(
    expression: promql.Expression,
) -> None:
    for label, value in expression.values - {("instance", "$instance")}:
        if label == "state":
            assert value in set(TaskState)
        else:
            assert f'"{value}"' in SOURCE or value in AS_ORDERED, value


def test_each_promised_metric_is_on_the_dashboard() -> None:
    shown = {name for expression in promql.shown() for name, _ in expression.selected}

    missing = {
        name
        for name in PROMISED
        if not any(one == name or re.fullmatch(rf"{name}_(bucket|sum|count)", one) for one in shown)
    }
    assert missing == set()


def test_a_panel_is_where_no_other_is() -> None:
    panels = promql.dashboard()["panels"]
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert all(0 <= x < 24 for x, _ in cells)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() -> None:
    for rule in promql.rules():
        assert rule["labels"]["severity"] in SEVERITIES
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert anchor in anchors(ROOT / page)
        assert rule["alert"] in (ROOT / page).read_text()


def test_the_page_has_the_alerts_with_their_severities() -> None:
    page = (ROOT / "docs" / "monitor.md").read_text()
    told = re.findall(r"^\| `(Processor\w+)` \| (\w+) \|", page, re.MULTILINE)

    assert sorted(told) == sorted((r["alert"], r["labels"]["severity"]) for r in promql.rules())


def test_the_page_has_the_reasons_to_wait_that_the_alerts_tell_apart() -> None:
    page = (ROOT / "docs" / "monitor.md").read_text()
    told = {
        reason
        for cell in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ", page, re.MULTILINE)
        for reason in re.findall(r"`(\w+)`", cell)
    }
    named = {v for e in EXPRESSIONS for label, v in e.values if label == "reason"}

    assert named
    assert named <= told


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    tests = yaml.safe_load((promql.MONITORING / "alerts_test.yml").read_text())["tests"]
    firing = "\n".join(
        sample["labels"]
        for test in tests
        for case in test["promql_expr_test"]
        for sample in case["exp_samples"]
    )

    assert [r["alert"] for r in promql.rules() if f'alertname="{r["alert"]}"' not in firing] == []
