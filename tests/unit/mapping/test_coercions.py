"""Texts whose destination is a boolean or a date, and constants, which are exported as text."""

from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Code, Refused
from processor.mapping.coercions import to_date_time
from processor.mapping.failures import ExpressionFailed
from processor.mapping.paths import parse_path
from processor.mapping.xdm_types import XdmTypes
from processor.settings import MappingSettings

XDM: dict[str, Any] = {
    "type": "object",
    "definitions": {"when": {"type": "string", "format": "date-time"}},
    "allOf": [{"properties": {"flag": {"type": "boolean"}}}],
    "properties": {
        "when": {"$ref": "#/definitions/when"},
        "day": {"type": "string", "format": "date"},
        "plain": {"type": "string"},
        "count": {"type": "integer"},
        "amount": {"type": "number"},
        "_tenant": {"properties": {"flag": {"type": "boolean"}}},
        "items": {
            "type": "array",
            "items": {"properties": {"flag": {"type": "boolean"}, "sku": {"type": "string"}}},
        },
        "flags": {"additionalProperties": {"type": "boolean"}},
    },
}


def made(trial: Any, event: Any, kind: str, source: Any, destination: str, **data: Any) -> Any:
    mapper = trial.mapper((kind, source, destination), xdm=XDM)
    return mapper.map(event(**data), "event", None)[0].entity


@pytest.mark.parametrize(
    ("word", "truth"),
    [
        *((word, True) for word in ("y", "yes", "Y", "YES", "on", "ON", "true", "TRUE")),
        *((word, False) for word in ("n", "N", "no", "NO", "off", "OFF", "false", "FALSE")),
    ],
)
def test_data_preps_words_are_booleans(trial: Any, event: Any, word: str, truth: bool) -> None:
    assert made(trial, event, "ATTRIBUTE", "data.text", "flag", text=word) == {"flag": truth}


@pytest.mark.parametrize("word", ["Yes", "True", "1", "", " true", "soon"])
def test_other_words_are_none_and_the_row_says_so(trial: Any, event: Any, word: str) -> None:
    with pytest.raises(Refused, match="the text is no boolean") as caught:
        made(trial, event, "ATTRIBUTE", "data.text", "flag", text=word)

    assert caught.value.code is Code.MAPPING_EXPRESSION
    assert caught.value.pointer == "/flag"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-03-04 05:06:07+0100", "2021-03-04T05:06:07+01:00"),
        ("2021-03-04 05:06:07.089+0100", "2021-03-04T05:06:07.089+01:00"),
        ("2021-03-04 05:06:07.089", "2021-03-04T05:06:07.089Z"),
        ("2021-03-04T05:06:07.089+01", "2021-03-04T05:06:07.089+01:00"),
        ("2021-03-04T05:06:07Z", "2021-03-04T05:06:07Z"),
        ("2021-03-04", "2021-03-04T00:00:00Z"),
        ("2021/03/04", "2021-03-04T00:00:00Z"),
        ("2021.03.04", "2021-03-04T00:00:00Z"),
        ("2021-Mar-04", "2021-03-04T00:00:00Z"),
        ("20210304", "2021-03-04T00:00:00Z"),
        ("03-04-2021", "2021-03-04T00:00:00Z"),
        ("13042021", None),
        ("12112020", "2020-12-11T00:00:00Z"),  # Adobe's own example of a guess
        ("3/04/2021", "2021-03-04T00:00:00Z"),
        ("04.3.2021", "2021-03-04T00:00:00Z"),
        ("3/04/2021 05:06:07 PM", "2021-03-04T17:06:07Z"),
        ("04.3.2021 05:06:07 PM", "2021-03-04T17:06:07Z"),
        ("04.Mar.2021", "2021-03-04T00:00:00Z"),
        ("04-Mar-2021", "2021-03-04T00:00:00Z"),
        ("2021-03-04T05:06:07.123456789+02:00", "2021-03-04T05:06:07.123456789+02:00"),
        ("2021-03-04T05:06:07", "2021-03-04T05:06:07Z"),
        ("2021-03-04T05:06:07+0530", "2021-03-04T05:06:07+05:30"),
        ("soon", None),
    ],
)
def test_a_date_is_read_by_the_first_known_format_that_fits(
    trial: Any, event: Any, text: str, moment: str | None
) -> None:
    if moment is None:
        with pytest.raises(Refused, match="date"):
            made(trial, event, "ATTRIBUTE", "data.text", "when", text=text)
        return
    entity = made(trial, event, "ATTRIBUTE", "data.text", "when", text=text)

    assert entity == {"when": moment}
    assert made(trial, event, "ATTRIBUTE", "data.text", "day", text=text) == {"day": moment[:10]}


def test_the_configured_zone_is_that_of_dates_without_one(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.text", "when"),
        xdm=XDM,
        settings=MappingSettings(time_zone="Asia/Kolkata"),
    )

    entity = mapper.map(event(text="2021-03-04"), "event", None)[0].entity

    assert entity == {"when": "2021-03-04T00:00:00+05:30"}


@pytest.mark.parametrize(
    ("source", "destination", "gives"),
    [
        ('concat("20", data.text)', "when", "2021-03-04T00:00:00Z"),
        ("date(concat('20', data.text))", "day", "2021-03-04"),
        ("date(concat('20', data.text))", "when", "2021-03-04T00:00:00Z"),
        # Who writes a date with a pattern wants it so; the gate judges it.
        ('dformat(0, "yyyy/MM/dd")', "when", "1970/01/01"),
        ("data.text", "plain", "21-03-04"),
        ("data.text", "unknown.to.us", "21-03-04"),
    ],
)
def test_expressions_are_turned_too_unless_they_write_dates(
    trial: Any, event: Any, source: str, destination: str, gives: str
) -> None:
    entity = made(trial, event, "EXPRESSION", source, destination, text="21-03-04")

    for name in destination.split("."):
        entity = entity[name]
    assert entity == gives


@pytest.mark.parametrize(
    ("text", "destination", "gives"),
    [
        ("true", "flag", True),
        ("NO", "_tenant.flag", False),
        ("12", "count", 12),
        ("-12.5", "amount", -12.5),
        ("12", "plain", "12"),
        ("12", "elsewhere", "12"),
        (5, "amount", 5),
        ("2021-03-04", "day", "2021-03-04"),
        ("04.3.2021", "day", "2021-03-04"),
        ("2021-03-04", "when", "2021-03-04T00:00:00Z"),
        ("2021-03-04T05:06:07+02:00", "when", "2021-03-04T05:06:07+02:00"),
    ],
)
def test_a_constant_gets_the_type_of_its_destination(
    trial: Any, event: Any, text: Any, destination: str, gives: Any
) -> None:
    entity = made(trial, event, "STATIC", text, destination)

    value = entity.get("_acme", entity).popitem()[1]
    assert value == gives
    assert type(value) is type(gives)


@pytest.mark.parametrize(
    ("text", "destination", "said"),
    [
        ("maybe", "flag", "row 1, column 1: the text is no boolean"),
        ("1.5", "count", "row 1, column 1: the constant is no integer"),
        ("many", "amount", "row 1, column 1: the constant is no number"),
        ("9" * 19, "count", "row 1, column 1: the constant is no integer"),
        ("yesterday", "when", "row 1, column 1: the constant is no date-time"),
        ("2021-13-04T05:06:07Z", "when", "row 1, column 1: the constant is no date-time"),
        ("2021-02-30", "day", "row 1, column 1: the constant is no date,"),
    ],
)
def test_a_constant_that_cannot_have_that_type_is_refused_at_start(
    trial: Any, text: str, destination: str, said: str
) -> None:
    assert said in trial.problems(("STATIC", text, destination), xdm=XDM)


def test_a_constant_date_is_in_the_configured_zone(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("STATIC", "2021-03-04", "when"),
        xdm=XDM,
        settings=MappingSettings(time_zone="Asia/Kolkata"),
    )

    assert mapper.map(event(), "event", None)[0].entity == {"when": "2021-03-04T00:00:00+05:30"}


def test_elements_of_arrays_are_turned_and_whole_copies_are_not(trial: Any, event: Any) -> None:
    data = {"lines": [{"sku": "yes"}, {"sku": None}]}

    assert made(trial, event, "ATTRIBUTE", "data.lines[*].sku", "items[*].flag", **data) == {
        "items": [{"flag": True}]
    }
    assert made(trial, event, "ATTRIBUTE", "data.lines[0].sku", "items[0].flag", **data) == {
        "items": [{"flag": True}]
    }
    assert made(trial, event, "ATTRIBUTE", "data.lines", "items", **data) == {
        "items": [{"sku": "yes"}]
    }
    assert made(trial, event, "ATTRIBUTE", "data.text", "flags.door", text="no") == {
        "flags": {"door": False}
    }


def test_a_null_stays_null_and_lenient_mode_counts(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.text", "flag"),
        ("ATTRIBUTE", "data.other", "when"),
        xdm=XDM,
        settings=MappingSettings(mode="lenient"),
    )

    assert mapper.map(event(), "event", None)[0].entity == {}
    assert not mapper.failures
    assert mapper.map(event(text="maybe", other="soon"), "event", None)[0].entity == {}
    assert mapper.failures.total() == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("flag", "boolean"),
        ("_acme.flag", "boolean"),
        ("_other.flag", None),
        ("items[*].flag", "boolean"),
        ("items[3].sku", None),
        ("items.flag", None),
        ("flags.any", "boolean"),
        ("when", "date-time"),
        ("day.x", None),
    ],
)
def test_types_are_found_through_references_parts_and_maps(path: str, expected: Any) -> None:
    assert XdmTypes(XDM, "acme").of(parse_path(path)) == expected


@pytest.mark.parametrize(
    "document",
    [
        {"$ref": "#/definitions/a", "definitions": {"a": {"$ref": "#/definitions/a"}}},
        {"$ref": "#/nowhere/at~1all"},
        {"$ref": "other.json#/a"},
        {"properties": 5, "allOf": 5},
        {"properties": {"a": True}},
    ],
)
def test_a_schema_that_says_nothing_is_no_trouble(document: dict[str, Any]) -> None:
    assert XdmTypes(document, "acme").of(parse_path("a.b[0]")) is None


@given(st.text(max_size=30))
def test_any_text_is_a_date_time_or_none(text: str) -> None:
    try:
        moment = to_date_time(UTC, text)
    except ExpressionFailed:
        return
    assert to_date_time(UTC, moment) == moment
