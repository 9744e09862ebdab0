"""The functions of dates. A date is a moment with a zone; as text it is RFC 3339."""

from processor.mapping import bodies, date_parts, java_dates
from processor.mapping.signature import (
    A_DATE,
    A_TEXT,
    AN_INTEGER,
    ANYTHING,
    DATE,
    NUMBER,
    TEXT,
    TEXT_OR_DATE,
    Function,
)

TABLE: tuple[Function, ...] = (
    Function(
        "now", 0, 0, (ANYTHING,), A_DATE, None, "the record's Kafka timestamp, never the clock"
    ),
    Function(
        "timestamp", 0, 0, (ANYTHING,), AN_INTEGER, None, "the same in milliseconds since the epoch"
    ),
    Function(
        "date",
        1,
        3,
        (TEXT_OR_DATE, TEXT, DATE),
        A_DATE,
        bodies.date,
        "a text as a date, by a pattern or by the known formats; the default when it is null",
        sees_nulls=True,
        needs_zone=True,
        constant_at=1,
        of_constant=bodies.date_reader,
    ),
    Function(
        "format",
        2,
        2,
        (DATE, TEXT),
        A_TEXT,
        bodies.format_date,
        "a date as text, in its own zone",
        constant_at=1,
        of_constant=lambda pattern, _: java_dates.formatter(pattern),
    ),
    Function(
        "dformat",
        2,
        2,
        (NUMBER, TEXT),
        A_TEXT,
        bodies.dformat,
        "milliseconds since the epoch as text, in UTC",
        constant_at=1,
        of_constant=lambda pattern, _: java_dates.millis_formatter(pattern),
    ),
    Function(
        "date_part",
        2,
        2,
        (TEXT, DATE),
        AN_INTEGER,
        date_parts.date_part,
        "a part of a date: `w` is the ISO week, Monday is weekday 1, `yy` has four digits",
        constant_at=0,
        of_constant=date_parts.part_reader,
    ),
    Function(
        "set_date_part",
        3,
        3,
        (TEXT, NUMBER, DATE),
        A_DATE,
        date_parts.set_date_part,
        "the date with one part changed; a day that the month lacks becomes its last",
        constant_at=0,
        of_constant=date_parts.part_setter,
    ),
    *(
        Function(
            name,
            8,
            8,
            (*[NUMBER] * 7, TEXT),
            A_DATE,
            date_parts.make_date_time,
            "a date of year, month, day, hour, minute, second, nanosecond and zone",
            constant_at=7,
            of_constant=date_parts.date_maker,
        )
        for name in ("make_date_time", "make_timestamp")
    ),
    Function(
        "zone_date_to_utc", 1, 1, (DATE,), A_DATE, date_parts.to_utc, "the same moment in UTC"
    ),
    Function(
        "zone_date_to_zone",
        2,
        2,
        (DATE, TEXT),
        A_DATE,
        date_parts.to_zone,
        "the same moment in a zone such as `Europe/Paris`",
        constant_at=1,
        of_constant=date_parts.zone_mover,
    ),
)
