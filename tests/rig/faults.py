"""Faults as objects: each can begin and end, and says what it may lead to.

A fault holds a resource, and two faults of one resource are never on at once. What effects mean
is told by :class:`tests.rig.index.Span`.
"""

import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.rig.history import Fault as Row
from tests.rig.instance import now_ms
from tests.rig.tcp_proxy import (
    Bandwidth,
    Down,
    Latency,
    LimitData,
    ResetPeer,
    Slicer,
    SlowClose,
    TcpProxy,
    Timeout,
    Toxic,
)
from tests.rig.world import World

Link = Literal["kafka", "aep", "ims", "registry"]
LONG = "until_reset"


@dataclass(frozen=True, slots=True)
class Fault(ABC):
    """One fault; its number is its own in a run."""

    number: int
    kind: str
    effects: tuple[str, ...]
    resource: str

    def begin(self, world: World) -> None:
        """Let it begin, and note it: before, so that nothing of it comes too early."""
        world.history.add(self._row("begin"))
        self._begin(world)

    def end(self, world: World) -> None:
        """End it, and note it: afterwards."""
        self._end(world)
        world.history.add(self._row("end"))

    @abstractmethod
    def _begin(self, world: World) -> None: ...

    @abstractmethod
    def _end(self, world: World) -> None: ...

    def _row(self, phase: str) -> Row:
        return Row(
            number=self.number, kind=self.kind, phase=phase, at_ms=now_ms(),
            effects=self.effects, detail=self.resource,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConnectorFault(Fault):
    """A steady connector is killed, stopped or frozen; it is started again when this ends."""

    place: int
    how: Literal["kill", "term", "freeze"]

    def _begin(self, world: World) -> None:
        instance = world.steady[self.place]
        match self.how:
            case "kill":
                instance.signal(signal.SIGKILL, "kill")
                instance.wait(10)
            case "term":
                instance.signal(signal.SIGTERM, "term")
            case "freeze":
                instance.freeze(on=True)

    def _end(self, world: World) -> None:
        instance = world.steady[self.place]
        if self.how == "freeze":
            instance.freeze(on=False)
            return
        instance.wait(60)
        instance.launch(world.plan.tasks)


@dataclass(frozen=True, slots=True)
class Join(Fault):
    """A member more, for a while: two rebalances."""

    def _begin(self, world: World) -> None:
        world.spare.launch(world.plan.tasks)

    def _end(self, world: World) -> None:
        world.spare.signal(signal.SIGTERM, "term")
        world.spare.wait(60)


@dataclass(frozen=True, slots=True)
class BrokerFault(Fault):
    """The broker is killed, stopped or frozen; it comes back on the same log."""

    how: Literal["kill", "term", "freeze"]

    def _begin(self, world: World) -> None:
        broker = world.parts.broker
        match self.how:
            case "kill":
                broker.kill()
            case "term":
                os.kill(broker.pid, signal.SIGTERM)
            case "freeze":
                broker.suspend()

    def _end(self, world: World) -> None:
        broker = world.parts.broker
        if self.how == "freeze":
            broker.resume()
            return
        world.wait_for(lambda: not broker.running, 60, what="the broker ends")
        broker.start()


@dataclass(frozen=True, slots=True)
class LinkFault(Fault):
    """A way to another part is spoiled."""

    link: Link
    toxic: Toxic

    def _begin(self, world: World) -> None:
        self._proxy(world).add(self.toxic)

    def _end(self, world: World) -> None:
        self._proxy(world).remove(self.toxic)

    def _proxy(self, world: World) -> TcpProxy:
        proxies = {
            "kafka": world.parts.kafka_proxy,
            "aep": world.aep_proxy,
            "ims": world.ims_proxy,
            "registry": world.parts.registry_proxy,
        }
        proxy = proxies[self.link]
        assert proxy is not None, f"there is no proxy in front of {self.link}"
        return proxy


@dataclass(frozen=True, slots=True)
class SimulatorFault(Fault):
    """Experience Platform or IMS answers otherwise."""

    script: tuple[Mapping[str, Any], ...]

    def _begin(self, world: World) -> None:
        world.script(self.number, [dict(fault) for fault in self.script])

    def _end(self, world: World) -> None:
        world.unscript(self.number)


@dataclass(frozen=True, slots=True)
class TokenFault(Fault):
    """Every token ends at once; with `revoke` the present secret buys no new one."""

    revoke: bool

    def _begin(self, world: World) -> None:
        if self.revoke:
            world.simulator.faults([{"scope": "ims", "revoke_secret": 0}])
        world.simulator.faults([{"scope": "ims", "expire_tokens": True}])

    def _end(self, world: World) -> None:
        if self.revoke:
            world.simulator.forgive()


Make = Callable[[int, int], Fault]
"""Makes a fault of a number, for a connector by its place where it is about one."""


def _batch(kind: str, *effects: str, scope: str = "batch", **script: Any) -> Make:
    fault = {"scope": scope, "count": LONG, **script}
    resource = "ims" if scope == "ims" else "aep"
    return lambda number, _: SimulatorFault(number, kind, effects, resource, (fault,))


def _connector(how: Literal["kill", "term", "freeze"], *effects: str) -> Make:
    return lambda number, place: ConnectorFault(
        number, f"connector {how}", effects, f"connector-{place}", place, how
    )


def _broker(how: Literal["kill", "term", "freeze"]) -> Make:
    return lambda number, _: BrokerFault(
        number, f"broker {how}", ("outage", "kafka"), "broker", how
    )


def _link(link: Link, what: str, toxic: Toxic, *effects: str) -> Make:
    return lambda number, _: LinkFault(
        number, f"{link} link {what}", effects, f"{link} link", link, toxic
    )


def _toxics(link: Link, lossy: str) -> dict[str, Make]:
    """Toxiproxy's eight toxics in front of a part; `lossy`: what those that lose bytes lead to."""
    gentle: dict[str, Toxic] = {
        "latency": Latency(latency_s=0.1, jitter_s=0.2),
        "slicer": Slicer(bytes=1_000, delay_s=0.002),
        "slow close": SlowClose(delay_s=1.0),
    }
    rough: dict[str, Toxic] = {
        "bandwidth": Bandwidth(bytes_per_s=40_000),
        "black hole": Timeout(),
        "reset": ResetPeer(after_s=0.3),
        "limit": LimitData(bytes=20_000),
        "down": Down(),
    }
    return {
        f"{link} link {what}": _link(link, what, toxic, "outage", *effects)
        for toxics, effects in ((gentle, ()), (rough, (lossy,)))
        for what, toxic in toxics.items()
    }


def _shape(name: str, *effects: str, **shape: Any) -> Make:
    return _batch(name, *effects, multi_status=shape)


LISTS = ("short", "long", "empty", "missing", "null", "object", "string", "number", "strings",
         "nulls")  # fmt: skip
CATALOGUE: dict[str, Make] = {
    "connector kill": _connector("kill", "crash"),
    "connector term": _connector("term", "clean"),
    "connector freeze": _connector("freeze", "freeze"),
    "join": lambda number, _: Join(number, "join", ("clean",), "spare"),
    "broker kill": _broker("kill"),
    "broker term": _broker("term"),
    "broker freeze": _broker("freeze"),
    **_toxics("kafka", "kafka"),
    **_toxics("aep", "answers"),
    "ims link down": _link("ims", "down", Down(), "outage", "tokens"),
    "ims link black hole": _link("ims", "black hole", Timeout(), "outage", "tokens"),
    "registry link down": _link("registry", "down", Down(), "outage"),
    "registry link black hole": _link("registry", "black hole", Timeout(), "outage"),
    "aep 429": _batch("aep 429", "outage", "refusing", status=429, retry_after="1"),
    "aep 429 absurd": _batch("aep 429 absurd", "outage", "refusing", status=429, retry_after="-5"),
    "aep 503": _batch("aep 503", "outage", "refusing", status=503),
    "aep 500": _batch("aep 500", "outage", "refusing", status=500),
    "aep reset": _batch("aep reset", "outage", connection="reset", accept=False),
    "aep slow": _batch("aep slow", "outage", latency_ms=1_000, jitter_ms=1_000),
    "aep accepted and reset": _batch(
        "aep accepted and reset", "outage", connection="reset", accept=True
    ),
    "aep accepted and closed": _batch(
        "aep accepted and closed", "outage", connection="close", accept=True
    ),
    "aep cut": _batch("aep cut", "outage", connection="cut"),
    "aep closes idle": _batch("aep closes idle", "outage", connection="close_idle"),
    "aep hang": _batch("aep hang", "outage", connection="hang"),
    "aep html": _batch(
        "aep html", "outage", status=200, body="<html>", content_type="text/html", accept=True
    ),
    "aep 500 after accepting": _batch(
        "aep 500 after accepting", "outage", status=500, accept=True
    ),
    **{f"aep list {form}": _shape(f"aep list {form}", "outage", responses=form) for form in LISTS},
    "aep no ids": _shape("aep no ids", "outage", xaction_id="none"),
    "aep status dash": _shape("aep status dash", "outage", key="status", ids="dash"),
    "aep status everywhere": _shape(
        "aep status everywhere", "outage", key="statusCode", xaction_id="all", accepted_status=200
    ),
    "aep numbers as text": _shape("aep numbers as text", "outage", value="string"),
    "tokens expire": lambda number, _: TokenFault(
        number, "tokens expire", ("outage", "tokens"), "tokens", revoke=False
    ),
    "secret revoked": lambda number, _: TokenFault(
        number, "secret revoked", ("outage", "tokens"), "tokens", revoke=True
    ),
    "ims 503": _batch("ims 503", "outage", "refusing", "tokens", scope="ims", status=503),
    "ims 429": _batch("ims 429", "outage", "refusing", "tokens", scope="ims", status=429),
    "ims odd lifetime": _batch(
        "ims odd lifetime", "outage", "tokens", scope="ims", expires_in="86399994"
    ),
}  # fmt: skip
"""Every fault that the rig knows, by name."""

NEED_REGISTRY = frozenset(name for name in CATALOGUE if name.startswith("registry"))


def make(name: str, number: int, place: int = 0) -> Fault:
    """The fault of that name."""
    return CATALOGUE[name](number, place)
