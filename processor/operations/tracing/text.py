"""One record's story as lines of text for a terminal; escaping is left to what prints them."""

from collections.abc import Iterator
from typing import Any

from processor.operations.letters.text import STORY, Line, content, today, violations
from processor.operations.tracing.trace import Trace

LABEL = 14
WHERE = {
    "ended": "has ended: below the committed offset",
    "ended_beyond": "has ended beyond the committed offset, by the commit's metadata",
    "open": "is open: at or beyond the committed offset",
    "no_commit": "nothing is committed for this partition",
    "not_consumed": "no topic of the connector, and nothing is committed for it",
    "not_written": "is not written yet",
    "unknown": "the partition is not there",
}
NOT_IN_A_LETTER = frozenset({"key", "event_name", "event_id", "schema_id", "connector"})
"""Said of the record already."""


def lines(trace: Trace, *, dump_bytes: int) -> Iterator[Line]:
    """Everything about one record.

    Args:
        trace: masked or revealed already.
        dump_bytes: of the value, at most, when it is revealed.
    """
    place = trace.place
    yield Line(f"Record {place.topic} {place.partition} {place.offset}", "bold")
    for note in trace.notes:
        yield Line(f"  {note}", "yellow")
    if trace.gone:
        yield Line(f"  {trace.gone}", "yellow")
    yield from _standing(trace)
    yield from _record(trace)
    yield from _letters(trace)
    if trace.record is not None:
        yield Line("")
        yield from content(trace.record["headers"], trace.record["value"], dump_bytes)
    if trace.event is not None or trace.today:
        yield Line("")
        yield from today(trace.event, trace.today)


def _standing(trace: Trace) -> Iterator[Line]:
    standing = trace.standing
    committed = "none" if standing["committed_offset"] is None else standing["committed_offset"]
    yield _pair("standing", WHERE[standing["where"]])
    yield _pair("committed", f"{committed}, of group {standing['group']}")
    if standing["metadata_ignored"]:
        yield _pair("", f"the commit's metadata is ignored: {standing['metadata_ignored']}")
    ending = trace.ending
    yield _pair("ending", f"{ending.word.replace('_', '-')}. {ending.because}")


def _record(trace: Trace) -> Iterator[Line]:
    record = trace.record
    if record is None:
        return
    yield _pair("time", record["timestamp"] or "none")
    yield _pair("key", "null" if record["key"] is None else record["key"])
    yield _pair("framing", _framing(record["framing"]))
    if record["framing"]["schema_name"]:
        yield _pair(
            "written with",
            f"{record['framing']['schema_name']}, CRC-64-AVRO "
            f"{record['framing']['schema_fingerprint']}",
        )
    if trace.today:
        yield _pair("today", " · ".join(map(_in_short, trace.today)))
    if trace.shown_from is not None:
        yield _pair("shown from", f"{trace.shown_from}, a dead letter that still holds it")


def _in_short(target: dict[str, Any]) -> str:
    match target["verdict"]:
        case "passes":
            limit = "" if target["limit_bytes"] is None else f" of {target['limit_bytes']}"
            return f"{target['target']} passes, {target['bytes']}{limit} bytes"
        case "filtered":
            return f"filtered: {target['reason']}"
        case _:
            return f"{target['target'] or 'before any target'} fails: {target['code']}"


def _framing(framing: dict[str, Any]) -> str:
    if framing["format"] is None:
        return framing["message"] or "not known"
    named = f", schema {framing['schema_id']}" if framing["schema_id"] else ""
    return f"{framing['format']}{named}"


def _letters(trace: Trace) -> Iterator[Line]:
    yield Line("")
    if not trace.letters:
        yield Line("No dead letter of this connector names it.", "bold")
        return
    yield Line(f"Dead letters: {len(trace.letters)}", "bold")
    for letter in trace.letters:
        yield Line(f"  {letter['topic']} {letter['partition']} {letter['offset']}", "bold")
        for label, name in STORY:
            value = letter[name]
            text = ", ".join(value) if isinstance(value, list) else value
            if name not in NOT_IN_A_LETTER and text not in (None, ""):
                yield _pair(label, text, "    ")
        if letter["holds_this_record"] is False:
            yield _pair("holds", "another record than the one that stands there now", "    ")
        yield _pair("resolution", letter["resolution"] or "open", "    ")
        yield from violations(letter["errors"], "    ")


def _pair(label: str, text: Any, indent: str = "  ") -> Line:
    return Line(f"{indent}{label:<{LABEL}} {text}")
