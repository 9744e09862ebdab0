"""Which Kafka cluster it is."""

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from processor.kafka.clients import admin_properties
from processor.settings import Settings

ANSWER_S = 3.0


def cluster_id(settings: Settings) -> str | None:
    """The cluster's id; `None` when no broker tells it within `ANSWER_S`. Blocks."""
    try:
        properties = {**admin_properties(settings.kafka, f"{settings.name}-look"), "log_level": 0}
        admin = AdminClient(properties)
        asked = admin.describe_cluster(request_timeout=ANSWER_S)
        found: str | None = asked.result(ANSWER_S).cluster_id
    except (KafkaException, TimeoutError):
        return None
    return found
