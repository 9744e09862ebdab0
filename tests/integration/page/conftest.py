"""The pages in a real browser: the admin server as a program, Chromium without a screen."""

import contextlib
import functools
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from processor.local.programs import clean_environment, toml

ROOT = Path(__file__).parents[3]
CHROMIUM = ("chromium", "google-chrome")
INSTALL = "Install Chromium (Debian and Ubuntu: apt-get install chromium)."
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
"""In containers there is neither a user namespace for the sandbox nor much shared memory."""

ROLES = {"view": "view_token_file", "replay": "replay_token_file", "admin": "token_file"}
METRICS = {
    'processor_records_consumed_total{topic="events",partition="0"}': 1_204_410,
    'processor_records_delivered_total{topic="events",partition="0"}': 1_204_377,
    'processor_records_dead_lettered_total{topic="events",partition="0",code="gate.violation"}': 21,
    'processor_records_in_flight{topic="events",partition="0"}': 12,
    'processor_consumer_lag{topic="events",partition="0"}': 4_210,
    'processor_consumer_lag{topic="events",partition="1"}': 0,
    "processor_concurrency_limit": 11,
    "processor_token_expires_in_seconds": 81_342,
}


def task(number: int, state: str = "RUNNING", **more: Any) -> dict[str, Any]:
    return {"id": number, "state": state, "worker_id": f"10.0.0.{number // 2 + 4}:8083", **more}


WORKER: dict[str, Any] = {
    "state": "RUNNING",
    "tasks": [task(0), task(1), task(2)],
    "metrics": "".join(f"{name} {value}\n" for name, value in METRICS.items()),
}


class Site:
    """The admin server as a program, and what a browser needs of it."""

    def __init__(
        self, directory: Path, tables: Mapping[str, Any], watch: Callable[[str], str]
    ) -> None:
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.log = directory / "site.log"
        self.tokens: dict[str, str] = {}
        self._config = directory / "site.toml"
        self._worker = directory / "worker.json"
        self._process: Process | None = None
        admin: dict[str, Any] = {"port": self.port}
        for role, key in ROLES.items():
            self.tokens[role] = watch(f"{role}-canary-token-{self.port}")
            admin[key] = str(directory / f"{role}.token")
            Path(admin[key]).write_text(self.tokens[role])
            Path(admin[key]).chmod(0o600)
        self._config.write_text(toml({**tables, "admin": admin}))
        self.worker(WORKER)

    def worker(self, told: Mapping[str, Any]) -> None:
        """Have the worker be so from now on."""
        new = self._worker.with_suffix(".new")
        new.write_text(json.dumps(told))
        new.rename(self._worker)

    def start(self, eventually: Callable[..., Any]) -> None:
        self._process = Process(
            "The site",
            [sys.executable, "-m", "tests.integration.page.server", str(self._config),
             str(self._worker)],
            log=self.log,
            environment=clean_environment(),
            directory=ROOT,
        )  # fmt: skip
        eventually(self._answers, timeout_s=60, what="the site answers")

    def stop(self) -> None:
        """Let it end as a worker does."""
        if self._process is not None:
            assert self._process.terminate(timeout_s=90) == 0

    def close(self) -> None:
        if self._process is not None:
            self._process.close()

    def get(self, path: str, role: str = "view", **headers: str) -> httpx.Response:
        """As a program asks."""
        shown = {"authorization": f"Bearer {self.tokens[role]}", "accept": "application/json"}
        return httpx.get(self.url + path, headers=shown | headers, timeout=90, trust_env=False)

    def post(self, path: str, role: str = "replay", **fields: str) -> httpx.Response:
        """As a program sends a form."""
        shown = {"authorization": f"Bearer {self.tokens[role]}", "accept": "application/json"}
        return httpx.post(self.url + path, headers=shown, data=fields, timeout=120, trust_env=False)

    def logged(self) -> list[dict[str, Any]]:
        """The lines of its log."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/livez", timeout=5, trust_env=False).is_success
        except httpx.TransportError:
            return False


@pytest.fixture
def site_settings(connector_settings: Callable[..., dict[str, Any]], topic: str) -> dict[str, Any]:
    """Those of the connector ``ours``, with a state topic of the test's own."""
    tables = {**connector_settings(topic), "name": "ours"}
    tables["state"] |= {"topic": f"{topic}.state"}
    return tables


@pytest.fixture
def make_site(
    tmp_path: Path, site_settings: dict[str, Any], canary: Any, eventually: Callable[..., Any]
) -> Iterator[Callable[[], Site]]:
    """``make_site()``: the admin server of a worker."""
    made: list[Site] = []

    def make() -> Site:
        directory = tmp_path / f"site-{len(made)}"
        directory.mkdir()
        made.append(Site(directory, site_settings, canary.watch_for))
        made[-1].start(eventually)
        return made[-1]

    yield make

    for one in made:
        one.close()


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    return make_site()


@pytest.fixture
def other_site(make_site: Callable[[], Site]) -> Site:
    """Another worker of the same connector."""
    return make_site()


@pytest.fixture
def chromium() -> Iterator[Callable[[], Browser]]:
    """``chromium()``: the machine's own, without a screen, of this test.

    It starts when it is asked for: while Playwright runs, no other event loop can on this thread.
    """
    with contextlib.ExitStack() as running:

        @functools.cache
        def start() -> Browser:
            program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
            assert program is not None, INSTALL
            playwright = running.enter_context(sync_playwright())
            browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
            running.callback(browser.close)
            return browser

        yield start


class Visit:
    """A browser that has come with a role, and everything that it should not have seen.

    Attributes:
        page: Playwright's.
        complaints: errors of scripts and of the console, dialogs, requests to other places.
    """

    def __init__(self, context: BrowserContext, site: Site) -> None:
        self.site = site
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("console", self._console)
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)

    def go(self, path: str) -> Any:
        """Open a page of the site; gives the answer."""
        return self.page.goto(self.site.url + path, wait_until="load")

    def log_in(self, role: str) -> None:
        """Come with a token, as a person does."""
        self.go("/overview")
        self.page.get_by_label("Token").fill(self.site.tokens[role])
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("button", name="Log out").wait_for()
        self.complaints.clear()  # the first answer is a 401, which the console names

    def text(self) -> str:
        """What the page says, for whoever reads why a test failed."""
        try:
            return str(self.page.inner_text("body", timeout=5_000))
        except PlaywrightError as error:
            return f"(nothing: {error})"

    def _console(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"console: {message.text}")

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((f"{self.site.url}/", "data:")):
            self.complaints.append(f"request: {request.url}")


Visiting = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Callable[[], Browser], site: Site) -> Iterator[Visiting]:
    """``visit(role="admin", **context)``: a browser of its own, logged in; it never complains."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def make(role: str | None = "admin", **options: Any) -> Visit:
        contexts.append(chromium().new_context(**options))
        contexts[-1].set_default_timeout(60_000)
        made = Visit(contexts[-1], site)
        visits.append(made)
        if role is not None:
            made.log_in(role)
        return made

    yield make

    for one in visits:
        print(f"At the end {one.page.url} said:\n{one.text()}")  # noqa: T201 - for the report
    for context in contexts:
        context.close()
    assert [one.complaints for one in visits] == [[] for _ in visits]
