"""What `schemas check` finds: each fault of a folder, with file, row, column and a mend."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.operations.schemas.check import Fault, Verdict, check_schemas
from processor.operations.schemas.examples import differences
from processor.schemas.folder import builtin_directory
from processor.settings import Settings

EVENT = "pointsIssued"
Change = Callable[[Any], object]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An operator's folder with one of our events, as it is."""
    folder = tmp_path / "schemas"
    shutil.copytree(builtin_directory() / EVENT, folder / EVENT)
    return folder


@pytest.fixture
def mapping(directory: Path) -> Callable[..., Path]:
    """Puts rows at the end of a mapping set, or changes it."""

    def write(*rows: tuple[str, Any, str], change: Change = len, file: str = "to-event") -> Path:
        path = directory / EVENT / f"{file}.json"
        document = json.loads(path.read_text())
        for kind, source, destination in rows:
            row = {"sourceType": kind, "source": source, "destination": destination}
            document["mappings"].append(row)
        change(document)
        path.write_text(json.dumps(document))
        return path

    return write


@pytest.fixture
def avro(directory: Path) -> Callable[[Change], Path]:
    """Changes the Avro schema."""

    def write(change: Change) -> Path:
        path = directory / EVENT / "event.avsc"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        return path

    return write


def verdict(
    directory: Path, settings: Settings | None = None, event: str | None = EVENT
) -> Verdict:
    return next(v for v in check_schemas(settings, directory) if v.event == event)


def faults(directory: Path) -> list[Fault]:
    found = list(verdict(directory).faults)
    assert all(fault.mend and fault.file for fault in found)
    return found


def rows_of(path: Path) -> int:
    return len(json.loads(path.read_text())["mappings"])


def test_all_our_events_are_without_a_fault() -> None:
    verdicts = list(check_schemas(None))

    assert {v.event: [str(fault) for fault in v.faults] for v in verdicts} == {
        v.event: [] for v in verdicts
    }
    assert {EVENT, "customerAdded", "transactionAdded"} <= {v.event for v in verdicts}
    assert all(v.examples and v.rows and v.origin == "builtin" for v in verdicts)


def test_an_operators_copy_of_ours_is_without_a_fault(directory: Path) -> None:
    found = verdict(directory)

    assert (found.faults, found.origin) == ((), "own")


@pytest.mark.parametrize(
    ("kind", "source", "destination", "column", "said", "mend"),
    [
        (
            "ATTRIBUTE", "data.totalPoint", "_tenant.loyaltyEvent.refId",
            6, "did you mean 'totalPointsIssued'?", "event.avsc",
        ),
        (
            "ATTRIBUTE", "refId", "loyalty.pointGained[0].promotionId",
            9, "loyalty has no field 'pointGained'; did you mean 'pointsGained'?", "XDM schema",
        ),
        (
            "ATTRIBUTE", "orgId", "loyalty.pointsGained[1].promotionId",
            1, "the row gives an integer, the XDM schema has text", "concat",
        ),
        (
            "ATTRIBUTE", "data.totalPointsIssued", "eventTyp",
            1, "the XDM schema has no field 'eventTyp'; did you mean 'eventType'?", "XDM schema",
        ),
        ("ATTRIBUTE", "refId", "loyalty.pointsGained.promotionId", 22, "is an array", "[0]"),
        ("ATTRIBUTE", "refId", "timestamp.day", 11, "timestamp is text, not an obj", "Correct"),
        ("ATTRIBUTE", "data.loyaltyProgramDetails", "producedBy", 1, "an object, the", "concat"),
        (
            "EXPRESSION", 'nvl(refId, "x")', "_tenant.loyaltyEvent.refId",
            1, "there is no function nvl()", "docs/mapping.md",
        ),
        (
            "EXPRESSION", 'concat("x", lower())', "producedBy",
            13, "lower() takes 1 argument, not 0", "docs/mapping.md",
        ),
        ("STATIC", "x", "eventType", 1, "is filled already by row 1", "Take out one"),
        (
            "STATIC", "maybe", "identityMap.Crm[0].authenticatedState",
            1, "does not allow this constant", "ambiguous, authenticated, loggedOut",
        ),
        (
            "STATIC", "inr", "commerce.order.currencyCode",
            1, "does not allow this constant", "Its pattern is ^[A-Z]{3}$",
        ),
        ("STATIC", "soon", "commerce.order.createdDate", 1, "is no date-time", "constant of"),
    ],
)  # fmt: skip
def test_a_row_at_fault_is_named_with_its_place_and_a_mend(
    directory: Path,
    mapping: Callable[..., Path],
    kind: str,
    source: str,
    destination: str,
    column: int | None,
    said: str,
    mend: str,
) -> None:
    path = mapping((kind, source, destination))

    (fault,) = faults(directory)

    assert (fault.file, fault.row, fault.column) == (str(path), rows_of(path), column)
    assert said in fault.message
    assert mend in fault.mend


def test_all_faults_are_said_and_not_the_first_alone(
    directory: Path, mapping: Callable[..., Path], avro: Callable[[Change], Path]
) -> None:
    mapping(("ATTRIBUTE", "nothing", "a.b"), ("STATIC", "x", "nowhere"))
    mapping(("EXPRESSION", "lower(", "b"), file="to-loyalty")
    avro(lambda document: document["xdm"].pop("loyalty"))

    found = faults(directory)

    assert [(Path(fault.file).name, fault.row) for fault in found] == [
        ("event.avsc", None),
        ("to-event.json", 32),
        ("to-event.json", 32),
        ("to-event.json", 33),
        ("to-loyalty.json", 9),
    ]


def test_a_required_field_that_no_row_gives_is_named(
    directory: Path, mapping: Callable[..., Path]
) -> None:
    path = mapping(change=lambda document: document["mappings"].pop(1))

    (fault,) = faults(directory)

    assert (fault.file, fault.row) == (str(path), None)
    assert fault.message == "the XDM schema requires timestamp, and no row gives it"
    assert fault.mend == "Add a row for timestamp."


def test_a_required_field_inside_what_rows_fill_is_named_with_the_row(
    tmp_path: Path, directory: Path, mapping: Callable[..., Path]
) -> None:
    xdm = json.loads((builtin_directory() / "xdm" / "event.json").read_text())
    xdm["properties"]["_acme"] = xdm["properties"].pop("_tenant")
    xdm["properties"]["loyalty"]["properties"]["pointsGained"]["items"]["required"] = [
        "value",
        "promotionId",
    ]
    (directory / "xdm").mkdir()
    (directory / "xdm" / "event.json").write_text(
        json.dumps({key: value for key, value in xdm.items() if key != "$id"})
    )
    path = mapping()

    (fault,) = faults(directory)

    first = next(
        number
        for number, row in enumerate(json.loads(path.read_text())["mappings"], 1)
        if "pointsGained" in row["destination"]
    )
    assert (fault.file, fault.row) == (str(path), first)
    assert "requires loyalty.pointsGained[0].promotionId" in fault.message


def test_two_primary_identities_are_refused(directory: Path, mapping: Callable[..., Path]) -> None:
    path = mapping(
        ("ATTRIBUTE", "refId", "identityMap.Crm[0].id"),
        ("STATIC", True, "identityMap.Crm[0].primary"),
        ("ATTRIBUTE", "refId", "identityMap.Email[0].id"),
        ("STATIC", "true", "identityMap.Email[0].primary"),
    )

    (fault,) = faults(directory)

    assert (fault.row, fault.column, fault.file) == (rows_of(path), 1, str(path))
    assert f"a second primary identity; row {rows_of(path) - 2} gives one" in fault.message


def _other_class(document: Any) -> None:
    document["xdm"]["event"]["class"] = "https://ns.adobe.com/xdm/context/profile"


@pytest.mark.parametrize(
    ("change", "said", "mend"),
    [
        (
            lambda d: d["xdm"].update(tier={"mapping": "to-tier.json"}),
            "names the target tier, and there is no to-tier.json",
            "Add to-tier.json",
        ),
        (lambda d: d["xdm"].pop("event"), "says nothing of event", "Add event with class"),
        (
            lambda d: d["xdm"]["event"].update(mapping="to-loyalty.json"),
            "another mapping set than to-event.json",
            "be to-event.json",
        ),
        (_other_class, "another class than event.json", "experienceevent"),
        (
            lambda d: d["xdm"]["event"].update(schema="xdm/none.json"),
            "a schema that is in no schemas folder",
            "xdm/event.json",
        ),
    ],
)
def test_an_avro_schema_that_says_otherwise_than_the_mapping_sets_is_named(
    directory: Path, avro: Callable[[Change], Path], change: Change, said: str, mend: str
) -> None:
    path = avro(change)

    (fault,) = faults(directory)

    assert fault.file == str(path)
    assert said in fault.message
    assert mend in fault.mend
    assert fault.line == 1
    assert path.read_text()[(fault.column or 0) - 1] == '"'


def test_the_place_in_an_avro_schema_is_that_of_the_target(directory: Path) -> None:
    path = directory / EVENT / "event.avsc"
    path.write_text(path.read_text().replace("to-loyalty.json", "to-tier.json"))
    lines = path.read_text().splitlines()

    (fault,) = faults(directory)

    assert fault.line is not None
    assert fault.column is not None
    assert lines[fault.line - 1][fault.column - 1 :].startswith('"loyalty": {')


def test_a_schema_may_say_nothing_of_where_it_goes(
    directory: Path, avro: Callable[[Change], Path]
) -> None:
    avro(lambda document: document.pop("xdm"))

    assert faults(directory) == []


def _case(directory: Path) -> Path:
    return directory / EVENT / "examples" / "purchase"


def test_an_example_that_gives_something_else_is_named_without_its_values(
    directory: Path,
) -> None:
    path = _case(directory) / "event.json"
    expected = json.loads(path.read_text())
    expected[0]["eventType"] = "canary-value"
    del expected[0]["timestamp"]
    path.write_text(json.dumps(expected))

    found = faults(directory)

    assert [(fault.file, fault.message) for fault in found] == [
        (str(path), "/0/eventType is another value than comes out"),
        (str(path), "/0/timestamp comes out, and is not expected"),
    ]
    assert "canary" not in "".join(map(str, found))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("event.json", None, "it is missing; one entity come"),
        ("event.json", "{", "it is not JSON"),
        ("tier.json", "[]", "no mapping set leads to tier"),
        ("input.json", "{", "it is no event of this folder (decode.json"),
        (
            "input.json",
            '{"eventName": "customerAdded", "orgId": 1, "data": {}}',
            "no event of this",
        ),
    ],
)
def test_an_example_that_cannot_be_held_against_anything_is_named(
    directory: Path, name: str, content: str | None, said: str
) -> None:
    path = _case(directory) / name
    path.unlink() if content is None else path.write_text(content)

    (fault,) = faults(directory)

    assert fault.file == str(path)
    assert said in fault.message


def test_an_example_that_experience_platform_would_refuse_is_named(directory: Path) -> None:
    path = _case(directory) / "input.json"
    event = json.loads(path.read_text())
    event["data"]["customerIdentifiers"] = {}
    path.write_text(json.dumps(event))

    assert [fault.message.partition(" at ")[0] for fault in faults(directory)] == [
        "target event refuses it: mapping.no_identity",
        "target loyalty refuses it: mapping.no_identity",
    ]


def test_files_that_cannot_be_read_are_named_with_their_line_and_the_others_are_proven(
    directory: Path,
) -> None:
    path = directory / "cardUpdated" / "event.avsc"
    path.parent.mkdir()
    path.write_text('{\n "type": oops}')
    (directory / "empty").mkdir()

    whole = verdict(directory, event=None)

    assert [(f.file, f.line, f.column) for f in whole.faults] == [
        (str(path), 2, 10),
        (str(directory / "empty"), None, None),
    ]
    assert faults(directory) == []


def test_a_target_without_any_xdm_schema_is_named(directory: Path) -> None:
    path = directory / EVENT / "to-mine.json"
    shutil.copy(directory / EVENT / "to-loyalty.json", path)

    found = [fault for fault in faults(directory) if fault.file == str(path)]

    assert [fault.message for fault in found] == ["There is no XDM schema for the target mine."]
    assert "schemas fetch" in found[0].mend


@pytest.fixture
def tenants(tmp_path: Path) -> Callable[..., Settings]:
    """Settings with an exported schema for the event target."""

    def make(xdm: Any, **targets: Any) -> Settings:
        path = tmp_path / "exported.json"
        path.write_text(json.dumps(xdm))
        target = {"inlet_id": "i", "dataset_id": "d", "schema_id": "s", "xdm_schema": str(path)}
        return Settings.model_validate(
            {
                "kafka": {"bootstrap_servers": "h:1", "topics": ["t"]},
                "ims": {"client_id": "c", "client_secret": "s"},
                "experience_platform": {
                    "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
                    "tenant": "beta",
                    "targets": {"event": target, **targets},
                },
            }
        )

    return make


def test_a_tenants_own_schema_is_what_counts_when_the_settings_name_one(
    directory: Path, tenants: Callable[..., Settings]
) -> None:
    xdm = json.loads((builtin_directory() / "xdm" / "event.json").read_text())
    xdm["properties"]["_beta"] = xdm["properties"].pop("_tenant")
    del xdm["properties"]["_beta"]["properties"]["loyaltyEvent"]["properties"]["refId"]

    found = [f for v in check_schemas(tenants(xdm)) if v.event == EVENT for f in v.faults]

    assert [fault.message for fault in found] == [
        "_beta.loyaltyEvent.refId: _beta.loyaltyEvent has no field 'refId'; did you mean 'orgId'?"
    ]


def test_a_target_that_no_event_serves_is_named(tenants: Callable[..., Settings]) -> None:
    xdm = json.loads((builtin_directory() / "xdm" / "event.json").read_text())
    other = {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}

    first = next(iter(check_schemas(tenants(xdm, tier9=other))))

    assert first.event is None
    assert "tier9 is configured" in first.faults[0].message


def test_numbers_and_booleans_are_told_apart_in_examples() -> None:
    assert list(differences([True], [1])) == ["/0 is another value than comes out"]
    assert list(differences([1], [1.0])) == []
    assert list(differences([1, 2], [1])) == ["its root has 2 elements, and 1 come out"]


def test_an_operators_examples_pass_the_operators_own_schema(directory: Path) -> None:
    xdm = json.loads((builtin_directory() / "xdm" / "event.json").read_text())
    xdm["properties"]["eventType"]["maxLength"] = 3
    xdm["properties"]["_acme"] = xdm["properties"].pop("_tenant")
    (directory / "xdm").mkdir()
    (directory / "xdm" / "event.json").write_text(
        json.dumps({key: value for key, value in xdm.items() if key != "$id"})
    )

    theirs = [fault.message for fault in faults(directory)]
    ours = verdict(directory, event="transactionAdded").faults

    assert theirs
    assert all("gate.violation at /eventType" in message for message in theirs)
    assert ours == ()


def test_a_schema_of_the_tenants_own_has_to_name_the_tenant(directory: Path) -> None:
    xdm = json.loads((builtin_directory() / "xdm" / "event.json").read_text())
    (directory / "xdm").mkdir()
    (directory / "xdm" / "event.json").write_text(
        json.dumps({key: value for key, value in xdm.items() if key != "$id"})
    )

    assert all("has no field '_acme'" in fault.message for fault in faults(directory))
    assert faults(directory)
