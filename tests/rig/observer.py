"""Watches a world from a thread: metrics, readiness, memory, and what the simulator received."""

import threading
import time
from typing import TYPE_CHECKING, Any

import httpx

from processor.local.programs import read_metrics
from tests.bench.measure import peak_mb
from tests.rig.history import Accepted, Posted, Ready, Refused, Scrape

if TYPE_CHECKING:
    from tests.rig.instance import Instance
    from tests.rig.world import World

EVERY_S = 0.5
PATIENCE_S = 3.0
BOOKS = {
    f"processor_records_{name}": name
    for name in (
        "consumed_total", "delivered_total", "dead_lettered_total", "filtered_total",
        "released_total", "in_flight",
    )
}  # fmt: skip
NAMES = ("consumed", "delivered", "dead_lettered", "filtered", "released", "in_flight")


class Observer:
    """Adds what it sees to the world's history, until it is stopped."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._client = httpx.Client(timeout=PATIENCE_S, trust_env=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)
        self._lock = threading.Lock()
        self._texts: dict[str, str] = {}
        self._messages = Cursor("order")
        self._requests = Cursor("request")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._stopping.set()
            self._thread.join()

    def look(self) -> None:
        """Look at everything once."""
        with self._lock:
            for instance in self._world.instances:
                if instance.running:
                    self._look_at(instance)
            self._look_at_simulator(open_too=False)

    def look_last(self) -> None:
        """Take what the simulator received last, requests that never ended included."""
        with self._lock:
            self._look_at_simulator(open_too=True)
            self._client.close()

    def text(self) -> str:
        """The last of everything that the instances' pages said."""
        return "\n".join(self._texts.values())

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self.look()

    def _look_at(self, instance: "Instance") -> None:
        life, url, at_ms = instance.life, instance.program.url, time.time() * 1000
        try:
            ready = self._client.get(f"{url}/readyz")
            metrics = self._client.get(f"{url}/metrics")
            memory = peak_mb(instance.program.pid)[0]
        except httpx.HTTPError:
            self._world.history.add(Ready(instance=life, at_ms=at_ms, status=0))
            return
        except (ValueError, OSError):
            return  # it has just ended
        if instance.life != life:
            return  # the answers may be of another life
        reasons = ready.json().get("reasons", [])
        self._texts |= {f"{life} {ready.text}": ready.text, f"{life} metrics": metrics.text}
        self._world.history.add(
            Ready(instance=life, at_ms=at_ms, status=ready.status_code, reasons=reasons),
            scrape_of(metrics.text, instance=life, at_ms=at_ms, rss_mb=memory),
        )

    def _look_at_simulator(self, *, open_too: bool) -> None:
        simulator, history = self._world.simulator, self._world.history
        try:
            messages = self._get(
                f"{simulator.url}/simulator/received?message=false", self._messages
            )
            requests = self._get(f"{simulator.url}/simulator/requests", self._requests)
        except httpx.HTTPError:
            return
        for row in self._messages.fresh(messages, open_too=open_too):
            if row["accepted"]:
                history.add(
                    Accepted(
                        order=row["order"], request=row["request"], inlet=row["inlet"],
                        id=row["_id"], at_ms=row["at_ms"], told=row["told"], digest=row["digest"],
                    )
                )  # fmt: skip
            else:
                history.add(
                    Refused(
                        order=row["order"], request=row["request"], inlet=row["inlet"],
                        id=row["_id"], at_ms=row["at_ms"], status=row["status"],
                    )
                )  # fmt: skip
        for row in self._requests.fresh(requests, open_too=open_too):
            history.add(
                Posted(
                    request=row["request"], door=row["scope"], inlet=row["inlet"],
                    at_ms=row["at_ms"], duration_ms=row["duration_ms"], status=row["status"],
                    outcome=row["outcome"], messages=row["messages"], bytes=row["bytes"],
                    in_flight=row["in_flight"], token=row["token"], told=row["told"],
                )
            )  # fmt: skip

    def _get(self, url: str, cursor: "Cursor") -> list[dict[str, Any]]:
        sign = "&" if "?" in url else "?"
        answer = self._client.get(f"{url}{sign}after={cursor.after}").raise_for_status().json()
        found: list[dict[str, Any]] = answer["requests"] if isinstance(answer, dict) else answer
        return found


class Cursor:
    """Takes each row once, when what it is about has ended.

    Args:
        key: of the row's number.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._taken: set[int] = set()
        self.after = 0

    def fresh(self, rows: list[dict[str, Any]], *, open_too: bool) -> list[dict[str, Any]]:
        """Those of the rows after :attr:`after` that were not taken yet."""
        found = []
        closed = True
        for row in rows:
            number = row[self._key]
            if row["outcome"] == "open" and not open_too:
                closed = False
                continue
            if number not in self._taken:
                found.append(row)
                self._taken.add(number)
            if closed:
                self.after = number
                self._taken.discard(number)
        return found


def scrape_of(text: str, *, instance: str, at_ms: float, rss_mb: float = 0.0) -> Scrape:
    """The books and counters of ``/metrics``."""
    books: dict[str, dict[str, int]] = {}
    filtered: dict[str, int] = {}
    counters: dict[str, float] = {}
    for (name, found), value in read_metrics(text).items():
        labels = dict(found)
        if name in BOOKS:
            place = f"{labels['topic']}-{labels['partition']}"
            of_place = books.setdefault(place, dict.fromkeys(NAMES, 0))
            of_place[BOOKS[name].removesuffix("_total")] += int(value)
            if name == "processor_records_filtered_total":
                reason = labels["reason"]
                filtered[reason] = filtered.get(reason, 0) + int(value)
        elif name.endswith("_total"):
            counters[name] = counters.get(name, 0.0) + value
    return Scrape(
        instance=instance, at_ms=at_ms, books=books, filtered=filtered, counters=counters,
        rss_mb=rss_mb,
    )  # fmt: skip
