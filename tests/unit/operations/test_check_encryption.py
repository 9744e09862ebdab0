from typing import Any

import pytest

from processor.operations.checks.encryption import check_encryption
from processor.settings import KafkaSettings

PLAIN = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}


def said(servers: str, **properties: Any) -> list[str]:
    given = {key.replace("_", "."): value for key, value in properties.items()}
    kafka = KafkaSettings(bootstrap_servers=servers, topics=["events"], properties=given)
    findings = list(check_encryption(kafka))
    assert {finding.status for finding in findings} <= {"warning"}
    return [finding.mend for finding in findings]


@pytest.mark.parametrize("mechanism", ["PLAIN", "plain", "OAUTHBEARER"])
def test_a_password_in_clear_to_another_host_is_warned_of(mechanism: str) -> None:
    (mend,) = said("127.0.0.1:9092,kafka:9092", **{**PLAIN, "sasl.mechanism": mechanism})

    assert "sasl_ssl" in mend


@pytest.mark.parametrize(
    ("servers", "properties"),
    [
        ("127.0.0.1:9092", PLAIN),
        ("[::1]:9092,localhost:9092", PLAIN),
        ("kafka:9092", {**PLAIN, "security.protocol": "sasl_ssl"}),
        ("kafka:9092", {**PLAIN, "sasl.mechanism": "SCRAM-SHA-512"}),
        ("kafka:9092", {"security.protocol": "ssl"}),
        ("kafka:9092", {}),
    ],
)
def test_what_tells_nobody_a_password_is_not(servers: str, properties: dict[str, Any]) -> None:
    assert said(servers, **properties) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("enable.ssl.certificate.verification", False),
        ("enable.ssl.certificate.verification", "false"),
        ("ssl.endpoint.identification.algorithm", "none"),
    ],
)
def test_a_certificate_that_nobody_looks_at_is_warned_of(key: str, value: Any) -> None:
    (mend,) = said("kafka:9092", **{"security.protocol": "ssl", key: value})

    assert key in mend
