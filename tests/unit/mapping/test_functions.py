"""Each function against what Adobe documents, and against what it leaves open."""

from datetime import UTC, datetime
from typing import Any

import pytest

from processor.errors import Code, Refused
from processor.mapping.functions import FUNCTIONS, NOT_RUN

MS = 1_571_829_875_000


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('concat("Hi, ", "there", "!")', "Hi, there!"),
        (
            'replacestr("This is a string re test", "re", "replace")',
            "This is a string replace test",
        ),
        ('substr("This is a substring test", 7, 8)', " a subst"),
        ('lower("HeLLo")', "hello"),
        ('lcase("HeLLo")', "hello"),
        ('upper("HeLLo")', "HELLO"),
        ('ucase("HeLLo")', "HELLO"),
        ('split("Hello world", " ")', ["Hello", "world"]),
        ('join(" ", to_array(true, "Hello", "world"))', "Hello world"),
        ('left("abcde", 2)', "ab"),
        ('right("abcde", 2)', "de"),
        ('ltrim(" hello")', "hello"),
        ('rtrim("hello ")', "hello"),
        ('trim(" hello ")', "hello"),
        ('"string1".equals("STRING1")', False),
        ('"string1".equalsIgnoreCase("STRING1")', True),
        ('sha1("my text", "UTF-8")', "c3599c11e47719df18a2448690840c5dfcce3c80"),
        (
            'sha256("my text", "UTF-8")',
            "7330d2b39ca35eaf4cb95fc846c21ee6a39af698154a83a586ee270a0d372104",
        ),
        ('md5("my text", "UTF-8")', "d3b96ce8c9fb4e9bd0198d03ba6852c7"),
        (f"dformat({MS}, \"yyyy-MM-dd'T'HH:mm:ss.SSSX\")", "2019-10-23T11:24:35.000Z"),
        ('date("2019-10-23 11:24", "yyyy-MM-dd HH:mm")', "2019-10-23T11:24:00Z"),
        ('date("2019-10-23 11:24")', "2019-10-23T11:24:00Z"),
        (
            ("format(date('2019-10-23 11:24:35'), 'yyyy-MM-dd HH:mm:ss')"),
            "2019-10-23 11:24:35",
        ),
        ("size_of([1, 2, 3, 4])", 4),
        ("is_empty([1, 2, 3])", False),
        (
            'to_object("firstName", "John", "lastName", "Doe")',
            {"firstName": "John", "lastName": "Doe"},
        ),
        ('coalesce(null, null, null, "first", null, "second")', "first"),
        ('first("1", "2", "3")', "1"),
        ('last("1", "2", "3")', "3"),
        ("add_to_array(['a', 'b'], 'c', 'd')", ["a", "b", "c", "d"]),
        ("join_arrays(['a', 'b'], ['c'], ['d', 'e'])", ["a", "b", "c", "d", "e"]),
        ("to_array(false, 1, null, 2, 3)", [1, 2, 3]),
        ('decode("pa", "ca", "California", "pa", "Pennsylvania", "N/A")', "Pennsylvania"),
        ('decode("tx", "ca", "California", "pa", "Pennsylvania", "N/A")', "N/A"),
        ('iif("s".equalsIgnoreCase("S"), "True", "False")', "True"),
        ("min(3, 1, 4)", 1),
        ("max(3, 1, 4)", 4),
        ('to_bigint("1000000.34")', 1000000.34),
        ('to_decimal("20.5")', 20.5),
        ('to_integer("12")', 12),
    ],
)
def test_adobes_own_examples_give_what_adobe_says(
    trial: Any, expression: str, expected: object
) -> None:
    assert trial.value(expression) == expected


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
        'zone_date_to_zone(date("2020-01-01"), "Mars/Olympus")',
        'sha256("x", "KLINGON")',
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
    assert not NOT_RUN & set(FUNCTIONS)


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
