"""What every test may use: patience, the command line, and a watch for secrets in output."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, settings

from processor.local.programs import clean_environment, processor_command

POLL_S = 0.02
TOKEN = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{86}(?![A-Za-z0-9_-])")
"""The simulator's access tokens: 64 random bytes in URL-safe base64."""
CUSTOMER = re.compile(r"[\w.+-]+@example\.(?:com|org|net)")
SHOWS_RECORDS = re.compile(r"^processor map\b|\s--reveal\b")
"""Commands that are asked to show a customer's fields."""

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# A shell has its background jobs ignore SIGINT, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Ran(NamedTuple):
    status: int
    stdout: str
    stderr: str


class RunCli(Protocol):
    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 120.0,
        cwd: Path | None = None,
    ) -> Ran: ...


class Canary:
    """Secrets that nothing may print, and what was printed."""

    def __init__(self) -> None:
        self.client_secret = f"p8e-canary+{os.urandom(8).hex()}/=%&"
        self._secrets = {self.client_secret}
        self._printed: list[tuple[str, str]] = []

    def watch_for(self, secret: str) -> str:
        """Let no output of the whole run hold this; gives it back."""
        self._secrets.add(secret)
        return secret

    def printed(self, who: str, text: str) -> None:
        self._printed.append((who, text))

    def leaks(self, logs: Sequence[Path]) -> list[str]:
        """Where a secret was printed, or a token, or a customer's e-mail address.

        An address may stand in the output of a command that was asked to show it.
        """
        forms = {
            form: secret
            for secret in self._secrets
            for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
        }
        # A broker keeps records in files that end in .log too; their names are offsets.
        logs = [path for path in logs if not path.stem.isdigit()]
        files = [(str(path), path.read_text(errors="replace")) for path in logs]
        found = [
            f"{who}: secret {forms[form][:10]}…"
            for who, text in [*self._printed, *files]
            for form in forms
            if form in text
        ]
        found += [
            f"{who}: an access token"
            for who, text in [*self._printed, *files]
            if TOKEN.search(text)
        ]
        quiet = [(who, text) for who, text in self._printed if not SHOWS_RECORDS.search(who)]
        found += [
            f"{who}: a customer's address"
            for who, text in [*quiet, *files]
            if CUSTOMER.search(text)
        ]
        return found


@pytest.fixture(scope="session", autouse=True)
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """Made first, so it ends last: no output of any program may hold a secret."""
    watch = Canary()

    yield watch

    leaks = watch.leaks(sorted(tmp_path_factory.getbasetemp().rglob("*.log")))
    assert not leaks, "\n".join(leaks)


@pytest.fixture(scope="session")
def client_secret(canary: Canary) -> str:
    """A secret with the characters that URLs escape; printing it fails the whole run."""
    return canary.client_secret


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """``eventually(predicate, timeout_s=90, what="")``: ask until the answer is true; gives it."""

    def wait(predicate: Callable[[], Any], timeout_s: float = 90.0, *, what: str = "") -> Any:
        deadline_s = time.monotonic() + timeout_s
        while not (answer := predicate()):
            assert time.monotonic() < deadline_s, (
                f"not within {timeout_s:g} s: {what or predicate}; the last answer: {answer!r}"
            )
            time.sleep(POLL_S)
        return answer

    return wait


@pytest.fixture
def run_cli(canary: Canary, tmp_path: Path) -> RunCli:
    """``run_cli("check", "--json", env={…})``: status, stdout and stderr of a real process.

    Its environment is ours without settings of ours, and what `env` adds.
    """

    def run(
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout_s: float = 120.0,
        cwd: Path | None = None,
    ) -> Ran:
        done = subprocess.run(
            processor_command(*map(str, arguments)),
            env=clean_environment() | dict(env or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            cwd=cwd or tmp_path,
            check=False,
        )
        canary.printed(f"processor {' '.join(map(str, arguments))}", done.stdout + done.stderr)
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
