"""Each function against what Adobe documents, and against what it leaves open."""

from datetime import UTC, datetime
from typing import Any

import pytest

from processor.errors import Code, Refused
from processor.mapping.checker import nodes_of
from processor.mapping.expression import Call, parse
from processor.mapping.functions import FUNCTIONS, NOT_RUN
from tests.unit.mapping.samples import NOTHING, REFUSED, SAMPLES, Sample

MS = 1_571_829_875_000


def calls_of(expression: str) -> list[Call]:
    return [node for node in nodes_of(parse(expression)) if isinstance(node, Call)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.expression)
def test_adobes_samples_give_what_adobe_says_or_what_is_listed(trial: Any, sample: Sample) -> None:
    found = trial.value(sample.expression, timestamp_ms=sample.timestamp_ms, **(sample.data or {}))

    assert found == sample.expected
    assert type(found) is type(sample.expected)


def test_what_differs_from_adobes_page_says_why() -> None:
    differing = [sample for sample in SAMPLES if sample.gives is not NOTHING]

    assert len(differing) == 11
    assert all(sample.why and sample.gives != sample.says for sample in differing)


@pytest.mark.parametrize("expression", REFUSED)
def test_samples_of_functions_that_are_not_run_are_refused(trial: Any, expression: str) -> None:
    name = expression.partition("(")[0]

    said = trial.problems(("EXPRESSION", expression, "out"))

    assert f"row 1, column 1: {name}() is a Data Prep function that is not run here: " in said


def test_every_function_has_a_sample_of_adobes() -> None:
    named = {node.name for sample in SAMPLES for node in calls_of(sample.expression)}
    # Old names, and what is written without a name, have no row on Adobe's page.
    assert set(FUNCTIONS) - named == {"arrays_to_object", "is_set", "[n]"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('concat("a", text)', None),
        ("lower(text)", None),
        ("whole + 1", None),
        ("-number", None),
        ("nullify()", None),
        ('coalesce(text, "x")', "x"),
        ("is_empty(text)", True),
        ("size_of(text)", 0),
        ('text.equals("x")', False),
        ("text == null", True),
        ("text != null", False),
        ("whole lt 1", False),
        ("!flag", True),
        ("flag || true", True),
        ('iif(flag, "yes", "no")', "no"),
        ('decode(text, "a", "b", "else")', "else"),
        ('date(text, "yyyy", date("2020-01-01"))', "2020-01-01T00:00:00Z"),
        ("first(tags)", None),
        ("contains_key(text)", False),
    ],
)
def test_nulls_follow_the_rules(trial: Any, expression: str, expected: object) -> None:
    renamed = expression
    for name in ("text", "whole", "number", "flag", "tags"):
        renamed = renamed.replace(name, f"data.{name}")

    assert trial.value(renamed) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('concat(1676.0, "")', "1676"),
        ('concat(0.1, "")', "0.1"),
        ('concat(true, "-", 5)', "true-5"),
        ('concat(1e300, "")', "1e+300"),
        ('trim("\u00a0x\u00a0")', "\u00a0x\u00a0"),
        ('"ß".equalsIgnoreCase("SS")', False),
        ('replacestr("ab", "", "x")', "ab"),
        ('substr("abc", 1, 99)', "bc"),
        ('split("a,b;;c;;", ",;")', ["a", "b", "", "c"]),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7.0 / 2", 3.5),
        ("-7 mod 3", -1),
        ("7 mod -3", 1),
        ("1 == 1.0", True),
        ("to_integer(12.0)", 12),
        ('size_of("häß")', 3),
        ("is_empty([])", True),
    ],
)
def test_what_adobe_leaves_open_is_settled(trial: Any, expression: str, expected: object) -> None:
    assert trial.value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    [
        'to_integer("12.5")',
        "to_integer(12.5)",
        'to_integer("1_000")',
        'to_integer("١٢")',
        "to_integer(3000000000)",
        'to_decimal("1,234")',
        'to_decimal("1e309")',
        'to_decimal("NaN")',
        'to_decimal("")',
        "1 / 0",
        "1.0 mod 0",
        "1e308 * 10",
        'dformat(9e18, "yyyy")',
        'date("2019-13-45")',
        'date("soon")',
        'substr("abc", -1, 2)',
        'zone_date_to_zone(date("2020-01-01"), concat("Mars/", "Olympus"))',
        'sha256("x", concat("KLING", "ON"))',
        "concat(to_decimal(concat('9', replacestr('x', 'x', 'e999'))))",
    ],
)
def test_an_expression_without_a_value_is_the_records_fault(trial: Any, expression: str) -> None:
    with pytest.raises(Refused) as caught:
        trial.value(expression)

    assert caught.value.code is Code.MAPPING_EXPRESSION
    assert caught.value.pointer == "/out"


def test_now_is_the_records_time_and_never_the_clocks(trial: Any) -> None:
    assert trial.value("now()", timestamp_ms=MS + 7) == "2019-10-23T11:24:35.007Z"
    assert trial.value("timestamp()", timestamp_ms=MS) == MS
    assert trial.value("now()", timestamp_ms=None) is None


@pytest.mark.parametrize("name", sorted(NOT_RUN))
def test_a_documented_function_that_is_not_run_is_refused_by_name(trial: Any, name: str) -> None:
    said = trial.problems(("EXPRESSION", f"{name}()", "out"))

    assert f"tried/to-event.json, row 1, column 1: {name}()" in said


def test_the_nearest_function_is_named(trial: Any) -> None:
    assert "did you mean concat?" in trial.problems(("EXPRESSION", 'conkat("a")', "out"))
    assert "did you mean coalesce?" in trial.problems(("EXPRESSION", 'coalesc("a")', "out"))


def test_no_name_is_both_run_and_refused() -> None:
    assert not set(NOT_RUN) & set(FUNCTIONS)


def test_replacing_cannot_fill_the_memory(trial: Any) -> None:
    with pytest.raises(Refused, match="more than"):
        trial.value('replacestr(data.text, "a", data.text)', text="a" * 2000)


def test_dates_say_their_zone(trial: Any) -> None:
    moment = datetime(2020, 6, 1, 12, tzinfo=UTC)

    assert trial.value(
        'zone_date_to_zone(date("2020-06-01 12:00"), "Europe/Paris")'
    ) == moment.isoformat().replace("12:00:00+00:00", "14:00:00+02:00")
    assert (
        trial.value('zone_date_to_utc(date("2020-06-01 12:00:00-0800", "yyyy-MM-dd HH:mm:ssZ"))')
        == "2020-06-01T20:00:00Z"
    )
