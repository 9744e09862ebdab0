"""Passwords that change in their files while a client lives."""

import time
from collections.abc import Callable
from typing import Literal, Protocol

from processor.errors import Misconfigured
from processor.kafka.admission import mechanism_of
from processor.settings import KafkaSettings
from processor.settings.kafka_properties import client_properties
from processor.telemetry.logs import get_logger

log = get_logger(__name__)

LOOK_EVERY_S = 1.0
USER, PASSWORD = "sasl.username", "sasl.password"


class Client(Protocol):
    """What every client of confluent-kafka has."""

    def set_sasl_credentials(self, username: str, password: str) -> None:
        """Use these for connections that are opened from now on."""


class Credentials:
    """User and password of one client as their files have them now.

    Librdkafka asks for them when it opens a connection; those that are open stay. Only SASL's
    passwords can be changed in a living client: not the secret of an OAuth client, no certificate.

    Args:
        settings: where they stand.
        kind: of the client.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        kind: Literal["consumer", "producer", "admin"],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._kind = kind
        self._clock = clock
        self._due_s = 0.0
        own = {"consumer": settings.consumer, "producer": settings.producer, "admin": {}}[kind]
        given = {**settings.properties, **own}
        in_files = {f"{USER}_file", f"{PASSWORD}_file"} & given.keys()
        self._changes = bool(in_files) and mechanism_of(given) != "OAUTHBEARER"
        self._known = self._read() if self._changes else None

    def renew(self, client: Client) -> None:
        """Hand the client what the files hold now, if it is something else; looks once a second."""
        if not self._changes or self._clock() < self._due_s:
            return
        self._due_s = self._clock() + LOOK_EVERY_S
        now = self._read()
        if now is not None and now != self._known:
            self._known = now
            client.set_sasl_credentials(*now)
            log.info("The password for Kafka has changed; new connections use it.", user=now[0])

    def _read(self) -> tuple[str, str] | None:
        """User and password; `None` while a file cannot be read, as in the middle of a change."""
        try:
            read = client_properties(self._settings, self._kind)
        except Misconfigured:
            return None
        user, password = read.get(USER), read.get(PASSWORD)
        return (str(user), str(password)) if user and password else None
