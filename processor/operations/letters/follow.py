"""Dead letters as they come: those of a range first, then each that is written."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from processor.errors import Misconfigured
from processor.operations.bounds import BoundOptions
from processor.operations.following import Following
from processor.operations.letters.find import Found, find, found_by, left_after, letter_partitions
from processor.operations.letters.meant import (
    DoneAbout,
    LookOptions,
    Selection,
    nothing_done,
    selecting,
)
from processor.operations.reading import Reader
from processor.record import Position, TopicPartition
from processor.settings import Settings


def check_follow(bounds: BoundOptions) -> None:
    """Refuse an end.

    Raises:
        Misconfigured: the options give one.
    """
    if bounds.to_latest or bounds.to_offset is not None or bounds.to_datetime is not None:
        raise Misconfigured("--follow goes on without an end.", mend="Leave --to-… out.")


@contextmanager
def follow(
    settings: Settings,
    options: LookOptions,
    *,
    earlier: bool,
    after: Sequence[Position] = (),
    done: DoneAbout = nothing_done,
    say: Callable[[str], None],
) -> Generator[tuple[Selection, Generator[Found | None, None, None]], None, None]:
    """Letters that are there in the order of their time, then new ones as they come, without end.

    Of a letter nothing is missed and nothing comes twice where the two parts meet.

    Args:
        settings: name the topics.
        options: which letters are meant.
        earlier: begin with what is there within the range; else only what is written from now on.
        after: with `earlier`, only what stands after these.
        done: what was done about a letter.
        say: told when Kafka stops answering, and when it answers again.

    Yields:
        The selection, and its letters; `None` among them says that nothing has come for a moment.

    Raises:
        Misconfigured: an option is malformed, names what does not exist, or Kafka refuses us.
        TryAgain: no broker answers at the start.
    """
    reader = Reader(settings)
    criteria = options.letters.criteria(settings)
    choices = options.letters.choices(criteria)

    def partitions() -> list[TopicPartition]:
        return letter_partitions(reader, settings, choices)

    # Asked first: what is written from here on is either within the spans or after these ends.
    begin = reader.ends(partitions())
    with selecting(settings, options, done=done, reader=reader) as selection:
        spans = left_after(selection.spans, after) if earlier else {}
        if earlier:
            begin |= {partition: end for partition, (_, end) in selection.spans.items()}

        def letters() -> Generator[Found | None, None, None]:
            look = selection.meant.look
            yield from find(reader, spans, look)
            with Following(reader.properties, partitions, begin, say=say) as following:
                for records in following:
                    for record in records:
                        found = found_by(look, record)
                        if found is not None:
                            yield found
                    yield None

        yield selection, letters()
