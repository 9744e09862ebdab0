"""Java's date patterns: writing, reading, and what lies outside."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.mapping.date_reading import KNOWN_FORMATS, guess, reader
from processor.mapping.failures import PatternError
from processor.mapping.java_dates import MILLIS, DateError, formatter, iso, millis_formatter

MOMENT = datetime(2019, 3, 5, 14, 7, 9, 45_678, tzinfo=UTC)
INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss", "2019-03-05 14:07:09"),
        ("yy/M/d", "19/3/5"),
        ("dd.MMM.yyyy", "05.Mar.2019"),
        ("d MMMM yyyy, EEEE", "5 March 2019, Tuesday"),
        ("EEE", "Tue"),
        ("hh:mm a", "02:07 PM"),
        ("k K", "14 2"),
        ("S SSS SSSSSS SSSSSSSSS", "0 045 045678 045678000"),
        ("X XX XXX Z", "Z Z Z +0000"),  # Java's letters for an offset
        ("D", "64"),
        ("u", "2"),
        ("Q QQ QQQ", "1 01 Q1"),
        ("yyyy'T'HH 'o''clock'", "2019T14 o'clock"),
        ("G GGGG F", "AD Anno Domini 1"),
        ("V z O OOOO", "Z UTC GMT GMT"),
        ("''", "'"),
        ("", ""),
    ],
)
def test_a_moment_is_written_as_java_writes_it(pattern: str, expected: str) -> None:
    assert formatter(pattern)(MOMENT) == expected


def test_zones_are_written_in_every_width() -> None:
    moment = MOMENT.astimezone(INDIA)

    # Java's letters for an offset: X, XX and XXX differ in the colon.
    assert formatter("X XX XXX Z")(moment) == "+0530 +0530 +05:30 +0530"  # X: Java's, as above
    assert formatter("X")(MOMENT.astimezone(timezone(timedelta(hours=-8)))) == "-08"


def test_zones_are_written_by_name_and_from_greenwich() -> None:
    paris = MOMENT.astimezone(ZoneInfo("Europe/Paris"))

    assert formatter("VV z O OOOO")(paris) == "Europe/Paris CET GMT+1 GMT+01:00"
    assert formatter("VV z O OOOO")(MOMENT.astimezone(INDIA)) == (
        "+05:30 GMT+05:30 GMT+5:30 GMT+05:30"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-29 10:00 Europe/Paris", "2025-06-29T10:00:00+02:00"),
        ("2025-06-29 10:00 UTC", "2025-06-29T10:00:00Z"),
        ("2025-06-29 10:00 GMT", "2025-06-29T10:00:00Z"),
        ("2025-06-29 10:00 Z", "2025-06-29T10:00:00Z"),
        ("2025-06-29 10:00 GMT-8", "2025-06-29T10:00:00-08:00"),
        ("2025-06-29 10:00 GMT+05:30", "2025-06-29T10:00:00+05:30"),
        ("2025-06-29 10:00 +05:30", "2025-06-29T10:00:00+05:30"),
        ("2025-06-29 10:00 PST", None),
        ("2025-06-29 10:00 ../../etc/passwd", None),
        ("2025-06-29 10:00 GMT+99", None),
    ],
)
@pytest.mark.parametrize("letters", ["z", "VV", "O"])
def test_zones_are_read_by_name_and_from_greenwich(
    letters: str, text: str, expected: str | None
) -> None:
    read = reader(f"yyyy-MM-dd HH:mm {letters}")

    if expected is None:
        with pytest.raises(DateError):
            read(text, UTC)
    else:
        assert iso(read(text, UTC)) == expected


@pytest.mark.parametrize("pattern", ["Y", "w", "W", "yyyy n", "'open"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        formatter(pattern)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_the_fast_form_of_timestamps_is_the_slow_one(milliseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)

    assert millis_formatter(MILLIS)(milliseconds) == formatter(MILLIS)(moment)


@pytest.mark.parametrize("milliseconds", [2**63 - 1, -(2**63), 253_402_300_800_000, 9e18])
@pytest.mark.parametrize("pattern", [MILLIS, "yyyy"])
def test_a_time_outside_the_years_is_no_date(milliseconds: float, pattern: str) -> None:
    with pytest.raises(DateError):
        millis_formatter(pattern)(milliseconds)


@pytest.mark.parametrize("pattern", KNOWN_FORMATS)
def test_each_known_format_reads_what_it_writes(pattern: str) -> None:
    moment = datetime(2019, 12, 25, 11, 7, 9, 45_000, tzinfo=UTC)
    text = formatter(pattern)(moment)

    read = reader(pattern)(text, UTC)

    assert formatter(pattern)(read) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-06-29", "2025-06-29T00:00:00Z"),
        ("2025/06/29", "2025-06-29T00:00:00Z"),
        ("20250629", "2025-06-29T00:00:00Z"),
        ("12112020", "1211-20-20"),
        ("6/09/2025", "2025-06-09T00:00:00Z"),
        ("29.6.2025 11:30:00 PM", "2025-06-29T23:30:00Z"),
        ("29-Jun-2025", "2025-06-29T00:00:00Z"),
        ("2025-06-29 10:00:00+0530", "2025-06-29T10:00:00+05:30"),
        ("2025-06-29T10:00:00Z", "2025-06-29T10:00:00Z"),
        ("2025-06-29T10:00:00.123Z", "2025-06-29T10:00:00.123Z"),
        ("2025-06-29T10:00:00+05:30", "2025-06-29T10:00:00+05:30"),
    ],
)
def test_a_date_without_a_format_is_read_by_the_first_that_fits(text: str, expected: str) -> None:
    if expected == "1211-20-20":  # MMddyyyy reads it once yyyyMMdd found no twentieth month
        expected = "2020-12-11T00:00:00Z"

    assert iso(guess(text, UTC)) == expected


def test_a_date_without_a_zone_is_in_the_configured_one() -> None:
    assert iso(guess("2025-06-29", INDIA)) == "2025-06-29T00:00:00+05:30"


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-02-30", "2025-06-29 25:00:00", "٢٠٢٥-٠٦-٢٩", "2025-06-29\n"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(DateError):
        guess(text, UTC)


def test_a_pattern_that_cannot_be_read_with_is_refused() -> None:
    with pytest.raises(PatternError):
        reader("yyyy-MM-dd Q")
    with pytest.raises(PatternError):
        reader("yyyy yyyy")


def test_dates_are_the_same_in_every_zone_and_locale_of_the_host() -> None:
    code = (
        "from processor.mapping.java_dates import *\n"
        "from processor.mapping.date_reading import guess\n"
        "from datetime import UTC\n"
        "print(millis_formatter('EEE d MMMM yyyy HH:mm:ss.SSSX')(1750224535590), "
        "iso(guess('5.Mar.2019'.replace('5', '05'), UTC)))"
    )

    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"TZ": zone, "LC_ALL": locale},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for zone, locale in [("UTC", "C"), ("Asia/Kolkata", "C.UTF-8"), ("America/Lima", "POSIX")]
    }

    assert said == {"Wed 18 June 2025 05:28:55.590Z 2019-03-05T00:00:00Z\n"}
