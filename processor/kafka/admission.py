"""Why no broker lets us in: librdkafka's complaints in our words, each with its mend."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from confluent_kafka import KafkaError

from processor.errors import Misconfigured, TryAgain
from processor.telemetry.logs import redact

NO_BROKER = KafkaError._ALL_BROKERS_DOWN  # noqa: SLF001 - librdkafka's names for its errors
LOGIN_REFUSED = KafkaError._AUTHENTICATION  # noqa: SLF001
TLS_FAILED = KafkaError._SSL  # noqa: SLF001
NOBODY_ANSWERS = frozenset(
    {
        NO_BROKER,
        LOGIN_REFUSED,
        TLS_FAILED,
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
    }
)
"""What a call says that no broker let in or answered."""

_WHERE = re.compile(r"^(?:\w+://)?(?P<address>[^\s/]+)/(?:bootstrap|\d+): ")
_STATE = re.compile(r" \(after \d+ms in state [A-Z_0-9]+\)")
_WITHOUT_ONE = "OAUTHBEARER token"
_UNREACHED = re.compile(
    r"connect|resolve|timed? ?out|timeout|HTTP 5\d\d|returned 5\d\d", re.IGNORECASE
)
_ALERT = re.compile(r"SSL alert number (\d+)")
_ABOUT_OURS = frozenset(range(42, 50)) | {116}
"""TLS alerts by which a broker refuses the certificate of its client (RFC 8446, 6.2)."""

CERTIFICATE_MEND = (
    "Name its authority in ssl.ca.location of [kafka.properties]; if that is right, the "
    "certificate has expired, or is not for the host name in kafka.bootstrap_servers or "
    "advertised.listeners."
)
_SASL = {
    "OAUTHBEARER": "sasl.oauthbearer.client.id, sasl.oauthbearer.client.secret (or …secret_file) "
    "and sasl.oauthbearer.token.endpoint.url",
    "GSSAPI": "sasl.kerberos.principal and sasl.kerberos.keytab",
}
_OTHERS = "sasl.username and sasl.password (or sasl.password_file)"


class Polled(Protocol):
    """What every client of confluent-kafka has."""

    def poll(self, timeout: float) -> object:
        """Call the callbacks that wait."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a broker, or the way to it, does not let us in.

    Attributes:
        text: one sentence, without secrets.
        mend: what to change; ``""`` when it may pass by itself.
        certificate: it is the broker's certificate that could not be verified.
    """

    text: str
    mend: str = ""
    certificate: bool = False

    @property
    def of_setup(self) -> bool:
        """Whether a person has to change something."""
        return bool(self.mend)

    def __str__(self) -> str:
        return f"{self.text} {self.mend}".rstrip()


class Admission:
    """Hears a client's ``error_cb`` and remembers why it is not let in.

    Librdkafka first tells what is wrong with a connection and then, of all of them, that the
    brokers are down: the second alone would hide the first.

    Attributes:
        cause: the last complaint that says why; `None` before one.

    Args:
        properties: of the client; they name what a mend is about.
        told: called with each complaint that keeps the client out; `None`: nobody waits for it.
    """

    def __init__(
        self, properties: Mapping[str, Any], told: Callable[[Complaint], None] | None = None
    ) -> None:
        self._servers = str(properties.get("bootstrap.servers", ""))
        self._mechanism = mechanism_of(properties)
        self._told = told
        self.cause: Complaint | None = None
        self._noticed = ""

    def error_cb(self, error: KafkaError) -> None:
        """What a client of confluent-kafka is given as ``error_cb``."""
        complaint = complaint_of(error, self._mechanism)
        if complaint is not None:
            self.cause = complaint
        elif error.code() == NO_BROKER:
            complaint = self.cause or Complaint(f"Kafka: {_plain(error.str())}.")
        else:
            self._noticed = _plain(error.str())
        if complaint is not None and self._told is not None:
            self._told(complaint)

    def forget(self) -> None:
        """Say that a broker let us in: what was heard before means nothing any more."""
        self.cause, self._noticed = None, ""

    def kept_out(
        self, client: Polled, error: KafkaError | None, doing: str
    ) -> TryAgain | Misconfigured | None:
        """Why a call of this client found no broker; `None` when one answered, or let it in.

        Args:
            client: is polled, for what `error_cb` is to hear.
            error: of the call.
            doing: what it was to do, such as ``read capillary-aep.state``.
        """
        if error is None or error.code() not in NOBODY_ANSWERS:
            return None
        client.poll(0)
        return self.away(error.str(), doing)

    def away(self, why: str, doing: str = "") -> TryAgain | Misconfigured:
        """The error of a call that no broker answered.

        Args:
            why: what the call itself says, for when nothing was heard.
            doing: as in :meth:`kept_out`.
        """
        if self.cause is not None and self.cause.of_setup:
            return Misconfigured(self.cause.text, mend=self.cause.mend, reason="kafka")
        heard = self.cause.text if self.cause else self._noticed or why
        nobody = f"Could not {doing}: no" if doing else "No"
        return TryAgain(
            f"{nobody} Kafka broker of {self._servers} answers: {redact(heard).rstrip('.')}. Check "
            "kafka.bootstrap_servers, the network, and security.protocol in [kafka.properties].",
            reason="kafka",
        )


def mechanism_of(properties: Mapping[str, Any]) -> str:
    """The SASL mechanism of a client; ``""`` without one."""
    given = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms") or ""
    return str(given).upper()


def complaint_of(error: KafkaError, mechanism: str = "") -> Complaint | None:
    """What an error says about why we are not let in; `None` when it is about something else.

    Args:
        error: as ``error_cb`` gets it.
        mechanism: of SASL, ``""`` without one.
    """
    raw = error.str()
    where = found["address"] if (found := _WHERE.search(raw)) else ""
    at = f"The broker at {where}" if where else "Kafka"
    text, code = _plain(raw), error.code()
    if code == LOGIN_REFUSED:
        return _login(at, text, mechanism)
    alert = _ALERT.search(text)
    if alert and int(alert[1]) in _ABOUT_OURS:
        return Complaint(
            f"{at} refuses our certificate ({text}).",
            "Give one that its authority signed and that is valid now: ssl.certificate.location "
            "and ssl.key.location in [kafka.properties].",
        )
    if "certificate verify failed" in text:
        return Complaint(
            f"{at} shows a certificate that cannot be verified.",
            f"{CERTIFICATE_MEND} `processor check` tells which.",
            certificate=True,
        )
    if "PLAINTEXT broker listener" in text or "wrong version number" in text:
        return Complaint(
            f"{at} does not speak TLS.",
            "Correct security.protocol in [kafka.properties], or the port in "
            "kafka.bootstrap_servers.",
        )
    if code == TLS_FAILED:
        return Complaint(f"{at}: {text}.", "Correct ssl.* in [kafka.properties].")
    return None


def _login(at: str, text: str, mechanism: str) -> Complaint:
    if _WITHOUT_ONE in text:
        passing = bool(_UNREACHED.search(text))
        mend = f"Correct {_SASL['OAUTHBEARER']} in [kafka.properties]."
        return Complaint(f"No token for Kafka: {text}.", "" if passing else mend)
    if "handshake failed" in text:
        return Complaint(
            f"{at} does not take our way to log in: {text}.",
            "Correct sasl.mechanism or security.protocol in [kafka.properties].",
        )
    which = _SASL.get(mechanism, _OTHERS)
    return Complaint(f"{at} refuses our login: {text}.", f"Correct {which} in [kafka.properties].")


def _plain(text: str) -> str:
    """Librdkafka's text without its own bookkeeping, and without secrets."""
    return redact(_STATE.sub("", _WHERE.sub("", text))).strip().rstrip(".")
