"""A client of Kafka Connect that we did not write (PyPI's kafka-connect-py) against ours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kafka_connect import KafkaConnect  # type: ignore[import-untyped] # has no annotations
from requests.exceptions import HTTPError

from processor.admin.connect.configuration import CONNECTOR_CLASS
from processor.local.programs import ConnectorProcess

TOKEN = "foreign-client-canary-token-0123456789"


@pytest.fixture
def running(
    connector_settings: Callable[..., dict[str, Any]],
    connector: Callable[..., ConnectorProcess],
    tmp_path: Path,
    topic: str,
    canary: Any,
) -> ConnectorProcess:
    token_file = tmp_path / "admin_token"
    token_file.write_text(canary.watch_for(TOKEN))
    token_file.chmod(0o600)
    settings = connector_settings(topic) | {"tasks_max": 2}
    return connector({**settings, "admin": {"token_file": str(token_file)}})


@pytest.fixture
def client(running: ConnectorProcess, monkeypatch: pytest.MonkeyPatch) -> Any:
    """It knows Basic only: the token is its password."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return KafkaConnect(url=running.url, auth=f"anybody:{TOKEN}")


def test_it_looks_steers_and_is_told_that_the_file_rules(
    client: Any,
    running: ConnectorProcess,
    capillary: Any,
    produce: Callable[..., None],
    topic: str,
    eventually: Callable[..., Any],
) -> None:
    name = running.settings["name"]
    records, _ = capillary.records(10)
    produce(topic, records)

    def states() -> tuple[str, set[str]]:
        status = client.get_connector_status(name)
        return status["connector"]["state"], {task["state"] for task in status["tasks"]}

    assert client.get_cluster_info().keys() == {"version", "commit", "kafka_cluster_id"}
    assert client.list_connectors() == [name]
    assert client.list_connectors(expand="status")[name]["status"]["type"] == "sink"
    assert client.list_connectors(expand="info", state="running").keys() == {name}
    assert client.list_connectors(pattern="nothing") == []
    info = client.get_connector(name)
    assert info["config"] == client.get_connector_config(name)
    assert info["config"]["topics"] == topic
    assert [task["id"]["task"] for task in client.list_connector_tasks(name)] == [0, 1]
    assert client.get_connector_task_status(name, 1)["id"] == 1
    assert client.list_connector_plugins()[0]["class"] == CONNECTOR_CLASS
    validated = client.validate_connector_config("CapillaryAepSink", info["config"])
    assert validated["error_count"] == 0
    eventually(
        lambda: client.list_connector_topics(name) == {name: {"topics": [topic]}},
        what="its topic is listed",
    )
    client.reset_connector_topics(name)
    assert client.list_connector_topics(name) == {name: {"topics": []}}

    client.pause_connector(name)
    eventually(lambda: states() == ("PAUSED", {"PAUSED"}), what="paused")
    client.resume_connector(name)
    eventually(lambda: states() == ("RUNNING", {"RUNNING"}), what="resumed")
    assert client.restart_connector(name, include_tasks=True)["connector"]["state"] == "RESTARTING"
    client.restart_connector(name)
    client.restart_connector_task(name, 0)
    eventually(lambda: states() == ("RUNNING", {"RUNNING"}), what="restarted")
    client.stop_connector(name)
    eventually(lambda: states() == ("STOPPED", set()), what="stopped")
    client.resume_connector(name)
    eventually(lambda: states() == ("RUNNING", {"RUNNING"}), what="resumed after a stop")

    for method, arguments in (
        (client.create_connector, ({"name": "new", "config": {}},)),
        (client.update_connector, (name, {})),
        (client.delete_connector, (name,)),
    ):
        with pytest.raises(HTTPError, match="405"):
            method(*arguments)
    with pytest.raises(HTTPError, match="404"):
        client.get_connector("nobody")
    assert client.list_connectors() == [name]


def test_it_is_not_let_in_with_another_token(running: ConnectorProcess) -> None:
    stranger = KafkaConnect(url=running.url, auth="anybody:wrong-token-0123456789")

    with pytest.raises(HTTPError, match="401"):
        stranger.list_connectors()
