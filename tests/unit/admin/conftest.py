"""What the tests of this wing share: settings, tokens, and a worker that the test sets."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from processor.admin.access import Access
from processor.admin.app import create_app
from processor.connector.status import ConnectorState, ConnectorStatus, TaskState, TaskStatus
from processor.errors import TryAgain
from processor.operations.desk.apart import DONE, Answer
from processor.operations.desk.replays import Begun
from processor.record import TopicPartition
from processor.settings import Settings
from processor.telemetry import levels

NAME = "ours"
HERE, THERE = "10.0.0.1:8083", "10.0.0.2:8083"
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TABLES: dict[str, Any] = {
    "name": NAME,
    "tasks_max": 2,
    "kafka": {"bootstrap_servers": "127.0.0.1:1", "topics": ["events"]},
    "ims": {"client_id": "client", "client_secret": "hush-canary-secret"},
    "experience_platform": {
        "org_id": "0A7D42FC5DB9D3360A495FD3@AdobeOrg",
        "tenant": "acme",
        "targets": {"event": {"inlet_id": "i", "dataset_id": "d", "schema_id": "s"}},
    },
}


class FakeWorker:
    """A worker whose state the test sets; it notes what it is told."""

    def __init__(self) -> None:
        self.is_live = True
        self.reasons: list[str] = []
        self.broken = False
        self.quoted = "text of a customer"
        self.text = b"processor_records_in_flight 0\n"
        self.state = ConnectorState.RUNNING
        self.tasks: Sequence[TaskStatus] = (
            TaskStatus(0, TaskState.RUNNING, HERE),
            TaskStatus(1, TaskState.RUNNING, THERE),
        )
        self.told: list[Any] = []
        self.fault: Exception | None = None

    def live(self) -> bool:
        return self.is_live

    def ready(self) -> tuple[bool, list[str]]:
        return not self.reasons, self.reasons

    def metrics(self) -> bytes:
        if self.broken:
            raise ValueError(self.quoted)
        return self.text

    def status(self) -> ConnectorStatus:
        return ConnectorStatus(NAME, self.state, HERE, self.tasks)

    async def order(self, state: ConnectorState) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append(state)

    async def restart(self, tasks: Sequence[int], *, only_failed: bool = False) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append((list(tasks), only_failed))

    async def log_at(self, level: int, logger: str, *, everywhere: bool = False) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append((level, logger, everywhere))
        if not everywhere:
            levels.set_level(logger, level)


class FakeKafka:
    """A cluster whose answers the test sets."""

    def __init__(self) -> None:
        self.id: str | None = "cluster-id"
        self.offsets = {TopicPartition("events", 0): 7, TopicPartition("events", 1): 0}
        self.told: list[Any] = []
        self.fault: Exception | None = None

    def cluster_id(self) -> str | None:
        return self.id

    def committed(self) -> Mapping[TopicPartition, int]:
        return self.offsets

    def alter(self, wanted: Mapping[TopicPartition, int | None]) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append(dict(wanted))

    def forget(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.told.append("forget")


class FakeDesk:
    """A desk whose answers the test sets, by the name of the work; it notes what it is asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.slow: set[str] = set()
        self.closed = False

    def answer(self, work: Any, asked: Any) -> Any:
        self.asked.append((work.__name__, asked))
        given = self.answers.get(work.__name__)
        if given is None:
            raise TryAgain("No Kafka broker answers.", reason="kafka")
        if isinstance(given, Exception):
            raise given
        return given

    async def call(self, work: Any, asked: Any = None, *, timeout_s: float = 0) -> Any:
        return self.answer(work, asked)

    def hire(self) -> Any:
        return FakeHand(self)

    def close(self) -> None:
        self.closed = True


class FakeHand:
    """Works for a desk, or hangs until it is told to stop."""

    def __init__(self, desk: FakeDesk) -> None:
        self._desk = desk
        self._stopped = threading.Event()

    def ask(
        self, work: Any, asked: Any, *, timeout_s: float | None, heard: Any = lambda _news: None
    ) -> Answer:
        answer = self._desk.answer(work, asked)
        if work.__name__ in self._desk.slow:
            heard(Begun("20260131t120000-9f3a") if work.__name__ != "plan" else 7)
            self._stopped.wait(60)
        return Answer(DONE, answer)

    def stop(self) -> None:
        self._stopped.set()

    def kill(self) -> None:
        self._stopped.set()


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def settings() -> Callable[..., Settings]:
    """``settings(port=0)``: settings whose table ``[admin]`` holds this."""
    return lambda **admin: Settings.model_validate({**TABLES, "admin": admin})


@pytest.fixture
def token_files(tmp_path: Path) -> dict[str, Path]:
    """The files of a token for each role; a token is ``<role>-token-0123456789``."""
    files = {}
    for role, key in (("view", "view_token_file"), ("replay", "replay_token_file")):
        files[key] = tmp_path / role
    files["token_file"] = tmp_path / "admin"
    for file in files.values():
        file.write_text(f"{token(file.name)}\n")
        file.chmod(0o600)
    return files


def token(role: str) -> str:
    return f"{role}-token-0123456789"


@pytest.fixture
def token_of() -> Callable[[str], str]:
    """``token_of("view")``: what stands in the file of a role's token."""
    return token


@pytest.fixture
def ask(
    worker: FakeWorker, kafka: FakeKafka, desk: FakeDesk, settings: Callable[..., Settings]
) -> Callable[..., httpx.AsyncClient]:
    """``ask(client=("127.0.0.1", 1), host="127.0.0.1:8083", **admin)``: asks the application.

    It asks as this client, and calls it by this name; `admin` are settings.
    """

    def make(
        client: tuple[str, int] = ("127.0.0.1", 1),
        host: str = "127.0.0.1:8083",
        access: Access | None = None,
        **admin: Any,
    ) -> httpx.AsyncClient:
        app = create_app(worker, settings(**admin), access, kafka, desk)
        transport = httpx.ASGITransport(app, client=client, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=f"http://{host}")

    return make


@pytest.fixture
def browser(ask: Any, token_files: dict[str, Path], token_of: Any) -> Callable[..., Any]:
    """``browser("admin")``: asks with the token of a role, and wants pages."""

    def make(role: str, **headers: str) -> httpx.AsyncClient:
        client: httpx.AsyncClient = ask(**token_files)
        shown = {"authorization": f"Bearer {token_of(role)}"}
        client.headers.update({**BROWSER, **shown, **headers})
        return client

    return make
