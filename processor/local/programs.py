"""Our own commands as child programs: the simulator, and the connector with its settings file."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from processor.local.server import Server

REQUEST_TIMEOUT_S = 10.0
SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without settings of ours, so that a settings file alone decides."""
    return {key: value for key, value in environ.items() if not key.startswith("PROCESSOR_")}


def processor_command(*arguments: str) -> list[str]:
    """The command line with this interpreter."""
    return [sys.executable, "-m", "processor", *arguments]


class SimulatorProcess(Server):
    """``processor simulator`` on a free port.

    Attributes:
        url: where it answers.
    """

    name = "The simulator"

    def __init__(self, directory: Path) -> None:
        """Choose a port; nothing runs before :meth:`start`.

        Args:
            directory: holds the log; made when missing.
        """
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.log = directory / "simulator.log"
        directory.mkdir(parents=True, exist_ok=True)

    def faults(self, faults: Any, *, instead: bool = False) -> Any:
        """Script what the next answers are; see the simulator's pages for the form.

        With `instead` the faults that still act are forgotten.
        """
        return self._post(f"faults?replace={'true' if instead else 'false'}", faults)

    def faults_over(self) -> Any:
        """End every fault and let go of what hangs; what came in is kept."""
        return self._post("reset?what=faults", None)

    def reset(self) -> Any:
        """Forget faults, messages and secrets."""
        return self._post("reset", None)

    def received(self, after: int = 0, *, bodies: bool = True) -> list[dict[str, Any]]:
        """What came in after that place in the order of arrival."""
        answer = self._get(f"received?after={after}&message={'true' if bodies else 'false'}")
        received: list[dict[str, Any]] = answer.raise_for_status().json()
        return received

    def requests(self, after: int = 0) -> list[dict[str, Any]]:
        """What was asked of it after that number, without secrets, in the order of arrival."""
        answer = self._get(f"requests?after={after}").raise_for_status()
        requests: list[dict[str, Any]] = answer.json()["requests"]
        return requests

    def forgive(self) -> Any:
        """Restore revoked secrets; what came in is kept."""
        return self._post("reset?what=secrets", None)

    def accepted(self, inlet: str | None = None) -> list[dict[str, Any]]:
        """Messages that it accepted, of one inlet or of all."""
        return [
            message
            for message in self.received()
            if message["accepted"] and inlet in (None, message["inlet"])
        ]

    def profiles(self, dataset: str) -> list[dict[str, Any]]:
        """What a profile dataset holds, by identity."""
        answer = self._get(f"profiles?dataset={dataset}").raise_for_status()
        profiles: list[dict[str, Any]] = answer.json()
        return profiles

    def _launch(self) -> Process:
        command = processor_command("simulator", "--port", str(self.port))
        return Process(self.name, command, log=self.log, environment=clean_environment())

    def _answers(self) -> bool:
        try:
            return self._get("received").is_success
        except httpx.TransportError:
            return False

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}/simulator/{path}", timeout=REQUEST_TIMEOUT_S, trust_env=False)

    def _post(self, path: str, body: Any) -> Any:
        answer = httpx.post(
            f"{self.url}/simulator/{path}", json=body, timeout=REQUEST_TIMEOUT_S, trust_env=False
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None


class ConnectorProcess(Server):
    """``processor run`` with a settings file of its own, on a free admin port.

    Attributes:
        settings: the tables of the file; changes count from the next start.
        config: the file, written at each start.
        url: base of its admin server.
        environment: variables beside the settings file.
    """

    name = "The connector"

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        """Choose the admin port; nothing runs before :meth:`start`.

        Args:
            directory: holds settings file and log; made when missing.
            settings: tables as in the settings file; `admin.port` is ours.
        """
        self.port = free_port()
        self.url = f"http://{LOOPBACK}:{self.port}"
        self.settings = {**settings, "admin": {**settings.get("admin", {}), "port": self.port}}
        self.config = directory / "processor.toml"
        self.log = directory / "connector.log"
        self.environment = clean_environment()
        directory.mkdir(parents=True, exist_ok=True)

    def readyz(self) -> tuple[int, dict[str, Any]]:
        """Status and body of ``/readyz``; status 0 when nothing answers."""
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=REQUEST_TIMEOUT_S, trust_env=False)
        except httpx.TransportError:
            return 0, {}
        return answer.status_code, answer.json()

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample of ``/metrics`` by name and labels."""
        answer = httpx.get(f"{self.url}/metrics", timeout=REQUEST_TIMEOUT_S, trust_env=False)
        return read_metrics(answer.raise_for_status().text)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 without any."""
        wanted = set(labels.items())
        return sum(
            value
            for (sample, found), value in self.metrics().items()
            if sample == name and wanted <= found
        )

    def _launch(self) -> Process:
        self.config.write_text(toml(self.settings))
        command = processor_command("run", "--config", str(self.config))
        return Process(
            self.name,
            command,
            log=self.log,
            environment=self.environment,
            directory=self.config.parent,
        )

    def _answers(self) -> bool:
        return self.readyz()[0] == httpx.codes.OK


def read_metrics(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Samples of Prometheus' text form by name and labels."""
    samples = {}
    for line in text.splitlines():
        if found := SAMPLE.match(line):
            labels = frozenset(LABEL.findall(found["labels"] or ""))
            samples[found["name"], labels] = float(found["value"])
    return samples


def toml(tables: Mapping[str, Any]) -> str:
    """A TOML document of nested mappings; values are what JSON can say, and paths."""
    return "\n".join(_lines(tables, ())) + "\n"


def _lines(table: Mapping[str, Any], path: Sequence[str]) -> list[str]:
    lines = [f"[{'.'.join(json.dumps(part) for part in path)}]"] if path else []
    inner = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner += _lines(value, (*path, key))
        else:
            # JSON's strings, numbers, booleans and lists are TOML's too.
            said = json.dumps(value, default=str, ensure_ascii=False)
            lines.append(f"{json.dumps(key)} = {said}")
    return lines + inner
