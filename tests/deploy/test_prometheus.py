"""A real Prometheus with our configuration before a connector that has measured everything.

`make check` runs this with the distribution's Prometheus.
"""

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import yaml

from processor.local.ports import LOOPBACK, free_port
from processor.local.process import Process
from tests.deploy import promql
from tests.exported import PROMISED

PROMETHEUS = os.environ.get("PROMETHEUS", "prometheus")
PATIENCE_S = 120.0
VALUES = {"topic": "capillary.events", "reason": "ims", "state": "RUNNING", "le": "+Inf"}
QUIET = {"processor_paused": 0, "processor_consumer_lag": 3}
"""What would set off an alert with another value."""


def measured(scrapes: int) -> str:
    """``/metrics`` of a connector that has measured everything, and counts on with each scrape."""
    lines: list[str] = []
    for name, (kind, labels) in PROMISED.items():
        pairs = ",".join(f'{label}="{VALUES.get(label, "1")}"' for label in labels)
        value = scrapes if kind != "gauge" else QUIET.get(name, 1)
        lines.append(f"# TYPE {name} {kind}")
        if kind == "histogram":
            bucket = ",".join([*filter(None, [pairs]), 'le="{}"'])
            lines += [f"{name}_bucket{{{bucket.format(le)}}} {value}" for le in ("1.0", "+Inf")]
            lines += [f"{name}_{what}{{{pairs}}} {value}" for what in ("sum", "count")]
        else:
            lines.append(f"{name}{{{pairs}}} {value}")
    return "\n".join([*lines, ""])


class Worker(ThreadingHTTPServer):
    """A worker's admin port."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Scraped)
        self.scrapes = 0


class Scraped(BaseHTTPRequestHandler):
    server: Worker

    def do_GET(self) -> None:
        self.server.scrapes += 1
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.end_headers()
        self.wfile.write(measured(self.server.scrapes).encode())

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as the library has it
        pass


@pytest.fixture(scope="module")
def ask(
    tmp_path_factory: pytest.TempPathFactory, eventually: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """``ask(path, **query)``: the data that Prometheus answers with, after some scrapes."""
    folder = tmp_path_factory.mktemp("prometheus")
    worker = Worker()
    threading.Thread(target=worker.serve_forever, daemon=True).start()
    config = yaml.safe_load((promql.MONITORING / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(promql.MONITORING / "alerts.yml")]
    (job,) = config["scrape_configs"]
    del job["dns_sd_configs"]  # the names of the compose file are not those of this machine
    job["static_configs"] = [{"targets": [f"{LOOPBACK}:{worker.server_address[1]}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    url = f"http://{LOOPBACK}:{free_port()}"
    process = Process(
        "prometheus",
        [
            PROMETHEUS,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
        ],
        log=folder / "prometheus.log",
    )

    def answer(path: str, **query: str) -> Any:
        got = httpx.get(f"{url}/api/v1/{path}", params=query, trust_env=False, timeout=30)
        assert got.is_success, got.text
        return got.json()["data"]

    try:
        eventually(lambda: worker.scrapes >= 5 or not process.running, PATIENCE_S, what="scrapes")
        assert process.running, process.output()
        yield answer
    finally:
        process.close()
        worker.shutdown()
        worker.server_close()


@pytest.mark.parametrize("expression", [*promql.shown()], ids=lambda e: e.where)
def test_a_panel_shows_something(
    expression: promql.Expression, ask: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    text = expression.text.replace("$__rate_interval", "1m")
    for variable in ("job", "instance", "topic"):
        text = text.replace(f"${variable}", ".*")

    eventually(lambda: ask("query", query=text)["result"], PATIENCE_S, what=expression.where)


def test_prometheus_evaluates_every_alert_and_none_fires(
    ask: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    def rules() -> list[dict[str, Any]]:
        return [rule for group in ask("rules")["groups"] for rule in group["rules"]]

    eventually(lambda: {rule["health"] for rule in rules()} == {"ok"}, PATIENCE_S)
    assert [rule["name"] for rule in rules()] == [rule["alert"] for rule in promql.rules()]
    firing = {rule["name"] for rule in rules() if rule["state"] == "firing"}
    assert firing <= {"ProcessorDeadLetters"}  # one is for the record at once
