"""``processor map``: what it prints, what it keeps to itself, and how it exits."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.schemas.folder import builtin_directory
from tests.unit.cli.conftest import SETTINGS

Command = Callable[..., Any]
EXAMPLE = builtin_directory() / "customerAdded" / "examples" / "in-store" / "input.json"


def test_messages_are_printed_for_people(command: Command) -> None:
    ran = command("map", str(EXAMPLE))

    assert ran.status == 0
    assert ran.out.startswith("Target event, _id 4647d7b7-")
    assert "Target profile, _id 4647d7b7-" in ran.out
    assert '"xdmEntity": {' in ran.out
    assert "placeholders" in ran.err


def test_messages_are_printed_for_programs(command: Command) -> None:
    ran = command("map", str(EXAMPLE), "--json")

    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [(line["target"], line["index"], line["outcome"]) for line in lines] == [
        ("event", 0, "mapped"),
        ("profile", 0, "mapped"),
    ]
    assert set(lines[0]["message"]) == {"header", "body"}
    assert ran.err == ""


def test_the_settings_fill_the_envelope(command: Command, settings_file: Path) -> None:
    ran = command("map", str(EXAMPLE), "--json", "--config", str(settings_file))

    for line in ran.out.splitlines():
        assert "placeholder" not in line


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_explain_says_what_rows_did_and_shows_no_values(
    command: Command, form: tuple[str, ...]
) -> None:
    ran = command("map", str(EXAMPLE), "--explain", *form)

    assert ran.status == 0
    assert "a text" in ran.out
    assert [word for word in ("Asha", "Rivera", "example.com", "555") if word in ran.out] == []


def test_explain_hides_an_id_that_is_made_of_the_customer(command: Command) -> None:
    file = builtin_directory() / "pointsIssued" / "examples" / "without-event-id" / "input.json"
    customer = str(json.loads(file.read_text())["data"]["customerIdentifiers"]["customerId"])

    masked = command("map", str(file), "--explain", "--json").out
    shown = command("map", str(file), "--explain", "--json", "--reveal").out

    assert customer not in masked
    assert '"_id":"sha256:' in masked
    assert f':{customer}","' in shown


def test_explain_says_of_several_messages_which_one_a_row_is_of(command: Command) -> None:
    file = builtin_directory() / "CouponIssue" / "examples" / "many-customers" / "input.json"

    ran = command("map", str(file), "--explain")

    names = [line.partition("\t")[0] for line in ran.out.splitlines()[1:]]
    assert list(dict.fromkeys(names)) == ["event#0", "event#1", "event#2"]


def test_elsewhere_than_on_a_terminal_each_row_is_one_line(command: Command) -> None:
    ran = command("map", str(EXAMPLE), "--explain", "--target", "profile")

    heading, *rows = ran.out.splitlines()
    assert heading.split("\t") == [
        "TARGET",
        "ROW",
        "READS",
        "RULE",
        "DESTINATION",
        "RESULT",
    ]
    assert [row.split("\t")[:2] for row in rows] == [
        ["profile", str(number)] for number in range(1, len(rows) + 1)
    ]


def test_each_row_says_what_it_reads_its_rule_and_its_result(command: Command) -> None:
    masked = json.loads(
        command("map", str(EXAMPLE), "--target", "profile", "--explain", "--json").out
    )["rows"]
    shown = json.loads(
        command("map", str(EXAMPLE), "--target", "profile", "--explain", "--json", "--reveal").out
    )["rows"]
    table = [
        line.split("\t")
        for line in command(
            "map", str(EXAMPLE), "--target", "profile", "--explain"
        ).out.splitlines()
    ]

    number = next(i for i, row in enumerate(masked) if "data.firstName" in row["source"])
    assert {"path": "data.firstName", "found": "a text"} in masked[number]["reads"]
    assert {"path": "data.firstName", "found": '"Asha"'} in shown[number]["reads"]
    assert "data.firstName: a text" in table[number + 1][2]
    assert table[number + 1][3] == masked[number]["source"]


def test_a_rule_of_many_fields_says_what_stands_in_each_and_which_are_missing(
    command: Command, tmp_path: Path
) -> None:
    event = tmp_path / "schemas" / "tried"
    event.mkdir(parents=True)
    line = {"type": "record", "name": "L", "fields": [{"name": "n", "type": "long"}]}
    fields = [
        {"name": "eventName", "type": "string"},
        {"name": "a", "type": ["null", "string"], "default": None},
        {"name": "lines", "type": {"type": "array", "items": line}},
        {
            "name": "customerIdentifiers",
            "type": {
                "type": "record",
                "name": "C",
                "fields": [{"name": "customerId", "type": "long"}],
            },
        },
    ]
    (event / "event.avsc").write_text(
        json.dumps({"type": "record", "name": "Tried", "fields": fields})
    )
    rows = [
        {
            "sourceType": "EXPRESSION",
            "source": 'concat(a, eventName, "-canary", a)',
            "destination": "personID",
        },
        {"sourceType": "ATTRIBUTE", "source": "lines[*].n", "destination": "_tenant.n[*]"},
        {"sourceType": "EXPRESSION", "source": "1 / 0", "destination": "_tenant.x"},
    ]
    (event / "to-profile.json").write_text(json.dumps({"mappings": rows}))
    config = tmp_path / "processor.toml"
    config.write_text(
        SETTINGS.replace("targets.event", "targets.profile")
        + f"\n[schemas]\ndirectory = {json.dumps(str(tmp_path / 'schemas'))}\nbuiltin = true\n"
    )
    file = tmp_path / "input.json"
    file.write_text(
        '{"eventName": "tried", "lines": [{"n": 1}, {"n": 2}], '
        '"customerIdentifiers": {"customerId": 7}}'
    )

    ran = command("map", str(file), "--explain", "--json", "--config", str(config))

    first, second, third = json.loads(ran.out)["rows"]
    assert first["reads"] == [
        {"path": "a", "found": "nothing"},
        {"path": "eventName", "found": "a text"},
    ]
    assert second["reads"] == [{"path": "lines[*].n", "found": "an array of 2"}]
    assert second["result"] == "an array of 2"
    assert third["result"] == "failed: it divides by zero"
    assert "canary" not in json.dumps([first["reads"], first["result"]])


def test_values_are_shown_when_asked_for(command: Command) -> None:
    ran = command("map", str(EXAMPLE), "--target", "profile", "--explain", "--json", "--reveal")

    line = json.loads(ran.out)
    assert '"Asha"' in {row["result"] for row in line["rows"]}
    assert "message" in line


def test_a_refused_event_exits_with_3_and_says_why(command: Command, tmp_path: Path) -> None:
    event = json.loads(EXAMPLE.read_text())
    event["data"]["customerIdentifiers"] = {}
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    people = command("map", str(file))
    programs = command("map", str(file), "--target", "profile", "--json")

    assert people.status == programs.status == 3
    assert "mapping.no_identity at /data/customerIdentifiers" in people.err
    line = json.loads(programs.out)
    assert (line["outcome"], line["code"]) == ("refused", "mapping.no_identity")
    assert line["pointer"] == "/data/customerIdentifiers"


def test_violations_are_said_in_adobes_words(command: Command, tmp_path: Path) -> None:
    bill = builtin_directory() / "transactionAdded" / "examples" / "purchase" / "input.json"
    event = json.loads(bill.read_text())
    event["data"]["currencyCode"] = "rupees"
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    people = command("map", str(file))
    programs = command("map", str(file), "--json")

    assert people.status == 3
    assert "#/commerce/order/currencyCode" in people.err
    assert json.loads(programs.out)["violations"][0]["pointerToViolation"] == (
        "#/commerce/order/currencyCode"
    )


def test_an_undecodable_event_exits_with_3(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "event"
    file.write_bytes(b"\xff\xfe")

    assert command("map", str(file)).status == 3
    assert json.loads(command("map", str(file), "--json").out)["code"].startswith("decode.")


def test_a_filtered_event_is_no_failure(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    file.write_text('{"eventName": "groupCreated", "orgId": 1, "createdAt": 1, "data": {}}')

    people, programs = command("map", str(file)), command("map", str(file), "--json")

    assert people.status == programs.status == 0
    assert "filtered: unmapped_event" in people.err
    assert json.loads(programs.out)["reason"] == "unmapped_event"


def test_a_missing_file_is_a_usage_error(command: Command) -> None:
    ran = command("map", "/no/such/event.json")

    assert ran.status == 2
    assert "/no/such/event.json cannot be read" in ran.err


def test_control_characters_of_an_event_do_not_reach_the_terminal(
    command: Command, tmp_path: Path
) -> None:
    event = json.loads(EXAMPLE.read_text())
    event["data"]["firstName"] = "\x1b[31mred\u202e"
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))

    ran = command("map", str(file))

    assert "\x1b[31m" not in ran.out
    assert "\u202e" not in ran.out
