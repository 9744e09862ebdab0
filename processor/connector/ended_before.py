"""What had ended beyond a committed offset before a partition became ours."""

from processor.kafka.intake import Start
from processor.kafka.progress import NOTHING, Ended, Ignored, read
from processor.record import TopicPartition
from processor.telemetry.logs import get_logger

log = get_logger(__name__)


def ended_before(partition: TopicPartition, start: Start) -> Ended:
    """What had ended beyond the committed offset, as far as that can be believed."""
    if start.offset is None:
        return NOTHING
    try:
        ended = read(start.metadata, start.offset, start.origin, start.end)
    except Ignored as ignored:
        log.warning(
            "The metadata of the committed offset is ignored; records may be sent again.",
            partition=str(partition),
            offset=start.offset,
            reason=str(ignored),
        )
        return NOTHING
    if ended:
        log.info(
            "Records that had ended are left out.",
            partition=str(partition),
            offsets=sum(run.stop - run.start for run in ended),
        )
    return ended
