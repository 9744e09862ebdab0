"""Compiled mapping sets: what they give, and that they give what the language says."""

import math
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from processor.errors import Refused
from processor.mapping import shapes
from processor.mapping.checker import check
from processor.mapping.compiler import compile_set
from processor.mapping.expression import parse
from processor.mapping.mapping_set import MappingSet, Row, SourceType
from processor.mapping.paths import parse_path
from processor.mapping.plan import arrange
from tests.interpreter import Interpreter


def test_a_tree_of_destinations_is_built_only_where_values_are(trial: Any) -> None:
    rows = [
        ("ATTRIBUTE", "data.text", "a.b.c"),
        ("ATTRIBUTE", "data.whole", "a.d"),
        ("ATTRIBUTE", "data.other", "x.y[0].z"),
        ("STATIC", "k", "kind"),
    ]

    assert trial.one(*rows) == {"kind": "k"}
    assert trial.one(*rows, whole=0) == {"a": {"d": 0}, "kind": "k"}
    assert trial.one(*rows, text="", other="o") == {
        "a": {"b": {"c": ""}},
        "x": {"y": [{"z": "o"}]},
        "kind": "k",
    }


def test_named_positions_of_an_array_close_up_where_one_is_empty(trial: Any) -> None:
    rows = [("ATTRIBUTE", "data.text", "a[1].b"), ("ATTRIBUTE", "data.other", "a[0].b")]

    assert trial.one(*rows, text="second") == {"a": [{"b": "second"}]}
    assert trial.one(*rows, text="2", other="1") == {"a": [{"b": "1"}, {"b": "2"}]}


LINES: list[Any] = [
    {"sku": "A", "price": 1.5, "notes": [{"text": "n1"}, {"text": None}, {"text": "n2"}]},
    None,
    {"sku": None, "price": None, "notes": None},
    {"sku": "B", "price": None, "notes": []},
]


def test_an_array_gives_an_element_for_each_element_that_has_something(trial: Any) -> None:
    rows = [
        ("ATTRIBUTE", "data.lines[*].sku", "items[*].SKU"),
        ("ATTRIBUTE", "data.lines[*].price", "items[*].price"),
    ]

    assert trial.one(*rows, lines=LINES) == {"items": [{"SKU": "A", "price": 1.5}, {"SKU": "B"}]}
    assert trial.one(*rows, lines=[]) == {}
    assert trial.one(*rows, lines=None) == {}


def test_constants_and_fields_from_outside_go_into_every_element(trial: Any) -> None:
    rows = [
        ("STATIC", "INR", "items[*].currency"),
        ("ATTRIBUTE", "data.text", "items[*].store"),
        ("EXPRESSION", 'concat(data.text, "/", data.lines[*].sku)', "items[*].key"),
    ]

    assert trial.one(*rows, text="S1", lines=LINES) == {
        "items": [
            {"currency": "INR", "store": "S1", "key": "S1/A"},
            {"currency": "INR", "store": "S1"},
            {"currency": "INR", "store": "S1", "key": "S1/B"},
        ]
    }


def test_arrays_inside_arrays_follow_each_other(trial: Any) -> None:
    rows = [
        ("ATTRIBUTE", "data.lines[*].sku", "items[*].SKU"),
        ("ATTRIBUTE", "data.lines[*].notes[*].text", "items[*].remarks[*].value"),
    ]

    assert trial.one(*rows, lines=LINES) == {
        "items": [{"SKU": "A", "remarks": [{"value": "n1"}, {"value": "n2"}]}, {"SKU": "B"}]
    }


def test_an_array_of_values_is_flat(trial: Any) -> None:
    rows = [
        ("ATTRIBUTE", "data.lines[*].sku", "skus"),
        ("ATTRIBUTE", "data.lines[*].sku", "again[*]"),
        ("ATTRIBUTE", "data.lines[*].notes[*].text", "notes"),
        ("EXPRESSION", 'join("+", data.lines[*].sku)', "joined"),
        ("EXPRESSION", "size_of(data.lines)", "count"),
    ]

    assert trial.one(*rows, lines=LINES) == {
        "skus": ["A", "B"],
        "again": ["A", "B"],
        "notes": ["n1", "n2"],
        "joined": "A+B",
        "count": 4,
    }


def test_a_position_behind_the_end_is_missing(trial: Any) -> None:
    rows = [("ATTRIBUTE", "data.lines[3].sku", "a"), ("ATTRIBUTE", "data.lines[9].sku", "b")]

    assert trial.one(*rows, lines=LINES) == {"a": "B"}


def test_whole_objects_and_arrays_are_copied_without_nulls(trial: Any) -> None:
    data = {"lines": LINES, "tags": ["x", "y"], "labels": {"k": "v"}}
    rows = [
        ("ATTRIBUTE", "data.lines", "lines"),
        ("ATTRIBUTE", "data.tags", "tags"),
        ("ATTRIBUTE", "data.labels", "labels"),
        ("ATTRIBUTE", "data.customerIdentifiers", "who"),
    ]

    entity = trial.one(*rows, **data, customerIdentifiers={"customerId": None})

    assert entity == {
        "lines": [
            {"sku": "A", "price": 1.5, "notes": [{"text": "n1"}, {"text": "n2"}]},
            {"sku": "B"},
        ],
        "tags": ["x", "y"],
        "labels": {"k": "v"},
    }
    assert entity["tags"] is not data["tags"]


def test_the_same_event_gives_the_same_text_however_often(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.lines[*].sku", "items[*].SKU"), ("ATTRIBUTE", "data.text", "z.a")
    )
    given_event = event(text="x", lines=LINES)

    texts = {repr(mapper.map(given_event, "event", None)) for _ in range(3)}

    assert len(texts) == 1


def test_a_rule_does_not_run_the_branch_it_does_not_take(trial: Any) -> None:
    assert trial.value("iif(data.whole == 0, 0, 10 / data.whole)", whole=0) == 0
    assert trial.value("data.whole != 0 && 10 / data.whole > 1", whole=0) is False
    assert trial.value('coalesce(data.text, concat("", 1 / 0))', text="x") == "x"


def test_code_is_built_without_the_text_of_rules() -> None:
    wing = Path(__file__).parents[3] / "processor" / "mapping"

    sources = {file.name: file.read_text() for file in wing.glob("*.py")}

    assert len(sources) > 10
    assert [name for name, text in sources.items() if "eval(" in text or "exec(" in text] == []


def test_compiled_code_reaches_no_builtins() -> None:
    rows = (Row(1, SourceType.EXPRESSION, "lower(createdAt)", parse_path("out")),)
    mapping_set = MappingSet("f", rows)
    checked, _ = check(mapping_set, shapes.ANY)
    tree, _ = arrange(mapping_set, checked)

    run = compile_set(mapping_set, tree, UTC)

    assert isinstance(run, FunctionType)
    assert run.__globals__["__builtins__"] == {}
    assert run({"createdAt": "X"}, None, None) == {"out": "x"}


TEXTS = st.one_of(
    st.none(), st.sampled_from(["", " ", "a", "B", "ab", "REGULAR", "ß", "12", "x" * 40])
)
BODIES = st.fixed_dictionaries(
    {
        "text": TEXTS,
        "other": TEXTS,
        "whole": st.one_of(st.none(), st.integers(-5, 5), st.integers(-(2**63), 2**63 - 1)),
        "number": st.one_of(st.none(), st.floats(), st.integers(-3, 3).map(float)),
        "flag": st.one_of(st.none(), st.booleans()),
        "tags": st.one_of(st.none(), st.lists(st.sampled_from(["", "p", "q"]), max_size=3)),
    }
)


def _calls(name: str, *arguments: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*arguments).map(lambda given: f"{name}({', '.join(given)})")


def _joined(operator: str, *operands: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*operands).map(lambda given: "(" + f" {operator} ".join(given) + ")")


def _expressions(depth: int) -> tuple[st.SearchStrategy[str], ...]:
    """Expressions that give texts, numbers and conditions, nested at most this deep."""
    text = st.sampled_from(["data.text", "data.other", '"ab"', '""', "data.tags[0]"])
    number = st.sampled_from(["data.whole", "data.number", "2", "0", "1.5", "size_of(data.tags)"])
    condition = st.sampled_from(["data.flag", "true", "is_empty(data.text)", "(data.text == null)"])
    if depth == 0:
        return text, number, condition
    t, n, c = _expressions(depth - 1)
    return (
        st.one_of(
            text,
            _calls("concat", t, t, n),
            _calls("upper", t),
            _calls("trim", t),
            _calls("replacestr", t, t, t),
            _calls("coalesce", t, t, t),
            _calls("iif", c, t, t),
            _calls("decode", t, t, t, t),
            _calls("decode", t, t, t, t, t),
            _calls("sha256", t),
            _calls("left", t, st.sampled_from(["0", "1", "3"])),
            _calls("join", t, st.just("data.tags")),
            _calls("dformat", n, st.just('"yyyy-MM-dd HH:mm:ss.SSS"')),
            _calls("lpad", t, st.sampled_from(["0", "3", "data.whole"]), t),
            _calls("rpad", t, n, t),
            _calls(
                "crc32", t, st.sampled_from(['"UTF-8"', '"UTF-16"', '"US-ASCII"', "data.other"])
            ),
            _calls("get_values", t, t, t, t),
            _calls("map_get_values", _calls("str_to_object", t), t),
            _calls("explode", t, PATTERNS).map(lambda call: f"{call}[0]"),
            _calls("extract_regex", t, PATTERNS).map(lambda call: f"{call}[1]"),
            _calls("join", t, _calls("get_keys", _calls("to_map", st.just('"k"'), t))),
            _calls("first", _calls("upsert_array_replace", st.just("data.tags"), n)),
            _calls("format", _dates(t, n), st.just('"yyyy-MM-dd HH:mm X"')),
            _calls("object_to_map", st.just('"a"'), t).map(lambda call: f"{call}.a"),
        ),
        st.one_of(
            number,
            *(_joined(operator, n, n) for operator in ("+", "-", "*", "/", "mod")),
            n.map(lambda inner: f"(-{inner})"),
            _calls("size_of", t),
            _calls("coalesce", n, n),
            _calls("iif", c, n, n),
            _calls("to_decimal", t),
            _calls("instr", t, t, n, n),
            _calls("size_of", _calls("explode", t)),
            _calls("date_part", PARTS, _dates(t, n)),
        ),
        st.one_of(
            condition,
            *(_joined(operator, n, n) for operator in ("lt", "<=", "gt", ">=", "eq", "ne")),
            _joined("==", t, t),
            _joined("&&", c, c),
            _joined("or", c, c),
            c.map(lambda inner: f"(!{inner})"),
            st.tuples(t, t).map(lambda given: f"{given[0]}.equalsIgnoreCase({given[1]})"),
            _calls("iif", c, c, c),
            _calls("matches_regex", t, PATTERNS),
            _calls("map_has_keys", _calls("add_to_map", *[_calls("str_to_object", t)] * 2), t),
            st.just('contains_key("data.other")'),
        ),
    )


PATTERNS = st.sampled_from(['"a"', '"(a)|b"', '"[A-Z]*"', '""', "data.text"])
PARTS = st.sampled_from(['"year"', '"w"', '"hh12"', "data.text"])


def _dates(t: st.SearchStrategy[str], n: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    day = st.just('date("2024-02-29 13:05", "yyyy-MM-dd HH:mm")')
    return st.one_of(
        day,
        _calls("date", t),
        _calls("set_date_part", st.just('"year"'), n, day),
        _calls("make_date_time", n, *[st.just("1")] * 6, st.just('"Europe/Paris"')),
        _calls("zone_date_to_zone", day, st.sampled_from(['"Asia/Kolkata"', "data.text"])),
    )


class NoValue(Exception):
    """The interpreter's word for a rule that fails."""


def expected_of(text: str, body: Mapping[str, Any]) -> Any:
    """What the interpreter gives, as it may stand in JSON.

    Raises:
        NoValue: it fails, or gives a number that JSON does not have.
    """
    try:
        value = Interpreter(body).value(parse(text))
    except (ArithmeticError, ValueError) as error:
        raise NoValue from error
    if isinstance(value, float) and not math.isfinite(value):
        raise NoValue
    return value


LATE = {"text": "a", "other": None, "whole": 2**62, "number": 0.0, "flag": True, "tags": None}
"""A body for which each of `FAILING` fails."""

FAILING = ('dformat(data.whole, "yyyy")', "(data.whole / data.number)", "((2 / 0) > 1)")


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_the_compiler_gives_what_a_plain_interpreter_gives(
    trial: Any, event: Any, kind: int
) -> None:
    failed = 0

    @settings(
        max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(_expressions(2)[kind], st.lists(BODIES, min_size=5, max_size=5))
    @example(FAILING[kind], [LATE])
    @example('decode("b", data.text, dformat(data.whole, "yyyy"), "c")', [LATE])
    @example("(data.whole lt (data.number mod data.whole))", [{**LATE, "number": math.inf}])
    def compare(expression: str, bodies: list[dict[str, Any]]) -> None:
        nonlocal failed
        mapper = trial.mapper(("EXPRESSION", expression, "out"))
        for data in bodies:
            given_event = event(**data)
            try:
                expected = expected_of(expression, given_event.body)
            except NoValue:
                failed += 1
                with pytest.raises(Refused):
                    mapper.map(given_event, "event", None)
                continue
            found = mapper.map(given_event, "event", None)[0].entity.get("out")
            assert found == expected
            assert type(found) is type(expected)

    compare()
    assert failed
