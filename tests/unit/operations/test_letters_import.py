"""Lines of an export, read back."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Code, Misconfigured
from processor.kafka.letter import Letter
from processor.operations.letters import importing as letters_import
from processor.operations.letters.export import check_format, raw_of
from processor.operations.letters.importing import Broken, check_file, read_line
from processor.operations.reading import Reader
from processor.record import Position, Record
from processor.settings import Settings

LETTER = Letter(
    source=Position("events", 0, 1), source_timestamp_ms=5, key=b"\x00\xff", value=None,
    headers=[("own", b"\xff"), ("own", None), ("", b"")], connector="ours", task_id="0",
    code=Code.GATE_VIOLATION, class_name="", exception_class_name="", message="m", stacktrace="s",
    fingerprint="ab", targets=("event",), event_id="e", event_name="pointsIssued", schema_id="7",
    attempts=0, http_status=None, xaction_id=None, errors=(), failed_at="", replay_id=None,
    replay_count=0, version="1",
)  # fmt: skip
RECORD = Record("events.dlq", 3, 9, 77, LETTER.key, LETTER.value, LETTER.all_headers())
RAW = raw_of(RECORD)
SETTINGS = Settings.model_validate(
    {
        "name": "ours",
        "kafka": {"bootstrap_servers": "b:1", "topics": ["events"]},
        "ims": {"client_id": "c"},
        "experience_platform": {"org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg", "tenant": "t"},
    }
)


def line(**changes: Any) -> bytes:
    return json.dumps({**RAW, **changes}).encode()


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_record_comes_back_byte_for_byte(*, wrapped: bool) -> None:
    document = {"topic": "shown", "key": "shown", "headers": [], "raw": RAW} if wrapped else RAW

    record, letter = read_line(json.dumps(document).encode())

    assert (record.topic, record.partition, record.timestamp_ms) == ("events.dlq", 3, 77)
    assert (record.key, record.value) == (RECORD.key, RECORD.value)
    assert list(record.headers) == list(RECORD.headers)
    assert letter.fingerprint == "ab"


def test_it_may_go_to_another_topic() -> None:
    assert read_line(line(), "more.dlq")[0].topic == "more.dlq"


WITHOUT_VALUE = {name: content for name, content in RAW.items() if name != "value"}
BROKEN: dict[str, bytes] = {
    "no JSON": b"{",
    "exported with --reveal": b'{"topic": "events.dlq", "value": {"bytes": 3}}',
    "no dead letter that was exported": b"[]",
    "exported masked and does not hold": line(key="sha256:00112233 (9 bytes)", fingerprint="ab"),
    "headers is no list": line(headers="x"),
    "a header has no name": line(headers=[{"value": None}]),
    "topic is no name": line(topic="../x"),
    "partition is no number": line(partition=-1),
    "timestamp_ms is no number": line(timestamp_ms=True),
    "key is not base64": line(key="a"),
    "value is not base64": line(value="!!!!"),
    "value is missing": json.dumps(WITHOUT_VALUE).encode(),
    "not those of a dead letter": line(headers=RAW["headers"][:3]),
}


@pytest.mark.parametrize("why", BROKEN)
def test_a_line_that_is_broken_says_why(why: str) -> None:
    with pytest.raises(Broken, match=why):
        read_line(BROKEN[why])


def test_broken_lines_are_named_by_number_and_nothing_more_is_kept_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "topics", lambda _self: {"events.dlq": 2})
    path = tmp_path / "letters.jsonl"
    not_ours = line(topic="events")
    path.write_bytes(b"\n".join([line(), b"", b"{\x1b[2J", not_ours, *[b"x"] * 30, line()]))

    with pytest.raises(Misconfigured) as raised:
        check_file(SETTINGS, path, None, lambda _done: None)

    said = str(raised.value)
    assert "line 3: it is no JSON" in said
    assert "line 4: events is no dead-letter topic of this connector" in said
    assert said.count("line ") == letters_import.BROKEN_SHOWN
    assert "22 more" in said


def test_a_sound_file_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "topics", lambda _self: {"events.dlq": 2})
    path = tmp_path / "letters.jsonl"
    path.write_bytes(line() + b"\n" + line(partition=1) + b"\n\n" + line(topic="events.dlq"))
    looked_at: list[int] = []

    found = check_file(SETTINGS, path, None, looked_at.append)

    assert (found.count, found.homeless, found.missing) == (3, 2, ())
    assert looked_at[-1] == path.stat().st_size - 1
    assert found.sources == {"events.dlq": "events"}


def test_topics_and_files_that_are_not_ours_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reader, "topics", lambda _self: {})
    with pytest.raises(Misconfigured, match="no dead-letter topic"):
        check_file(SETTINGS, tmp_path / "f", "events", lambda _done: None)
    with pytest.raises(Misconfigured, match="cannot be read"):
        check_file(SETTINGS, tmp_path / "f", None, lambda _done: None)
    monkeypatch.setattr(letters_import, "LINE_BYTES", 50)
    (tmp_path / "f").write_bytes(line())
    with pytest.raises(Misconfigured, match="longer than any"):
        check_file(SETTINGS, tmp_path / "f", None, lambda _done: None)


def test_raw_needs_to_be_revealed() -> None:
    with pytest.raises(Misconfigured, match="raw holds customers' data"):
        check_format("raw", reveal=False)
    with pytest.raises(Misconfigured, match="is one of jsonl, raw"):
        check_format("csv", reveal=True)
    check_format("raw", reveal=True)
    assert base64.b64decode(RAW["key"]) == LETTER.key
