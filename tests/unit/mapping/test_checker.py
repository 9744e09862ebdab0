"""What is refused at start, and where it says the fault is."""

from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.mapping import shapes
from processor.mapping.checker import Complaint, check
from processor.mapping.mapping_set import MappingSet, Row, SourceType
from processor.mapping.paths import Path, parse_path
from processor.mapping.shapes import Kind, Shape


@pytest.mark.parametrize(
    ("kind", "source", "column", "said"),
    [
        ("ATTRIBUTE", "data.txet", 6, "data has no field 'txet'; did you mean 'text'?"),
        ("ATTRIBUTE", "dota.text", 1, "the event has no field 'dota'; did you mean 'data'?"),
        ("ATTRIBUTE", "data.text.inner", 11, "data.text is text, it has no field 'inner'"),
        ("ATTRIBUTE", "data.lines.sku", 12, "write data.lines[0] or data.lines[*] before .sku"),
        ("ATTRIBUTE", "data.text[0]", 11, "data.text is text, not an array"),
        ("ATTRIBUTE", "data.raw", 1, "bytes have no type in XDM"),
        ("ATTRIBUTE", "data..text", 6, "a name is missing"),
        ("EXPRESSION", "lower(data.txet)", 12, "did you mean 'text'?"),
        (
            "EXPRESSION",
            "lower(data.whole)",
            7,
            "argument 1 of lower() is an integer, expected text",
        ),
        ("EXPRESSION", 'substr(data.text, "1", 2)', 19, "argument 2 of substr() is text"),
        ("EXPRESSION", "lower()", 1, "lower() takes 1 argument, not 0"),
        ("EXPRESSION", "iif(true, 1)", 1, "iif() takes 3 arguments, not 2"),
        ("EXPRESSION", "date()", 1, "date() takes 1 to 3 arguments, not 0"),
        ("EXPRESSION", "concat()", 1, "concat() takes at least 1 argument, not 0"),
        ("EXPRESSION", "concat(data.lines)", 8, "is an array"),
        ("EXPRESSION", "concat(data.raw)", 8, "is bytes"),
        ("EXPRESSION", 'nvl(data.text, "x")', 1, "there is no function nvl()"),
        ("EXPRESSION", "iif(data.whole, 1, 2)", 5, "argument 1 of iif() is an integer"),
        ("EXPRESSION", "data.text lt 5", 14, "< compares text with an integer"),
        ("EXPRESSION", "data.whole eq data.text", 15, "== compares an integer with text"),
        ("EXPRESSION", "data.lines == data.lines", 15, "== cannot compare an array"),
        ("EXPRESSION", "data.flag < data.flag", 1, "< is used on a boolean"),
        ("EXPRESSION", "data.text * 2", 1, "* is used on text, expected"),
        ("EXPRESSION", "data.text + 2", 1, "+ is used on text"),
        ("EXPRESSION", "-data.text", 2, "- is used on text"),
        ("EXPRESSION", "data.mixed * 2", 1, "* is used on any value"),
        ("EXPRESSION", "data.text && true", 1, "&& is used on text"),
        ("EXPRESSION", "!data.whole", 2, "! is used on an integer"),
        ("EXPRESSION", 'decode(data.text, 1, "a")', 19, "decode() compares text with an integer"),
        ("EXPRESSION", 'to_object("a")', 1, "takes pairs"),
        ("EXPRESSION", "to_object(1, 2)", 11, "a key of to_object() is an integer"),
        ("EXPRESSION", 'dformat(createdAt, "YYYY")', 20, "'Y' of date patterns"),
        ("EXPRESSION", 'date(data.text, "Q")', 17, "cannot be read with the letter 'Q'"),
        ("EXPRESSION", "concat(data.text,", 18, "too early"),
        ("STATIC", "", 1, "a constant is"),
        ("STATIC", [1], 1, "a constant is"),
    ],
)
def test_a_row_that_cannot_be_right_is_refused_with_row_and_column(
    trial: Any, kind: str, source: Any, column: int, said: str
) -> None:
    problems = trial.problems(("STATIC", "x", "first"), (kind, source, "out"))

    assert f"tried/to-event.json, row 2, column {column}: " in problems
    assert said in problems


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("a.b", "a.b", "a.b is filled already by row 1"),
        ("a.b", "a", "a is filled already by row 1"),
        ("a", "a.b", "a.b cannot stand beside the destination of row 1"),
        ("a[0]", "a.b", "cannot stand beside"),
        ("a[0].b", "a[0].b", "filled already"),
    ],
)
def test_two_rows_that_cannot_both_be_followed_are_refused(
    trial: Any, first: str, second: str, said: str
) -> None:
    problems = trial.problems(("STATIC", "x", first), ("STATIC", "y", second))

    assert "row 2, column 1: " in problems
    assert said in problems


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("STATIC", "x", "a[*].b")], "[*] in the destination needs a [*]"),
        ([("ATTRIBUTE", "data.text", "a[*].b")], "needs a [*]"),
        (
            [
                ("ATTRIBUTE", "data.lines[*].sku", "a[*].sku"),
                ("ATTRIBUTE", "data.spare[*].price", "a[*].price"),
            ],
            "follows data.spare[*], but row 1 fills the same array from data.lines[*]",
        ),
        (
            [("EXPRESSION", "concat(data.lines[*].sku, data.spare[*].sku)", "a[*].b")],
            "follows two arrays at once",
        ),
        ([("ATTRIBUTE", "data.lines[*].sku", "a[*].b[*].c")], "has 2 [*], its source"),
        (
            [("ATTRIBUTE", "data.lines[*].sku", "a[*].b"), ("STATIC", "x", "a[0].c")],
            "cannot stand beside",
        ),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(
    trial: Any, rows: list[Any], said: str
) -> None:
    assert said in trial.problems(*rows)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"iterate": "data.linse"}, "\"iterate\": data has no field 'linse'; did you mean"),
        ({"iterate": "data.text"}, '"iterate": data.text is text, not an array'),
        ({"iterate": "data.lines[*].notes"}, "goes through one array only"),
        ({"identity": "data.text"}, '"identity" leads to no object'),
        ({"identity": "data.lines[*]"}, '"identity" leads to many values'),
        ({"merged": "data.text"}, '"merged" leads to no object'),
        ({"when": "data.lines[*].sku"}, '"when" leads to many values'),
        ({"when": "data.txet"}, "\"when\": data has no field 'txet'"),
    ],
)
def test_the_paths_of_our_own_keys_are_checked(trial: Any, keys: Any, said: str) -> None:
    assert said in trial.problems(("STATIC", "x", "a"), **keys)


def test_every_problem_of_every_row_is_said_at_once(trial: Any) -> None:
    problems = trial.problems(
        ("ATTRIBUTE", "data.nope", "a"),
        ("EXPRESSION", "lower(", "b"),
        ("EXPRESSION", "upper(data.whole) eq data.nope", "c"),
    )

    assert len(problems.splitlines()) == 4


@pytest.mark.parametrize(
    "expression",
    [
        "data.mixed",
        "concat(data.mixed)",
        "lower(data.mixed)",
        "data.mixed == 5",
        "iif(data.mixed == null, 1, 'x')",
        "data.labels.anything",
        "coalesce(data.text, 5)",
        "data.number == 1",
        "data.text + data.other",
    ],
)
def test_what_may_be_right_is_accepted(trial: Any, expression: str) -> None:
    trial.mapper(("EXPRESSION", expression, "out"))


def test_a_target_that_no_mapping_set_serves_is_refused(trial: Any) -> None:
    from processor.mapping.mapper import Mapper
    from processor.schemas.folder import SchemaFolder
    from processor.settings import MappingSettings, SchemasSettings

    with pytest.raises(Misconfigured, match="No event has a mapping set for: badges"):
        Mapper(
            SchemaFolder.load(SchemasSettings()),
            MappingSettings(),
            tenant="acme",
            targets=["event", "badges"],
        )


def test_a_time_zone_that_does_not_exist_is_refused(trial: Any) -> None:
    from processor.settings import MappingSettings

    with pytest.raises(Misconfigured, match="time_zone"):
        trial.mapper(("STATIC", "x", "a"), settings=MappingSettings(time_zone="Mars/Olympus"))


class NoTextInPoints:
    """A target's schema that takes no text under ``points``."""

    def problem(self, destination: Path, shape: Shape) -> Complaint | None:
        if destination.steps[-1] == "points" and shape.kind is Kind.TEXT:
            return Complaint("expected a number, found text", "Turn it into one.")
        return None

    def refused(self, destination: Path, constant: str | float) -> Complaint | None:
        del destination, constant
        return None


def test_a_targets_schema_can_judge_destinations() -> None:
    rows = (
        Row(1, SourceType.STATIC, "x", parse_path("name")),
        Row(2, SourceType.STATIC, "x", parse_path("loyalty.points")),
        Row(3, SourceType.STATIC, 5, parse_path("tier.points")),
    )

    checked, problems = check(MappingSet("f", rows), shapes.OBJECT, NoTextInPoints())

    assert [row.row.number for row in checked] == [1, 3]
    assert [str(problem) for problem in problems] == [
        "f, row 2, column 1: loyalty.points: expected a number, found text."
    ]


def test_a_mapping_set_with_two_primary_identities_does_not_start(trial: Any) -> None:
    rows = [
        ("ATTRIBUTE", "data.text", "identityMap.A[0].id"),
        ("EXPRESSION", "true", "identityMap.A[0].primary"),
        ("ATTRIBUTE", "data.other", "identityMap.B[0].id"),
    ]

    trial.mapper(*rows, ("STATIC", False, "identityMap.B[0].primary"))
    problems = trial.problems(*rows, ("STATIC", True, "identityMap.B[0].primary"))

    assert "row 4, column 1: identityMap.B[0].primary: a second primary identity; row 2" in problems


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        (
            "ATTRIBUTE",
            "data.text",
            "row 1, column 1: each message of data.lines[*] has the same _id",
        ),
        ("EXPRESSION", 'concat(data.text, "-", data.text)', "has the same _id, and Profile keeps"),
        ("STATIC", "x", "row 1, column 1: the _id is the same for every event"),
        ("EXPRESSION", "now()", "the _id is the same for every event"),
    ],
)
def test_an_id_that_several_messages_would_share_is_refused(
    trial: Any, kind: str, source: str, said: str
) -> None:
    assert said in trial.problems((kind, source, "_id"), iterate="data.lines")


@pytest.mark.parametrize(
    ("keys", "source"),
    [
        ({}, "data.text"),
        ({"iterate": "data.lines"}, "data.lines[*].sku"),
        ({"iterate": "data.lines"}, 'concat(data.text, "-", data.lines[*].sku)'),
        ({"iterate": "data.lines"}, 'concat("a", uuid())'),
    ],
)
def test_an_id_that_tells_messages_apart_is_not(
    trial: Any, keys: dict[str, str], source: str
) -> None:
    trial.mapper(("EXPRESSION", source, "_id"), **keys)
