"""The parts around the demo: a given broker and registry, else jars, else containers."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from processor.errors import Misconfigured, TryAgain
from processor.local import broker as brokers
from processor.local import containers, downloads
from processor.local import registry as registries

BROKER_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
REGISTRY_VARIABLE = "SCHEMA_REGISTRY_URL"
ANSWER_TIMEOUT_S = 10.0
START_TIMEOUT_S = 90.0
TOPIC_TIMEOUT_S = 30.0
POLL_S = 0.2


class Closeable(Protocol):
    """Something that the environment ends when it ends itself."""

    def close(self) -> None:
        """End it; harmless when it has ended."""


@dataclass(slots=True)
class Environment:
    """Where a broker and a schema registry answer.

    Attributes:
        given: whether the broker is the caller's and not ours; its topics stay when we end.
    """

    bootstrap_servers: str
    schema_registry_url: str
    given: bool
    _kept: ExitStack = field(repr=False)

    def keep(self, part: Closeable) -> None:
        """Close this part, too, when the environment ends; the last one kept is closed first."""
        self._kept.callback(part.close)

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic with the broker's own replication factor, and wait until it is usable.

        Raises:
            TryAgain: the broker did not create it, perhaps because it has one of that name.
        """
        admin = _admin(self.bootstrap_servers)
        topic = NewTopic(name, num_partitions=partitions)
        try:
            admin.create_topics([topic], request_timeout=TOPIC_TIMEOUT_S)[name].result()
        except KafkaException as error:
            raise TryAgain(f"Topic {name} was not created: {error}.", reason="kafka") from error
        _wait(
            lambda: len(admin.list_topics(name, timeout=5).topics[name].partitions) == partitions,
            f"topic {name}",
            TOPIC_TIMEOUT_S,
        )


@contextlib.contextmanager
def bring_up(
    directory: Path,
    progress: downloads.Progress = downloads.silent,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Environment]:
    """Find or start a broker and a schema registry; what was started is ended at the end.

    Args:
        directory: holds the files of what is started.
        progress: takes a sentence about what goes on.
        environ: may name a broker and a registry that run already.

    Raises:
        Misconfigured: a given part does not answer, or there is nothing to start one with; the
            message says what to install.
    """
    given = environ.get(BROKER_VARIABLE), environ.get(REGISTRY_VARIABLE)
    with ExitStack() as kept:
        servers, url = given
        with_java = all(given) or _java_works(progress, environ)
        if not servers:
            servers = _start_broker(kept, directory, progress, with_java=with_java)
        if not url:
            url = _start_registry(kept, directory, progress, with_java=with_java)
        if given[0]:
            _wait(lambda: bool(_brokers(servers)), f"a broker at {servers}", ANSWER_TIMEOUT_S)
        if given[1]:
            _wait(lambda: _is_registry(url), f"a schema registry at {url}", ANSWER_TIMEOUT_S)
        yield Environment(servers, url, bool(given[0]), kept)


def _java_works(progress: downloads.Progress, environ: Mapping[str, str]) -> bool:
    """Whether parts can be started from jars; `False`: from containers."""
    try:
        brokers.install(progress=progress, environ=environ)
    except Misconfigured as error:
        if containers.engine_runs(environ):
            return False
        raise Misconfigured(
            f"There is no Kafka broker to use: {error}",
            mend=f"Or start a Docker engine, or set {BROKER_VARIABLE} and {REGISTRY_VARIABLE}.",
        ) from error
    return True


def _start_broker(
    kept: ExitStack, directory: Path, progress: downloads.Progress, *, with_java: bool
) -> str:
    if with_java:
        progress("Starting a Kafka broker.")
        broker = brokers.Broker(brokers.install(), directory / "broker")
        return kept.enter_context(broker).bootstrap_servers
    progress(f"Starting a Kafka broker in a container ({containers.KAFKA_IMAGE}).")
    container = containers.kafka_container()
    servers = f"127.0.0.1:{container.port}"
    kept.enter_context(_running(container))
    _wait(lambda: bool(_brokers(servers)), "the broker's container", START_TIMEOUT_S)
    return servers


def _start_registry(
    kept: ExitStack, directory: Path, progress: downloads.Progress, *, with_java: bool
) -> str:
    if with_java:
        files = registries.install(progress=progress)
        progress("Starting a schema registry.")
        return kept.enter_context(registries.Registry(files, directory / "registry")).url
    progress(f"Starting a schema registry in a container ({containers.REGISTRY_IMAGE}).")
    container, url = containers.registry_container()
    kept.enter_context(_running(container))
    _wait(lambda: _is_registry(url), "the registry's container", START_TIMEOUT_S)
    return url


def _running(container: containers.Container) -> AbstractContextManager[containers.Container]:
    container.start()
    return contextlib.closing(container)


def _wait(ready: Callable[[], bool], what: str, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline_s:
            raise Misconfigured(f"Nothing answers as {what} within {timeout_s:g} s.")
        time.sleep(POLL_S)


def _admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers}, logger=brokers.NO_LOGS)


def _brokers(servers: str) -> int:
    try:
        return len(_admin(servers).list_topics(timeout=5).brokers)
    except KafkaException:
        return 0


def _is_registry(url: str) -> bool:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/subjects", timeout=5.0)
    except httpx.HTTPError:
        return False
    return answer.is_success
