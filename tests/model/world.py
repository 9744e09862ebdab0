"""The world of the model: two instances, a cluster, Adobe, and everything that may happen.

Each method is one event; :meth:`World.check` holds the product to the invariants after it, and
:meth:`World.finish` ends all faults, waits, and holds it to the rest.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import count
from types import TracebackType
from typing import Self

from confluent_kafka import TopicPartition as KafkaPartition

from processor.connector.ledger import ReleaseReason
from processor.connector.valve import IN_FLIGHT_BYTES, most_in_flight
from processor.kafka.progress import Mark
from processor.record import Record, TopicPartition
from tests.model.adobe import GOOD, Adobe, Outcome
from tests.model.judge import BrokenError, Judge
from tests.model.kafka import PARTITIONS, Kafka
from tests.model.kinds import make
from tests.model.replay import Replay, letters_as_records
from tests.model.worker import DRAIN_S, SETTINGS, Worker, without_threads
from tests.virtual_time import VirtualLoop

NAMES = ("left", "right")
MOST_POLLED = 6
QUIET_S = 7200.0
"""By when everything has ended once all faults are over; Retry-After may ask for 300 s."""

MOST_RECORDS = most_in_flight(SETTINGS.delivery) + 6 * MOST_POLLED
ENDED = ("delivered", "dead_lettered", "filtered", "released")


class World:
    """Everything, in virtual time; a context manager."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.judge = Judge()
        self.kafka = Kafka(self.judge)
        self.adobe = Adobe(self.judge)
        self.workers: dict[str, Worker] = {}
        self._lives = count(1)
        self._serials = count(1)
        self._wall_s = 0.0
        self._counted: dict[str, Counter[tuple[str, str]]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(without_threads(self.loop))
        logging.disable(logging.ERROR)
        self._stack.callback(logging.disable, logging.NOTSET)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        for worker in self.workers.values():
            worker.kill()
        self._stack.close()
        self.loop.close()

    # What happens.

    def produce(self, partition: TopicPartition, key: bytes | None, kind: str) -> None:
        """A record is written."""
        offset = self.judge.ends[partition]
        self.judge.produced(make(next(self._serials), partition, offset, key, kind))

    def gap(self, partition: TopicPartition) -> None:
        """An offset is taken that no consumer ever sees: compaction, or a transaction's marker."""
        self.judge.ends[partition] += 1

    def start(self, name: str) -> None:
        """An instance starts, and gets what nobody has."""
        if name not in self.workers:
            who = f"{name}-{next(self._lives)}"
            self.workers[name] = Worker(self.loop, self.kafka, self.adobe, who, self._wall)
            self.workers[name].turn()
            self.assign(name, [p for p in PARTITIONS if p not in self.judge.owners])

    def poll(self, name: str, budget: int) -> None:
        """An instance's consumer makes a turn."""
        worker = self.workers[name]
        worker.turn(budget)
        self._lost_is_told(worker)
        self._pump(0.001)

    def advance(self, seconds: float) -> None:
        """Time passes; then every consumer makes a turn without records."""
        self._pump(seconds)
        for name in self.workers:
            self.poll(name, 0)

    def passes(self, seconds: int, budget: int = 6) -> None:
        """Seconds in which every instance polls and everybody is held to the invariants."""
        for _ in range(seconds):
            for name in self.workers:
                self.poll(name, budget)
            self.advance(1.0)
            self.check()

    def wall_jump(self, seconds: float) -> None:
        """The wall clock is set."""
        self._wall_s += seconds

    def move(self, partition: TopicPartition, to: str) -> None:
        """The group gives a partition to an instance; whoever has it hands it over first."""
        owner = self._owner(partition)
        if owner is not None and owner.who != self.workers[to].who:
            self.revoke(partition)
        self.assign(to, [p for p in [partition] if p not in self.judge.owners])

    def revoke(self, partition: TopicPartition) -> None:
        """An instance hands a partition over; the one that has it."""
        worker = self._owner(partition)
        if worker is None:
            return
        before = self._released(worker, partition)
        place = KafkaPartition(*partition)
        worker.client.calls["on_revoke"](worker.client, [place])
        worker.client.leave([partition])
        self._pump(0.001)
        if self._released(worker, partition) > before or partition in self.kafka.failed:
            self.judge.unclean.add(partition)
        self._gone(worker, partition)

    def assign(self, name: str, partitions: Iterable[TopicPartition]) -> None:
        """The group gives these to an instance."""
        worker = self.workers[name]
        if worker.client.lost:
            self.poll(name, 0)
        for partition in partitions:
            self.judge.owners[partition] = worker.who
            self.judge.assigned(worker.who, partition, self.kafka.origin)
            worker.client.calls["on_assign"](worker.client, [KafkaPartition(*partition)])
            self._pump(0.001)
            self.judge.owned[worker.who, partition].epoch = worker.epoch_of(partition)

    def lose(self, name: str) -> None:
        """The group takes everything from an instance that hears of it at its next poll only."""
        worker = self.workers[name]
        worker.platform.calm()
        self.kafka.fenced.add(worker.who)
        for partition in self._owned_by(worker):
            self.judge.unclean.add(partition)
            del self.judge.owners[partition]
            worker.client.lost.append(partition)

    def crash(self, name: str) -> None:
        """An instance dies of ``kill -9``."""
        worker = self.workers.pop(name)
        for partition in self._owned_by(worker):
            self.judge.unclean.add(partition)
        worker.kill()
        for partition in PARTITIONS:
            self._gone(worker, partition)

    def stop(self, name: str) -> None:
        """An instance is told to stop, and has its time for it."""
        worker = self.workers.pop(name)
        partitions = self._owned_by(worker)
        worker.task.stop()
        deadline_s = self.loop.time() + DRAIN_S + 30.0
        while not worker.ended and self.loop.time() < deadline_s:
            self._pump(0.1)
        if not worker.ended:
            self.judge.broken("I19", f"{worker.who} does not stop")
            worker.kill()
        elif not worker.running.result():
            self.judge.unclean.update(partitions)
        for partition in PARTITIONS:
            self._gone(worker, partition)

    def operator_reset(self, partition: TopicPartition, offset: int) -> None:
        """An operator sets the group's offset; Kafka lets them where nobody is a member."""
        if partition not in self.judge.owners:
            self.judge.reset(partition, offset)

    def replay(self, partition: TopicPartition, first: int, last: int) -> None:
        """An operator replays a range of a topic, as it was."""
        chosen = [m for m in self.judge.log[partition] if first <= m.record.offset <= last]
        wanted = {made.serial: set(made.names) or {""} for made in chosen}
        self._replay([made.record for made in chosen], wanted)

    def replay_letters(self, number: int) -> None:
        """An operator replays the newest dead letters, each record once."""
        newest = {letter.source: letter for letter in self.judge.letters[-number:]}
        wanted: dict[int, set[str]] = {}
        for source, letter in newest.items():
            made = self.judge.at(TopicPartition(*source[:2]), source.offset)
            if made is not None:
                wanted[made.serial] = set(letter.targets) or set(made.names) or {""}
        self._replay(letters_as_records(newest.values()), wanted)

    def _replay(self, records: list[Record], wanted: dict[int, set[str]]) -> None:
        if not records:
            return
        committed = dict(self.judge.committed)
        who = f"replay-{next(self._lives)}"
        run = Replay(self.loop, self.kafka, self.adobe, who, self._wall, records)
        run.run()
        if self.judge.committed != committed and not self.workers:
            self.judge.broken("I22", "a replay moved the offsets of the live group")
        if run.drained:
            self.judge.replayed(who, wanted)

    def letters_answered(self, outcome: str) -> None:
        """The broker says what became of the letters that it kept quiet about."""
        held, self.kafka.held = self.kafka.held, []
        for answer in held:
            answer(outcome)
        self._pump(0.001)

    def request_answered(self, number: int, outcome: Outcome) -> None:
        """Experience Platform answers one of the requests that it held."""
        held = self.adobe.held[number % len(self.adobe.held)]
        if held.what.done():  # whoever asked has gone; the messages may arrive all the same
            self.adobe.held.remove(held)
            if outcome.what == "ok" or outcome.after:
                now_s = self.loop.time()
                self.judge.accept(held.posted, held.posted.keys, stale=True, now_s=now_s)
        else:
            held.what.set_result(outcome)
            self._pump(0.001)

    def mend(self) -> None:
        """What Experience Platform refused for the set-up's sake it takes from now on."""
        self.adobe.standing = GOOD
        self.adobe.mended = True

    def release(self) -> None:
        """An operator lets the letters go that the systemic brake holds."""
        for worker in self.workers.values():
            if worker.machine.brake is not None:
                for hold in worker.machine.brake.holdings():
                    worker.machine.brake.release(hold.kind)

    # What must hold.

    def check(self) -> None:
        """Hold everybody to the invariants.

        Raises:
            BrokenError: one of them does not hold.
        """
        self.judge.verdict()
        for worker in self.workers.values():
            if worker.ended:
                worker.running.result()
                raise BrokenError("I19", f"{worker.who} has ended by itself")
            self._books(worker)
            ledger = worker.machine.ledger
            if ledger.in_flight_count > MOST_RECORDS or ledger.in_flight_bytes > IN_FLIGHT_BYTES:
                raise BrokenError("I15", f"{ledger.in_flight_count} records in flight")

    def _books(self, worker: Worker) -> None:
        """The accounting equation, from what a scrape would say."""
        counted: Counter[tuple[str, str]] = Counter()
        for metric in worker.machine.metrics.snapshot():
            if metric.name.startswith("processor_records_"):
                for sample in metric.samples:
                    if not sample.name.endswith("_created"):
                        way = metric.name.removeprefix("processor_records_")
                        counted[sample.labels["partition"], way] += int(sample.value)
        for partition in {partition for partition, _ in counted}:
            ended = sum(counted[partition, way] for way in ENDED)
            consumed, in_flight = counted[partition, "consumed"], counted[partition, "in_flight"]
            if consumed != ended + in_flight:
                raise BrokenError("I20", f"partition {partition} of {worker.who}: {counted}")
        before = self._counted.get(worker.who, Counter())
        fallen = [k for k, n in before.items() if k[1] != "in_flight" and counted[k] < n]
        if fallen:
            raise BrokenError("I20", f"counters fell: {fallen}")
        self._counted[worker.who] = counted

    def finish(self) -> None:
        """All faults end; then everything has to end as well, be committed, and stay so.

        Raises:
            BrokenError: an invariant does not hold.
        """
        self._end_faults()
        deadline_s, step_s = self.loop.time() + QUIET_S, 0.1
        while (left := self._unfinished()) and self.loop.time() < deadline_s:
            for name in list(self.workers):
                self.poll(name, MOST_POLLED)
            self._pump(step_s)
            self._company(left)
            self.release()
            step_s = min(5.0, step_s * 1.2)
            self.check()
        if left:
            raise BrokenError("I18", f"not within {QUIET_S:g} s: {left}")
        if missing := self.judge.everything_ended():
            raise BrokenError("I1", f"lost: {missing}")
        for name in list(self.workers):
            self.stop(name)
        for partition in PARTITIONS:
            if partition not in self.judge.unclean:
                self.judge.assigned("nobody", partition, self.kafka.origin)
        self.judge.verdict()

    def _end_faults(self) -> None:
        self.adobe.script.clear()
        self.adobe.standing = GOOD
        self.adobe.ims = "ok"
        self.adobe.good_secrets = {"one", "two"}
        self.kafka.commits.clear()
        self.kafka.letters.clear()
        self.kafka.tells_ids = True
        while self.adobe.held:
            self.request_answered(0, GOOD)
        self.letters_answered("ok")
        if not self.workers:
            self.start(NAMES[0])
        for name, worker in self.workers.items():
            worker.registry.away = False
            self.poll(name, 0)
        first = next(iter(self.workers))
        self.assign(first, [p for p in PARTITIONS if p not in self.judge.owners])

    def _unfinished(self) -> list[str]:
        left = []
        for partition in PARTITIONS:
            log = self.judge.log[partition]
            committed = self.judge.committed.get(partition, Mark(0)).offset
            if log and committed <= log[-1].record.offset:
                left.append(f"{partition} is at {committed} of {log[-1].record.offset + 1}")
        return left

    def _company(self, left: list[str]) -> None:
        """A message is only convicted while its inlet accepts others, so there must be others."""
        if not left:
            return
        stuck = {
            (made.partition, target)
            for made in self.judge.everything_ended()
            if made.kind.breaks
            for target, _ in made.kind.messages
        }
        for partition, target in sorted(stuck):
            self.produce(partition, b"company", "good" if target == "event" else "state")

    # Inside.

    def _wall(self) -> float:
        return 1_700_000_000.0 + self.loop.time() + self._wall_s

    def _pump(self, seconds: float) -> None:
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def _owner(self, partition: TopicPartition) -> Worker | None:
        who = self.judge.owners.get(partition)
        return next((worker for worker in self.workers.values() if worker.who == who), None)

    def _owned_by(self, worker: Worker) -> list[TopicPartition]:
        return [p for p in PARTITIONS if self.judge.owners.get(p) == worker.who]

    def _gone(self, worker: Worker, partition: TopicPartition) -> None:
        worker.platform.calm()
        self.judge.owned.pop((worker.who, partition), None)
        if self.judge.owners.get(partition) == worker.who:
            del self.judge.owners[partition]

    def _lost_is_told(self, worker: Worker) -> None:
        """What was lost before the poll is known to be lost after it."""
        if worker.client.lost:
            return
        self.kafka.fenced.discard(worker.who)
        for who, partition in list(self.judge.owned):
            if who == worker.who and self.judge.owners.get(partition) != who:
                self._pump(0.001)
                self._gone(worker, partition)

    @staticmethod
    def _released(worker: Worker, partition: TopicPartition) -> int:
        books = worker.machine.ledger.books().get(partition)
        return 0 if books is None else books.released.get(ReleaseReason.REVOKED, 0)
