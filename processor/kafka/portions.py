"""How much one poll hands to the loop: by bytes first, then by records."""

from confluent_kafka import Consumer, Message

PORTION_RECORDS = 500
PORTION_BYTES = 2 * 1024 * 1024
"""A portion is full at this many bytes of keys and values: it may go over by its last slice."""

SLICE_RECORDS = 32
"""What is asked for at once, at most: so many records may be large before anybody noticed."""

FIRST_SLICE_RECORDS = 4


class Portions:
    """Asks the consumer for records in slices, as many as fit a portion by what came lately.

    ``Consumer.consume`` takes a number of records, whatever their size, and 500 of them may be
    500 MB. So it is asked for few at first; for more when those were small, at most twice as many
    each time; and for fewer as soon as a large one came.
    """

    def __init__(self) -> None:
        self._largest = PORTION_BYTES // FIRST_SLICE_RECORDS

    def poll(self, consumer: Consumer, wait_s: float) -> list[Message]:
        """The next messages, and errors in the form of one.

        Args:
            consumer: called once at least, on its own thread.
            wait_s: longest that the first slice waits to be full; the others take what is there.
        """
        portion: list[Message] = []
        size = 0
        while len(portion) < PORTION_RECORDS and size < PORTION_BYTES:
            fit = max(1, (PORTION_BYTES - size) // self._largest)
            wanted = min(SLICE_RECORDS, PORTION_RECORDS - len(portion), fit)
            sizes = []
            for message in consumer.consume(wanted, wait_s):
                portion.append(message)
                sizes.append(len(message.key() or b"") + len(message.value() or b""))
            size += sum(sizes)
            self._largest = max(1, self._largest // 2, *sizes)
            if len(sizes) < wanted:
                break
            wait_s = 0.0
        return portion
