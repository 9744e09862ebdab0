"""The books: what is counted is right, and no place that counts can be taken out unnoticed.

The places are found in the source, so a new one joins by itself: when :func:`account` does not
notice that it is gone, this test says so, and :func:`account` needs another line.
"""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from prometheus_client.core import Metric

from processor.connector import task_process
from processor.connector.books import RuleFailuresCollector
from processor.connector.child import Child
from processor.connector.heartbeat import Heartbeat
from processor.connector.ledger import DELIVERED, FULL_BITS, Ledger, ReleaseReason
from processor.errors import Code, FilterReason
from processor.kafka.progress import BITS_PER_OPEN
from processor.mapping.mapper import Failure as RuleFailure
from processor.record import Record, TopicPartition
from processor.telemetry import metrics
from processor.telemetry.metrics import added_up
from tests.model.adobe import GOOD, HOLD, LATENCY_S, MOST_REQUESTS, TOKEN_LIFE_S, Outcome
from tests.model.counters import Place, places, without
from tests.model.kafka import HERE, PARTITIONS
from tests.model.kinds import UNMAPPED
from tests.model.worker import Worker
from tests.model.world import World

ZERO, ONE = PARTITIONS
PLACES = places()

Samples = dict[tuple[str, ...], float]


def read(metrics: Sequence[Metric]) -> Samples:
    """By name and the values of its labels, in the labels' order."""
    return {
        (sample.name.removeprefix("processor_"), *(v for _, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for metric in metrics
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def books(samples: Samples, partition: TopicPartition) -> dict[str, float]:
    """What a scrape says of one partition, summed over codes and reasons."""
    total: Counter[str] = Counter()
    for (name, *labels), value in samples.items():
        if name.startswith("records_") and str(partition.partition) in labels:
            total[name.removeprefix("records_").removesuffix("_total")] += int(value)
    return dict(total)


def account() -> None:
    """A life with a bit of everything, and what each metric has to say of it.

    Raises:
        AssertionError: one of them is wrong.
    """
    random.seed(7)
    the_ledger_knows_its_size()
    the_ledger_knows_what_its_metadata_could_take()
    worker_says_what_it_is()
    rows_that_gave_null_are_counted()
    with World() as world:
        world.start("left")
        world.produce(ZERO, b"a", "unmapped")
        world.poll("left", 1)
        world.advance(0.5)
        samples = read(beat_of(world.workers["left"]).metrics)
        assert samples["unmapped_events_total", UNMAPPED] == 1
    with World() as world:
        world.start("left")
        fresh = read(beat_of(world.workers["left"]).metrics)
        assert fresh["concurrency_limit",] == MOST_REQUESTS
    with World() as world:
        begins(world)
        worker = world.workers["left"]
        assert read(beat_of(worker).metrics)["paused", "experience_platform"] == 1
        goes_on(world)
        beat = beat_of(worker)
        samples = read(beat.metrics)
        records_are_counted(samples)
        requests_are_counted(world, worker, samples)
        the_task_is_counted(world, worker, samples)
        the_books_of_the_dead_are_closed(beat)


def beat_of(worker: Worker) -> Heartbeat:
    return task_process._heartbeat(worker.task, 0)  # noqa: SLF001 - what the supervisor gets


def begins(world: World) -> None:
    """Seven records, and an outage."""
    for kind in ("good", "several", "both", "refused", "unreadable", "tombstone"):
        world.produce(ZERO, b"a", kind)
    world.produce(ONE, b"a", "good")
    world.start("left")
    world.kafka.letters.append("fail")
    world.adobe.standing = Outcome("503")
    world.poll("left", 6)
    world.poll("left", 6)
    world.advance(0.5)


def goes_on(world: World) -> None:
    """All of them end; one partition goes with a record, two records of the other wait."""
    world.adobe.standing = GOOD
    world.adobe.script.append(Outcome("again", mask=1))
    world.kafka.commits.append("fail")
    world.advance(30.0)
    world.advance(2.0)
    world.advance(2.0)
    world.adobe.standing = Outcome(HOLD)
    world.produce(ONE, b"a", "good")
    world.poll("left", 1)
    world.revoke(ONE)
    world.produce(ZERO, b"a", "good")
    world.produce(ZERO, b"a", "good")
    world.poll("left", 2)
    world.produce(ZERO, b"a", "good")
    world.workers["left"].task.flow(False)
    world.advance(1.1)
    world.check()


def records_are_counted(samples: Samples) -> None:
    assert books(samples, ZERO) == {
        "consumed": 8,
        "delivered": 3,
        "dead_lettered": 2,
        "filtered": 1,
        "in_flight": 2,
    }
    assert books(samples, ONE) == {
        "consumed": 2,
        "delivered": 1,
        "released": 1,
        "in_flight": 0,
    }
    code = Code.DECODE_TRUNCATED
    assert samples["records_dead_lettered_total", code, "0", code.stage, "events"] == 1
    assert samples["records_filtered_total", "0", FilterReason.TOMBSTONE, "events"] == 1
    assert samples["end_to_end_seconds_count",] == 4
    assert samples["end_to_end_seconds_bucket", "+Inf"] == 4
    assert samples["end_to_end_seconds_sum",] > 0


def requests_are_counted(world: World, worker: Worker, samples: Samples) -> None:
    platform = worker.platform
    sent = Counter(key.target for key in world.judge.accepted.elements())
    for target in ("event", "profile"):
        asked = {s: count for (t, s), count in platform.answers.items() if t == target}
        assert samples["messages_sent_total", target] == sent[target]
        assert {s: samples["requests_total", s, target] for s in asked} == asked
        assert samples["request_seconds_count", target] == sum(asked.values())
        assert samples["request_seconds_sum", target] >= LATENCY_S * sum(asked.values())
        assert samples["request_bytes_count", target] == sum(asked.values())
        assert samples["request_bytes_sum", target] == platform.bytes[target]
    retries = [count for (name, *_), count in samples.items() if name == "retries_total"]
    away = sum(count for (_, s), count in platform.answers.items() if s == "503")
    assert sum(retries) == away + 1 >= 3


def the_task_is_counted(world: World, worker: Worker, samples: Samples) -> None:
    assert 1 <= samples["concurrency_limit",] < MOST_REQUESTS  # there was a 503
    assert samples["paused", "experience_platform"] == 0
    assert 0 < samples["token_expires_in_seconds",] <= TOKEN_LIFE_S
    assert samples["token_refresh_total", "bought"] == worker.ims.granted == 1
    assert samples["dlq_produce_failures_total",] == 1
    commits = {outcome: samples["commits_total", outcome] for outcome in ("ok", "failed")}
    assert commits == worker.client.answers
    assert samples["rebalances_total",] == 3
    assert samples["consumer_lag", "0", "events"] == 1
    assert ("consumer_lag", "1", "events") not in samples


def the_books_of_the_dead_are_closed(beat: Heartbeat) -> None:
    """Two lives of a task with the same books: all counts twice, nothing in flight any more."""
    child = Child(0)
    for _ in range(2):
        child.beat = beat
        child.close_books()
    once, twice = read(beat.metrics), read(child.ended)
    assert child.beat is None
    assert twice["records_consumed_total", "0", "events"] == 16
    assert twice["records_released_total", "0", ReleaseReason.STOPPED, "events"] == 4
    assert not [name for name, *_ in twice if name == "records_in_flight"]
    counted = {name for name in once if name[0].endswith(("_total", "_count", "_sum", "_bucket"))}
    assert {name: twice[name] for name in counted} == {name: 2 * once[name] for name in counted}
    assert read(added_up([child.ended, beat.metrics]))["records_in_flight", "0", "events"] == 2


def the_ledger_knows_its_size() -> None:
    ledger = Ledger()
    first = ledger.assign(ZERO, committed=0)
    ledger.take(ZERO, [Record(*ZERO, offset, value=b"abc") for offset in range(5)])
    assert (ledger.in_flight_count, ledger.in_flight_bytes) == (5, 15)
    ledger.made(ZERO, first, 0, 100)
    ledger.made(ZERO, first, 1, 100)
    assert (ledger.made_bytes, ledger.in_flight_bytes) == (200, 215)
    ledger.end(ZERO, first, 0, DELIVERED)
    assert (ledger.in_flight_count, ledger.made_bytes, ledger.in_flight_bytes) == (4, 100, 112)
    assert ledger.release(ZERO, ReleaseReason.LOST) == 4
    assert (ledger.in_flight_count, ledger.made_bytes, ledger.in_flight_bytes) == (0, 0, 0)
    assert ledger.books()[ZERO].released == {ReleaseReason.LOST: 4}
    assert ledger.assign(ZERO, committed=0) != first


def worker_says_what_it_is() -> None:
    samples = read(metrics.of_worker("9.9.9", {"RUNNING": 2, "FAILED": 0}))
    assert samples == {
        ("build_info", "9.9.9"): 1,
        ("tasks", "RUNNING"): 2,
        ("tasks", "FAILED"): 0,
    }


def rows_that_gave_null_are_counted() -> None:
    failures = {RuleFailure("purchase", "event", 7): 2}
    samples = read(list(RuleFailuresCollector(failures).collect()))
    assert samples == {("mapping_failures_total", "purchase", "7", "event"): 2}


def the_ledger_knows_what_its_metadata_could_take() -> None:
    """Runs of open records take room: as they come with gaps, and as others end between them."""
    count = int(FULL_BITS / BITS_PER_OPEN) // 2 + 2
    with_gaps, thinned_out, one_by_one = Ledger(), Ledger(), Ledger()
    epochs = [
        ledger.assign(ZERO, committed=0, origin=HERE)
        for ledger in (with_gaps, thinned_out, one_by_one)
    ]
    with_gaps.take(ZERO, [Record(*ZERO, 2 * n) for n in range(count)])
    thinned_out.take(ZERO, [Record(*ZERO, n) for n in range(2 * count - 10)])
    for n in range(count - 5):
        thinned_out.end(ZERO, epochs[1], 2 * n + 1, DELIVERED)
    thinned_out.take(ZERO, [Record(*ZERO, n) for n in range(2 * count - 10, 2 * count)])
    for n in range(count):
        one_by_one.take(ZERO, [Record(*ZERO, 2 * n), Record(*ZERO, 2 * n + 1)])
        one_by_one.end(ZERO, epochs[2], 2 * n + 1, DELIVERED)
    one_by_one.take(ZERO, [Record(*ZERO, 2 * count)])
    assert [ledger.full for ledger in (with_gaps, thinned_out, one_by_one)] == [{ZERO}] * 3


def test_every_metric_says_what_happened() -> None:
    account()


@pytest.mark.parametrize("place", PLACES, ids=str)
def test_no_place_that_counts_can_be_taken_out_unnoticed(place: Place) -> None:
    with without(place), pytest.raises(Exception):  # noqa: B017, PT011 - red is red
        account()
