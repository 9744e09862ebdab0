"""``processor schemas``: what its commands print, and how they exit."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processor.schemas.avro import vet
from processor.schemas.folder import builtin_directory

Command = Callable[..., Any]


def lines(out: str) -> list[Any]:
    return [json.loads(line) for line in out.splitlines()]


def test_the_list_says_whose_each_event_is_and_what_it_has(
    command: Command, settings_file: Path
) -> None:
    people = command("schemas", "list", "--config", str(settings_file))
    programs = command("schemas", "list", "--json", "--config", str(settings_file))

    assert people.status == programs.status == 0
    assert people.out.splitlines()[0].split("\t") == [
        "EVENT", "FROM", "VERSIONS", "TARGETS (ROWS)", "CONFIGURED", "EXAMPLES",
    ]  # fmt: skip
    points = next(line for line in lines(programs.out) if line["event"] == "pointsIssued")
    assert (points["from"], points["configured"]) == ("builtin", ["event"])
    assert points["targets"].keys() == {"event", "loyalty"}
    assert all(points["targets"].values())
    assert "purchase" in points["examples"]


def test_show_says_where_each_field_goes_in_the_tenants_namespace(
    command: Command, settings_file: Path
) -> None:
    ours = command("schemas", "show", "pointsIssued")
    theirs = command("schemas", "show", "pointsIssued", "--json", "--config", str(settings_file))

    assert "data.totalPointsIssued\tdouble" in ours.out
    assert "_tenant.loyaltyEvent" in ours.out
    by_path = {line["path"]: line for line in lines(theirs.out)}
    assert by_path["orgId"]["xdm"]["event"] == ["_acme.loyaltyEvent.orgId"]
    assert by_path["data.totalPointsIssued"]["xdm"]["event"] == ["loyalty.pointsGained[0].value"]
    assert by_path["data.totalPointsIssued"]["doc"]


def test_show_avro_is_one_schema_that_needs_no_other_and_says_where_fields_go(
    command: Command,
) -> None:
    ran = command("schemas", "show", "transactionAdded", "--avro")

    schema = json.loads(ran.out)
    ours = json.loads((builtin_directory() / "transactionAdded" / "event.avsc").read_text())
    assert vet(schema).name == "com.capillarytech.events.TransactionAdded"
    assert schema["xdm"] == ours["xdm"]
    fields = {field["name"]: field for field in schema["fields"]}
    assert fields["createdAt"]["xdm"]["event"]
    assert "xdm" not in fields["eventName"]


def test_a_shared_type_says_where_its_fields_go_from_anywhere(command: Command) -> None:
    written = json.loads(command("schemas", "show", "pointsIssued", "--avro").out)

    def nodes(node: Any) -> Any:
        if isinstance(node, list):
            for one in node:
                yield from nodes(one)
        if isinstance(node, dict):
            yield node
            yield from nodes(list(node.values()))

    store = next(node for node in nodes(written) if node.get("name") == "Store")
    code = next(field for field in store["fields"] if field["name"] == "code")
    assert code["xdm"] == {"event": ["commerce.commerceScope.storeCode"]}


def test_an_unknown_event_is_a_usage_error(command: Command) -> None:
    ran = command("schemas", "show", "pointIssued")

    assert ran.status == 2
    assert "no event pointIssued" in ran.err
    assert "pointsIssued" in ran.err


def test_check_is_green_on_ours(command: Command) -> None:
    people, programs = command("schemas", "check"), command("schemas", "check", "--json")

    assert people.status == programs.status == 0
    assert people.out.splitlines()[-1].endswith("nothing wrong.")
    assert {line["verdict"] for line in lines(programs.out)} == {"ok"}


def test_check_exits_with_3_and_says_place_and_mend(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(builtin_directory() / "pointsIssued", folder / "pointsIssued")
    path = folder / "pointsIssued" / "to-loyalty.json"
    path.write_text(path.read_text().replace('"orgId"', '"orgid"'))

    people = command("schemas", "check", str(folder))
    programs = command("schemas", "check", str(folder), "--json")

    assert people.status == programs.status == 3
    assert f"{path}, row" in people.out
    assert "Correct the path, or add the field to event.avsc." in people.out
    (bad,) = [line for line in lines(programs.out) if line["verdict"] == "bad"]
    assert bad["event"] == "pointsIssued"
    (fault,) = bad["problems"]
    assert (fault["file"], fault["column"]) == (str(path), 1)


def test_a_folder_that_is_not_there_is_a_usage_error(command: Command) -> None:
    ran = command("schemas", "check", "/no/such/folder")

    assert ran.status == 2
    assert "/no/such/folder is not a directory" in ran.err


def test_diff_exits_with_3_when_a_mapped_path_breaks(command: Command, tmp_path: Path) -> None:
    document = json.loads((builtin_directory() / "pointsIssued" / "event.avsc").read_text())
    document["fields"] = [f for f in document["fields"] if f["name"] != "refId"]
    path = tmp_path / "new.avsc"
    path.write_text(json.dumps(document))

    same = command("schemas", "diff", "pointsIssued", "pointsIssued")
    people = command("schemas", "diff", "pointsIssued", str(path))
    programs = command("schemas", "diff", "pointsIssued", str(path), "--json")

    assert same.status == 0
    assert "No field differs." in same.out
    assert people.status == programs.status == 3
    assert "removed  refId: string or null" in people.out
    assert "breaks   event: " in people.out
    line = json.loads(programs.out)
    assert line["verdict"] == "breaks"
    assert line["changes"] == [
        {"what": "removed", "path": "refId", "old": "string or null", "new": None}
    ]
    assert {one["target"] for one in line["breaks"]} >= {"event"}
