"""The demo, act by act: events flow, bad ones are caught, a mistake is mended and replayed."""

import json
import secrets
import shlex
import subprocess
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from processor.demo import configuration
from processor.demo.connector import Books, Connector
from processor.demo.topic import REFUSED_CUSTOMER, Expected, Topic
from processor.errors import ProcessorError
from processor.local.environment import Environment
from processor.local.ports import free_port
from processor.local.programs import SimulatorProcess, clean_environment, processor_command
from processor.schemas.folder import SchemaFolder
from processor.settings import Settings, load

TOPIC = "capillary.events"
PARTITIONS = 4
DRAIN_S = 300.0
CURED_CODE = "mapping.expression"
SOME_LEFT = 3
"""Exit status of a replay that left some alone."""


class DemoFailed(ProcessorError):
    """What came out is not what went in; the demo says what differs."""


class Demo:
    """Plays the demo once.

    Args:
        directory: for settings, logs and the operator's schemas; emptied by nobody.
        console: where the story is told.
        records: good events to produce.
    """

    def __init__(
        self, environment: Environment, directory: Path, console: Console, records: int
    ) -> None:
        self._environment = environment
        self._directory = directory
        self._console = console
        self._records = records
        self._admin_port = free_port()
        self._simulator = SimulatorProcess(directory)
        # A given broker keeps its topics: each demo has its own there.
        suffix = f".{secrets.token_hex(4)}" if environment.given else ""
        self._topic = f"{TOPIC}{suffix}"
        self.settings_file = directory / "processor.toml"

    def play(self) -> None:
        """Play all acts and print the table.

        Raises:
            DemoFailed: a record is missing, doubled, or ended otherwise than it should.
            Misconfigured: a part did not start.
            TryAgain: Kafka or the registry did not take the demo's records.
        """
        mapping_set = configuration.make_mistake(self._directory)
        settings = self._write_settings()
        self._start_simulator()
        expected = self._fill_topic(settings)
        connector = self._start_connector()
        try:
            books, seconds = self._let_flow(connector, expected)
            self._check_flow(books, expected)
            self._say(
                f"[b]The mistake.[/b] A row of {mapping_set.name} reads dates as "
                f"{configuration.WRONG_PATTERN}; Capillary writes {configuration.RIGHT_PATTERN}. "
                f"{books.dead[CURED_CODE]} records wait in the dead-letter topic, for the target "
                "loyalty only: their events are delivered."
            )
            self._processor("dlq", "list", "--code", CURED_CODE, "--limit", "3")
            configuration.mend(mapping_set)
            self._say("[b]The mend.[/b] The pattern is corrected; the dead letters are replayed.")
            self._processor("dlq", "replay", "--code", CURED_CODE)
            left = SOME_LEFT if expected.stale else 0
            self._processor("dlq", "replay", "--code", CURED_CODE, "--execute", ends_with=left)
            self._check_received(expected, cured=True)
            self._discard_old_news(expected)
            status = connector.stop()
            if status:
                raise DemoFailed(f"The connector stopped with status {status}.")
        finally:
            connector.close()
        self._table(books, expected, seconds)

    def _discard_old_news(self, expected: Expected) -> None:
        if not expected.stale:
            return
        self._say(
            f"[b]Old news.[/b] Of {expected.stale} the customer has a newer balance, or may have: "
            "an old one would overwrite it, so they were left alone. They are discarded."
        )
        reason = "newer balances have arrived"
        self._processor("dlq", "discard", "--code", CURED_CODE, "--reason", reason, "--execute")
        self._processor("dlq", "list", "--code", CURED_CODE)

    def stay(self) -> None:
        """Start the connector again and leave it to the environment, which ends it.

        Raises:
            Misconfigured: it did not start.
        """
        self._environment.keep(self._start_connector())
        self._console.print(
            f"\n[b]Page.[/b] http://127.0.0.1:{self._admin_port}/ shows the connector, its dead "
            f"letters and replays. Log in with what is in {self._directory / configuration.TOKEN}.",
            soft_wrap=True,  # an address or a path that is broken cannot be copied
        )

    def commands(self, *, kept: bool) -> list[str]:
        """Commands to look further with; whole ones only while the parts are kept."""
        config = f"--config {self.settings_file if kept else 'FILE'}"
        return [
            f"processor dlq list {config}",
            f"processor dlq show {self._topic}.dlq 0 0 {config}",
            f"processor dlq stats {config}",
            f"processor dlq replay --code gate.violation {config}",
            f"processor trace {self._topic} 0 0 {config}",
            f"processor replay run --topic {self._topic} --from-earliest --to-latest {config}",
            *([] if kept else [f"processor run {config}"]),
            f"curl {self._simulator.url if kept else 'URL'}/simulator/summary",
        ]

    def _say(self, text: str) -> None:
        self._console.print(f"\n{text}")

    def _write_settings(self) -> Settings:
        self.settings_file = configuration.write_settings(
            self._directory,
            topic=self._topic,
            bootstrap_servers=self._environment.bootstrap_servers,
            registry_url=self._environment.schema_registry_url,
            simulator_url=self._simulator.url,
            admin_port=self._admin_port,
            replication_factor=1,
        )
        return load(self.settings_file, {})

    def _start_simulator(self) -> None:
        self._environment.keep(self._simulator)
        self._simulator.start()
        self._simulator.faults(
            {
                "scope": "batch",
                "match": {"identity": f"CapillaryCustomerId:{REFUSED_CUSTOMER}"},
                "refuse": {"status": 400, "message": "Message is invalid"},
            }
        )
        self._say(
            f"[b]Parts.[/b] Kafka {self._environment.bootstrap_servers}, schema registry "
            f"{self._environment.schema_registry_url}, simulator of IMS and Experience Platform "
            f"{self._simulator.url}."
        )

    def _fill_topic(self, settings: Settings) -> Expected:
        self._environment.create_topic(self._topic, PARTITIONS)
        assert settings.schema_registry is not None  # noqa: S101 - the demo's own settings
        folder = SchemaFolder.load(settings.schemas)
        topic = Topic(self._topic, folder, settings.schema_registry)
        expected = topic.fill(self._environment.bootstrap_servers, self._records)
        self._say(
            f"[b]Topic.[/b] {expected.records} records in {self._topic}: {self._records} good "
            f"events, {sum(expected.filtered.values())} that we do not map, and the rest broken."
        )
        return expected

    def _start_connector(self) -> Connector:
        return Connector(self.settings_file, self._admin_port, self._directory / "connector.log")

    def _let_flow(self, connector: Connector, expected: Expected) -> tuple[Books, float]:
        started_s = delivered_s = time.monotonic()
        delivered = 0
        columns = (
            TextColumn("[b]Flow.[/b] "),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("records; {task.description}"),
            TimeElapsedColumn(),
        )
        live = self._console.is_terminal
        with Progress(*columns, console=self._console, disable=not live) as progress:
            bar = progress.add_task("", total=expected.records)

            def told(books: Books) -> None:
                nonlocal delivered, delivered_s
                if books.delivered > delivered:
                    delivered, delivered_s = books.delivered, time.monotonic()
                dead = sum(books.dead.values())
                text = f"{books.delivered} delivered, {dead} dead letters"
                progress.update(bar, completed=books.ended, description=text)

            books = connector.wait_for(expected.records, told, DRAIN_S)
        if not live:
            dead = sum(books.dead.values())
            self._say(f"[b]Flow.[/b] {books.delivered} delivered, {dead} dead letters.")
        return books, delivered_s - started_s

    def _check_flow(self, books: Books, expected: Expected) -> None:
        if books.consumed != books.ended + books.in_flight or books.consumed != expected.records:
            raise DemoFailed(f"The books do not balance: {books}.")
        if books.dead != dict(expected.dead) or books.filtered != dict(expected.filtered):
            raise DemoFailed(
                f"Dead letters or filtered records differ: {books.dead}, {books.filtered}; "
                f"expected {dict(expected.dead)}, {dict(expected.filtered)}."
            )
        self._check_received(expected, cured=False)

    def _check_received(self, expected: Expected, *, cured: bool) -> None:
        """Experience Platform has exactly the good messages, each once."""
        counts = Counter((m["inlet"], m["_id"]) for m in self._simulator.accepted())
        wanted = {(target, id_) for target, ids in expected.messages.items() for id_ in ids}
        if cured:
            wanted |= {(target, id_) for target, ids in expected.cured.items() for id_ in ids}
        missing, extra = wanted - set(counts), set(counts) - wanted
        doubled = [key for key, count in counts.items() if count > 1]
        if missing or extra or doubled:
            raise DemoFailed(
                f"Experience Platform lacks {len(missing)} messages, has {len(extra)} that it "
                f"should not have and {len(doubled)} twice."
            )

    def _processor(self, *arguments: str, ends_with: int = 0) -> None:
        """Run a command as a user would, and show it."""
        self._console.print(f"\n[dim]$ processor {shlex.join(arguments)}[/dim]")
        command = processor_command(*arguments, "--config", str(self.settings_file))
        done = subprocess.run(command, env=clean_environment(), check=False)  # noqa: S603 - ours
        if done.returncode != ends_with:
            raise DemoFailed(
                f"processor {' '.join(arguments)} ended with status {done.returncode}."
            )

    def _table(self, books: Books, expected: Expected, seconds: float) -> None:
        cured = {target: len(ids) for target, ids in expected.cured.items()}
        table = Table(title="What became of every record", title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        table.add_row("consumed", str(books.consumed))
        table.add_row("delivered (all targets)", str(books.delivered))
        for code, count in sorted(books.dead.items()):
            table.add_row(f"dead-lettered: {code}", str(count))
        for reason, count in sorted(books.filtered.items()):
            table.add_row(f"filtered: {reason}", str(count))
        table.add_section()
        for target, count in sorted(books.messages.items()):
            table.add_row(f"messages accepted: {target}", str(count))
        table.add_row("replayed and accepted", json.dumps(cured)[1:-1].replace('"', ""))
        table.add_row("old balances, discarded", str(expected.stale))
        table.add_section()
        rate = books.delivered / max(seconds, 0.1)
        table.add_row("throughput, one task, to the last delivery", f"{rate:,.0f} records/s")
        self._console.print()
        self._console.print(table)
        self._console.print(
            "consumed = delivered + dead-lettered + filtered, and Experience Platform holds "
            "exactly the good messages, each once."
        )
