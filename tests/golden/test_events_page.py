"""docs/events.md is what the schemas say, and each field is sent or says why not."""

import pytest

from tests.golden.events_page import FOLDER, PAGE, own_fields, page, read_by
from tests.golden.events_words import NOTES


def test_the_page_is_what_the_schemas_say() -> None:
    written = PAGE.read_text(encoding="utf-8")

    assert written == page(), "write it anew: python -m tests.golden.events_page"


def test_every_note_is_of_an_event_that_is_there() -> None:
    assert set(NOTES) <= set(FOLDER.events)


@pytest.mark.parametrize("name", FOLDER.events)
def test_each_field_of_an_event_is_sent_or_says_why_not(name: str) -> None:
    read = read_by(FOLDER.events[name])

    for path, field in own_fields(FOLDER.events[name]):
        sent = any(path == one or path.startswith(f"{one}.") for one in read)
        assert sent != ("unmapped" in field), path
