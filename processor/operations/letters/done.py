"""What was done about dead letters, for those who look at them; asked for when it is needed."""

from processor.errors import Misconfigured
from processor.kafka.clients import admin_properties
from processor.kafka.origins import look_up
from processor.kafka.state import StateTopic
from processor.operations.letters.meant import NOTHING, Done
from processor.operations.resolutions.resolutions import PREFIX, Resolutions, read_place
from processor.record import Position, TopicPartition
from processor.settings import Settings
from processor.telemetry.logs import get_logger

log = get_logger(__name__)


class LettersDone:
    """Tells what was done about each letter; the state topic is read once, at the first question.

    Who may not read it sees every letter as open, and one warning. Asking raises TryAgain when no
    broker answers.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._resolutions: Resolutions | None = None

    def __call__(self, letter: Position) -> Done:
        """What was done about the letter at some coordinates."""
        if self._resolutions is None:
            self._resolutions = self._read()
        found = self._resolutions.of(TopicPartition(letter.topic, letter.partition), letter.offset)
        return NOTHING if found is None else Done(found.outcome.label, found.open)

    def _read(self) -> Resolutions:
        settings = self._settings
        try:
            entries = StateTopic(settings, f"{settings.name}-look").read(PREFIX)
        except Misconfigured as error:
            log.warning("What was done about letters is not known.", error=str(error))
            return Resolutions((), {})
        places = {read_place(key) for key in entries}
        topics = {place.partition.topic for place in places if place is not None}
        ids = look_up(admin_properties(settings.kafka, f"{settings.name}-look"), topics)
        return Resolutions(entries.values(), {topic: o.topic_id for topic, o in ids.items()})
