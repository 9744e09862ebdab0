"""What a new Avro version changes, and which rows of mapping sets it breaks."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.operations.schemas.context import Context
from processor.operations.schemas.diff import Difference, diff
from processor.schemas.folder import builtin_directory

EVENT = "pointsIssued"
Versions = Callable[[Callable[[dict[str, Any]], object]], Difference]


def data_of(document: Any) -> Any:
    """The record of the field ``data``."""
    field = next(field for field in document["fields"] if field["name"] == "data")
    return next(b for b in [field["type"], *field["type"]] if isinstance(b, dict) and "fields" in b)


def field_of(record: Any, name: str) -> Any:
    return next(field for field in record["fields"] if field["name"] == name)


def without(record: Any, name: str) -> None:
    record["fields"].remove(field_of(record, name))


@pytest.fixture
def changed(tmp_path: Path) -> Versions:
    """The difference that a change of our own schema makes."""

    def compare(change: Callable[[dict[str, Any]], object]) -> Difference:
        document = json.loads((builtin_directory() / EVENT / "event.avsc").read_text())
        change(document)
        path = tmp_path / "new.avsc"
        path.write_text(json.dumps(document))
        return diff(Context.of(None), EVENT, str(path))

    return compare


def test_the_same_version_differs_in_nothing() -> None:
    found = diff(Context.of(None), EVENT, str(builtin_directory() / EVENT / "event.avsc"))

    assert (found.event, found.changes, found.breaks, found.bad) == (EVENT, (), (), False)


def test_a_field_that_comes_with_a_default_breaks_nothing(changed: Versions) -> None:
    added = {"name": "channel", "type": ["null", "string"], "default": None}

    found = changed(lambda document: data_of(document)["fields"].append(added))

    assert list(map(str, found.changes)) == ["added    data.channel: string or null"]
    assert not found.bad


def test_a_field_that_goes_breaks_the_rows_that_read_it(changed: Versions) -> None:
    found = changed(lambda document: without(document, "eventLogId"))

    assert list(map(str, found.changes)) == ["removed  eventLogId: long or null"]
    assert found.unreadable == ""
    mappings = json.loads((builtin_directory() / EVENT / "to-event.json").read_text())["mappings"]
    reading = [n for n, row in enumerate(mappings, 1) if "eventLogId" in str(row["source"])]
    assert len(reading) == 2
    assert [(one.target, one.row) for one in found.breaks] == [("event", row) for row in reading]
    assert "no field 'eventLogId'" in found.breaks[0].message


def test_a_field_of_another_type_breaks_rows_and_cannot_be_read_as_ours(changed: Versions) -> None:
    def change(document: Any) -> None:
        field = field_of(data_of(document), "totalPointsIssued")
        field |= {"type": "string", "default": ""}

    found = changed(change)

    assert [(c.what, c.path, c.new) for c in found.changes] == [
        ("changed", "data.totalPointsIssued", "string")
    ]
    assert "string at /data/totalPointsIssued, where ours has null or double" in found.unreadable
    assert [one.message for one in found.breaks] == [
        "loyalty.pointsGained[0].value: the row gives text, the XDM schema has a number"
    ]


@pytest.mark.parametrize("kind", ["string", "boolean", {"type": "array", "items": "double"}])
def test_an_optional_field_of_another_type_cannot_be_read_as_ours(
    changed: Versions, kind: Any
) -> None:
    def change(document: Any) -> None:
        field_of(data_of(document), "loyaltyProgramId")["type"] = ["null", kind]

    found = changed(change)

    named = kind if isinstance(kind, str) else "array"
    assert f"has {named} at /data/loyaltyProgramId, where ours has null or long" in found.unreadable
    assert "has long at /data/loyaltyProgramId, where ours has null or" in found.old_unreadable
    assert found.bad


def test_every_field_that_cannot_be_read_is_named_within_lists_too(changed: Versions) -> None:
    def change(document: Any) -> None:
        data = data_of(document)
        field_of(data, "totalPointsIssued")["type"] = ["null", "string"]
        inner = field_of(data, "regularPointsBreakup")["type"][1]["items"]
        field_of(inner, "expiryAt")["type"] = ["null", "long"]

    found = changed(change)

    assert "/data/totalPointsIssued" in found.unreadable
    assert "has long at /data/regularPointsBreakup/*/expiryAt" in found.unreadable


def test_a_field_that_may_be_null_no_more_shuts_out_old_records_with_null(
    changed: Versions,
) -> None:
    def change(document: Any) -> None:
        field_of(data_of(document), "loyaltyProgramId").update(type="long", default=0)

    found = changed(change)

    assert not found.bad
    assert "has null at /data/loyaltyProgramId, where ours has long" in found.old_unreadable


def test_a_promoted_type_breaks_nothing(changed: Versions) -> None:
    def change(document: Any) -> None:
        field = field_of(data_of(document), "totalPointsIssued")
        field |= {"type": "int", "default": 0}

    found = changed(change)

    assert [c.what for c in found.changes] == ["changed"]
    assert not found.bad


def test_a_field_without_a_default_is_said_to_shut_old_records_out(changed: Versions) -> None:
    added = {"name": "channel", "type": "string"}

    found = changed(lambda document: data_of(document)["fields"].append(added))

    assert not found.bad
    assert "channel" in found.old_unreadable


def test_versions_of_the_folder_are_named_by_event_and_version(tmp_path: Path) -> None:
    shutil.copytree(builtin_directory() / EVENT, tmp_path / EVENT)
    (tmp_path / EVENT / "versions").mkdir()
    document = json.loads((tmp_path / EVENT / "event.avsc").read_text())
    without(document, "apiRequestId")
    (tmp_path / EVENT / "versions" / "2024.avsc").write_text(json.dumps(document))
    context = Context.of(None, tmp_path)

    found = diff(context, f"{EVENT}@2024", EVENT)

    assert [(c.what, c.path) for c in found.changes] == [("added", "apiRequestId")]
    assert not found.bad
    assert [one.row for one in diff(context, EVENT, f"{EVENT}@2024").breaks]
    with pytest.raises(Misconfigured, match=r"no version 1.*2024"):
        diff(context, f"{EVENT}@1", EVENT)


def test_a_record_that_no_event_has_is_compared_all_the_same(tmp_path: Path) -> None:
    record = {"type": "record", "name": "Other", "fields": [{"name": "a", "type": "int"}]}
    (tmp_path / "a.avsc").write_text(json.dumps(record))
    (tmp_path / "b.avsc").write_text(json.dumps({**record, "fields": []}))
    context = Context.of(None)

    found = diff(context, str(tmp_path / "a.avsc"), str(tmp_path / "b.avsc"))
    named = diff(context, str(tmp_path / "a.avsc"), str(tmp_path / "b.avsc"), event=EVENT)

    assert (found.event, found.bad, len(found.changes)) == (None, False, 1)
    assert (named.event, named.bad) == (EVENT, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "cannot be read"), ('"int"', "is refused"), (None, "neither an Avro file nor an event")],
)
def test_what_is_no_version_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "new.avsc"
    if content is not None:
        path.write_text(content)

    with pytest.raises(Misconfigured, match=said):
        diff(Context.of(None), EVENT, str(path))


def test_what_the_old_version_did_not_serve_either_is_no_break(tmp_path: Path) -> None:
    document = json.loads((builtin_directory() / EVENT / "event.avsc").read_text())
    without(document, "refId")
    (tmp_path / "old.avsc").write_text(json.dumps(document))
    without(document, "apiRequestId")
    (tmp_path / "new.avsc").write_text(json.dumps(document))

    found = diff(Context.of(None), str(tmp_path / "old.avsc"), str(tmp_path / "new.avsc"))

    assert found.breaks
    assert all("apiRequestId" in one.message for one in found.breaks)
