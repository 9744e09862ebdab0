"""A broker and a registry behind proxies, and the settings of a connector that uses them."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from processor.local.broker import Broker, BrokerFiles
from processor.local.ports import LOOPBACK, free_port
from processor.local.registry import Registry
from tests.rig.tcp_proxy import TcpProxy

ORG_ID = "0A7D42FC5DB9D3360A495FD3@AdobeOrg"
TARGETS = {"event": "none", "loyalty": "key", "profile": "key", "tier": "key"}
"""Inlets and their ordering."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a world is set up.

    Attributes:
        instances: connectors that always run; `tasks` of each.
        rate: records a second.
        session_ms: after so long without a sign of life a member is dead.
        latency_ms: of every answer of Experience Platform, so that something is in flight.
        gaps: part of the load in transactions, some of them aborted.
        settings: laid over the connector's tables, section by section.
    """

    seed: int = 0
    instances: int = 1
    tasks: int = 1
    partitions: int = 4
    rate: float = 150.0
    bad_share: float = 0.03
    poison: bool = True
    customers: int = 200
    session_ms: int = 6_000
    latency_ms: int = 50
    gaps: bool = False
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class Parts:
    """A broker and perhaps a registry with proxies in front; scenarios may share them.

    Args:
        registry: one that runs already; `None`: the load is JSON.
    """

    def __init__(
        self, directory: Path, files: BrokerFiles, registry: Registry | None = None
    ) -> None:
        proxy_port = free_port()
        self.broker = Broker(
            files,
            directory / "broker",
            advertised_port=proxy_port,
            properties={"group.min.session.timeout.ms": "1000"},
        )
        self.kafka_proxy = TcpProxy(self.broker.port, port=proxy_port)
        self.registry = registry
        self.registry_proxy = TcpProxy(registry.port) if registry is not None else None
        self._running = contextlib.ExitStack()

    @property
    def registry_url(self) -> str | None:
        """Of the registry, by way of its proxy."""
        if self.registry is None or self.registry_proxy is None:
            return None
        direct, proxy = f":{self.registry.port}/", f":{self.registry_proxy.port}/"
        return self.registry.url.replace(direct, proxy)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as running:
            running.enter_context(self.broker)
            running.enter_context(self.kafka_proxy)
            if self.registry_proxy is not None:
                running.enter_context(self.registry_proxy)
            self._running = running.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What a connector's settings name.

    Attributes:
        aep_port: loopback port of Experience Platform; likewise `ims_port`.
        secret_files: of the present secret and the next one.
    """

    topic: str
    aep_port: int
    ims_port: int
    secret_files: tuple[Path, Path]


def settings_of(name: str, parts: Parts, plan: Plan, ways: Ways) -> dict[str, Any]:
    """The tables of a connector's settings file."""
    tables: dict[str, Any] = {
        "kafka": {
            "bootstrap_servers": parts.broker.bootstrap_servers,
            "topics": [ways.topic],
            "consumer": {
                "session.timeout.ms": plan.session_ms,
                "heartbeat.interval.ms": plan.session_ms // 6,
            },
        },
        "ims": {
            "token_url": f"http://{LOOPBACK}:{ways.ims_port}/ims/token/v2",
            "client_id": "rig",
            "client_secret_file": str(ways.secret_files[0]),
            "client_secret_next_file": str(ways.secret_files[1]),
        },
        "experience_platform": {
            "endpoint": f"http://{LOOPBACK}:{ways.aep_port}",
            "org_id": ORG_ID,
            "tenant": "acme",
            "targets": {
                inlet: {
                    "inlet_id": inlet,
                    "dataset_id": f"dataset-of-{inlet}",
                    "schema_id": f"https://ns.adobe.com/acme/schemas/{inlet}",
                    "ordering": ordering,
                }
                for inlet, ordering in TARGETS.items()
            },
        },
        "delivery": {
            "linger_ms": 20,
            "batch_max_records": 50,
            "max_in_flight": 8,
            "request_timeout_s": 5,
            "drain_timeout_s": 15,
        },
        "errors": {
            "deadletterqueue_topic_replication_factor": 1,
            "retry_delay_max_s": 1,
        },
        "state": {"replication_factor": 1},
    }
    if (url := parts.registry_url) is not None:
        tables["schema_registry"] = {"url": url, "unknown_id_grace_s": 1}
    for section, more in plan.settings.items():
        tables[section] = {**tables.get(section, {}), **more}
    return {"name": name, "tasks_max": plan.tasks, **tables}
