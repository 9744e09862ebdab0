"""Memory stays below the formula of docs/architecture.md, whatever the records are like."""

import random
import string
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import Producer

from processor.connector.valve import IN_FLIGHT_BYTES, MADE_BYTES, most_in_flight
from processor.kafka.clients import FETCH_BYTES, QUEUE_KBYTES
from processor.kafka.portions import PORTION_BYTES
from processor.kafka.source import BATCHES_AHEAD
from processor.settings import DeliverySettings
from tests.integration.conftest import records_by_fate
from tests.integration.process_tree import tasks

MIB = 1024 * 1024
PROCESS_BYTES = 120 * MIB
RECORD_OBJECTS_BYTES = 2_048
COPIES_OF_A_REQUEST = 3
DELIVERY = DeliverySettings(max_in_flight=4)
PRODUCE_TIMEOUT_S = 60.0


class Load(NamedTuple):
    """What the topic holds.

    Attributes:
        text: characters of the longest field of each record.
        random: how many of them do not compress.
        at_fault: whether the records cannot be read, and become dead letters.
        ended: records after which the peak is looked at.
    """

    records: int
    text: int
    random: int
    ended: int
    compression: str = "none"
    at_fault: bool = False

    @property
    def shrinks(self) -> float:
        """How many times smaller a batch is, at most, than its records."""
        return 1.0 if self.compression == "none" else (self.text + 500) / (self.random * 0.75)


LOADS = {
    "of 900 KB": Load(350, 900_000, 900_000, ended=12),
    "of 900 KB, all at fault": Load(350, 900_000, 900_000, ended=350, at_fault=True),
    "that shrink 400 times": Load(2_000, 300_000, 1_000, ended=12, compression="zstd"),
    "of 300 bytes": Load(12_000, 10, 10, ended=2_000),
}


def most_bytes(load: Load, delivery: DeliverySettings) -> float:
    """The formula, term by term as the page has it."""
    most_records = most_in_flight(delivery)
    fetched = QUEUE_KBYTES * 1024 + FETCH_BYTES * load.shrinks
    handed_over = 2 * (BATCHES_AHEAD + 1) * (PORTION_BYTES + load.text)
    letters = IN_FLIGHT_BYTES if load.at_fault else 0
    requests = COPIES_OF_A_REQUEST * delivery.max_in_flight * delivery.batch_max_bytes
    objects = RECORD_OBJECTS_BYTES * most_records
    in_flight = IN_FLIGHT_BYTES + MADE_BYTES + 2 * load.text
    return PROCESS_BYTES + in_flight + handed_over + fetched + letters + requests + objects


def peak_bytes(pid: int) -> int:
    """The highest resident memory of a process so far."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_memory_stays_below_the_formula_before_a_slow_experience_platform(
    load: Load, capillary: Any, topic: str, broker: Any, connector: Any, connector_settings: Any,
    simulator: Any, eventually: Any,
) -> None:  # fmt: skip
    simulator.faults([{"scope": "batch", "count": "until_reset", "latency_ms": 400}])
    chance = random.Random(7)
    event = capillary.events.of("transactionAdded")
    producer = Producer(
        {
            "bootstrap.servers": broker.direct_servers,
            "compression.type": load.compression,
            "linger.ms": 100,
        }
    )
    for number in range(load.records):
        text = "".join(chance.choices(string.ascii_letters + string.digits, k=1_000))
        event["eventId"] = f"memory-{number}"
        event["data"]["billNumber"] = (text * (load.random // 1_000 + 1))[: load.random].ljust(
            load.text, "x"
        )
        value = capillary.record(event)["value"]
        producer.produce(topic, value[:-20] if load.at_fault else value, key=b"%d" % number)
        producer.poll(0)
    assert producer.flush(PRODUCE_TIMEOUT_S) == 0
    settings = connector_settings(topic)
    settings["delivery"] = {"max_in_flight": DELIVERY.max_in_flight}
    settings["gate"] = {"on_profile_limit": "send"}
    targets = settings["experience_platform"]["targets"]
    settings["experience_platform"]["targets"] = {"event": targets["event"]}

    running = connector(settings)
    (task,) = tasks(running.pid)

    def looked() -> Counter[str] | None:
        counts = records_by_fate(running)
        return counts if counts["delivered"] + counts["dead_lettered"] >= load.ended else None

    counts = eventually(looked, timeout_s=120)
    assert counts["delivered"] < load.records, "it was looked at under load"
    assert peak_bytes(task) < most_bytes(load, DELIVERY)
    assert tasks(running.pid) == {task}, "and it is the same process"
