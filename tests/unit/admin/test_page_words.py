from datetime import UTC, datetime

import pytest
from markupsafe import Markup

from processor.admin.page import words

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\N{EN DASH}"),
        (0, "0"),
        (0.25, "0.2"),
        (9.96, "10.0"),
        (12.6, "13"),
        (999, "999"),
        (1_234_567, "1\u2009234\u2009567"),
    ],
)
def test_numbers_have_groups(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (-3, "0\u00a0s"),
        (59.9, "59\u00a0s"),
        (61, "1\u00a0min 1\u00a0s"),
        (3600, "1\u00a0h"),
        (81_342, "22\u00a0h 35\u00a0min"),
        (90_061, "1\u00a0d 1\u00a0h"),
    ],
)
def test_durations_have_two_units(seconds: float | None, text: str) -> None:
    assert words.span(seconds) == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-01-31T11:59:55Z", "just now"),
        ("2026-01-31T11:58:00Z", "2\u00a0min ago"),
        ("2026-01-31T13:58:00+05:30", "3\u00a0h ago"),
        ("2026-01-01T00:00:00", "30\u00a0d ago"),
        ("2026-01-31T13:00:00Z", "in 1\u00a0h"),
        (None, "at an unknown time"),
        ("<b>yesterday</b>", "at an unknown time"),
    ],
)
def test_times_are_told_by_their_age(text: str | None, told: str) -> None:
    assert words.ago(text, NOW) == told


def test_times_are_told_in_utc() -> None:
    assert words.utc("2026-01-31T17:30:00.123+05:30") == "2026-01-31 12:00:00 UTC"
    assert words.utc("never") == "\N{EN DASH}"


def test_what_steers_or_hides_is_spelt_out() -> None:
    assert words.shown("a\x1b[2J\u202eb\r\n\u200b") == r"a\x1b[2J\u202eb\r\n\u200b"
    assert words.shown(None) == ""
    assert words.shown(7) == 7
    assert words.shown(Markup("<b>\n</b>")) == "<b>\n</b>"


def test_documents_keep_their_lines_and_nothing_else() -> None:
    hostile = {"<script>": "a\u2028b\nc", "bytes": b"\x00\xff"}

    text = str(words.as_json(hostile))

    assert text == (
        '{\n  "&lt;script&gt;": "a\\u2028b\\nc",\n  "bytes": "hex:00ff"\n}'.replace('"', "&#34;")
    )


def test_lines_of_a_trace_are_escaped() -> None:
    assert words.lines("one <i>\n\x1btwo") == "one &lt;i&gt;\n\\x1btwo"
    assert words.lines(None) == ""


def test_parts_of_a_path_stay_parts() -> None:
    assert words.path("dead-letters", "a/../b?c#d", 0, "é\n") == (
        "/dead-letters/a%2F..%2Fb%3Fc%23d/0/%C3%A9%0A"
    )


def test_nouns_follow_their_number() -> None:
    assert words.counted(1, "letter") == "1 letter"
    assert words.counted(2_000, "dead letter") == "2\u2009000 dead letters"
    assert words.counted(0, "entry", "entries") == "0 entries"
