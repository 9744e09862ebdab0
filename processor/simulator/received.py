"""What the simulator remembers: requests, messages, profiles, and what was seen before."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from processor.simulator.messages import Judgement
from processor.simulator.options import SimulatorOptions


@dataclass(slots=True)
class RequestEntry:
    """One request, without its secrets.

    Attributes:
        outcome: ``open``, ``answered``, or how it ended without a whole answer: ``reset``,
            ``closed``, ``cut``, ``hung``, ``abandoned`` (the client left).
        at_ms: when it came in, in Unix milliseconds.
        token: number of the token that was used or minted, from 1.
        leak: whether a secret stood in the URL.
        told: whether the answer left, and said of each message what was decided.
        faults: numbers of the faults that acted.
    """

    number: int
    door: str
    inlet: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    started_s: float
    at_ms: float
    in_flight: int
    size_bytes: int = 0
    messages: int = 0
    accepted: int = 0
    refused: int = 0
    status: int | None = None
    outcome: str = "open"
    duration_ms: float | None = None
    token: int | None = None
    leak: bool = False
    told: bool = False
    faults: list[int] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The entry with the names of ``docs/simulator.md``."""
        return {
            "request": self.number, "scope": self.door, "inlet": self.inlet,
            "method": self.method, "path": self.path, "query": self.query,
            "headers": self.headers, "bytes": self.size_bytes, "messages": self.messages,
            "accepted": self.accepted, "refused": self.refused, "status": self.status,
            "outcome": self.outcome, "started_s": round(self.started_s, 6),
            "at_ms": round(self.at_ms, 3), "duration_ms": self.duration_ms,
            "in_flight": self.in_flight, "token": self.token, "leak": self.leak,
            "told": self.told, "faults": self.faults,
        }  # fmt: skip


class Entry(NamedTuple):
    """One message as it was received; compact, for there can be a million."""

    order: int
    at_ms: float
    request: RequestEntry
    inlet: str
    target: str
    id: str | None
    identity: str | None
    event_id: str | None
    status: int
    operation: str
    repeat: bool
    dropped_because: str | None
    violations: bytes | None
    body: bytes | None

    def as_json(self, *, with_message: bool) -> dict[str, Any]:
        """The entry with the names of ``interface.md``, and more."""
        accepted = self.status < 400  # noqa: PLR2004  HTTP's own border
        shown: dict[str, Any] = {
            "inlet": self.inlet, "_id": self.id, "identity": self.identity,
            "event_id": self.event_id, "accepted": accepted,
            "answered": self.request.outcome == "answered", "told": self.request.told,
            "outcome": self.request.outcome, "status": self.status, "repeat": self.repeat,
            "order": self.order, "at_ms": round(self.at_ms, 3), "request": self.request.number,
            "target": self.target, "operation": self.operation,
            "dropped_by_profile": self.dropped_because is not None,
            "dropped_because": self.dropped_because,
            "failed": accepted and self.violations is not None,
            "violations": orjson.Fragment(self.violations or b"[]"),
            "digest": None if self.body is None else hashlib.sha256(self.body).hexdigest(),
        }  # fmt: skip
        if with_message:
            shown["message"] = orjson.Fragment(self.body or b"null")
        return shown


@dataclass(slots=True)
class Profile:
    """What a profile dataset holds for one identity."""

    dataset_id: str
    inlet: str
    identity: str
    entity: bytes
    updates: int = 1


class Received:
    """Memory of what came in; bounded, and honest about what it had to leave out."""

    def __init__(
        self,
        options: SimulatorOptions,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._options = options
        self._clock = clock
        self._wall = wall
        self._started_s = clock()
        self._in_flight: Counter[str] = Counter()
        self.requests: deque[RequestEntry] = deque()
        self.entries: deque[Entry] = deque()
        self._seen: dict[tuple[str, str], int] = {}
        self.profiles: dict[tuple[str, str], Profile] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything but the requests that are still open."""
        self.requests.clear()
        self.entries.clear()
        self._seen.clear()
        self.profiles.clear()
        self._request_number = self._order = self._body_bytes = 0
        self._counts: Counter[str] = Counter()
        self._by_inlet: dict[str, Counter[str]] = {}
        self._by_status: Counter[str] = Counter()
        self._most_in_flight: Counter[str] = Counter(self._in_flight)

    def begin(
        self,
        door: str,
        inlet: str,
        *,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> RequestEntry:
        """Note a request that has come in; it is in flight until :meth:`end`."""
        self._request_number += 1
        self._in_flight[door] += 1
        now_in_flight = self._in_flight[door]
        self._most_in_flight[door] = max(self._most_in_flight[door], now_in_flight)
        self._counts[f"requests_{door}"] += 1
        entry = RequestEntry(
            number=self._request_number,
            door=door,
            inlet=inlet,
            method=method,
            path=path,
            query=query,
            headers=headers,
            started_s=self._clock() - self._started_s,
            at_ms=self._wall() * 1000,
            in_flight=now_in_flight,
        )
        self.requests.append(entry)
        if len(self.requests) > self._options.requests_limit:
            forgotten = self.requests.popleft()
            forgotten.headers = forgotten.query = {}
            self._counts["requests_forgotten"] += 1
        return entry

    def end(
        self, entry: RequestEntry, outcome: str, status: int | None, *, told: bool = False
    ) -> None:
        """Note how a request ended; ``status`` is the answer's, if there was one."""
        entry.outcome, entry.status = outcome, status
        entry.told = told and outcome == "answered"
        elapsed_s = self._clock() - self._started_s - entry.started_s
        entry.duration_ms = round(elapsed_s * 1000, 3)
        self._in_flight[entry.door] -= 1
        self._by_status[str(status) if status is not None else outcome] += 1
        self._counts["secrets_in_query"] += entry.leak
        if outcome != "answered":
            self._counts["accepted_not_answered"] += entry.accepted

    def message(self, request: RequestEntry, judgement: Judgement, body: bytes) -> None:
        """Note a message, and do with an accepted one what Profile does."""
        mark = judgement.mark
        self._order += 1
        repeat = judgement.accepted and self._repeats(request.inlet, mark.id)
        request.accepted += judgement.accepted
        request.refused += not judgement.accepted
        keep = self._body_bytes + len(body) <= self._options.message_bytes_limit
        self._body_bytes += len(body) if keep else 0
        entry = Entry(
            order=self._order,
            at_ms=self._wall() * 1000,
            request=request,
            inlet=request.inlet,
            target=judgement.target,
            id=mark.id,
            identity=mark.identity,
            event_id=mark.event_id,
            status=judgement.status,
            operation=judgement.operation,
            repeat=repeat,
            dropped_because=judgement.dropped_because,
            violations=orjson.dumps(judgement.cause) if judgement.cause else None,
            body=body if keep else None,
        )
        self.entries.append(entry)
        self._count(entry, judgement)
        self._forget_oldest()
        if judgement.accepted and not judgement.failed:
            self._to_profile(request.inlet, judgement)

    def failed(self) -> Iterator[Entry]:
        """Accepted messages that validation refused afterwards, in order of arrival."""
        for entry in self.entries:
            if entry.status < 400 and entry.violations is not None:  # noqa: PLR2004  HTTP's own
                yield entry

    def summary(self) -> dict[str, Any]:
        """Counts, exact since the last reset."""
        count = self._counts
        return {
            "requests": {
                door: count[f"requests_{door}"] for door in ("ims", "single", "batch", "schemas")
            },
            "answers": dict(sorted(self._by_status.items())),
            "messages": {
                name: count[name]
                for name in (
                    "received", "accepted", "refused", "repeats", "failed_afterwards",
                    "dropped_by_profile", "accepted_not_answered",
                )
            },
            "distinct_ids": len(self._seen),
            "profiles": len(self.profiles),
            "inlets": {inlet: dict(counts) for inlet, counts in self._by_inlet.items()},
            "in_flight": dict(self._in_flight),
            "in_flight_max": dict(self._most_in_flight),
            "secrets_in_query": count["secrets_in_query"],
            "forgotten": {
                "messages": count["messages_forgotten"],
                "message_bodies": count["bodies_left_out"],
                "requests": count["requests_forgotten"],
            },
        }  # fmt: skip

    def _repeats(self, inlet: str, entity_id: str | None) -> bool:
        if entity_id is None:
            return False
        key = inlet, entity_id
        known = key in self._seen
        self._seen[key] = self._order
        return known

    def _count(self, entry: Entry, judgement: Judgement) -> None:
        per_inlet = self._by_inlet.setdefault(entry.inlet, Counter())
        for counts in (self._counts, per_inlet):
            counts["received"] += 1
            counts["accepted" if judgement.accepted else "refused"] += 1
            counts["repeats"] += entry.repeat
            counts["failed_afterwards"] += judgement.failed
            counts["dropped_by_profile"] += entry.dropped_because is not None
        self._counts["bodies_left_out"] += entry.body is None

    def _forget_oldest(self) -> None:
        if len(self.entries) <= self._options.received_limit:
            return
        oldest = self.entries.popleft()
        self._counts["messages_forgotten"] += 1
        self._body_bytes -= len(oldest.body or b"")
        if oldest.id is not None and self._seen.get((oldest.inlet, oldest.id)) == oldest.order:
            del self._seen[oldest.inlet, oldest.id]

    def _to_profile(self, inlet: str, judgement: Judgement) -> None:
        identity = judgement.mark.identity
        if judgement.time_series or judgement.dropped_because is not None or identity is None:
            return
        key = judgement.dataset_id, identity
        held = self.profiles.get(key)
        if judgement.operation == "delete":
            self.profiles.pop(key, None)
            return
        entity = dict(judgement.entity)
        if held is not None and judgement.operation == "merge":
            entity = merged(orjson.loads(held.entity), entity)
        if held is not None:
            held.entity, held.inlet = orjson.dumps(entity), inlet
            held.updates += 1
        elif len(self.profiles) < self._options.received_limit:
            self.profiles[key] = Profile(key[0], inlet, identity, orjson.dumps(entity))


def merged(held: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """A partial row laid over the whole one: objects merge, everything else is replaced."""
    result = dict(held)
    for name, value in update.items():
        below = result.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            result[name] = merged(below, value)
        else:
            result[name] = value
    return result
