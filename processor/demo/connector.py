"""The connector of the demo: a real ``processor run`` in a process of its own, and its metrics."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from processor.errors import Misconfigured
from processor.local.process import Process
from processor.local.programs import clean_environment, processor_command, read_metrics

START_S, STOP_S, LOOK_S = 60.0, 60.0, 0.2


@dataclass(frozen=True, slots=True)
class Books:
    """The connector's books at one moment, in records.

    Attributes:
        messages: by target, accepted by Experience Platform.
    """

    consumed: int = 0
    delivered: int = 0
    in_flight: int = 0
    dead: dict[str, int] = field(default_factory=dict)
    filtered: dict[str, int] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> int:
        """Records that came to their one ending."""
        return self.delivered + sum(self.dead.values()) + sum(self.filtered.values())


class Connector:
    """``processor run`` with the demo's settings."""

    def __init__(self, settings: Path, admin_port: int, log: Path) -> None:
        self._process = Process(
            "The connector",
            processor_command("run", "--config", str(settings)),
            log=log,
            environment=clean_environment(),
        )
        self._url = f"http://127.0.0.1:{admin_port}"
        self._process.wait_until(self._ready, timeout_s=START_S, what="become ready")

    def wait_for(self, records: int, told: Callable[[Books], None], timeout_s: float) -> Books:
        """Wait until so many records have ended.

        Args:
            records: how many of them.
            told: called with the books several times a second.
            timeout_s: the longest wait, in seconds.

        Raises:
            Misconfigured: they have not within the time, or the connector ended.
        """
        books = Books()

        def ended() -> bool:
            nonlocal books
            books = self.books()
            told(books)
            if books.ended < records:
                time.sleep(LOOK_S)
            return books.ended >= records

        self._process.wait_until(
            ended, timeout_s=timeout_s, what=f"bring {records} records to an end"
        )
        return books

    def books(self) -> Books:
        """What the connector's metrics say now.

        Raises:
            Misconfigured: it does not answer.
        """
        try:
            text = httpx.get(f"{self._url}/metrics", timeout=5, trust_env=False).text
        except httpx.HTTPError as error:
            raise Misconfigured(f"The connector's metrics cannot be read: {error}.") from error
        totals: dict[str, dict[str, int]] = {}
        for (name, found), value in read_metrics(text).items():
            labels = dict(found)
            label = labels.get("code") or labels.get("reason") or labels.get("target") or ""
            by_label = totals.setdefault(name, {})
            by_label[label] = by_label.get(label, 0) + int(value)
        return Books(
            sum(totals.get("processor_records_consumed_total", {}).values()),
            sum(totals.get("processor_records_delivered_total", {}).values()),
            sum(totals.get("processor_records_in_flight", {}).values()),
            totals.get("processor_records_dead_lettered_total", {}),
            totals.get("processor_records_filtered_total", {}),
            totals.get("processor_messages_sent_total", {}),
        )

    def stop(self) -> int:
        """Drain, commit and end; gives the exit status.

        Raises:
            Misconfigured: it does not end.
        """
        try:
            return self._process.terminate(STOP_S)
        except TimeoutError as error:
            raise Misconfigured("The connector does not stop.") from error

    def close(self) -> None:
        """End it at once if it still runs."""
        self._process.close()

    def _ready(self) -> bool:
        try:
            return (
                httpx.get(f"{self._url}/readyz", timeout=2, trust_env=False).status_code
                == httpx.codes.OK
            )
        except httpx.HTTPError:
            return False
