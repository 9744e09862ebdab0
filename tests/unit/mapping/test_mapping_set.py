"""Reading mapping sets: Adobe's key names, old and new, and what is wrong with a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from processor.mapping.mapping_set import MAX_FILE_BYTES, MappingSet, Problem, SourceType, load
from processor.mapping.paths import EACH


def read(folder: Path, document: Any) -> tuple[MappingSet, list[Problem]]:
    file = folder / "pointsIssued" / "to-event.json"
    file.parent.mkdir()
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return load(file, tenant="acme")


def test_current_and_legacy_key_names_say_the_same(tmp_path: Path) -> None:
    found, problems = read(
        tmp_path,
        {
            "id": "cbb0",
            "outputSchema": {"schemaRef": {"id": "x"}},
            "mappings": [
                {"sourceType": "ATTRIBUTE", "source": "a.b", "destination": "_tenant.c"},
                {"sourceType": "text/x.schema-path", "source": "a.b", "destination": "d"},
                {"sourceAttribute": "a.b", "destinationXdmPath": "e", "identity": False},
                {"sourceType": "text/x.aep-xl", "source": "lower(a)", "destination": "f"},
                {"sourceType": "STATIC", "source": 5, "destination": "g"},
            ],
        },
    )

    assert problems == []
    assert found.file == "pointsIssued/to-event.json"
    assert [(row.number, row.source_type, str(row.destination)) for row in found.rows] == [
        (1, SourceType.ATTRIBUTE, "_acme.c"),
        (2, SourceType.ATTRIBUTE, "d"),
        (3, SourceType.ATTRIBUTE, "e"),
        (4, SourceType.EXPRESSION, "f"),
        (5, SourceType.STATIC, "g"),
    ]


def test_only_the_first_step_stands_for_the_tenant(tmp_path: Path) -> None:
    found, _ = read(
        tmp_path,
        {"mappings": [{"sourceType": "STATIC", "source": "x", "destination": "a._tenant"}]},
    )

    assert str(found.rows[0].destination) == "a._tenant"


def test_our_own_keys_are_read(tmp_path: Path) -> None:
    found, problems = read(
        tmp_path,
        {
            "iterate": "data.coupons",
            "identity": "data.owner",
            "mappings": [{"sourceType": "STATIC", "source": "x", "destination": "a"}],
        },
    )

    assert problems == []
    assert found.iterate is not None
    assert found.iterate.steps == ("data", "coupons", EACH)
    assert str(found.identity) == "data.owner"


ROW = {"sourceType": "STATIC", "source": "x", "destination": "a"}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "line 1, column 2"),
        ("[]", 'JSON object with a list "mappings"'),
        ("{}", '"mappings" is missing'),
        ({"mappings": []}, '"mappings" is missing, empty'),
        ({"mappings": {}}, "no list"),
        ({"mappings": [ROW], "iterat": "data.x"}, "did you mean 'iterate'"),
        ({"mappings": [ROW], "identities": "data"}, "did you mean 'identity'"),
        ({"mappings": [ROW], "iterate": "a..b"}, "'iterate' is no path"),
        ({"mappings": [ROW], "iterate": 5}, "'iterate' is no path"),
        ({"mappings": ["x"]}, "row 1: the row is no JSON object"),
        ({"mappings": [ROW, {**ROW, "sourceType": "attribute"}]}, 'row 2: "sourceType" is missing'),
        ({"mappings": [{**ROW, "source": None}]}, 'row 1: "source" is missing'),
        ({"mappings": [{**ROW, "destination": None}]}, 'row 1: "destination" is missing'),
        ({"mappings": [{**ROW, "destination": "a..b"}]}, "row 1: the destination is no path"),
        ({"mappings": [{**ROW, "sourceType": "ATTRIBUTE", "source": 5}]}, '"source" is no text'),
        ({"mappings": [ROW] * 5001}, "5001 rows"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(
    tmp_path: Path, document: Any, said: str
) -> None:
    _, problems = read(tmp_path, document)

    assert said in "\n".join(map(str, problems))
    assert all(str(problem).startswith("pointsIssued/to-event.json") for problem in problems)


def test_every_problem_of_a_file_is_said_at_once(tmp_path: Path) -> None:
    _, problems = read(tmp_path, {"mappings": ["x", {**ROW, "source": None}, ROW, 5]})

    assert [problem.row for problem in problems] == [1, 2, 4]


def test_a_file_that_is_missing_not_text_or_too_large_is_one_problem(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary.json", tmp_path / "large.json"
    binary.write_bytes(b"\xff\xfe\x00")
    large.write_text(" " * (MAX_FILE_BYTES + 1))

    for file in (tmp_path / "missing.json", binary, large):
        _, problems = load(file, tenant="acme")

        assert len(problems) == 1


@pytest.mark.parametrize(
    ("written", "columns"),
    [
        ("loyalty.pointsGained[0].value", [1, 9, 21, 25]),
        ("_tenant.loyaltyEvent.refId", [1, 9, 22]),
        ("productListItems[*].SKU", [1, 17, 21]),
        ("_acme.refId", [1, 7]),
        ("a\\.b.c", [1, 1]),
        ("${a.b}.c", [1, 8]),
    ],
)
def test_a_row_knows_where_each_step_of_its_destination_is_written(
    tmp_path: Path, written: str, columns: list[int]
) -> None:
    row = {"sourceType": "ATTRIBUTE", "source": "a", "destination": written}
    file = tmp_path / "to-event.json"
    file.write_text(json.dumps({"mappings": [row]}))

    mapping_set, problems = load(file, tenant="acme")

    (found,) = mapping_set.rows
    assert problems == []
    assert [found.column_of(step) for step in range(len(found.destination.steps))] == columns
