"""What Prometheus itself says to our expressions. `make check` runs this with its promtool."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy import promql

PROMTOOL = os.environ.get("PROMTOOL", "promtool")


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROMTOOL, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("expression", [*promql.shown()], ids=lambda e: e.where)
def test_an_expression_of_the_dashboard_is_promql(
    expression: promql.Expression, tmp_path: Path
) -> None:
    text = expression.text.replace("$__rate_interval", "5m")
    rule = {"record": "shown", "expr": text}
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [rule]}]}))

    checked = promtool("check", "rules", file)

    assert checked.returncode == 0, checked.stderr


def test_the_alerts_are_rules_and_do_what_their_tests_say() -> None:
    checked = promtool(
        "check", "rules", "--lint=all", "--lint-fatal", promql.MONITORING / "alerts.yml"
    )
    tested = promtool("test", "rules", promql.MONITORING / "alerts_test.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_prometheus_takes_the_configuration_of_the_compose_file() -> None:
    checked = promtool("check", "config", promql.MONITORING / "prometheus.yml")

    assert checked.returncode == 0, checked.stdout + checked.stderr
