"""What a dead letter says of its record's first life, with what became of it since."""

from dataclasses import dataclass, replace

from processor.connector.passage import Story
from processor.operations.letters.find import read_story
from processor.operations.replays.later_records import LaterRecords, Newer
from processor.operations.resolutions.resolutions import Resolutions, Word
from processor.record import Position, Record, TopicPartition


@dataclass(frozen=True, slots=True)
class Stories:
    """Reads the stories of letters that are replayed.

    Attributes:
        later: says what is old news.
        resolutions: of a letter that was delivered in part, the rest is sent only.
        states: the targets that hold a state.
        allow_stale: send old news all the same.
    """

    later: LaterRecords
    resolutions: Resolutions
    states: frozenset[str]
    allow_stale: bool

    def of(self, record: Record) -> Story | None:
        """What a record of a dead-letter topic says; `None`: it is no letter."""
        story = read_story(record)
        if story is None:
            return None
        resolution = self.resolutions.of(
            TopicPartition(record.topic, record.partition), record.offset
        )
        targets = story.targets
        if resolution is not None and resolution.outcome.word is Word.PARTLY:
            held = frozenset(t for t in targets if t.partition("#")[0] in self.states)
            targets = held or self.states
        source = Position(story.topic, story.partition, story.offset)
        newer = Newer(self.later, source, allowed=self.allow_stale)
        return replace(story, targets=targets, newer=newer)
