"""What every door does with a request: note it, read it, follow the script, send the answer."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from processor.simulator.answers import Reply, problem
from processor.simulator.faults import Fault
from processor.simulator.messages import Mark
from processor.simulator.received import RequestEntry
from processor.simulator.script import Door, Plan
from processor.simulator.wire import Caller, as_scripted
from processor.simulator.world import World

_SECRET_NAME = re.compile(r"password|secret|token|key|authorization|cookie", re.IGNORECASE)
MASK = "***"


class Asked:
    """A request: its headers, its query, its body and messages, and its entry in the memory."""

    def __init__(self, scope: Scope, entry: RequestEntry, query: Mapping[str, str]) -> None:
        self.headers = _headers(scope)
        self.inlet = entry.inlet
        self.query = query
        self.entry = entry
        self.body = b""
        self.messages: list[Any] = []
        self.marks: list[Mark] = []
        self.fields: dict[str, str] = {}


class Doorway(ABC):
    """An ASGI endpoint that can be scripted; the doors say what the honest answer is."""

    door: Door
    usual_status = 200

    def __init__(self, world: World) -> None:
        self.world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        entry = self.world.received.begin(
            self.door,
            scope["path_params"].get("inlet", ""),
            method=scope["method"],
            path=scope["path"],
            query=masked(query),
            headers=masked(_headers(scope)),
        )
        released = self.world.script.released
        caller = Caller(scope, receive, send, released=released)
        outcome, status, plan = "abandoned", None, Plan()
        try:
            plan = self.world.script.plan_reading(self.door, entry.inlet)
            outcome, status = await self._serve(Asked(scope, entry, query), caller, plan)
        except ConnectionAbortedError:
            outcome, status = "abandoned", None
        finally:
            told = plan.answer is None or plan.answer.tells
            self.world.received.end(entry, outcome, status, told=told)

    def limit_bytes(self) -> int:
        """Largest body that is read."""
        return self.world.options.request_limit_bytes

    @abstractmethod
    def understand(self, asked: Asked) -> Reply | None:
        """Find the messages in the body, so that faults can match; the refusal it earns, if any."""

    def scripted(self, status: int) -> Reply:
        """The body that goes with a scripted status when the script gives none."""
        return problem(status, "Scripted by the simulator's faults")

    @abstractmethod
    def honest(self, asked: Asked, plan: Plan, refusal: Reply | None) -> Reply:
        """The answer of IMS or AEP, with all that it brings about."""

    async def _serve(self, asked: Asked, caller: Caller, plan: Plan) -> tuple[str, int | None]:
        limit = self.limit_bytes()
        pieces = [piece async for piece in caller.body(limit, plan.read_bytes_per_s)]
        asked.body = b"".join(pieces)
        asked.entry.size_bytes = len(asked.body)
        refusal = self.understand(asked)
        self.world.script.complete(plan, self.door, asked.inlet, asked.marks)
        asked.entry.faults = plan.numbers
        if not await caller.wait_answering(plan.latency_s):
            return "abandoned", None
        fault = plan.answer
        if fault is None or fault.accepts:
            reply = self.honest(asked, plan, refusal)
        else:
            reply = self.scripted(fault.status or self.usual_status)
        if not await caller.wait_answering(plan.answer_latency_s):
            return "abandoned", None
        return await self._travel(caller, plan, reply)

    async def _travel(self, caller: Caller, plan: Plan, reply: Reply) -> tuple[str, int | None]:
        fault, rate = plan.answer, plan.write_bytes_per_s
        if fault is None:
            return await caller.deliver(reply, bytes_per_s=rate), reply.status
        unanswered = {"reset": caller.reset, "close": caller.close, "hang": caller.hang}
        if fault.connection in unanswered:
            return await unanswered[fault.connection](), None
        if fault.raw:
            return await caller.raw(fault.raw.encode("latin-1", "replace")), None
        reply = self._said_by(fault, reply)
        if fault.gzip_bomb_bytes is not None:
            outcome = await caller.bomb(reply, fault.gzip_bomb_bytes)
        elif fault.endless:
            outcome = await caller.endless(reply)
        elif fault.connection == "cut":
            outcome = await caller.cut(reply)
        elif fault.connection == "close_idle":
            outcome = await caller.deliver_and_close(reply, bytes_per_s=rate)
        else:
            outcome = await caller.deliver(reply, bytes_per_s=rate)
        return outcome, reply.status

    def _said_by(self, fault: Fault, reply: Reply) -> Reply:
        keeps_body = fault.multi_status is not None or fault.has_body
        if fault.status is not None and fault.status != reply.status and not keeps_body:
            reply = self.scripted(fault.status)
        return as_scripted(fault, reply)


def masked(values: Mapping[str, str]) -> dict[str, str]:
    """A copy in which the values of secret names are hidden."""
    return {name: MASK if _SECRET_NAME.search(name) else value for name, value in values.items()}


def _headers(scope: Scope) -> dict[str, str]:
    raw: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
