"""The mapper: whose fault it is, in strict and lenient mode; arrays that give many messages."""

import math
from typing import Any

import orjson
import pytest

from processor.errors import Code, Refused
from processor.mapping.mapper import Failure
from processor.record import Event
from processor.settings import MappingSettings

LENIENT = MappingSettings(mode="lenient")
SECRET = "ann@example.com"


def refusal(mapper: Any, event: Event) -> Refused:
    with pytest.raises(Refused) as caught:
        mapper.map(event, "event", None)
    return caught.value


def test_a_failing_rule_refuses_the_record_with_its_row_and_pointer(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.text", "a"),
        ("EXPRESSION", "to_integer(data.other)", "_tenant.loyalty[0].points"),
    )

    error = refusal(mapper, event(text="x", other=SECRET))

    assert error.code is Code.MAPPING_EXPRESSION
    assert error.pointer == "/_acme/loyalty/*/points"
    assert str(error) == (
        "tried/to-event.json, row 2 (EXPRESSION to _acme.loyalty[0].points): "
        "the text is no whole number."
    )


@pytest.mark.parametrize(
    ("source", "data", "pointer"),
    [
        ("data.text", {"text": 5}, "/out"),
        ("data.text", {"text": [SECRET]}, "/out"),
        ("data.whole", {"whole": SECRET}, "/out"),
        ("data.whole", {"whole": True}, "/out"),
        ("data.whole", {"whole": 1.5}, "/out"),
        ("data.flag", {"flag": 1}, "/out"),
        ("data.number", {"number": SECRET}, "/out"),
        ("data.number", {"number": math.nan}, "/out"),
        ("data.number", {"number": math.inf}, "/out"),
        ("data.number", {"number": True}, "/out"),
        ("data.labels.k", {"labels": SECRET}, "/out"),
        ("data.customerIdentifiers.customerId", {"customerIdentifiers": [1]}, "/out"),
        ("data.lines[0].sku", {"lines": SECRET}, "/out"),
        ("data.lines[*].sku", {"lines": SECRET}, "/out"),
        ("data.lines[*].sku", {"lines": [SECRET]}, "/out"),
        ("data.tags", {"tags": SECRET}, "/out"),
        ("data.labels", {"labels": [SECRET]}, "/out"),
        ("data.tags", {"tags": [b"x"]}, "/out"),
        ("data.tags", {"tags": [math.inf]}, "/out"),
    ],
)
def test_a_field_that_is_not_what_its_schema_says_is_a_type_error(
    trial: Any, event: Any, source: str, data: dict[str, Any], pointer: str
) -> None:
    error = refusal(trial.mapper(("ATTRIBUTE", source, "out")), event(**data))

    assert error.code is Code.MAPPING_TYPE
    assert error.pointer == pointer
    assert SECRET not in str(error)


def test_a_whole_number_in_a_field_of_numbers_is_a_number(trial: Any) -> None:
    entity = trial.one(("ATTRIBUTE", "data.number", "out"), number=5)

    assert entity == {"out": 5}


def test_a_wrong_type_inside_an_array_names_the_row(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.lines[*].sku", "items[*].SKU"),
        ("ATTRIBUTE", "data.lines[*].price", "items[*].price"),
    )

    error = refusal(mapper, event(lines=[{"sku": "A", "price": 1.0}, {"price": math.nan}]))

    assert "row 2 " in str(error)
    assert error.pointer == "/items/*/price"


@pytest.mark.parametrize(
    "data",
    [None, 5, "text", [], [SECRET]],
)
def test_a_body_that_is_no_event_is_the_records_fault(trial: Any, data: Any) -> None:
    mapper = trial.mapper(("ATTRIBUTE", "data.text", "a"), ("STATIC", "k", "kind"))
    event = Event("tried", {"eventName": "tried", "data": data})

    if data is None:
        assert mapper.map(event, "event", None)[0][:2] == ({"kind": "k"}, {})
    else:
        assert refusal(mapper, event).code is Code.MAPPING_TYPE


def test_lenient_mode_gives_null_and_counts(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("EXPRESSION", "to_integer(data.text)", "a"),
        ("ATTRIBUTE", "data.number", "b"),
        ("ATTRIBUTE", "data.lines[*].sku", "c[*].SKU"),
        ("ATTRIBUTE", "data.lines[*].price", "c[*].price"),
        ("ATTRIBUTE", "data.customerIdentifiers.customerId", "d"),
        ("EXPRESSION", "coalesce(data.customerIdentifiers.customerId, 7)", "e"),
        ("ATTRIBUTE", "data.other", "f"),
        ("ATTRIBUTE", "data.tags", "g"),
        settings=LENIENT,
    )
    awkward = event(
        text="soon",
        number=math.nan,
        lines=[{"sku": "A", "price": "x"}, {"sku": 5, "price": 2.0}],
        customerIdentifiers="nobody",
        other="kept",
        tags="none",
    )

    mapped = mapper.map(awkward, "event", None)

    assert mapped[0].entity == {"c": [{"SKU": "A"}, {"price": 2.0}], "e": 7, "f": "kept"}
    assert mapper.failures == {Failure("tried", "event", row): 1 for row in (1, 2, 3, 4, 5, 8)}


def test_lenient_mode_survives_an_array_that_is_none(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.lines[*].sku", "c[*].SKU"), ("STATIC", "k", "k"), settings=LENIENT
    )

    assert mapper.map(event(lines="none"), "event", None)[0].entity == {"k": "k"}


def test_strict_and_lenient_agree_on_what_does_not_fail(trial: Any, event: Any) -> None:
    rows = [
        ("ATTRIBUTE", "data.lines[*].notes[*].text", "a[*].b[*]"),
        ("EXPRESSION", 'iif(data.flag, upper(data.text), concat(data.whole, ""))', "c.d"),
        ("ATTRIBUTE", "data", "e"),
        ("EXPRESSION", 'date("2020-01-01")', "f"),
    ]
    full = event(text="x", whole=5, lines=[{"sku": "A", "notes": [{"text": "n"}]}], tags=["t"])

    strict = trial.mapper(*rows).map(full, "event", 5)
    lenient = trial.mapper(*rows, settings=LENIENT).map(full, "event", 5)

    assert strict == lenient


def test_an_iterated_array_gives_a_message_for_each_element(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.lines[*].sku", "sku"),
        ("ATTRIBUTE", "data.lines[*].notes[*].text", "notes[*].value"),
        ("ATTRIBUTE", "data.text", "store"),
        ("ATTRIBUTE", "data.tags", "tags"),
        iterate="data.lines",
    )
    lines = [{"sku": "A", "notes": [{"text": "n"}]}, None, {"sku": "B"}]

    mapped = mapper.map(event(text="S", lines=lines, tags=["t"]), "event", None)

    assert [m.entity for m in mapped] == [
        {"sku": "A", "notes": [{"value": "n"}], "store": "S", "tags": ["t"]},
        {"sku": "B", "store": "S", "tags": ["t"]},
    ]
    assert [m.source for m in mapped] == [lines[0], lines[2]]
    assert mapper.map(event(lines=[]), "event", None) == []
    assert mapper.map(event(), "event", None) == []


def test_an_iterated_field_that_is_no_array_is_refused(trial: Any, event: Any) -> None:
    mapper = trial.mapper(("ATTRIBUTE", "data.lines[*].sku", "sku"), iterate="data.lines")

    error = refusal(mapper, event(lines={"sku": SECRET}))

    assert error.code is Code.MAPPING_TYPE
    assert SECRET not in str(error)


def test_the_holder_of_identifiers_is_data_unless_the_set_says_otherwise(
    trial: Any, event: Any
) -> None:
    who = {"customerId": 5}
    row = ("STATIC", "k", "k")

    plain = trial.mapper(row).map(event(customerIdentifiers=who), "event", None)
    inner = trial.mapper(row, identity="data.customerIdentifiers").map(
        event(customerIdentifiers=who), "event", None
    )
    missing = trial.mapper(row, identity="data.customerIdentifiers").map(event(), "event", None)

    assert plain[0].source == {"customerIdentifiers": who}
    assert inner[0].source == {"customerIdentifiers": who}
    assert missing[0].source == {}


def test_each_element_can_say_who_it_is_about(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.lines[*].sku", "sku"),
        iterate="data.lines[*]",
        identity="data.lines[*]",
    )
    lines = [{"sku": "A"}, {"sku": "B"}]

    assert [m.source for m in mapper.map(event(lines=lines), "event", None)] == lines


def test_what_is_null_keeps_a_message_back(trial: Any, event: Any) -> None:
    row = ("STATIC", "k", "k")
    plain = trial.mapper(row, when="data.text")
    each = trial.mapper(
        ("ATTRIBUTE", "data.lines[*].sku", "sku"), iterate="data.lines", when="data.lines[*].sku"
    )
    lines = [{"sku": "A"}, {"sku": None}, {}, {"sku": "B"}]

    assert len(plain.map(event(text=""), "event", None)) == 1
    assert plain.map(event(text=None), "event", None) == []
    assert [one.entity for one in each.map(event(lines=lines), "event", None)] == [
        {"sku": "A"},
        {"sku": "B"},
    ]
    assert each.explain(event(lines=lines), "event", None)[1][0].value == "B"


def test_a_merged_customer_comes_along(trial: Any, event: Any) -> None:
    mapper = trial.mapper(("STATIC", "k", "k"), merged="data.customerIdentifiers")
    who = {"customerId": 5}

    assert mapper.map(event(customerIdentifiers=who), "event", None)[0].merged == who
    assert mapper.map(event(), "event", None)[0].merged == {}


def test_targets_come_in_the_order_of_the_settings(trial: Any) -> None:
    from processor.mapping.mapper import Mapper
    from processor.schemas.folder import SchemaFolder
    from processor.settings import SchemasSettings

    mapper = Mapper(
        SchemaFolder.load(SchemasSettings()),
        MappingSettings(),
        tenant="acme",
        targets=["loyalty", "profile", "event"],
    )

    assert mapper.targets_of("pointsIssued") == ("loyalty", "event")
    assert mapper.targets_of("customerAdded") == ("profile", "event")
    assert mapper.targets_of("nobodyKnowsIt") == ()


def test_an_event_without_a_mapping_set_for_the_target_is_refused(trial: Any) -> None:
    mapper = trial.mapper(("STATIC", "k", "k"))

    with pytest.raises(Refused) as caught:
        mapper.map(Event("other", {}), "event", None)

    assert caught.value.code is Code.EVENT_UNMAPPED


def test_dates_without_a_zone_are_in_the_configured_one(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("EXPRESSION", "date(data.text)", "out"), settings=MappingSettings(time_zone="Asia/Kolkata")
    )

    entity = mapper.map(event(text="2025-06-29"), "event", None)[0].entity

    assert entity == {"out": "2025-06-29T00:00:00+05:30"}
    assert str(mapper.time_zone) == "Asia/Kolkata"


def test_an_event_is_not_changed_by_being_mapped(trial: Any, event: Any) -> None:
    mapper = trial.mapper(("ATTRIBUTE", "data", "copy"), ("ATTRIBUTE", "data.lines", "lines"))
    given = event(lines=[{"sku": "A", "notes": []}], tags=["x"])
    before = orjson.dumps(given.body)

    mapped = mapper.map(given, "event", None)[0]
    mapped.entity["copy"]["lines"][0]["sku"] = "changed"

    assert orjson.dumps(given.body) == before


def test_explain_says_what_each_row_did_even_when_one_fails(trial: Any, event: Any) -> None:
    mapper = trial.mapper(
        ("ATTRIBUTE", "data.text", "a.b[0].c"),
        ("EXPRESSION", "to_integer(data.text)", "d"),
        ("ATTRIBUTE", "data.other", "e"),
        ("ATTRIBUTE", "data.lines[*].sku", "f[*].g"),
        ("STATIC", "INR", "f[*].h"),
    )

    traces = mapper.explain(event(text="x", lines=[{"sku": "A"}, {"sku": "B"}]), "event", None)

    assert [(t.row.number, t.value, t.failure) for t in traces[0]] == [
        (1, "x", ""),
        (2, None, "the text is no whole number"),
        (3, None, ""),
        (4, ["A", "B"], ""),
        (5, "INR", ""),
    ]


@pytest.mark.parametrize(
    "expression",
    [
        "to_integer(data.text)",
        "to_decimal(data.text)",
        "date(data.text)",
        'date(data.text, "yyyy")',
        "date(data.text, data.text)",
        "dformat(createdAt, data.text)",
        "format(now(), data.text)",
        "zone_date_to_zone(now(), data.text)",
        "sha256(data.text, data.text)",
        "lower(data.mixed)",
        "data.mixed && data.flag",
        "data.whole / 0",
        "min(data.text, data.whole)",
        "join(data.text, data.lines)",
    ],
)
def test_a_failure_says_nothing_of_the_records_values(
    trial: Any, event: Any, expression: str
) -> None:
    mapper = trial.mapper(("EXPRESSION", expression, "out"))
    given = event(text=SECRET, whole=2**62, mixed=8_765_309, flag=True, lines=[{"sku": SECRET}])

    with pytest.raises(Refused) as caught:
        mapper.map(given, "event", 0)

    said = str(caught.value)
    assert not [part for part in (SECRET, "8765309", str(2**62), "'n'") if part in said]
    assert caught.value.__cause__ is None
