"""Removes records from the beginning of partitions, for good."""

from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from processor.errors import Misconfigured, TryAgain
from processor.kafka.clients import admin_properties, error_of
from processor.kafka.topics import DENIED
from processor.record import TopicPartition
from processor.settings import KafkaSettings

WITHIN_S = 30.0


def delete_before(
    kafka: KafkaSettings, client_id: str, offsets: Mapping[TopicPartition, int]
) -> None:
    """Delete every record below these offsets.

    Raises:
        Misconfigured: Kafka refuses it.
        TryAgain: no broker answers; some may have been deleted.
    """
    if not offsets:
        return
    try:
        admin = AdminClient(admin_properties(kafka, client_id))
        asked = [KafkaPartition(*place, offset) for place, offset in offsets.items()]
        for answer in admin.delete_records(asked, request_timeout=WITHIN_S).values():
            answer.result(WITHIN_S)
    except (KafkaException, TimeoutError) as raised:
        error = error_of(raised)
        text = error.str() if error is not None else "no answer in time"
        if error is not None and error.code() in DENIED:
            raise Misconfigured(
                f"Kafka refused to delete records: {text}.",
                mend="Grant this client Delete on the topic.",
                reason="kafka",
            ) from raised
        raise TryAgain(f"Could not delete records: {text}.", reason="kafka") from raised
