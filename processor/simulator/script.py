"""The faults that are posted and not yet spent, and what they mean for one request."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from processor.simulator.faults import Fault, Match, Refuse
from processor.simulator.messages import Mark

Door = Literal["ims", "single", "batch", "schemas"]
_OF_COLLECTION = frozenset({"single", "batch"})


@dataclass(slots=True)
class _Posted:
    number: int
    fault: Fault
    left: int | None
    skip: int
    acted: int = 0

    def covers(self, door: Door, inlet_id: str, marks: Sequence[Mark]) -> bool:
        """Whether this fault is about such a request."""
        fault = self.fault
        if fault.scope != door and not (fault.scope == "collection" and door in _OF_COLLECTION):
            return False
        if fault.inlet and fault.inlet != inlet_id:
            return False
        return fault.match is None or bool(matching(fault.match, marks))


@dataclass(slots=True)
class Plan:
    """What happens to one request.

    Attributes:
        answer: the one fault that decides the answer; `None`: AEP's own judgement.
        refusals: messages to refuse, and with what.
        numbers: of the faults that act, in the order in which they were posted.
    """

    latency_s: float = 0.0
    answer_latency_s: float = 0.0
    read_bytes_per_s: int | None = None
    write_bytes_per_s: int | None = None
    answer: Fault | None = None
    refusals: list[tuple[Match | None, Refuse]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def refusal_of(self, marks: Sequence[Mark]) -> dict[int, Refuse]:
        """Positions of the messages that are refused by script."""
        refused: dict[int, Refuse] = {}
        for match, refuse in self.refusals:
            positions = range(len(marks)) if match is None else matching(match, marks)
            for position in positions:
                refused.setdefault(position, refuse)
        return refused


class Script:
    """The posted faults, in order.

    Every fault that covers a request acts on it, but only the first of those that decide the
    answer; the others of these stay unspent.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._posted: list[_Posted] = []
        self._number = 0
        self._random = random.Random(seed)
        self.released = asyncio.Event()

    def post(self, faults: Sequence[Fault]) -> list[int]:
        """Add faults at the end; gives their numbers."""
        numbers = []
        for fault in faults:
            self._number += 1
            numbers.append(self._number)
            if not fault.at_once:
                self._posted.append(_Posted(self._number, fault, fault.uses, fault.after))
        return numbers

    def clear(self) -> None:
        """Forget all faults, and let go of the requests that hang."""
        self._posted.clear()
        self._random = random.Random(self._seed)
        self.released.set()
        self.released = asyncio.Event()

    def plan_reading(self, door: Door, inlet_id: str) -> Plan:
        """The faults that act while the body of a request is read; spends them."""
        plan = Plan()
        for posted in list(self._posted):
            if posted.fault.read_bytes_per_s is not None and posted.covers(door, inlet_id, ()):
                self._act(posted, plan)
        return plan

    def complete(self, plan: Plan, door: Door, inlet_id: str, marks: Sequence[Mark] = ()) -> None:
        """Add the faults that act once the messages of a request are known; spends them."""
        for posted in list(self._posted):
            if posted.fault.read_bytes_per_s is None and posted.covers(door, inlet_id, marks):
                self._act(posted, plan)

    def as_json(self) -> list[dict[str, Any]]:
        """The faults that still act: number, uses left (`null`: until reset), and themselves."""
        return [
            {
                "number": posted.number,
                "left": posted.left,
                "acted": posted.acted,
                "fault": posted.fault.model_dump(mode="json", by_alias=True, exclude_unset=True),
            }
            for posted in self._posted
        ]

    def _act(self, posted: _Posted, plan: Plan) -> None:
        fault = posted.fault
        if fault.decides and plan.answer is not None:
            return
        if posted.skip:
            posted.skip -= 1
            return
        if fault.probability < 1 and self._random.random() >= fault.probability:
            return
        self._spend(posted)
        plan.numbers.append(posted.number)
        plan.latency_s += (fault.latency_ms + fault.jitter_ms * self._random.random()) / 1000
        plan.answer_latency_s += fault.answer_latency_ms / 1000
        plan.read_bytes_per_s = fault.read_bytes_per_s or plan.read_bytes_per_s
        plan.write_bytes_per_s = fault.write_bytes_per_s or plan.write_bytes_per_s
        if fault.refuse is not None:
            plan.refusals.append((fault.match, fault.refuse))
        if fault.decides:
            plan.answer = fault

    def _spend(self, posted: _Posted) -> None:
        posted.acted += 1
        if posted.left is not None:
            posted.left -= 1
            if posted.left == 0:
                self._posted.remove(posted)


def matching(match: Match, marks: Sequence[Mark]) -> list[int]:
    """Positions of the messages that a match means."""
    positions = {
        place % len(marks) for place in match.positions if -len(marks) <= place < len(marks)
    }
    return [
        index
        for index, mark in enumerate(marks)
        if (not match.positions or index in positions)
        and _is_one(mark.identity, match.identity)
        and _is_one(mark.event_id, match.event_id)
        and _is_one(mark.id, match.id)
    ]


def _is_one(value: str | None, wanted: str | list[str]) -> bool:
    if not wanted:
        return True
    return value in ([wanted] if isinstance(wanted, str) else wanted)
