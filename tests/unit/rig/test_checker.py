"""Each invariant is broken by a history made to break it: the checker is not empty."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.rig.checker import INVARIANTS, NAMES, Report, check
from tests.rig.history import (
    Accepted,
    Committed,
    Dlq,
    Exit,
    Fault,
    History,
    Owned,
    Posted,
    Produced,
    Quiet,
    Ready,
    Refused,
    Replayed,
    Row,
    Scanned,
    Scrape,
    Setup,
    Started,
    Taskdeath,
    read,
)

Rows = list[Row]
BOOKS = {
    "consumed": 5,
    "delivered": 3,
    "dead_lettered": 1,
    "filtered": 1,
    "released": 0,
    "in_flight": 0,
}


def good(offset: int, key: str = "aa", *inlets: str, at_ms: float = 0.0) -> Produced:
    return Produced(
        topic="t", partition=0, offset=offset, at_ms=at_ms, key=key, digest=f"v{offset}",
        event_id=f"e{offset}", messages={inlet: [f"e{offset}"] for inlet in inlets or ("event",)},
    )  # fmt: skip


def came(order: int, offset: int, at_ms: float, inlet: str = "event", **more: Any) -> Accepted:
    fields: dict[str, Any] = {"digest": f"body of {offset}", "request": order, **more}
    return Accepted(order=order, inlet=inlet, id=f"e{offset}", at_ms=at_ms, **fields)


def commit(offset: int, at_ms: float, order: int, *ended: tuple[int, int]) -> Committed:
    return Committed(
        group="g", topic="t", partition=0, offset=offset, at_ms=at_ms, order=order, ended=ended
    )


def letter(at_ms: float = 600.0, **more: Any) -> Dlq:
    fields: dict[str, Any] = {
        "offset": 2, "code": "decode.framing", "key": "bb", "digest": "v2", "source_at_ms": 0.0,
        **more,
    }  # fmt: skip
    return Dlq(topic="t", partition=0, own_partition=0, at_ms=at_ms, **fields)


def fault(number: int, begin_ms: float, end_ms: float, kind: str, *effects: str) -> Rows:
    begin = Fault(number=number, kind=kind, phase="begin", at_ms=begin_ms, effects=effects)
    return [begin, replace(begin, phase="end", at_ms=end_ms)]


def posted(request: int, at_ms: float, **more: Any) -> Posted:
    fields: dict[str, Any] = {
        "door": "batch", "inlet": "event", "status": 207, "outcome": "answered",
        "duration_ms": 10.0, "messages": 1, "bytes": 100, "in_flight": 1, "token": 1, **more,
    }  # fmt: skip
    return Posted(request=request, at_ms=at_ms, **fields)


def scrape(at_ms: float, instance: str = "c.1", **books: int) -> Scrape:
    return Scrape(
        instance=instance, at_ms=at_ms, books={"t-0": {**BOOKS, **books}},
        filtered={"tombstone": 1}, counters={"processor_commits_total": at_ms},
    )  # fmt: skip


def clean() -> Rows:
    """Five records with a gap before the last, one life, a clean stop."""
    return [
        Setup(group="g", topics=["t"], ordered=["loyalty"], cap=10, messages=10, requests=2),
        Started(instance="c.1", at_ms=-100.0),
        Owned(instance="c.1", topic="t", partition=0, at_ms=0.0, what="assigned"),
        good(0, "aa", "event", "loyalty"),
        good(1, "aa", "loyalty"),
        Produced(
            topic="t", partition=0, offset=2, at_ms=0.0, key="bb", digest="v2",
            fate="dead_letter", why=["decode.framing"],
        ),
        Produced(topic="t", partition=0, offset=3, at_ms=0.0, fate="filter", why=["tombstone"]),
        good(5, "cc"),
        posted(1, 10.0, door="ims", inlet="", status=200),
        *(posted(number, number * 100.0) for number in range(2, 6)),
        came(1, 0, 200.0),
        came(2, 0, 300.0, "loyalty"),
        came(3, 1, 400.0, "loyalty"),
        came(4, 5, 500.0),
        letter(),
        commit(1, 350.0, 1),
        commit(2, 450.0, 2, (3, 4)),
        commit(6, 1_000.0, 3),
        scrape(900.0),
        scrape(1_500.0),
        Ready(instance="c.1", at_ms=900.0, status=200),
        Ready(instance="c.1", at_ms=1_500.0, status=200),
        Quiet(at_ms=200_000.0, drained=True, waited_s=1.0),
        Ready(instance="c.1", at_ms=200_100.0, status=200),
        scrape(200_100.0),
        Exit(instance="c.1", at_ms=200_400.0, code=0, how="term", since_ms=200_200.0),
        Owned(instance="c.1", topic="t", partition=0, at_ms=200_300.0, what="stopped"),
        Scanned(where="log", bytes=1_000),
    ]  # fmt: skip


def rough() -> Rows:
    """As `clean`, then more lives: a kill with a repeat, an outage, an answer lost, a replay."""
    stop_ms = 200_200.0
    return [
        *(row for row in clean() if not isinstance(row, (Exit, Owned, Quiet))),
        Owned(instance="c.1", topic="t", partition=0, at_ms=0.0, what="assigned"),
        good(6, "cc", at_ms=2_000.0),
        came(5, 6, 2_100.0),
        *fault(1, 2_200.0, 2_900.0, "connector kill", "crash"),
        Exit(instance="c.1", at_ms=2_250.0, code=-9, how="kill", since_ms=2_200.0),
        Started(instance="c.2", at_ms=2_900.0),
        Owned(instance="c.2", topic="t", partition=0, at_ms=4_000.0, what="assigned"),
        posted(10, 4_050.0, door="ims", inlet="", status=200, token=2),
        came(6, 6, 4_100.0),
        commit(7, 5_000.0, 4),
        good(7, "dd", at_ms=10_000.0),
        came(7, 7, 10_100.0, told=False),
        came(8, 7, 10_300.0),
        commit(8, 11_000.0, 5),
        *fault(2, 20_000.0, 30_000.0, "aep 503", "outage", "refusing"),
        *(
            posted(20 + number, 20_000.0 + number * 500, status=503, token=2)
            for number in range(20)
        ),
        Replayed(begin_ms=40_000.0, end_ms=41_000.0, members=[("t", 0, 2)]),
        letter(40_500.0, replay_count=1),
        Quiet(at_ms=stop_ms - 200, drained=True, waited_s=1.0),
        Ready(instance="c.2", at_ms=stop_ms - 100, status=200),
        scrape(stop_ms - 100, "c.2"),
        Exit(instance="c.2", at_ms=stop_ms + 200, code=0, how="term", since_ms=stop_ms),
    ]


def broken(rows: Rows) -> set[str]:
    report = check(History(rows))
    return {verdict.name for verdict in report.broken}


def without(rows: Rows, unwanted: Callable[[Any], bool]) -> Rows:
    return [row for row in rows if not unwanted(row)]


def changed(rows: Rows, chosen: Callable[[Any], bool], **changes: Any) -> Rows:
    assert any(map(chosen, rows))
    return [replace(row, **changes) if chosen(row) else row for row in rows]


def is_acceptance(order: int) -> Callable[[Any], bool]:
    return lambda row: isinstance(row, Accepted) and row.order == order


def is_letter(row: Row) -> bool:
    return isinstance(row, Dlq)


def is_life(name: str, kind: type[Any]) -> Callable[[Any], bool]:
    return lambda row: isinstance(row, kind) and row.instance == name


def is_commit(order: int) -> Callable[[Any], bool]:
    return lambda row: isinstance(row, Committed) and row.order == order


def is_request(number: int) -> Callable[[Any], bool]:
    return lambda row: isinstance(row, Posted) and row.request == number


def is_going(row: Row) -> bool:
    return isinstance(row, Owned) and row.what == "stopped"


def is_setup(row: Row) -> bool:
    return isinstance(row, Setup)


def is_quiet(row: Row) -> bool:
    return isinstance(row, Quiet)


def is_record(offset: int) -> Callable[[Any], bool]:
    return lambda row: isinstance(row, Produced) and row.offset == offset


BROKEN: dict[str, tuple[str, Callable[[], Rows], set[str]]] = {
    "a record is lost": (
        "I1", lambda: without(clean(), is_acceptance(3)), {"I1", "I2"},
    ),
    "one of two messages is lost": (
        "I1", lambda: without(clean(), is_acceptance(1)), {"I1", "I2"},
    ),
    "a record of an aborted transaction is sent": (
        "I1", lambda: changed(clean(), is_record(5), fate="abort"), {"I1"},
    ),
    "committed before it was accepted": (
        "I2", lambda: changed(clean(), is_commit(3), at_ms=480.0), {"I2"},
    ),
    "metadata says too early that a record has ended": (
        "I2", lambda: changed(clean(), is_commit(2), ended=[(3, 4), (5, 6)]), {"I2"},
    ),
    "committed on an answer that said nothing": (
        "I2", lambda: without(rough(), is_acceptance(8)), {"I2"},
    ),
    "a commit goes back": ("I3", lambda: [*clean(), commit(3, 1_100.0, 4)], {"I3"}),
    "two hold one partition": (
        "I4",
        lambda: [
            *clean(),
            Started(instance="d.1", at_ms=0.0),
            Owned(instance="d.1", topic="t", partition=0, at_ms=10_000.0, what="assigned"),
            Owned(instance="d.1", topic="t", partition=0, at_ms=20_000.0, what="revoked"),
        ],
        {"I4"},
    ),
    "a commit after the partition was given back": (
        "I4",
        lambda: [*changed(clean(), is_going, at_ms=700.0), commit(7, 60_000.0, 4)],
        {"I4"},
    ),
    "accepted and dead-lettered": (
        "I5", lambda: [*clean(), letter(offset=5, code="delivery.refused", key="cc", digest="v5")],
        {"I5", "I12"},
    ),
    "accepted without an answer, and dead-lettered under a code that is sure": (
        "I5",
        lambda: [
            *changed(clean(), is_acceptance(4), told=False),
            letter(offset=5, code="delivery.refused", key="cc", digest="v5", at_ms=510.0),
        ],
        {"I5", "I12"},
    ),
    "sent twice for no reason": (
        "I6", lambda: [*rough(), came(9, 1, 12_000.0, "loyalty")], {"I6"},
    ),
    "sent again after a crash though its end was committed": (
        "I6", lambda: [*rough(), came(9, 5, 4_100.0)], {"I6"},
    ),
    "more came again after a crash than was in flight": (
        "I6",
        lambda: [
            *changed(rough(), is_setup, cap=1),
            *(good(offset, "ee", at_ms=2_000.0) for offset in range(8, 12)),
            *(came(100 + offset, offset, 2_150.0) for offset in range(8, 12)),
            *(came(200 + offset, offset, 4_150.0) for offset in range(8, 12)),
            commit(12, 12_000.0, 6),
        ],
        {"I6"},
    ),
    "dead-lettered twice for no reason": ("I6", lambda: [*clean(), letter(700.0)], {"I6"}),
    "sent twice though all was clean": (
        "I7", lambda: [*clean(), came(5, 5, 900.0)], {"I6", "I7"},
    ),
    "a later record of a key came first": (
        "I8",
        lambda: [
            replace(row, order=9 - row.order) if isinstance(row, Accepted) else row
            for row in clean()
        ],
        {"I8"},
    ),
    "an _id that no record has": (
        "I9", lambda: [*clean(), Accepted(order=9, request=5, inlet="event", id="x", at_ms=500.0)],
        {"I9"},
    ),
    "two events share an _id": (
        "I9", lambda: changed(clean(), is_record(5), messages={"event": ["e0"]}), {"I9"},
    ),
    "a letter names another event": (
        "I9", lambda: changed(clean(), is_letter, event_id="other"), {"I9"},
    ),
    "the same message with other bytes": (
        "I10", lambda: changed(rough(), is_acceptance(6), digest="other"), {"I10"},
    ),
    "a letter with another value": (
        "I11", lambda: changed(clean(), is_letter, digest="other"), {"I11"},
    ),
    "a letter with another time": (
        "I11", lambda: changed(clean(), is_letter, source_at_ms=1.0), {"I11"},
    ),
    "a letter without a header": (
        "I11", lambda: changed(clean(), is_letter, missing=["processor.code"]), {"I11"},
    ),
    "a letter of a record that there is not": (
        "I11", lambda: [*clean(), letter(offset=77)], {"I11"},
    ),
    "a good record is dead-lettered": (
        "I12",
        lambda: [
            *without(clean(), is_acceptance(4)),
            letter(offset=5, code="mapping.type", key="cc", digest="v5"),
        ],
        {"I12"},
    ),
    "another code than its fault's": (
        "I12", lambda: changed(clean(), is_letter, code="decode.json"), {"I12"},
    ),
    "a bad record without a letter": (
        "I12", lambda: without(clean(), is_letter), {"I1", "I2", "I12"},
    ),
    "a good record is dead-lettered in an outage": (
        "I13",
        lambda: [
            *rough(),
            good(8, "ee", at_ms=19_000.0),
            commit(9, 26_000.0, 6),
            letter(25_000.0, offset=8, code="delivery.poison", key="ee", digest="v8",
                   source_at_ms=19_000.0),
        ],
        {"I12", "I13"},
    ),
    "a record waits behind a bad one": (
        "I14",
        lambda: changed(
            changed(clean(), is_acceptance(4), at_ms=90_000.0), is_commit(3), at_ms=95_000.0
        ),
        {"I14"},
    ),
    "too many records in flight": (
        "I15", lambda: [*clean(), scrape(200_200.0, consumed=5_005, in_flight=5_000)], {"I15"},
    ),
    "a request too large": (
        "I15", lambda: changed(clean(), is_request(3), bytes=2_000_000), {"I15"},
    ),
    "too many requests at once": (
        "I15", lambda: changed(clean(), is_request(3), in_flight=3), {"I15"},
    ),
    "too much memory": (
        "I15",
        lambda: changed(
            changed(clean(), is_setup, rss_mb=100.0),
            lambda row: isinstance(row, Scrape) and row.at_ms == 1_500.0, rss_mb=101.0,
        ),
        {"I15"},
    ),
    "a second token for nothing": (
        "I16", lambda: [*clean(), posted(9, 700.0, door="ims", status=200, token=2)], {"I16"},
    ),
    "a request with a token that has ended": (
        "I16", lambda: [*clean(), posted(9, 700.0, status=403)], {"I16"},
    ),
    "token requests at once": (
        "I16", lambda: changed(clean(), is_request(1), in_flight=2), {"I16"},
    ),
    "a storm of retries": (
        "I17",
        lambda: rough()
        + [posted(100 + n, 24_000.0 + n, status=503, token=2) for n in range(60)],
        {"I17"},
    ),
    "it never drains": (
        "I18", lambda: changed(clean(), is_quiet, drained=False, lag={"t-0": 3}), {"I18"},
    ),
    "it is not ready in the end": (
        "I18",
        lambda: changed(
            clean(), lambda r: isinstance(r, Ready) and r.at_ms == 200_100.0, status=503
        ),
        {"I18"},
    ),
    "it holds records, is ready, and does nothing": (
        "I18",
        lambda: clean()
        + [scrape(at_ms, consumed=6, in_flight=1) for at_ms in range(300_000, 400_000, 20_000)],
        {"I18"},
    ),
    "an exit that is not documented": (
        "I19", lambda: changed(clean(), is_life("c.1", Exit), code=3), {"I19"},
    ),
    "it died unasked": (
        "I19", lambda: changed(clean(), is_life("c.1", Exit), how="died"), {"I19"},
    ),
    "a drain that ran out of time without trouble": (
        "I19", lambda: changed(clean(), is_life("c.1", Exit), code=1), {"I19"},
    ),
    "exit 0 with an end that was not committed": (
        "I19", lambda: without(clean(), is_commit(3)), {"I19", "I23"},
    ),
    "books that do not balance": (
        "I20", lambda: [*clean(), scrape(2_000.0, consumed=6)], {"I20"},
    ),
    "a counter that goes back": (
        "I20", lambda: changed(
            clean(), lambda r: isinstance(r, Scrape) and r.at_ms == 1_500.0, counters={}
        ),
        {"I20"},
    ),
    "a secret in the log": (
        "I21", lambda: [*clean(), Scanned(where="log", bytes=1, leaks=["secret"])], {"I21"},
    ),
    "a replayed record without an end": (
        "I22", lambda: without(rough(), lambda r: is_letter(r) and r.replay_count == 1), {"I22"},
    ),
    "a replay that moves the live offsets": (
        "I22", lambda: [*rough(), commit(3, 40_600.0, 6), commit(8, 42_000.0, 7)], {"I3", "I22"},
    ),
    "it waits for a gap": (
        "I23",
        lambda: changed(without(clean(), is_life("c.1", Exit)), is_commit(3), offset=4),
        {"I23"},
    ),
    "a record behind a gap is skipped": (
        "I23", lambda: without(clean(), is_acceptance(4)), {"I1", "I2", "I23"},
    ),
    "a filter that nobody named": (
        "I24",
        lambda: changed(clean(), lambda r: isinstance(r, Scrape), filtered={"other": 1}),
        {"I24"},
    ),
    "a record is filtered and not counted": (
        "I24", lambda: changed(clean(), lambda r: isinstance(r, Scrape), filtered={}), {"I24"},
    ),
}  # fmt: skip


def test_the_whole_history_holds_and_what_it_lacks_is_not_observed() -> None:
    ran, died = check(History(clean())), check(History(rough()))

    assert [str(verdict) for verdict in ran.broken + died.broken] == []
    assert ran.unobserved(NAMES) == ["I10", "I13", "I17", "I22"]
    assert died.unobserved(NAMES) == ["I7"]


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_an_invariant_is_caught(case: str) -> None:
    name, rows, expected = BROKEN[case]

    found = broken(rows())

    assert name in expected
    assert found == expected


def test_every_invariant_has_a_case() -> None:
    assert {name for name, _, _ in BROKEN.values()} == set(NAMES)
    assert [judge.__name__.partition("_")[0].upper() for judge in INVARIANTS] == list(NAMES)


def test_an_empty_history_proves_nothing() -> None:
    report = check(History())

    assert report.observed == set()
    assert not report.passed(["I1"])
    assert report.unobserved(["I3", "I1"]) == ["I1", "I3"]
    assert "24 not observed" in str(report)


REVOKED_OPEN = Owned(instance="c.1", topic="t", partition=0, at_ms=600.0, what="revoked", open=1)

GIVEN_AWAY = Owned(instance="c.2", topic="t", partition=0, at_ms=600.0, what="assigned")

STOPPED = Owned(instance="c.1", topic="t", partition=0, at_ms=600.0, what="stopped")


@pytest.mark.parametrize(
    ("between", "explained"),
    [
        ([Owned(instance="c.1", topic="t", partition=0, at_ms=600.0, what="lost")], True),
        ([Owned(instance="c.1", topic="t", partition=1, at_ms=600.0, what="lost")], False),
        ([Owned(instance="c.1", topic="t", partition=0, at_ms=600.0, what="revoked")], False),
        ([REVOKED_OPEN], True),
        ([STOPPED], False),
        ([STOPPED, *fault(9, 500.0, 580.0, "kafka link reset", "outage", "kafka")], True),
        ([GIVEN_AWAY, *fault(9, 500.0, 580.0, "kafka link reset", "outage", "kafka")], True),
        ([GIVEN_AWAY], False),
        ([Taskdeath(instance="c.1", at_ms=600.0, status=-9)], True),
        (fault(9, 600.0, 650.0, "aep link reset", "outage", "answers"), True),
        (fault(9, 600.0, 650.0, "aep 503", "outage", "refusing"), False),
        (fault(9, 600.0, 650.0, "connector freeze", "freeze"), True),
        (fault(9, 600.0, 650.0, "connector term", "clean"), False),
        (fault(9, 2_600.0, 2_650.0, "connector kill", "crash"), False),
    ],
)  # fmt: skip
def test_only_what_lost_something_explains_a_repeat(between: Rows, explained: bool) -> None:
    report = check(History([*clean(), *between, came(5, 5, 900.0)]))

    unexplained = [verdict for verdict in report.broken if verdict.name == "I6"]
    assert (unexplained == []) is explained
    sums = report.sums
    assert (sums.repeated_explained, sums.repeated_unexplained) == (explained, not explained)


@pytest.mark.parametrize(
    ("took_s", "trouble", "allowed"),
    [(5, [], False), (26, [], True), (5, ["outage"], True), (5, ["clean"], False)],
)
def test_a_stop_ends_with_1_only_when_its_time_ran_out_or_there_was_trouble(
    took_s: int, trouble: list[str], allowed: bool
) -> None:
    since_ms = 200_200.0
    rows = changed(clean(), is_life("c.1", Exit), code=1, at_ms=since_ms + took_s * 1_000)
    on = fault(9, since_ms + 100, since_ms + 200, "trouble", *trouble) if trouble else []

    assert broken([*rows, *on]) == (set() if allowed else {"I19"})


@pytest.mark.parametrize(("answered", "allowed"), [(0, True), (503, False)])
def test_only_a_process_that_never_answered_ends_by_the_signal_itself(
    answered: int, allowed: bool
) -> None:
    rows: Rows = [
        Started(instance="c.9", at_ms=9_000.0),
        Ready(instance="c.9", at_ms=9_500.0, status=answered),
        Exit(instance="c.9", at_ms=10_050.0, code=-signal.SIGTERM, how="term", since_ms=10_000.0),
    ]

    assert ("I19" in broken([*clean(), *rows])) is not allowed


def test_undecided_letters_may_stand_beside_an_acceptance_that_nobody_told() -> None:
    rows = changed(clean(), is_acceptance(4), told=False)
    rows = changed(rows, is_record(5), fate="dead_letter", why=["delivery.poison"])

    found = broken([*rows, letter(offset=5, code="delivery.poison", key="cc", digest="v5")])

    assert found == set()


@pytest.mark.parametrize(("frozen", "expected"), [(True, set()), (False, {"I4"})])
def test_who_was_frozen_hears_late_that_its_partitions_went(
    frozen: bool, expected: set[str]
) -> None:
    rows = [
        *without(rough(), is_going),
        Started(instance="c.3", at_ms=50_000.0),
        Owned(instance="c.3", topic="t", partition=0, at_ms=50_000.0, what="assigned"),
        Owned(instance="c.2", topic="t", partition=0, at_ms=56_000.0, what="revoked"),
        Owned(instance="c.3", topic="t", partition=0, at_ms=57_000.0, what="revoked"),
        *(fault(3, 44_000.0, 50_500.0, "connector freeze", "freeze") if frozen else ()),
    ]

    assert broken(rows) & {"I4"} == expected


@pytest.mark.parametrize(
    ("kind", "code", "exact"),
    [
        ("aep reset", "delivery.no_verdict", True),
        ("aep reset", "delivery.refused", False),
        ("ims away", "delivery.no_verdict", False),
    ],
)
def test_poison_among_answers_that_broke_off_may_have_had_no_verdict(
    kind: str, code: str, exact: bool
) -> None:
    rows = changed(
        changed(clean(), is_letter, code=code),
        lambda row: isinstance(row, Produced) and row.fate == "dead_letter",
        why=["delivery.poison"],
    )

    found = broken([*rows, *fault(1, 100.0, 500.0, kind, "answers")])

    assert ("I12" not in found) is exact


def test_one_event_that_came_twice_is_no_repeat() -> None:
    again = replace(good(6, "cc"), event_id="e5", messages={"event": ["e5"]})

    report = check(History([*clean(), again, came(5, 5, 900.0), commit(7, 1_100.0, 4)]))

    assert report.broken == []
    assert report.sums.repeated_explained == 0


def test_the_sums_are_those_of_the_history() -> None:
    lost: Report = check(History(without(clean(), is_acceptance(4))))

    assert str(lost.sums) == (
        "produced 5, delivered 2, filtered 1, dead-lettered 1 (expected 1), lost 1, "
        "repeated 0 explained and 0 not"
    )


def test_a_history_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    rows = [*rough(), Refused(order=9, request=9, inlet="event", id="x", at_ms=0.0, status=400)]
    written = History(rows, file=file)
    written.close()

    again = read(file)

    assert len(again) == len(written) == len(rows)
    assert str(check(again)) == str(check(written))
