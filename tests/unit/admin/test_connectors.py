from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

import processor
from processor.connector.heartbeat import Waiting
from processor.connector.status import ConnectorState, TaskState
from processor.errors import Misconfigured, TryAgain

Ask = Callable[..., httpx.AsyncClient]
VERSION = {"version": processor.__version__}
ADMIN = {"authorization": "Bearer admin-token-0123456789"}
TASKS = [
    {"id": 0, "state": "RUNNING", "worker_id": "10.0.0.1:8083", **VERSION},
    {"id": 1, "state": "RUNNING", "worker_id": "10.0.0.2:8083", **VERSION},
]
STATUS = {
    "name": "ours",
    "connector": {"state": "RUNNING", "worker_id": "10.0.0.1:8083", **VERSION},
    "tasks": TASKS,
    "type": "sink",
}


@pytest.fixture
async def client(ask: Ask, token_files: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with ask(**token_files) as opened:
        opened.headers.update(ADMIN)
        yield opened


async def test_the_root(client: httpx.AsyncClient, kafka: Any) -> None:
    kafka.id = None
    away = await client.get("/")
    kafka.id = "cluster-id"
    there = await client.get("/")

    assert away.json() == {**VERSION, "commit": "unknown", "kafka_cluster_id": None}
    assert there.json()["kafka_cluster_id"] == "cluster-id"


@pytest.mark.parametrize("path", ["/connectors", "/connectors/"])
async def test_the_list(path: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.json()) == (200, ["ours"])


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("expand=status", {"status"}),
        ("expand=info", {"info"}),
        ("expand=status&expand=info", {"status", "info"}),
        ("expand=anything", set()),
        ("expand=", set()),
    ],
)
async def test_the_list_expanded(query: str, shown: set[str], client: httpx.AsyncClient) -> None:
    body = (await client.get(f"/connectors?{query}")).json()

    assert body["ours"].keys() == shown
    assert body["ours"].get("status", STATUS) == STATUS


async def test_the_connector(client: httpx.AsyncClient) -> None:
    info = (await client.get("/connectors/ours")).json()
    config = (await client.get("/connectors/ours/config")).json()

    assert info == {
        "name": "ours",
        "config": config,
        "tasks": [{"connector": "ours", "task": 0}, {"connector": "ours", "task": 1}],
        "type": "sink",
    }


async def test_its_configuration_is_of_texts_and_without_secrets(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/connectors/ours/config")
    config = answer.json()

    assert config["connector.class"] == "processor.CapillaryAepSinkConnector"
    assert [config["name"], config["tasks.max"], config["topics"]] == ["ours", "2", "events"]
    assert config["delivery.batch_max_records"] == "500"
    assert config["schemas.builtin"] == "true"
    assert config["ims.client_secret"] == "********"
    assert "schema_registry" not in config
    assert all(isinstance(value, str) for value in config.values())
    assert "canary" not in answer.text


async def test_status(worker: Any, client: httpx.AsyncClient) -> None:
    running = await client.get("/connectors/ours/status")
    worker.tasks = (replace(worker.tasks[0], state=TaskState.FAILED, trace="At offset 7."),)
    failed = await client.get("/connectors/ours/status")
    worker.state, worker.tasks = ConnectorState.STOPPED, ()
    stopped = await client.get("/connectors/ours/status")

    assert running.json() == STATUS
    assert failed.json()["tasks"] == [{**TASKS[0], "state": "FAILED", "trace": "At offset 7."}]
    assert stopped.json()["connector"]["state"] == "STOPPED"
    assert stopped.json()["tasks"] == []


async def test_tasks(client: httpx.AsyncClient) -> None:
    tasks = (await client.get("/connectors/ours/tasks")).json()
    one = await client.get("/connectors/ours/tasks/1/status")

    assert [task["id"] for task in tasks] == [
        {"connector": "ours", "task": 0},
        {"connector": "ours", "task": 1},
    ]
    assert tasks[0]["config"]["task.class"] == "processor.connector.task.Task"
    assert (one.status_code, one.json()) == (200, TASKS[1])


NOT_FOUND = [
    ("GET", "/connectors/nobody", "Connector nobody not found"),
    ("GET", "/connectors/nobody/config", "Connector nobody not found"),
    ("GET", "/connectors/nobody/tasks", "Connector nobody not found"),
    ("GET", "/connectors/nobody/status", "No status found for connector nobody"),
    ("GET", "/connectors/nobody/tasks/0/status", "No status found for task nobody-0"),
    ("GET", "/connectors/ours/tasks/9/status", "No status found for task ours-9"),
    ("GET", "/connectors/ours/tasks/x/status", "HTTP 404 Not Found"),
    ("PUT", "/connectors/nobody/pause", "Unknown connector nobody"),
    ("PUT", "/connectors/nobody/resume", "Unknown connector nobody"),
    ("PUT", "/connectors/nobody/stop", "Unknown connector nobody"),
    ("POST", "/connectors/nobody/restart", "Unknown connector: nobody"),
    ("POST", "/connectors/nobody/tasks/0/restart", "Unknown connector: nobody"),
    ("POST", "/connectors/ours/tasks/9/restart", "Unknown task: ours-9"),
    ("GET", "/connectors/ours/nothing", "HTTP 404 Not Found"),
]


@pytest.mark.parametrize(("method", "path", "message"), NOT_FOUND)
async def test_what_there_is_not(
    method: str, path: str, message: str, client: httpx.AsyncClient, worker: Any
) -> None:
    answer = await client.request(method, path)

    assert (answer.status_code, answer.json()) == (404, {"error_code": 404, "message": message})
    assert worker.told == []


async def test_pause_resume_and_stop(client: httpx.AsyncClient, worker: Any) -> None:
    answers = [await client.put(f"/connectors/ours/{do}") for do in ("pause", "resume", "stop")]

    assert [(answer.status_code, answer.content) for answer in answers] == [
        (202, b""),
        (202, b""),
        (204, b""),
    ]
    assert worker.told == [ConnectorState.PAUSED, ConnectorState.RUNNING, ConnectorState.STOPPED]


@pytest.mark.parametrize(
    ("query", "status", "connector", "tasks", "told"),
    [
        ("", 204, None, None, []),
        ("?onlyFailed=abc", 204, None, None, []),
        ("?onlyFailed=true", 202, "RUNNING", ["RUNNING", "FAILED"], []),
        ("?includeTasks=true", 202, "RESTARTING", ["RESTARTING"] * 2, [([0, 1], False)]),
        (
            "?includeTasks=true&onlyFailed=TRUE",
            202,
            "RUNNING",
            ["RUNNING", "RESTARTING"],
            [([1], True)],
        ),
    ],
)
async def test_restart_as_connect_does_it(
    query: str,
    status: int,
    connector: str | None,
    tasks: list[str] | None,
    told: list[Any],
    client: httpx.AsyncClient,
    worker: Any,
) -> None:
    worker.tasks = (worker.tasks[0], replace(worker.tasks[1], state=TaskState.FAILED, trace="Why"))

    answer = await client.post(f"/connectors/ours/restart{query}")

    assert (answer.status_code, worker.told) == (status, told)
    if connector is None:
        assert answer.content == b""
    else:
        assert answer.json()["connector"]["state"] == connector
        assert [task["state"] for task in answer.json()["tasks"]] == tasks


async def test_a_task_restarts(client: httpx.AsyncClient, worker: Any) -> None:
    answer = await client.post("/connectors/ours/tasks/1/restart")

    assert (answer.status_code, answer.content, worker.told) == (204, b"", [([1], False)])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/connectors"),
        ("PUT", "/connectors/ours/config"),
        ("PATCH", "/connectors/ours/config"),
        ("DELETE", "/connectors/ours"),
    ],
)
async def test_the_file_rules(method: str, path: str, client: httpx.AsyncClient) -> None:
    answer = await client.request(method, path, json={"name": "ours"})

    assert answer.status_code == 405
    assert answer.json()["message"].startswith("The settings file rules: ")
    assert "GET" in answer.headers["allow"]


async def test_a_method_that_there_is_not_hears_of_those_that_there_are(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.put("/connectors/ours")

    assert answer.json() == {"error_code": 405, "message": "HTTP 405 Method Not Allowed"}
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "DELETE"}


@pytest.mark.parametrize(
    ("fault", "again"),
    [
        (TryAgain("No broker answers.", reason="kafka"), "1"),
        (Misconfigured("Kafka refuses us.", mend="Grant it."), None),
    ],
)
async def test_an_order_that_the_state_topic_does_not_take(
    fault: Exception, again: str | None, client: httpx.AsyncClient, worker: Any
) -> None:
    worker.fault = fault

    answer = await client.put("/connectors/ours/pause")

    assert (answer.status_code, answer.json()) == (500, {"error_code": 500, "message": str(fault)})
    assert answer.headers.get("retry-after") == again


FAULT = Waiting("ims", "The client secret is wrong.", of_setup=True)
MOMENT = Waiting("experience_platform", "It answers 503.", of_setup=False)


@pytest.mark.parametrize(
    ("change", "status", "word", "message"),
    [
        ({}, 200, "healthy", "ready to handle requests."),
        ({"state": TaskState.UNASSIGNED}, 503, "starting", "Worker is still starting up."),
        ({"state": TaskState.FAILED, "trace": "canary"}, 500, "unhealthy", "Failed: task 0."),
        ({"waiting": (FAULT,)}, 500, "unhealthy", "Somebody has to mend the set-up: ims."),
        ({"waiting": (MOMENT,)}, 200, "healthy", "It waits for experience_platform."),
    ],
)
async def test_health(
    change: dict[str, Any], status: int, word: str, message: str, ask: Ask, worker: Any
) -> None:
    worker.tasks = (replace(worker.tasks[0], **change), worker.tasks[1])

    answer = await ask(client=("192.0.2.1", 1), host="anything").get("/health")

    assert (answer.status_code, answer.json()["status"]) == (status, word)
    assert answer.json()["message"].endswith(message)
    assert "canary" not in answer.text


async def test_health_of_one_that_is_stuck_paused_or_without_tasks(ask: Ask, worker: Any) -> None:
    client = ask()
    worker.tasks = worker.tasks[1:]  # of another worker
    starting = await client.get("/health")
    worker.state = ConnectorState.PAUSED
    paused = await client.get("/health")
    worker.is_live = False
    stuck = await client.get("/health")

    assert [answer.status_code for answer in (starting, paused, stuck)] == [503, 200, 500]
    assert paused.json()["message"].endswith("The connector is PAUSED.")
