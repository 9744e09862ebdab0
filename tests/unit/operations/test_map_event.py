"""The workbench: one event from bytes to messages, and what it says when there are none."""

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from processor.errors import Code, FilterReason, Misconfigured
from processor.operations.map_event import Workbench
from processor.schemas.folder import builtin_directory

EXAMPLES = builtin_directory() / "pointsIssued" / "examples"
PURCHASE = (EXAMPLES / "purchase" / "input.json").read_bytes()


@pytest.fixture(scope="module")
def workbench() -> Workbench:
    return Workbench(clock=lambda: 1_900_000_000.0)


def raw_avro(workbench: Workbench, body: Any) -> bytes:
    out = io.BytesIO()
    schema = fastavro.parse_schema(workbench.folder.events["pointsIssued"].avro)
    fastavro.schemaless_writer(out, schema, body)
    return out.getvalue()


def test_an_example_gives_whole_messages_with_the_entities_of_its_files(
    workbench: Workbench,
) -> None:
    outcome = workbench.run(PURCHASE)

    assert not outcome.bad
    assert [making.target for making in outcome.makings] == ["event", "loyalty"]
    for making in outcome.makings:
        assert making.message is not None
        expected = json.loads((EXAMPLES / "purchase" / f"{making.target}.json").read_text())
        assert json.loads(making.message)["body"]["xdmEntity"] == expected[making.index]


def test_one_target_can_be_looked_at_alone() -> None:
    outcome = Workbench(target="loyalty").run(PURCHASE)

    assert [making.target for making in outcome.makings] == ["loyalty"]


def test_a_target_that_does_not_exist_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"no target badges\. The targets are: event, loyalty"):
        Workbench(target="badges")


@pytest.mark.parametrize("framed", [False, True])
def test_raw_and_single_object_avro_give_what_json_gives(
    workbench: Workbench, framed: bool
) -> None:
    payload = raw_avro(workbench, json.loads(PURCHASE))
    writer = workbench.writer_schema("pointsIssued")

    if framed:
        outcome = workbench.run(b"\xc3\x01" + writer.fingerprint + payload)
    else:
        outcome = workbench.run(payload, writer)

    messages = [making.message for making in outcome.makings]
    assert messages == [making.message for making in workbench.run(PURCHASE).makings]


def test_a_writer_schema_can_be_a_file(workbench: Workbench, tmp_path: Path) -> None:
    file = tmp_path / "writer.avsc"
    file.write_text(json.dumps(workbench.folder.events["pointsIssued"].avro))

    outcome = workbench.run(
        raw_avro(workbench, json.loads(PURCHASE)), workbench.writer_schema(str(file))
    )

    assert len(outcome.makings) == 2


@pytest.mark.parametrize("text", ["", "{", '"string"', '{"type": "record"}'])
def test_what_is_no_schema_is_the_set_ups_fault(
    workbench: Workbench, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "writer.avsc"
    file.write_text(text)

    with pytest.raises(Misconfigured, match=str(file)):
        workbench.writer_schema(str(file))


def test_an_undecodable_event_is_refused_with_its_code(workbench: Workbench) -> None:
    outcome = workbench.run(b"{nonsense")

    assert outcome.bad
    assert outcome.refused is not None
    assert outcome.refused.code is Code.DECODE_JSON
    assert outcome.makings == ()


def test_a_documented_event_without_a_mapping_is_filtered(workbench: Workbench) -> None:
    outcome = workbench.run(
        b'{"eventName": "groupCreated", "orgId": 1, "createdAt": 1, "data": {}}'
    )

    assert not outcome.bad
    assert outcome.filtered is FilterReason.UNMAPPED_EVENT


def test_an_event_for_no_target_of_ours_is_filtered() -> None:
    outcome = Workbench(target="profile").run(PURCHASE)

    assert outcome.filtered is FilterReason.NO_TARGET


def test_a_frame_of_a_registry_needs_a_registry(workbench: Workbench) -> None:
    with pytest.raises(Misconfigured, match="registry"):
        workbench.run(b"\x00\x00\x00\x00\x07abc")


def test_one_refused_target_does_not_hide_the_other(workbench: Workbench) -> None:
    body = json.loads(PURCHASE)
    body["createdAt"] = 4_102_444_800_000  # the year 2100

    outcome = workbench.run(json.dumps(body).encode(), explain=True)

    refused = {making.target: making.refused for making in outcome.makings}
    assert refused["loyalty"] is None
    assert refused["event"] is not None
    assert refused["event"].code is Code.GATE_VIOLATION
    assert refused["event"].violations
    assert outcome.bad


def test_every_row_is_explained_even_when_mapping_fails(workbench: Workbench) -> None:
    body = json.loads(PURCHASE)
    body["createdAt"] = 2**62

    outcome = workbench.run(json.dumps(body).encode(), explain=True)

    making = outcome.makings[0]
    assert making.refused is not None
    assert making.refused.code is Code.MAPPING_EXPRESSION
    assert [t.row.number for t in making.traces if t.failure] == [2]
