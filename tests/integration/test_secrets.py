"""Where a running connector leaves its secrets: nowhere that others can look."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from processor.local.programs import ConnectorProcess
from tests.integration.process_tree import children, command_line

SECONDS = 90.0


@pytest.fixture
def running(
    topic: str,
    client_secret: str,
    capillary: Any,
    produce: Callable[..., None],
    connector_settings: Callable[..., dict[str, Any]],
    connector: Callable[..., ConnectorProcess],
    arrives: Callable[..., None],
) -> ConnectorProcess:
    """One whose secret comes from the environment, logging all, with a broken record."""
    tables = connector_settings(topic)
    del tables["ims"]["client_secret_file"]
    tables["logging"] = {"level": "DEBUG"}
    records, expected = capillary.records(20)
    produce(topic, [*records, b"\x00\x7f\xff\xff\xff no schema has this id"])
    made = connector(tables, PROCESSOR_IMS__CLIENT_SECRET=client_secret)
    arrives(expected)
    return made


def test_no_process_has_a_secret_in_its_arguments_or_leaves_a_core_dump(
    running: ConnectorProcess, client_secret: str
) -> None:
    processes = [running.pid, *children(running.pid)]

    assert len(processes) >= 2
    for pid in processes:
        assert client_secret.encode() not in command_line(pid)
        limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (core,) = (line.split() for line in limits if line.startswith("Max core file size"))
        assert core[4:6] == ["0", "0"]


def test_nothing_is_written_but_the_log_and_no_answer_or_letter_holds_a_secret(
    running: ConnectorProcess,
    client_secret: str,
    topic: str,
    read_topic: Callable[[str], list[Any]],
    eventually: Callable[..., Any],
) -> None:
    import httpx

    eventually(
        lambda: running.metric("processor_records_dead_lettered_total") == 1,
        SECONDS,
        what="the letter",
    )
    answers = [
        httpx.get(f"{running.url}{path}", timeout=60, trust_env=False).text
        for path in ("/livez", "/readyz", "/metrics")
    ]
    (letter,) = read_topic(f"{topic}.dlq")

    written = {path.name for path in running.config.parent.iterdir()}
    assert written == {running.config.name, running.log.name}
    for text in (*answers, json.dumps(str(letter.headers())), running.log.read_text()):
        assert client_secret not in text
