"""Our own topics: looked up, and created where they are missing."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from processor.errors import Misconfigured, TryAgain
from processor.kafka.admission import Admission
from processor.kafka.clients import LARGEST_RECORD_BYTES, admin_properties, error_of
from processor.kafka.credentials import Credentials
from processor.settings import ErrorsSettings, KafkaSettings

LOOKUP_S = 10.0
HEADER_ROOM_BYTES = 65_536
"""What a dead letter may be larger than its source record: our headers."""

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
    }
)


class Client(Protocol):
    """What a consumer, a producer and an admin client have in common here."""

    def list_topics(self, topic: str, timeout: float) -> Any:
        """The broker's metadata of one topic."""


def partitions_of(client: Client, topic: str) -> int | None:
    """Partitions of a topic, `None` when it does not exist.

    Raises:
        KafkaException: the broker does not answer within `LOOKUP_S`, or refuses.
    """
    found = client.list_topics(topic, timeout=LOOKUP_S).topics.get(topic)
    if found is None:
        return None
    if found.error is None:
        return len(found.partitions)
    if found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return None
    raise KafkaException(found.error)


def create(admin: AdminClient, new: NewTopic) -> int:
    """Create a topic; one that is there already, perhaps since a moment ago, is left as it is.

    Returns:
        How many partitions it has.

    Raises:
        KafkaException: it is refused, or the broker does not answer.
        TryAgain: it was created and is not visible yet.
    """
    try:
        admin.create_topics([new])[new.topic].result(timeout=30)
    except KafkaException as raised:
        error = error_of(raised)
        if error is None or error.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    return until_known(lambda topic: partitions_of(admin, topic), new.topic)


class Topics:
    """Partition counts of topics, and the creation of dead-letter topics; every call blocks."""

    def __init__(self, kafka: KafkaSettings, errors: ErrorsSettings, client_id: str) -> None:
        properties = admin_properties(kafka, f"{client_id}-admin")
        self._admission = Admission(properties)
        properties["error_cb"] = self._admission.error_cb
        self._admin = AdminClient(properties)
        self._credentials = Credentials(kafka, "admin")
        self._errors = errors
        self._known: dict[str, int] = {}

    def partitions(self, topic: str) -> int | None:
        """Partitions of a topic, `None` when it does not exist.

        Raises:
            TryAgain: the broker does not answer.
            Misconfigured: the broker refuses to describe the topic.
        """
        self._credentials.renew(self._admin)
        try:
            found = partitions_of(self._admin, topic)
        except KafkaException as error:
            raise self._fault(error, f"look up topic {topic}") from error
        self._admission.forget()
        return found

    def dead_letter_partitions(self, topic: str, source_topic: str) -> int:
        """Partitions of a dead-letter topic, which is created when it is missing.

        A new one has as many partitions as its source, stamps the time of failure
        (``LogAppendTime``), keeps letters for the set retention and takes records larger than the
        source's by the room that our headers need.

        Raises:
            TryAgain: the broker does not answer.
            Misconfigured: the topic is missing and may not be created.
        """
        if topic not in self._known:
            count = self.partitions(topic)
            self._known[topic] = self._create(topic, source_topic) if count is None else count
        return self._known[topic]

    def known_partitions(self, topic: str) -> int | None:
        """What :meth:`dead_letter_partitions` found before, without asking; `None`: nothing."""
        return self._known.get(topic)

    def forget(self, topic: str) -> None:
        """Look the topic up again next time: the broker no longer knows it."""
        self._known.pop(topic, None)

    def _create(self, topic: str, source_topic: str) -> int:
        count = self.partitions(source_topic) or 1
        config = {
            "cleanup.policy": "delete",
            "message.timestamp.type": "LogAppendTime",
            "retention.ms": str(self._errors.deadletterqueue_topic_retention_ms),
            "max.message.bytes": str(
                min(self._largest_record(source_topic) + HEADER_ROOM_BYTES, LARGEST_RECORD_BYTES)
            ),
        }
        factor = self._errors.deadletterqueue_topic_replication_factor
        new = NewTopic(topic, num_partitions=count, replication_factor=factor, config=config)
        try:
            return create(self._admin, new)
        except KafkaException as raised:
            raise self._fault(raised, f"create dead-letter topic {topic}") from raised

    def _fault(self, raised: KafkaException, doing: str) -> TryAgain | Misconfigured:
        error = error_of(raised)
        text = error.str() if error is not None else str(raised)
        if error is not None and error.code() in DENIED:
            return Misconfigured(
                f"Kafka refused to {doing}: {text}.",
                mend="Grant this client the right, create the topic by hand, or correct the "
                "replication factor in [errors].",
                reason="dead_letter_topic",
            )
        kept_out = self._admission.kept_out(self._admin, error, doing)
        return kept_out or TryAgain(f"Could not {doing}: {text}.", reason="kafka")

    def _largest_record(self, topic: str) -> int:
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            config = self._admin.describe_configs([resource])[resource].result(timeout=LOOKUP_S)
            return int(config["max.message.bytes"].value)
        except (KafkaException, KeyError, TypeError, ValueError):
            # Not allowed to describe it: the broker's own default.
            return 1_048_588


def until_known(
    partitions: Callable[[str], int | None], topic: str, *, timeout_s: float = 15.0
) -> int:
    """Wait until the broker that answers knows a topic that was just created.

    Raises:
        TryAgain: it does not within the time-out.
    """
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        count = partitions(topic)
        if count is not None:
            return count
        time.sleep(0.1)
    raise TryAgain(f"Topic {topic} was created but is not visible yet.", reason="kafka")
