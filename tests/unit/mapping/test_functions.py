"""Each function against what Adobe documents, and against what it leaves open."""

import re
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
        ('contains_key("text")', False),
        ("is_set(text)", False),
        ('lpad(text, 3, "x")', "xxx"),
        ('rpad("a", 3, other)', "a  "),
        ('lpad("a", whole, "x")', None),
        ("explode(text)", None),
        ("explode('a', text)", None),
        ('matches_regex(text, "a")', None),
        ('date_part("year", date(text))', None),
        ("arrays_to_objects('k', tags, 'v', [1])", [{"v": 1}]),
        ("str_to_object(text)", None),
        ('get_values("a:1", text)', None),
        ('get_values("a:1", "a", text, other)', "1"),
        ("add_to_map({'a': 1}, labels)", {"a": 1}),
        ("object_to_map(labels)", None),
        ('map_get_values(labels, "k")', None),
        ("json_to_object(text)", None),
        ("upsert_array_append(tags)", None),
        ("upsert_array_replace(['a'], whole)", ["a"]),
        ("explode(text)[0]", None),
    ],
)
def test_nulls_follow_the_rules(trial: Any, expression: str, expected: object) -> None:
    renamed = expression
    for name in ("text", "other", "whole", "number", "flag", "tags", "labels"):
        renamed = re.sub(rf"\b{name}\b", f"data.{name}", renamed)

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
        ('explode("a,b,,")', ["a", "b"]),
        ('explode(",a")', ["", "a"]),
        ('explode("abc", "")', ["a", "b", "c"]),
        ('explode("a1b22c", "[0-9]+")', ["a", "b", "c"]),
        ('explode("axxbxxc", "xx")', ["a", "b", "c"]),
        ('explode("abc", "x")', ["abc"]),
        (r'explode("a|b", "\|")', ["a", "b"]),
        (r'explode("a|b", "\\|")', ["a", "b"]),
        (r'matches_regex("12", "\d+")', True),
        (r'matches_regex("12", "\\d+")', True),
        (r'matches_regex("\"é", "\"\u00e9")', True),
        ('size_of(explode(",,"))', 0),
        ('extract_regex("a-1 b-2", "([a-z])-([0-9])")', ["a-1", "a", "1"]),
        ('extract_regex("b", "(a)?b")[1]', None),
        ('extract_regex("x", "a")', None),
        ('extract_regex("müller", "ü(l+)")', ["üll", "ll"]),
        ('matches_regex("abc", "b")', False),
        ('matches_regex("ABC", "(?i)abc")', True),
        ('matches_regex("a\n", "a")', False),
        ('instr("abcabc", "c", 3)', 5),
        ('instr("abcabc", "c", 0, 2)', 5),
        ('instr("aaaa", "aa", 0, 2)', 2),
        ('instr("abc", "c", -5)', 2),
        ('instr("abc", "x")', -1),
        ('instr("abc", "")', 0),
        ('instr("abc", "", 9)', 3),
        ('instr("abc", "a", 0, 1000000000000)', -1),
        ('lpad("abcdef", 3, "x")', "abcdef"),
        ('rpad("a", 4, "")', "a   "),
        ('rpad("a", 4, "xyz")', "axyz"),
        ('lpad("a", -1, "x")', "a"),
        ('crc32("")', "00000000"),
        ('crc32("a")', "43beb7e8"),
        ('md5("ä", "UTF-16")', "84abd30c9ad44764ddc4d6813d07555e"),
        ('md5("ä", "ISO-8859-1")', "c15bcc5577f9fade4b4a3256190a59b0"),
        ('date_part("w", date("2021-01-03"))', 53),
        ('date_part("dw", date("2021-01-03"))', 7),
        ('date_part("hh12", date("2021-01-03 00:30"))', 12),
        ('date_part("hh", date("2021-01-03 13:30"))', 13),
        ('date_part("q", date("2021-10-03"))', 4),
        ('date_part("dy", date("2020-12-31"))', 366),
        ('date_part("ms", date("2020-12-31 00:00:00.123"))', 123),
        ('date_part("YY", date("2020-12-31"))', 2020),
        ('set_date_part("month", 2, date("2021-01-31"))', "2021-02-28T00:00:00Z"),
        ('set_date_part("year", 2021, date("2020-02-29"))', "2021-02-28T00:00:00Z"),
        ('set_date_part("hh", 23, date("2020-02-29"))', "2020-02-29T23:00:00Z"),
        (
            'make_date_time(2021, 3, 28, 2, 30, 0, 0, "Europe/Paris")',
            "2021-03-28T03:30:00+02:00",
        ),
        (
            'make_date_time(2021, 10, 31, 2, 30, 0, 0, "Europe/Paris")',
            "2021-10-31T02:30:00+02:00",
        ),
        ('make_date_time(2021, 1, 1, 0, 0, 0, 1999, "UTC")', "2021-01-01T00:00:00.000001Z"),
        ('str_to_object("a:1,b,,c:2:3,a:4")', {"a": "4", "c": "2:3"}),
        ('get_values("a:1,b:2", "c")', None),
        ('map_get_values({"a": 1, "b": 2}, ["b", "x", "b"])', [2]),
        ('map_has_keys({"a": 1}, ["x", "a"])', True),
        ('map_has_keys({"a": 1}, "x")', False),
        ('map_get_values({"5": "five"}, 5)', "five"),
        ("array_to_map([{'k': 1}, {'k': 1, 'v': 2}, {'v': 3}], 'k')", {"1": {"k": 1}}),
        ('to_object("a", 1).a', 1),
        ('to_object("a", [1, 2]).get("a")[1]', 2),
        ('explode("a,b")[5]', None),
        ('json_to_object("[1, {\\"a\\": null}]")', [1]),
        ('json_to_object("5")', 5),
        ('json_to_object("null")', None),
        ("arrays_to_objects('a', [1, 2], 'b', [3])", [{"a": 1, "b": 3}, {"a": 2}]),
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
        'sha256("ä", "US-ASCII")',
        'matches_regex("x", concat("(", ""))',
        'explode("x", concat("(?", "=a)"))',
        'instr("abc", "a", 0, 0)',
        'lpad("a", 2000000, "x")',
        'rpad("a", 1e300, "x")',
        'date_part(concat("era", ""), date("2020-01-01"))',
        'set_date_part(concat("week", ""), 1, date("2020-01-01"))',
        'set_date_part("month", 13, date("2020-01-01"))',
        'set_date_part("month", 1.5, date("2020-01-01"))',
        'set_date_part("hour", 24, date("2020-01-01"))',
        'set_date_part("day", 30, date("2020-02-01"))',
        'make_date_time(2021, 2, 29, 0, 0, 0, 0, "UTC")',
        'make_date_time(0, 1, 1, 0, 0, 0, 0, "UTC")',
        'make_date_time(2021, 1, 1, 0, 0, 0, 1000000000, "UTC")',
        'make_date_time(2021, 1.5, 1, 0, 0, 0, 0, "UTC")',
        'zone_date_to_zone(make_date_time(1, 1, 1, 0, 0, 0, 0, "UTC"), "America/New_York")',
        'json_to_object("{")',
        'json_to_object("NaN")',
        'json_to_object("")',
        'get(json_to_object("[1]"), "a")',
        'json_to_object("5")[0]',
        'get_keys(json_to_object("5"))',
        'array_to_map([1], "k")',
        "object_to_map(json_to_object('5'))",
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


def test_a_field_that_a_text_names_is_the_field(trial: Any) -> None:
    assert trial.value('contains_key("data.lines[0].sku")', lines=[{"sku": "A"}]) is True
    assert trial.value('contains_key("data.lines[1].sku")', lines=[{"sku": "A"}]) is False
    assert "data has no field 'txet'" in trial.problems(
        ("EXPRESSION", 'contains_key("data.txet")', "out")
    )


@pytest.mark.parametrize(
    ("expression", "column", "said"),
    [
        ('matches_regex(data.text, "(")', 26, "none of RE2: missing )"),
        ('extract_regex(data.text, "a(?=b)")', 26, "invalid perl operator"),
        ('explode(data.text, "(.)\\\\1")', 20, "invalid escape sequence"),
        ('date_part("era", now())', 11, "no such part of a date"),
        ('set_date_part("week", 1, now())', 15, "cannot be set"),
        ('zone_date_to_zone(now(), "Mars/Olympus")', 26, "no such time zone"),
        ('make_date_time(1, 1, 1, 1, 1, 1, 1, "CEST")', 37, "no such time zone"),
        ('sha1(data.text, "EBCDIC")', 17, "no such character set"),
        ('contains_key("a..b")', 17, "a name is missing"),
        ("arrays_to_objects('a')", 1, "at least 2"),
        ("arrays_to_objects('a', data.tags, 'b')", 1, "takes pairs"),
        ("to_map(1, 2)", 8, "a key of to_map() is an integer"),
        ('"ab"[0]', 1, "argument 1 of [n] is text, expected an array"),
        ("lower(data.text).length", 1, "argument 1 of get() is text"),
        ("uuid(1)", 1, "uuid() takes 0 arguments, not 1"),
    ],
)
def test_a_constant_that_cannot_be_used_is_refused_at_its_column(
    trial: Any, expression: str, column: int, said: str
) -> None:
    problems = trial.problems(("EXPRESSION", expression, "out"))

    assert f"tried/to-event.json, row 1, column {column}: " in problems
    assert said in problems


@pytest.mark.parametrize("name", sorted(NOT_RUN))
def test_a_documented_function_that_is_not_run_is_refused_by_name(trial: Any, name: str) -> None:
    said = trial.problems(("EXPRESSION", f"{name}()", "out"))

    assert f"tried/to-event.json, row 1, column 1: {name}()" in said


def test_the_nearest_function_is_named(trial: Any) -> None:
    assert "did you mean concat?" in trial.problems(("EXPRESSION", 'conkat("a")', "out"))
    assert "did you mean coalesce?" in trial.problems(("EXPRESSION", 'coalesc("a")', "out"))


def test_no_name_is_both_run_and_refused() -> None:
    assert not set(NOT_RUN) & set(FUNCTIONS)


@pytest.mark.parametrize(
    ("expression", "data"),
    [
        ('replacestr(data.text, "a", data.text)', {"text": "a" * 2000}),
        ("lpad('a', data.whole, 'x')", {"whole": 2**62}),
        ("rpad(null, data.whole, data.text)", {"whole": 1_000_001, "text": "ab"}),
        ("join(data.text, data.tags)", {"text": "x" * 10_000, "tags": ["a"] * 200}),
        (f"concat({', '.join(['data.text'] * 20)})", {"text": "x" * 60_000}),
        ("explode(data.text)", {"text": "," * 20_000}),
        ("str_to_object(data.text)", {"text": "," * 20_000}),
        ('extract_regex(data.text, "a*")', {"text": "a" * 100_001}),
        ("json_to_object(data.text)", {"text": " " * 100_001}),
        ("json_to_object(data.text)", {"text": "[" * 33 + "]" * 33}),
    ],
)
def test_no_record_can_fill_the_memory(trial: Any, expression: str, data: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"more than|longer than"):
        trial.value(expression, **data)


def test_json_as_deep_as_allowed_is_read(trial: Any) -> None:
    assert trial.value("json_to_object(data.text)", text="[" * 31 + "5" + "]" * 31) is not None


@pytest.mark.parametrize(
    ("text", "pattern"),
    [("a" * 50_000, "(a*)*b"), ("a" * 50_000 + "!", "(a|aa)+$"), ("x" * 50_000, "(.*)(.*)(.*)y")],
)
def test_no_text_makes_a_regular_expression_slow(trial: Any, text: str, pattern: str) -> None:
    # Of Python's own module each of these would take longer than the universe has been there.
    assert trial.value(f'matches_regex(data.text, "{pattern}")', text=text) is False
    assert trial.value("matches_regex(data.text, data.other)", text=text, other=pattern) is False


def test_dates_say_their_zone(trial: Any) -> None:
    moment = datetime(2020, 6, 1, 12, tzinfo=UTC)

    assert trial.value(
        'zone_date_to_zone(date("2020-06-01 12:00"), "Europe/Paris")'
    ) == moment.isoformat().replace("12:00:00+00:00", "14:00:00+02:00")
    assert (
        trial.value('zone_date_to_utc(date("2020-06-01 12:00:00-0800", "yyyy-MM-dd HH:mm:ssZ"))')
        == "2020-06-01T20:00:00Z"
    )
