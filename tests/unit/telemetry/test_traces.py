from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.record import Headers, Record
from processor.telemetry.traces import MOST_LINKS, Context, agreed, context_of, linked

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OTHER = "0af7651916cd43dd8448eb211c80319c"


def record(*values: str) -> Record:
    return Record("t", 0, 0, headers=[("traceparent", value.encode()) for value in values])


def test_a_traceparent_is_read_and_written_alike() -> None:
    for flags in ("00", "01"):
        text = f"00-{TRACE}-{PARENT}-{flags}"

        assert str(context_of(record(text).headers)) == text


def test_of_a_later_version_what_is_known_is_carried_on() -> None:
    context = context_of(record(f"cc-{TRACE}-{PARENT}-03-what-the-future-adds").headers)

    assert context == Context(TRACE, PARENT, sampled=True)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Traceparent", f"00-{TRACE}-{PARENT}-01".encode())],
        [("traceparent", None)],
        [("traceparent", b"")],
        [("traceparent", f"00-{TRACE}-{PARENT}-01".encode())] * 2,
        [("traceparent", f"00-{TRACE.upper()}-{PARENT}-01".encode())],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01".encode())],
        [("traceparent", f"00-{TRACE}-{'0' * 16}-01".encode())],
        [("traceparent", f"ff-{TRACE}-{PARENT}-01".encode())],
        [("traceparent", f"00-{TRACE}-{PARENT}-01-more".encode())],
        [("traceparent", f"00-{TRACE}-{PARENT}-01\r\nx-evil: 1".encode())],
        [("traceparent", f"cc-{TRACE}-{PARENT}-01-\r\nx-evil: 1".encode())],
        [("traceparent", b"\xff" * 55)],
    ],
)
def test_what_has_not_its_form_is_no_trace(headers: Headers) -> None:
    assert context_of(headers) is None


@given(st.binary(max_size=80))
def test_whatever_a_header_holds_only_its_own_form_goes_out(value: bytes) -> None:
    context = context_of([("traceparent", value)])

    assert context is None or len(str(context)) == 55


def test_records_of_one_trace_agree_also_where_their_spans_differ() -> None:
    first, second = f"00-{TRACE}-{PARENT}-00", f"00-{TRACE}-{'c' * 16}-01"

    records = [record(first), record(second), record(first)]

    assert agreed(records) == Context(TRACE, PARENT, sampled=True)
    assert [str(context) for context in linked(records)] == [first, second]


@pytest.mark.parametrize("other", [record(f"00-{OTHER}-{PARENT}-01"), record(), record("nonsense")])
def test_one_record_of_another_trace_or_of_none_and_they_do_not_agree(other: Record) -> None:
    mine = record(f"00-{TRACE}-{PARENT}-01")

    assert agreed([mine, other]) is None
    assert agreed([other, mine]) is None
    assert Context(TRACE, PARENT, sampled=True) in linked([other, mine])


def test_records_without_traces_have_none() -> None:
    assert agreed([]) is None
    assert agreed([record(), record("nonsense")]) is None


def test_what_is_linked_is_bounded() -> None:
    many = [record(f"00-{TRACE}-{number:016x}-01") for number in range(1, MOST_LINKS + 2)]

    assert len(linked(many)) == MOST_LINKS
    assert agreed(many) is not None


def test_nobody_looks_further_than_the_first_that_disagrees() -> None:
    def records() -> Iterator[Record]:
        yield record(f"00-{TRACE}-{PARENT}-01")
        yield record(f"00-{OTHER}-{PARENT}-01")
        raise AssertionError

    assert agreed(records()) is None
