"""Librdkafka's complaints, word for word as 2.16 has them, and what is made of them."""

from typing import Any

import pytest
from confluent_kafka import KafkaError

from processor.errors import Misconfigured, TryAgain
from processor.kafka.admission import Admission, Complaint, complaint_of

AUTHENTICATION = KafkaError._AUTHENTICATION  # noqa: SLF001 - librdkafka's names for its errors
TRANSPORT = KafkaError._TRANSPORT  # noqa: SLF001
TLS = KafkaError._SSL  # noqa: SLF001
ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "2/2 brokers are down")  # noqa: SLF001

UNVERIFIED = (
    "ssl://broker:9093/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate "
    "verify failed: broker certificate could not be verified, verify that ssl.ca.location is "
    "correctly configured or root CA certificates are installed (install ca-certificates package) "
    "(after 2ms in state SSL_HANDSHAKE)"
)
REFUSED = (
    "sasl_ssl://broker:9093/bootstrap: SASL authentication error: Authentication failed during "
    "authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512 (after 314ms in "
    "state AUTH_REQ)"
)
ALERT = (
    "ssl://broker:9093/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad "
    "certificate: SSL alert number 42 (after 6ms in state APIVERSION_QUERY)"
)
MECHANISM = (
    "sasl_ssl://broker:9093/1: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL "
    "mechanism: broker's supported mechanisms: SCRAM-SHA-512 (after 301ms in state AUTH_HANDSHAKE)"
)
NO_TLS = (
    "ssl://broker:9093/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by "
    "peer: connecting to a PLAINTEXT broker listener? (after 3ms in state SSL_HANDSHAKE)"
)
NO_TOKEN = 'Failed to acquire SASL OAUTHBEARER token: {"error": "invalid_client"}'
NO_PROVIDER = (
    "Failed to acquire SASL OAUTHBEARER token: Failed to connect to 127.0.0.1:9 after 0 ms: Could "
    "not connect to server"
)


@pytest.mark.parametrize(
    ("code", "text", "mechanism", "names"),
    [
        (TLS, UNVERIFIED, "", "ssl.ca.location"),
        (TRANSPORT, UNVERIFIED, "", "ssl.ca.location"),
        (TRANSPORT, ALERT, "", "ssl.certificate.location"),
        (AUTHENTICATION, REFUSED, "SCRAM-SHA-512", "sasl.password_file"),
        (AUTHENTICATION, REFUSED, "OAUTHBEARER", "sasl.oauthbearer.client.secret"),
        (AUTHENTICATION, MECHANISM, "PLAIN", "sasl.mechanism"),
        (AUTHENTICATION, NO_TOKEN, "OAUTHBEARER", "sasl.oauthbearer.client.id"),
        (TRANSPORT, NO_TLS, "", "security.protocol"),
        (TLS, "ssl://broker:9093/bootstrap: no shared cipher", "", "ssl.*"),
    ],
)
def test_a_complaint_that_a_person_has_to_mend_names_the_setting(
    code: int, text: str, mechanism: str, names: str
) -> None:
    complaint = complaint_of(KafkaError(code, text), mechanism)

    assert complaint is not None
    assert complaint.of_setup
    assert names in complaint.mend
    assert "after " not in complaint.text
    assert "://" not in complaint.text


def test_an_identity_provider_that_is_away_is_the_moments_fault() -> None:
    complaint = complaint_of(KafkaError(AUTHENTICATION, NO_PROVIDER), "OAUTHBEARER")

    assert complaint is not None
    assert not complaint.of_setup
    assert "Could not connect to server" in str(complaint)


def test_what_says_nothing_about_admission_is_no_complaint() -> None:
    text = "broker:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused"

    assert complaint_of(KafkaError(TRANSPORT, text)) is None


class Silent:
    def poll(self, timeout: float) -> object:
        return None


def admission(told: list[Complaint] | None = None) -> Admission:
    properties: dict[str, Any] = {"bootstrap.servers": "broker:9093", "sasl.mechanism": "PLAIN"}
    return Admission(properties, told.append if told is not None else None)


def test_that_all_brokers_are_down_does_not_hide_why() -> None:
    told: list[Complaint] = []
    heard = admission(told)

    heard.error_cb(KafkaError(AUTHENTICATION, REFUSED))
    heard.error_cb(ALL_DOWN)

    assert [complaint.mend for complaint in told] == [told[0].mend] * 2
    assert "sasl.password" in told[0].mend


def test_who_was_let_in_forgets_why_not() -> None:
    told: list[Complaint] = []
    heard = admission(told)
    heard.error_cb(KafkaError(AUTHENTICATION, REFUSED))

    heard.forget()
    heard.error_cb(ALL_DOWN)

    assert [str(complaint) for complaint in told[1:]] == ["Kafka: 2/2 brokers are down."]


def test_brokers_away_are_told_and_single_connections_are_not() -> None:
    told: list[Complaint] = []
    heard = admission(told)

    heard.error_cb(KafkaError(TRANSPORT, "broker:9092/1: Disconnected"))
    heard.error_cb(ALL_DOWN)

    assert [complaint.of_setup for complaint in told] == [False]


def test_a_call_without_an_answer_says_what_the_client_heard() -> None:
    heard = admission()
    timed_out = KafkaError(KafkaError._TIMED_OUT, "timed out")  # noqa: SLF001

    away = heard.kept_out(Silent(), timed_out, "read events.dlq")
    heard.error_cb(KafkaError(TRANSPORT, "broker:9093/1: Connection refused"))
    refused = heard.kept_out(Silent(), timed_out, "read events.dlq")
    heard.error_cb(KafkaError(TLS, UNVERIFIED))
    unverified = heard.kept_out(Silent(), timed_out, "read events.dlq")

    assert isinstance(away, TryAgain)
    assert str(away).startswith(
        "Could not read events.dlq: no Kafka broker of broker:9093 answers: timed out. Check"
    )
    assert isinstance(refused, TryAgain)
    assert "Connection refused" in str(refused)
    assert isinstance(unverified, Misconfigured)
    assert unverified.reason == "kafka"


def test_a_call_that_a_broker_answered_is_not_about_admission() -> None:
    heard = admission()
    heard.error_cb(KafkaError(TLS, UNVERIFIED))

    assert heard.kept_out(Silent(), KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "") is None
    assert heard.kept_out(Silent(), None, "") is None
