"""The schemas folder: ours, an operator's over it, and what is wrong with either."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.schemas.folder import SchemaFolder, builtin_directory
from processor.settings import SchemasSettings, TargetSettings

Write = Callable[[str, Any], Path]
EVENT = {"type": "record", "name": "Points", "fields": [{"name": "eventName", "type": "string"}]}


def target(**more: Any) -> TargetSettings:
    return TargetSettings(
        **{"inlet_id": "i", "dataset_id": "d", "schema_id": "https://ns.adobe.com/t/s/1"} | more
    )


def problems(settings: SchemasSettings) -> str:
    with pytest.raises(Misconfigured) as caught:
        SchemaFolder.load(settings)
    assert caught.value.reason == "schemas"
    return str(caught.value)


def test_a_folder_gives_its_events_self_contained(own: SchemasSettings, directory: Path) -> None:
    folder = SchemaFolder.load(own)

    event = folder.events["pointsIssued"]
    assert list(folder.events) == ["customerAdded", "pointsIssued", "tierRenewed"]
    assert event.folder == directory / "pointsIssued"
    assert event.mapping_files == {"event": directory / "pointsIssued" / "to-event.json"}
    assert event.xdm == {"event": {"mapping": "to-event.json"}}
    data = event.avro["fields"][5]["type"]["fields"]
    assert data[4]["type"]["items"]["fields"][0]["name"] == "key"
    assert data[5]["type"] == ["null", "com.capillarytech.events.common.KeyValue"]


def test_our_own_folder_loads() -> None:
    folder = SchemaFolder.load(SchemasSettings())

    assert {"pointsIssued", "customerAdded", "transactionAdded"} <= set(folder.events)
    assert all(event.folder.parent == builtin_directory() for event in folder.events.values())


def test_shared_types_may_use_each_other(own: SchemasSettings, write: Write) -> None:
    shared = {"type": "record", "namespace": "c", "fields": []}
    write("common/A.avsc", {**shared, "name": "A", "fields": [{"name": "b", "type": "B"}]})
    write("common/B.avsc", {**shared, "name": "B", "fields": [{"name": "x", "type": "int"}]})
    fields = [{"name": "b", "type": "c.B"}, {"name": "a", "type": ["null", "c.A"]}]
    write("cardUpdated/event.avsc", {"type": "record", "name": "Card", "fields": fields})

    card = SchemaFolder.load(own).events["cardUpdated"]

    event = {"b": {"x": 1}, "a": {"b": {"x": 2}}}
    assert card.parsed.read(card.parsed.write(event)) == event


def test_shared_types_that_go_in_circles_are_refused(own: SchemasSettings, write: Write) -> None:
    record = {"type": "record", "namespace": "c", "name": "A"}
    write("common/A.avsc", {**record, "fields": [{"name": "a", "type": ["null", "c.A"]}]})
    path = write(
        "cardUpdated/event.avsc",
        {"type": "record", "name": "Card", "fields": [{"name": "a", "type": "c.A"}]},
    )

    assert problems(own) == f"{path}: The Avro schema is refused: it is recursive."


def test_an_operators_event_replaces_ours_whole_and_others_stay(
    directory: Path, write: Write
) -> None:
    write("pointsIssued/event.avsc", EVENT)
    write("pointsIssued/to-mine.json", {"mappings": []})

    folder = SchemaFolder.load(SchemasSettings(directory=directory))

    assert folder.events["pointsIssued"].folder == directory / "pointsIssued"
    assert list(folder.events["pointsIssued"].mapping_files) == ["mine"]
    assert folder.events["customerAdded"].folder.parent == builtin_directory()


def test_an_operators_event_may_use_our_shared_types_and_replace_them_for_itself(
    directory: Path, write: Write
) -> None:
    till = "com.capillarytech.events.common.Till"
    fields = [{"name": "till", "type": till}]
    write("cardUpdated/event.avsc", {"type": "record", "name": "Card", "fields": fields})
    ours = SchemaFolder.load(SchemasSettings(directory=directory))

    write("common/Till.avsc", {"type": "enum", "name": till, "symbols": ["ONE"]})
    both = SchemaFolder.load(SchemasSettings(directory=directory))

    def kind(folder: SchemaFolder) -> str:
        return folder.events["cardUpdated"].parsed.type.fields[0].type.kind

    assert (kind(ours), kind(both)) == ("record", "enum")
    assert both.events["customerAdded"].avro == ours.events["customerAdded"].avro


def test_without_ours_only_the_operators_events_are_there(own: SchemasSettings) -> None:
    assert "transactionAdded" not in SchemaFolder.load(own).events


def test_older_versions_have_to_resolve(
    own: SchemasSettings, write: Write, points_issued: dict[str, Any]
) -> None:
    older = copy.deepcopy(points_issued)
    older["fields"][2]["type"] = "int"
    write("pointsIssued/versions/1.avsc", older)
    assert len(SchemaFolder.load(own).events["pointsIssued"].versions) == 1

    older["fields"][2]["type"] = "string"
    path = write("pointsIssued/versions/1.avsc", older)

    assert f"{path}: The writer's schema has string at /orgId" in problems(own)


def test_every_problem_is_said_with_its_file(
    own: SchemasSettings, write: Write, directory: Path
) -> None:
    paths = [
        write("common/ZAgain.avsc", {"name": "com.capillarytech.events.common.KeyValue"}),
        write("common/Nameless.avsc", {"type": "string"}),
        write("a/event.avsc", '{\n "type": }'),
        write("b/event.avsc", {**EVENT, "name": "B", "xdm": []}),
        write("c/event.avsc", {**EVENT, "fields": [{"name": "x", "type": "Unheard"}]}),
        write("d/event.avsc", []),
        write("z/event.avsc", {**EVENT, "name": "com.capillarytech.events.PointsIssued"}),
        write("g/versions/1.avsc", EVENT).parent.parent,
    ]
    (directory / "h").mkdir()
    (directory / "h" / "event.avsc").write_bytes(b"\xff\xfe")
    (directory / ".hidden").mkdir()

    said = problems(own).splitlines()

    expected = [*paths, directory / "h" / "event.avsc"]
    assert len(said) == len(expected)
    assert all(any(line.startswith(str(path)) for line in said) for path in expected)
    assert any(line.startswith(f"{paths[2]}:2:10: not JSON") for line in said)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (SchemasSettings(directory=Path("/nowhere")), "/nowhere is not a directory"),
        (SchemasSettings(builtin=False), "schemas.directory is not set"),
    ],
)
def test_settings_without_a_folder_are_refused(settings: SchemasSettings, expected: str) -> None:
    assert expected in problems(settings)


def test_a_folder_without_events_is_refused(directory: Path, write: Write) -> None:
    write("xdm/event.json", {})

    assert "holds no event" in problems(SchemasSettings(directory=directory, builtin=False))


def test_an_xdm_schema_that_the_settings_name_is_the_tenants(
    own: SchemasSettings, tmp_path: Path
) -> None:
    path = tmp_path / "exported.json"
    path.write_text('{"$id": "x"}')

    found = SchemaFolder.load(own).xdm_schema("event", target(xdm_schema=str(path)))

    assert (found.document, found.source, found.tenant_owned) == ({"$id": "x"}, path, True)


def test_an_xdm_schema_is_found_by_its_id_in_the_operators_folder_first(
    own: SchemasSettings, write: Write
) -> None:
    write("xdm/other.json", {"$id": "https://ns.adobe.com/other/schemas/2"})
    path = write("xdm/whatever.json", {"$id": "https://ns.adobe.com/t/s/1"})

    found = SchemaFolder.load(own).xdm_schema("event", target())

    assert (found.source, found.tenant_owned) == (path, True)


def test_else_it_is_ours_of_the_targets_name(directory: Path, write: Write) -> None:
    write("xdm/event.json", {"$id": "https://ns.adobe.com/other/schemas/2"})
    folder = SchemaFolder.load(SchemasSettings(directory=directory))

    found = folder.xdm_schema("event", target())
    by_id = folder.xdm_schema("mine", target(schema_id=found.document["$id"]))

    assert found.source == by_id.source == builtin_directory() / "xdm" / "event.json"
    assert not found.tenant_owned
    assert not by_id.tenant_owned


def test_an_operators_schema_without_an_id_is_taken_by_its_name(
    own: SchemasSettings, write: Write
) -> None:
    path = write("xdm/event.json", {"type": "object"})

    found = SchemaFolder.load(own).xdm_schema("event", target())

    assert (found.source, found.tenant_owned) == (path, True)


def test_a_target_without_an_xdm_schema_is_the_set_ups_fault(own: SchemasSettings) -> None:
    folder = SchemaFolder.load(own)

    with pytest.raises(Misconfigured, match=r"targets\.unheard\.xdm_schema"):
        folder.xdm_schema("unheard", target())
    with pytest.raises(Misconfigured, match=r"/nowhere\.json: it cannot be read"):
        folder.xdm_schema("event", target(xdm_schema="/nowhere.json"))
