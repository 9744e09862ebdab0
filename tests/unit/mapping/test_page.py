"""docs/mapping.md says what the code says."""

from processor.mapping.expression import MAX_CHARACTERS, RESERVED
from processor.mapping.functions import FUNCTIONS, NOT_RUN
from tests.unit.mapping.page import PAGE, written

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_tables_are_the_functions_and_the_samples() -> None:
    assert written(TEXT) == TEXT, "write them anew: python -m tests.unit.mapping.page"


def test_every_function_and_every_reserved_word_is_named() -> None:
    for name in (*FUNCTIONS, *NOT_RUN, *RESERVED):
        assert f"`{name}`" in TEXT
    assert f"{MAX_CHARACTERS:,} characters" in TEXT
