import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.schemas.folder import builtin_directory

Command = Callable[..., Any]


def test_offline_nothing_but_this_machine_is_asked(command: Command, settings_file: Path) -> None:
    ran = command("check", "--offline", "--config", str(settings_file))

    assert ran.status == 0
    assert "OK    mapping: every mapping set compiles" in ran.out
    assert "SKIP  network: Nothing beyond this machine was asked (--offline)." in ran.out
    assert "\nNothing stands in the way of a start. " in ran.out
    assert ran.err == ""


def test_each_finding_is_one_json_object(command: Command, settings_file: Path) -> None:
    ran = command("check", "--offline", "--json", "--config", str(settings_file))

    findings = [json.loads(line) for line in ran.out.splitlines()]
    assert [set(finding) for finding in findings] == [
        {"subject", "status", "message", "mend"}
    ] * len(findings)
    assert findings[0]["subject"] == "settings"


def test_a_bad_finding_exits_with_3(command: Command, settings_file: Path) -> None:
    settings_file.write_text(
        settings_file.read_text() + '[schemas]\ndirectory = "/no/such/folder"\n'
    )

    ran = command("check", "--offline", "--config", str(settings_file))

    assert ran.status == 3
    assert re.search(r"^FAIL  schemas: .*/no/such/folder", ran.out, flags=re.MULTILINE)
    assert re.search(r"^1 of \d+ checks fail\.", ran.out, flags=re.MULTILINE)


def test_an_unreachable_secret_file_is_named_with_its_mend(
    command: Command, settings_file: Path
) -> None:
    text = settings_file.read_text()
    settings_file.write_text(
        text.replace('client_secret = "the-secret-canary"', 'client_secret_file = "/no/such"')
    )

    ran = command("check", "--offline", "--config", str(settings_file))

    assert ran.status == 3
    assert (
        "FAIL  secret ims.client_secret: ims.client_secret_file: /no/such cannot be read "
        "(No such file or directory). Mount the secret there, or correct the path.\n"
    ) in ran.out


def test_no_secret_is_shown(command: Command, settings_file: Path) -> None:
    ran = command("check", "--offline", "--config", str(settings_file))

    assert "canary" not in ran.out + ran.err


def test_several_mistakes_of_mapping_sets_stand_on_lines_of_their_own(
    command: Command, settings_file: Path, tmp_path: Path
) -> None:
    event = tmp_path / "schemas" / "pointsIssued"
    shutil.copytree(builtin_directory() / "pointsIssued", event)
    rows = [{"sourceType": "ATTRIBUTE", "source": f, "destination": "_id"} for f in ("x", "refIt")]
    (event / "to-event.json").write_text(json.dumps({"mappings": rows}))
    settings_file.write_text(
        f'{settings_file.read_text()}[schemas]\ndirectory = "{event.parent}"\n'
    )

    ran = command("check", "--offline", "--config", str(settings_file))

    found = ran.out[ran.out.index("FAIL  mapping: ") :].splitlines()
    assert found[0].startswith("FAIL  mapping: pointsIssued/to-event.json, row 1, column 1: ")
    assert found[1].startswith("      pointsIssued/to-event.json, row 2, column 1: ")
    assert found[1].endswith("did you mean 'refId'? Correct the mapping sets.")


def test_a_property_that_librdkafka_refuses_is_found_without_the_network(
    command: Command, settings_file: Path
) -> None:
    settings_file.write_text(f'{settings_file.read_text()}[kafka.consumer]\n"bogus.thing" = "1"\n')

    ran = command("check", "--offline", "--config", str(settings_file))

    assert ran.status == 3
    assert "FAIL  Kafka properties: kafka.consumer.bogus.thing: " in ran.out


def test_a_settings_file_that_all_may_read_must_hold_no_secret(
    command: Command, settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROCESSOR_CONFIG", str(settings_file))
    settings_file.chmod(0o644)
    open_to_all = command("check", "--offline", "--config", str(settings_file))
    by_environment = command("check", "--offline")
    settings_file.chmod(0o600)
    closed = command("check", "--offline", "--config", str(settings_file))

    assert "WARN  settings file: Everybody on this host can read processor.toml" in open_to_all.out
    assert "WARN  settings file" in by_environment.out
    assert "settings file" not in closed.out
