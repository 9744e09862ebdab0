import logging

import pytest
from confluent_kafka import Producer

from processor.kafka.client_log import CLIENT_LOG, EVERY_S, KEPT, Sparing
from processor.kafka.clients import producer_properties
from processor.settings.models import KafkaSettings

AWAY = (
    "FAIL [task-0#consumer-1] [thrd:kafka:9092/1]: kafka:9092/1: Connect failed "
    "(after %dms in state CONNECT%s)"
)


def line(text: str, *args: object, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord("processor.kafka.librdkafka", level, "", 0, text, args, None)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_said_again_and_again_comes_once_a_minute_with_how_often() -> None:
    clock = Clock()
    sparing = Sparing(clock)
    first = line(AWAY, 0, "")
    assert sparing.filter(first)
    assert first.getMessage() == AWAY % (0, "")

    for tick in range(500):
        clock.now_s += (EVERY_S - 1) / 500
        again = line(AWAY, tick, ", 3 identical error(s) suppressed" if tick % 2 else "")
        assert not sparing.filter(again)

    clock.now_s += 2
    later = line(AWAY, 7, "")
    assert sparing.filter(later)
    assert later.getMessage() == f"{AWAY % (7, '')} (500 times more in between)"


def test_another_connection_and_another_cause_have_lines_of_their_own() -> None:
    sparing = Sparing(Clock())

    assert sparing.filter(line(AWAY, 0, ""))
    assert sparing.filter(line(AWAY.replace("consumer-1", "producer-2"), 0, ""))
    assert sparing.filter(line(AWAY.replace("Connect failed", "SSL handshake failed"), 0, ""))


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (logging.CRITICAL, logging.ERROR),
        (logging.ERROR, logging.WARNING),
        (logging.WARNING, logging.WARNING),
        (logging.INFO, logging.INFO),
    ],
)
def test_a_client_that_goes_on_by_itself_asks_for_nobody(level: int, shown: int) -> None:
    record = line("something", level=level)

    Sparing(Clock()).filter(record)

    assert (record.levelno, record.levelname) == (shown, logging.getLevelName(shown))


def test_what_debug_asks_for_is_left_whole() -> None:
    sparing = Sparing(Clock())

    assert all(sparing.filter(line("state", level=logging.DEBUG)) for _ in range(3))


def test_who_wants_errors_alone_does_not_get_what_became_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CLIENT_LOG, "level", logging.ERROR)

    assert not Sparing(Clock()).filter(line("something"))
    assert Sparing(Clock()).filter(line("something", level=logging.CRITICAL))


def test_memory_is_bounded_whatever_is_said() -> None:
    sparing = Sparing(Clock())
    for number in range(3 * KEPT):
        sparing.filter(line("host-%d is away", number))

    assert sparing.filter(line("host-0 is away"))  # forgotten, so it is said once more
    assert not sparing.filter(line(f"host-{3 * KEPT - 1} is away"))


def test_a_client_whose_broker_is_away_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = KafkaSettings(
        bootstrap_servers="127.0.0.1:1",
        topics=["events"],
        properties={"reconnect.backoff.ms": 1, "reconnect.backoff.max.ms": 1},
    )
    caplog.set_level(logging.INFO)
    producer = Producer({**producer_properties(settings, "client"), "error_cb": lambda _: None})
    for _ in range(200):
        producer.poll(0.01)

    said = [record for record in caplog.records if "Connect" in record.getMessage()]

    assert [record.levelno for record in said] == [logging.WARNING]
