"""Whatever a record holds, each function gives a value or fails as a rule may; twice the same."""

import os
import subprocess
import sys
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processor.mapping import shapes
from processor.mapping.checker import check
from processor.mapping.compiler import FAILURES, Compiled, compile_set
from processor.mapping.functions import FUNCTIONS
from processor.mapping.identifiers import Identifiers
from processor.mapping.mapping_set import MappingSet, Row, SourceType
from processor.mapping.paths import parse_path
from processor.mapping.plan import arrange
from processor.record import Event

ROOT = Path(__file__).parents[3]
WORDS = (
    "",
    " ",
    "a",
    "a:1,b:2",
    "(",
    "(a)+",
    "year",
    "mm",
    "UTC",
    "UTF-16",
    "2020-01-01",
    "\ud800",
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.sampled_from([*WORDS, "yyyy-MM-dd", '{"a": [1]}', "Europe/Paris", "x" * 3000]),
    st.text(max_size=8),
    st.binary(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abk"), inner, max_size=3)
    ),
    max_leaves=6,
)
NAMED = sorted(name for name in FUNCTIONS if name[0].isalpha())


def compiled(expression: str, failures: list[int] | None = None) -> Compiled:
    """One expression over fields of any kind, `failures` for lenient mode."""
    mapping_set = MappingSet("f", (Row(1, SourceType.EXPRESSION, expression, parse_path("out")),))
    checked, problems = check(mapping_set, shapes.ANY)
    assert not problems
    tree, _ = arrange(mapping_set, checked)
    failed = None if failures is None else lambda row, _: failures.append(row)
    return compile_set(mapping_set, tree, UTC, failed)


def outcome(run: Compiled, body: dict[str, Any]) -> str:
    try:
        return repr(run(body, None, 5, Identifiers(Event("e", {"eventId": "1"}), "f", 0)))
    except FAILURES as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", NAMED)
def test_any_arguments_give_a_value_or_a_failure_of_the_rule(name: str) -> None:
    function = FUNCTIONS[name]
    most = function.most if function.most is not None else function.least + 2
    counts = range(function.least, most + 1)
    step = 2 if function.in_pairs else 1
    calls = [
        f"{name}({', '.join(f'f{n}' for n in range(count))})"
        for count in counts
        if not count % step
    ]
    strict = [compiled(call) for call in calls]
    failures: list[int] = []
    lenient = [compiled(call, failures) for call in calls]

    @settings(
        max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.lists(VALUES, min_size=most, max_size=most))
    def call(values: list[Any]) -> None:
        body = {f"f{n}": value for n, value in enumerate(values)}
        before = repr(body)
        for run, forgiving in zip(strict, lenient, strict=True):
            found = outcome(run, body)
            assert outcome(run, body) == found
            del failures[:]
            forgiven = outcome(forgiving, body)
            assert forgiven == (found if found.startswith("{") else "{}")
            assert bool(failures) == (not found.startswith("{"))
        assert repr(body) == before

    call()


PROGRAM = """
import json, pathlib, sys
from tests.unit.mapping.conftest import Trial, tried
from tests.unit.mapping.samples import SAMPLES
rows = [("EXPRESSION", sample.expression, f"s{n}") for n, sample in enumerate(SAMPLES)]
mapper = Trial(pathlib.Path(sys.argv[1])).mapper(*rows)
print(json.dumps(mapper.map(tried(text="ca"), "event", 1_700_000_000_000)[0].entity))
"""


def test_every_zone_locale_and_run_gives_the_same(tmp_path: Path) -> None:
    environments = [
        {"TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"},
        {"TZ": "Pacific/Apia", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "3"},
    ]

    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path)],
            env={**os.environ, **environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for environment in environments
    }

    assert len(said) == 1
    assert len(said.pop()) > 1000
