"""A replay in the model: the same machine, fed with chosen records, beside the live instances."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from processor.connector import assembly
from processor.connector.assembly import Wiring
from processor.connector.graveyard import Names
from processor.connector.passage import Story
from processor.connector.task import Limits, Task
from processor.kafka.intake import Start
from processor.kafka.letter import Letter, read_letter
from processor.kafka.progress import Mark
from processor.operations.letters.find import story_of
from processor.record import Record, TopicPartition
from tests.model.adobe import Adobe
from tests.model.kafka import TOPIC, Kafka
from tests.model.worker import DRAIN_S, SETTINGS, Worker
from tests.virtual_time import VirtualLoop

REPLAY_S = 60.0
LETTERS = TopicPartition(f"{TOPIC}.dlq", 0)


class Replay(Worker):
    """One run over these records, which stand in one partition; it commits to a group of its own.

    Attributes:
        drained: all of them have ended; `None` before it is known.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        kafka: Kafka,
        adobe: Adobe,
        who: str,
        wall: Callable[[], float],
        records: Sequence[Record],
    ) -> None:
        self._records = records
        self.drained: bool | None = None
        super().__init__(loop, kafka, adobe, who, wall)

    def epoch_of(self, partition: TopicPartition) -> int | None:
        """It has one assignment, from its beginning to its end."""
        return 1

    async def _start(self, wall: Callable[[], float]) -> None:
        wiring = Wiring(
            names=Names("model", "replay", lambda topic: f"{topic}.dlq", "replay-id"),
            client_id=self.who,
            share=1.0,
            turn=lambda _on: None,
            brakes=False,
            read_story=_story,
        )
        with self._edges(wall):
            self.machine = assembly.build(SETTINGS, wiring)
        self.task = Task(self.machine, Limits(DRAIN_S, None), stop_when_exhausted=True)
        self.running = asyncio.create_task(self.task.run(self))
        await asyncio.sleep(0.001)
        first = self._records[0]
        place = TopicPartition(first.topic, first.partition)
        self.task.assigned({place: Start(first.offset)})
        self.task.arrived(self._records)
        self.task.exhausted()

    def run(self) -> None:
        """Run to the end, or for as long as it may take."""
        until_s = self.loop.time() + REPLAY_S
        while not self.ended and self.loop.time() < until_s:
            self.loop.run_until_complete(asyncio.sleep(0.5))
        self.task.stop()
        while not self.ended and self.loop.time() < until_s + 2 * DRAIN_S:
            self.loop.run_until_complete(asyncio.sleep(0.5))
        self.drained = self.running.result() if self.ended else False
        self.kill()

    # What its task asks of a source.

    def start(self) -> None:
        return

    def flow(self, *, on: bool) -> None:
        return

    def rest(self, partitions: Iterable[TopicPartition]) -> None:
        return

    def taken(self) -> None:
        return

    def commit(self, marks: Mapping[TopicPartition, Mark]) -> None:
        return

    def close(self, marks: Mapping[TopicPartition, Mark], timeout_s: float) -> bool:
        return True


def letters_as_records(letters: Iterable[Letter]) -> list[Record]:
    """How these dead letters stand in their topic."""
    return [
        Record(*LETTERS, offset, 1, letter.key, letter.value, letter.all_headers())
        for offset, letter in enumerate(letters)
    ]


def _story(record: Record) -> Story | None:
    letter = read_letter(record) if record.topic == LETTERS.topic else None
    return None if letter is None else story_of(letter)
