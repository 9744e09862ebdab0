"""What PromQL expressions of ours name, and where they stand. No parser: promtool is one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
OF_PROMETHEUS = {"job", "instance", "alertname", "alertstate", "severity"}
"""Labels that the scrape and the rules add."""

_TEXT = re.compile(r'"[^"]*"|\'[^\']*\'')
_METRIC = re.compile(r"\b(processor_\w+)\b(?:\{([^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_VALUE = re.compile(r'\b(reason|state|outcome)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')


class Expression(NamedTuple):
    """A PromQL expression and where it stands."""

    where: str
    text: str

    @property
    def selected(self) -> list[tuple[str, set[str]]]:
        """Each metric that it names, with the labels that it is selected by."""
        bare = _TEXT.sub('""', self.text)
        return [(name, set(_MATCHER.findall(inner))) for name, inner in _METRIC.findall(bare)]

    @property
    def grouped(self) -> set[str]:
        """Labels that it groups or joins by."""
        names = ",".join(_GROUPED.findall(_TEXT.sub('""', self.text)))
        return {name.strip() for name in names.split(",") if name.strip()}

    @property
    def values(self) -> set[tuple[str, str]]:
        """Fixed values that it compares a label with; alternatives of a pattern one by one."""
        return {
            (label, value)
            for label, pattern in _VALUE.findall(self.text)
            for value in pattern.split("|")
        }


def rules() -> list[dict[str, Any]]:
    """The alert rules."""
    content = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The Grafana dashboard."""
    content: dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text())
    return content


def alerting() -> Iterator[Expression]:
    """The expressions of the alerts."""
    for rule in rules():
        yield Expression(rule["alert"], rule["expr"])


def shown() -> Iterator[Expression]:
    """The expressions of the dashboard's panels, and those behind its variables."""
    board = dashboard()
    for panel in board["panels"]:
        for target in panel.get("targets", ()):
            yield Expression(panel["title"], target["expr"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            selector = re.sub(r"^label_values\((.*), \w+\)$", r"\1", variable["definition"])
            yield Expression(f"${variable['name']}", selector)
