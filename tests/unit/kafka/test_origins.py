from typing import Any

from processor.kafka.origins import look_up

NOBODY = {"bootstrap.servers": "127.0.0.1:1", "log_level": 0}


def test_a_broker_that_does_not_answer_keeps_nobody_waiting(caplog: Any) -> None:
    found = look_up(NOBODY, ["events", "others"], within_s=0.05)

    assert found == {}
    assert len(caplog.messages) == 1
    assert "['events', 'others']" in caplog.text


def test_properties_that_are_refused_are_said_and_harm_nothing(caplog: Any) -> None:
    found = look_up({**NOBODY, "no.such.property": 1}, ["events"])

    assert found == {}
    assert "no.such.property" in caplog.text


def test_nothing_is_asked_about_nothing(caplog: Any) -> None:
    assert look_up({}, []) == {}
    assert caplog.messages == []
