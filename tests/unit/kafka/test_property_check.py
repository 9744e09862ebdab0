from typing import Any

import pytest

from processor.errors import Misconfigured
from processor.kafka.property_check import check_properties
from processor.settings.models import KafkaSettings


def settings(**tables: Any) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers="127.0.0.1:1", topics=["events"], **tables)


@pytest.mark.parametrize(
    ("table", "properties", "said"),
    [
        ("properties", {"bogus.thing": "1"}, "kafka.properties.bogus.thing"),
        ("consumer", {"bogus.thing": "1"}, "kafka.consumer.bogus.thing"),
        ("producer", {"retry.backoff.ms": "soon"}, "kafka.producer.retry.backoff.ms"),
        ("properties", {"security.protocol": "none"}, "kafka.properties.security.protocol"),
        ("properties", {"ssl.ca.location": "/no/such", "security.protocol": "ssl"}, "ca.location"),
    ],
)
def test_a_property_that_librdkafka_refuses_is_named_with_its_table(
    table: str, properties: dict[str, Any], said: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        check_properties(settings(**{table: properties}))

    assert said in str(refused.value)
    assert refused.value.mend


def test_properties_that_are_right_pass_although_no_broker_is_there() -> None:
    check_properties(settings(properties={"sasl.username": "u", "sasl.password": "p"}))
