"""Invariants of bounds, tokens, retries, liveness, books and silence: I15-I18, I20, I21 (pure)."""

import math
from itertools import pairwise

from tests.rig.history import Quiet, Ready, Scanned, Started
from tests.rig.index import Index
from tests.rig.verdict import Found, invariant

SETTLE_MS = 3_000.0
"""After the begin of an outage, requests that were on their way are answered first."""

PROBES_PER_S = 4.0
PROBES_FREE = 12
"""With a back-off of at most a second and full jitter a probe goes out twice a second."""

HTTP_OK = 200
REFUSING = {429, 500, 502, 503, 504}
TOKEN_REFUSED = {401, 403}


@invariant("records and requests in flight, sizes and memory stay below their bounds")
def i15_bounded(index: Index) -> Found:
    setup, problems, looked_at = index.setup, [], 0
    for instance, scrapes in index.scrapes.items():
        for scrape in scrapes:
            looked_at += 1
            held = sum(books["in_flight"] for books in scrape.books.values())
            most = setup.cap * setup.tasks
            if setup.cap and held > most:
                problems.append(f"{instance} held {held} records, more than {most}")
            if setup.rss_mb and scrape.rss_mb > setup.rss_mb:
                problems.append(
                    f"{instance} took {scrape.rss_mb:.0f} MiB, more than {setup.rss_mb:.0f}"
                )
    undisturbed = not index.spans_with("crash", "freeze", "answers")
    for row in index.posted:
        if row.door != "batch":
            continue
        looked_at += 1
        if row.messages > setup.messages or row.bytes > setup.request_bytes:
            problems.append(f"request {row.request}: {row.messages} messages, {row.bytes} bytes")
        tasks = sum(life.meets(row.at_ms, row.at_ms) for life in index.lives.values()) * setup.tasks
        if undisturbed and tasks and row.in_flight > setup.requests * tasks:
            problems.append(f"request {row.request} was one of {row.in_flight} at once")
    return looked_at, problems


@invariant("one token request at a time, one for each refused token, and no token past its end")
def i16_tokens(index: Index) -> Found:
    asked = [row for row in index.posted if row.door == "ims"]
    lives = sum(row.tasks for row in index.history.of(Started)) + sum(
        span.kind == "death" for span in index.spans
    )
    problems = [
        f"token request {row.request} was one of {row.in_flight} at once"
        for row in asked
        if lives and row.in_flight > lives
    ]
    of_tokens = index.spans_with("tokens")
    refused = [row for row in index.posted if row.door == "batch" and row.status in TOKEN_REFUSED]
    problems += [
        f"request {row.request} was sent with a token that was refused ({row.status})"
        for row in refused
        if not of_tokens
    ]
    bought = [row for row in asked if row.status == HTTP_OK]
    lost = sum(not row.told for row in asked)
    most = lives + len({row.token for row in refused}) + lost
    # On a spoiled way to IMS an answer may be lost that the simulator takes for given.
    if lives and len(bought) > most and not any("ims" in span.kind for span in of_tokens):
        problems.append(f"{len(bought)} tokens were bought by {lives} tasks, at most {most} needed")
    return len(asked), problems


@invariant("while a door refuses everything, it is only probed")
def i17_retries(index: Index) -> Found:
    problems, looked_at = [], 0
    for span in index.spans_with("refusing"):
        begin_ms = span.during.begin_ms + SETTLE_MS
        end_ms = min(span.during.end_ms, index.end_ms)
        if end_ms <= begin_ms:
            continue
        door = "ims" if "ims" in span.kind else "batch"
        counts: dict[str, int] = {}
        for row in index.posted:
            if row.door == door and row.status in REFUSING and begin_ms <= row.at_ms <= end_ms:
                counts[row.inlet] = counts.get(row.inlet, 0) + 1
        tasks = index.setup.tasks * sum(
            life.meets(begin_ms, end_ms) for life in index.lives.values()
        )
        most = max(1, tasks) * (PROBES_FREE + PROBES_PER_S * (end_ms - begin_ms) / 1000)
        looked_at += 1
        problems += [
            f"{span.kind}: {count} requests to {inlet or door} in "
            f"{(end_ms - begin_ms) / 1000:.0f} s, more than {most:.0f}"
            for inlet, count in counts.items()
            if count > most
        ]
    return looked_at, problems


@invariant("once faults end everything drains, and nobody is idle without saying why")
def i18_liveness(index: Index) -> Found:
    problems = []
    quiets = index.history.of(Quiet)
    for quiet in quiets:
        if not quiet.drained:
            lag = {place: count for place, count in quiet.lag.items() if count}
            problems.append(f"not drained within {quiet.waited_s:.0f} s: {lag}")
    states: dict[str, list[Ready]] = {}
    for row in sorted(index.history.of(Ready), key=lambda row: row.at_ms):
        states.setdefault(row.instance, []).append(row)
    for instance, rows in states.items():
        ended = index.exits.get(instance)
        until_ms = math.inf if ended is None else ended.since_ms
        before = [row for row in rows if row.at_ms < until_ms]
        if quiets and until_ms >= index.end_ms and (not before or before[-1].status != HTTP_OK):
            reasons = list(before[-1].reasons) if before else []
            problems.append(f"{instance} is not ready at the end: {reasons}")
    for instance, rows in states.items():
        problems += _idle(index, instance, rows)
    return len(quiets), problems


def _idle(index: Index, instance: str, rows: list[Ready]) -> list[str]:
    """Times in which an instance had work, was ready, and brought nothing to an end."""
    unready = [row.at_ms for row in rows if row.status != HTTP_OK]
    since_ms, done, problems = None, -1, []
    for scrape in index.scrapes.get(instance, ()):
        held = sum(books["in_flight"] for books in scrape.books.values())
        ended = sum(books["consumed"] - books["in_flight"] for books in scrape.books.values())
        if not held or ended != done or since_ms is None:
            since_ms, done = scrape.at_ms, ended
        elif scrape.at_ms - since_ms > index.setup.liveness_s * 1000:
            if not any(since_ms <= at_ms <= scrape.at_ms for at_ms in unready):
                seconds = (scrape.at_ms - since_ms) / 1000
                problems.append(
                    f"{instance} was ready and held {held} records idle for {seconds:.0f} s"
                )
            since_ms = scrape.at_ms
    return problems


@invariant("the books balance at every scrape, and no counter goes back")
def i20_accounting(index: Index) -> Found:
    problems, looked_at = [], 0
    for instance, scrapes in index.scrapes.items():
        for scrape in scrapes:
            for place, books in scrape.books.items():
                looked_at += 1
                ended = sum(
                    books[name] for name in ("delivered", "dead_lettered", "filtered", "released")
                )
                if books["consumed"] != ended + books["in_flight"]:
                    problems.append(f"{instance}, {place}: {dict(books)} does not balance")
        for earlier, later in pairwise(scrapes):
            for place, books in earlier.books.items():
                after = later.books.get(place, {})
                problems += [
                    f"{instance}, {place}: {name} went from {count} to {after.get(name)}"
                    for name, count in books.items()
                    if name != "in_flight" and after.get(name, -1) < count
                ]
            problems += [
                f"{instance}: {name} went from {value:g} to {later.counters.get(name)}"
                for name, value in earlier.counters.items()
                if later.counters.get(name, -1.0) < value
            ]
    return looked_at, problems


@invariant("no secret, token or customer's address is printed")
def i21_silence(index: Index) -> Found:
    scanned = index.history.of(Scanned)
    return sum(row.bytes for row in scanned), [
        f"{row.where}: {leak}" for row in scanned for leak in row.leaks
    ]
