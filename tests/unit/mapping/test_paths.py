"""Paths as Data Prep writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.mapping.paths import EACH, Path, PathError, parse_path


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("a", ("a",)),
        ("a.b.c", ("a", "b", "c")),
        ("a[0].b", ("a", 0, "b")),
        ("a[*][1].b", ("a", EACH, 1, "b")),
        (r"a\.b.c", ("a.b", "c")),
        ("${First Name}.x", ("First Name", "x")),
        ("first name.x", ("first name", "x")),
        ("${a.b[0]}", ("a.b[0]",)),
        ("@id", ("@id",)),
    ],
)
def test_a_path_is_read_step_by_step(text: str, steps: tuple[object, ...]) -> None:
    assert parse_path(text).steps == steps


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 0),
        ("a.", 2),
        (".a", 1),
        ("a..b", 3),
        ("[0]", 1),
        ("a[x]", 2),
        ("a[-1]", 2),
        ("a[0]b", 5),
        ("a[", 2),
        ("${}", 1),
        (" a", 1),
        ("a.[0]", 3),
    ],
)
def test_what_is_no_path_is_refused_at_its_column(text: str, column: int) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text)

    assert caught.value.column == column


def test_a_pointer_has_a_star_for_every_position_so_that_one_rule_has_one() -> None:
    assert parse_path("a[3].b").pointer == parse_path("a[*].b").pointer == "/a/*/b"


def test_a_pointer_escapes_what_pointers_escape() -> None:
    assert parse_path("${a/b~c}").pointer == "/a~1b~0c"


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="{}$\\.[]"), min_size=1
)


@given(st.lists(st.one_of(NAMES, st.integers(0, 9999), st.just(EACH)), max_size=6), NAMES)
def test_a_path_that_is_shown_reads_back_the_same(steps: list[object], first: str) -> None:
    path = Path((first, *steps))  # type: ignore[arg-type]  # hypothesis' unions are wider

    assert parse_path(str(path)) == path
