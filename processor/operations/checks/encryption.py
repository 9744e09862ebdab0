"""Preflight of what others could read or pretend on the way to Kafka, by the settings alone."""

from collections.abc import Iterator, Mapping
from typing import Any

from processor.operations.checks.finding import Finding, warning
from processor.settings import KafkaSettings, is_loopback

SUBJECT = "Kafka encryption"
IN_CLEAR = frozenset({"PLAIN", "OAUTHBEARER"})
"""Mechanisms that send the password or the token itself."""


def check_encryption(kafka: KafkaSettings) -> Iterator[Finding]:
    """Passwords that go out in clear, and certificates that nobody looks at."""
    properties: Mapping[str, Any] = kafka.properties
    protocol = str(properties.get("security.protocol", "plaintext")).lower()
    mechanism = properties.get("sasl.mechanism") or properties.get("sasl.mechanisms") or ""
    servers = [server.strip().rpartition(":")[0] for server in kafka.bootstrap_servers.split(",")]
    elsewhere = not all(is_loopback(host.strip("[]")) for host in servers if host)
    if elsewhere and protocol == "sasl_plaintext" and str(mechanism).upper() in IN_CLEAR:
        yield warning(
            SUBJECT,
            f"{mechanism} sends the password or token in clear, readable on the way.",
            'Set "security.protocol" = "sasl_ssl" in [kafka.properties].',
        )
    if str(properties.get("enable.ssl.certificate.verification", "true")).lower() == "false":
        yield warning(
            SUBJECT,
            "Certificates of brokers are not looked at, so anybody can pretend to be one.",
            "Take enable.ssl.certificate.verification out; ssl.ca.location names the authority.",
        )
    elif str(properties.get("ssl.endpoint.identification.algorithm", "https")).lower() == "none":
        yield warning(
            SUBJECT,
            "A broker's certificate may be for any host.",
            "Take ssl.endpoint.identification.algorithm out; certificates need the brokers' names.",
        )
