"""``dlq export`` and ``dlq import`` against a real broker: nothing is lost, nothing is shown."""

import base64
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import pytest

from processor.errors import Code
from processor.record import Position
from tests.integration.letters import HOSTILE, STEERING, hostile_letter, letter

CUSTOMER = 900_123_456
ADDRESS = "asha.secret@mail.test"


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def of_asha(capillary: Any, offset: int, **changes: Any) -> dict[str, Any]:
    event = capillary.events.of("pointsIssued")
    event["data"]["customerIdentifiers"] = {"customerId": CUSTOMER, "instore": {"email": ADDRESS}}
    headers = [("tenant-note", b"asha\xff"), ("tenant-note", None), ("", b"")]
    record = {**capillary.record(event), "headers": headers}
    return letter(offset, **record, **changes)


def test_an_export_is_masked_and_a_file_is_its_owner_s_alone(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any,
    capillary: Any, tmp_path: Path,
) -> None:  # fmt: skip
    config = settings_file(topic)
    made = of_asha(capillary, 0)
    produce(letters_topic, [made, letter(1, code=Code.DECODE_VALUE)], partition=1)
    output = tmp_path / "out" / "letters.jsonl"
    output.parent.mkdir()

    printed = run_cli("dlq", "export", "--config", config)
    written = run_cli("dlq", "export", "--output", output, "--config", config)
    again = run_cli("dlq", "export", "--output", output, "--config", config)
    forced = run_cli(
        "dlq", "export", "--output", output, "--force", "--code", "decode.value",
        "--config", config,
    )  # fmt: skip

    assert (printed.status, written.status, written.stdout) == (0, 0, ""), written.stderr
    first, second = documents(printed.stdout)
    listed = documents(run_cli("dlq", "list", "--json", "--config", config).stdout)
    assert [{name: first[name] for name in listed[0]}, {n: second[n] for n in listed[1]}] == listed
    assert [header["name"] for header in first["headers"]] == ["tenant-note", "tenant-note", ""]
    assert first["value"] == {
        "bytes": len(made["value"]),
        "sha256": hashlib.sha256(made["value"]).hexdigest(),
    }
    assert first["event"]["data"]["customerIdentifiers"]["customerId"] == "<number>"
    assert first["errors"][0]["pointerToViolation"] == "#/a"
    assert second["event"] is None
    assert "raw" not in first
    for secret in ("asha", str(CUSTOMER), base64.b64encode(made["value"]).decode()[8:40]):
        assert secret not in printed.stdout + printed.stderr
    assert "were revealed" not in printed.stderr
    assert "2 dead letters exported." in written.stderr
    assert (again.status, again.stdout) == (2, "")
    assert "is there already" in again.stderr
    assert forced.status == 0
    assert [row["offset"] for row in documents(output.read_text())] == [1]
    assert output.stat().st_mode & 0o777 == 0o600
    assert list(output.parent.iterdir()) == [output]


def test_raw_is_refused_unless_it_is_revealed_and_that_is_written_down_once(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any, tmp_path: Path
) -> None:
    config = settings_file(topic)
    produce(letters_topic, [letter(number) for number in range(3)], partition=0)
    output = tmp_path / "raw"

    refused = run_cli("dlq", "export", "--format", "raw", "--output", output, "--config", config)
    ran = run_cli(
        "dlq", "export", "--format", "raw", "--reveal", "--output", output, "--config", config
    )

    assert (refused.status, refused.stdout) == (2, "")
    assert "raw holds customers' data" in refused.stderr
    assert ran.status == 0, ran.stderr
    (said,) = [json.loads(line) for line in ran.stderr.splitlines() if "were revealed" in line]
    assert (said["letters"], said["topics"]) == (3, [letters_topic])
    assert said["who"]
    assert len(documents(output.read_text())) == 3


def _replace_topic(broker: Any, name: str, eventually: Any) -> None:
    """Delete a topic with all it holds, and make it anew."""
    admin = broker.admin()  # its futures end with it
    admin.delete_topics([name])[name].result(30)
    eventually(lambda: name not in admin.list_topics(timeout=10).topics)
    time.sleep(0.5)  # the broker goes on for a moment to delete what had that name
    broker.create_topic(name, partitions=2, message_timestamp_type="LogAppendTime")


@pytest.mark.parametrize("form", ["raw", "jsonl"])
def test_what_was_exported_comes_back_byte_for_byte_and_can_be_replayed(
    form: str, topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any,
    capillary: Any, broker: Any, read_topic: Any, eventually: Any, simulator: Any, tmp_path: Path,
) -> None:  # fmt: skip
    config = settings_file(topic)
    source = Position(topic, 1, 40)
    sent = {"code": Code.DELIVERY_REFUSED, "targets": ("loyalty",)}
    produce(letters_topic, [of_asha(capillary, 0, source=source, **sent)], partition=1)
    produce(letters_topic, [letter(1, key=None, value=None), hostile_letter(2)], partition=0)
    output = tmp_path / "letters"
    settings = ("--config", config)
    options = ("--format", form, "--reveal", "--output", output)
    before = read_topic(letters_topic)
    listed = documents(run_cli("dlq", "list", "--json", *settings).stdout)
    exported = run_cli("dlq", "export", *options, *settings)
    assert exported.status == 0, exported.stderr
    _replace_topic(broker, letters_topic, eventually)

    dry = run_cli("dlq", "import", output, *settings)
    assert read_topic(letters_topic) == []
    ran = run_cli("dlq", "import", output, "--execute", "--json", *settings)

    assert dry.status == 0, dry.stderr
    assert "dry run" in dry.stdout
    assert json.loads(ran.stdout) == {
        "execute": True, "letters": 3, "written": 3, "topics": {letters_topic: 3},
        "without_their_partition": 0, "missing_topics": [],
    }  # fmt: skip

    def bytes_of(messages: list[Any]) -> list[Any]:
        rows = [(m.partition(), m.key(), m.value(), m.headers()) for m in messages]
        return sorted(rows, key=repr)

    assert bytes_of(read_topic(letters_topic)) == bytes_of(before)
    again = documents(run_cli("dlq", "list", "--json", *settings).stdout)
    moved = {"timestamp", "offset"}

    def still(rows: list[dict[str, Any]]) -> list[Any]:
        kept = [{n: v for n, v in row.items() if n not in moved} for row in rows]
        return sorted(kept, key=json.dumps)

    assert still(again) == still(listed)
    # The letter's record does not stand in the topic, so nobody can tell whether it is old news.
    asked = ("--code", "delivery.refused", "--allow-stale", "--execute")
    replayed = run_cli("dlq", "replay", *asked, *settings)
    assert replayed.status == 0, replayed.stderr
    (accepted,) = simulator.accepted("loyalty")
    assert str(CUSTOMER) in accepted["identity"]


def test_a_topic_that_is_gone_is_made_as_the_connector_makes_it(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any, broker: Any,
    read_topic: Any, tmp_path: Path,
) -> None:  # fmt: skip
    other = f"{topic}-other"
    config = settings_file(
        topic, kafka={"bootstrap_servers": broker.bootstrap_servers, "topics": [topic, other]}
    )
    produce(letters_topic, [letter(0), letter(1)], partition=1)
    output, settings = tmp_path / "raw", ("--config", config)
    run_cli("dlq", "export", "--format", "raw", "--reveal", "--output", output, *settings)

    into = ("--topic", f"{other}.dlq")
    dry = run_cli("dlq", "import", output, *into, *settings)
    assert f"{other}.dlq" not in broker.admin().list_topics(timeout=10).topics
    ran = run_cli("dlq", "import", output, *into, "--execute", *settings)

    assert "does not exist yet" in dry.stdout
    assert ran.status == 0, ran.stderr
    assert len(read_topic(f"{other}.dlq")) == 2


def test_broken_lines_are_named_and_nothing_is_written(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any,
    read_topic: Any, tmp_path: Path,
) -> None:  # fmt: skip
    config = settings_file(topic)
    produce(letters_topic, [letter(0), letter(1)], partition=0)
    output, settings = tmp_path / "raw", ("--config", config)
    run_cli("dlq", "export", "--format", "raw", "--reveal", "--output", output, *settings)
    first, second = output.read_text().splitlines()
    output.write_text(f"{first}\n{second[:-9]}\n{HOSTILE!r}\n{second}\n")

    ran = run_cli("dlq", "import", output, "--execute", *settings)

    assert (ran.status, ran.stdout) == (2, "")
    assert "line 2: it is no JSON; line 3: it is no JSON." in ran.stderr
    assert len(read_topic(letters_topic)) == 2


def test_a_file_of_hostile_letters_steers_no_terminal(
    topic: str, letters_topic: str, produce: Any, settings_file: Any, run_cli: Any, tmp_path: Path
) -> None:
    config = settings_file(topic)
    produce(letters_topic, [hostile_letter(number) for number in range(2)], partition=0)

    for options in ((), ("--reveal",), ("--format", "raw", "--reveal")):
        output = tmp_path / "-".join(("file", *options))
        ran = run_cli("dlq", "export", *options, "--output", output, "--config", config)

        assert ran.status == 0, ran.stderr
        text = output.read_text()
        assert [character for character in STEERING if character in text] == []
        assert len(documents(text)) == 2
