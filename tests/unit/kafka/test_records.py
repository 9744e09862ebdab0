import logging
from typing import Any, cast

import pytest
from confluent_kafka import Message

from processor.kafka.records import record_of


class WithOddHeaders:
    """A message of the client whose header names it cannot give as text."""

    def __init__(self, topic: str, partition: int, offset: int) -> None:
        self._place = (topic, partition, offset)

    def topic(self) -> str:
        return self._place[0]

    def partition(self) -> int:
        return self._place[1]

    def offset(self) -> int:
        return self._place[2]

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000

    def key(self) -> bytes:
        return b"key"

    def value(self) -> bytes:
        return b"value"

    def headers(self) -> Any:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")


def test_a_header_name_that_is_no_text_costs_the_headers_and_one_line_a_partition(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = [WithOddHeaders("odd-names", offset % 2, offset) for offset in range(100)]

    with caplog.at_level(logging.WARNING, "processor.kafka.records"):
        records = [record_of(cast("Message", message)) for message in messages]

    assert [record.offset for record in records] == list(range(100))
    assert {(record.key, record.value, tuple(record.headers)) for record in records} == {
        (b"key", b"value", ())
    }
    assert len(caplog.records) == 2
    assert all(line.exc_info is None for line in caplog.records)
