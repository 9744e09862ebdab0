"""UUIDs of messages: never two alike, and the same whenever the event comes again."""

import subprocess
import sys
from typing import Any
from uuid import UUID

import pytest

from processor.mapping.identifiers import Identifiers
from processor.record import Event

LINES = [{"sku": "A"}, {"sku": "A"}]


def test_a_uuid_is_of_version_5_and_comes_again(trial: Any) -> None:
    first, again = trial.value("uuid()", text="x"), trial.value("uuid()", text="x")

    assert first == again
    assert UUID(first).version == 5
    assert first != trial.value("uuid()", text="y")


def test_no_two_of_a_message_are_alike(trial: Any) -> None:
    entity = trial.one(
        ("EXPRESSION", "uuid()", "a"),
        ("EXPRESSION", "guid()", "b"),
        ("EXPRESSION", 'concat(uuid(), " ", uuid())', "c"),
        ("EXPRESSION", "uuid()", "items[*].id"),
        ("ATTRIBUTE", "data.lines[*].sku", "items[*].sku"),
        lines=LINES,
    )

    found = [entity["a"], entity["b"], *entity["c"].split(), *(i["id"] for i in entity["items"])]
    assert len(set(found)) == 6


def test_no_two_messages_of_an_event_share_one(trial: Any, event: Any) -> None:
    mapper = trial.mapper(("EXPRESSION", "uuid()", "a"), iterate="data.lines")

    mapped = mapper.map(event(lines=LINES), "event", None)
    explained = mapper.explain(event(lines=LINES), "event", None)

    assert len({one.entity["a"] for one in mapped}) == 2
    assert [one.entity["a"] for one in mapped] == [traces[0].value for traces in explained]


def seen(event: Event, place: str = "f", index: int = 0) -> str:
    return Identifiers(event, place, index)("1:1")


def test_an_event_is_known_by_its_id_and_without_one_by_all_it_holds() -> None:
    body = {"eventId": "e1", "n": 1}

    assert seen(Event("a", body)) == seen(Event("a", {**body, "n": 2}))
    assert seen(Event("a", body)) != seen(Event("a", {**body, "eventId": "e2"}))
    assert seen(Event("a", body)) != seen(Event("b", body))
    assert seen(Event("a", body)) != seen(Event("a", body), place="g")
    assert seen(Event("a", body)) != seen(Event("a", body), index=1)
    for nothing in (None, "", " ", "null", "NULL"):
        without = {"eventId": nothing, "n": 1, "raw": b"\xff"}
        assert seen(Event("a", without)) == seen(Event("a", dict(reversed(without.items()))))
        assert seen(Event("a", without)) != seen(Event("a", {**without, "raw": b"\xfe"}))


def test_what_cannot_be_told_apart_is_the_records_fault() -> None:
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        seen(Event("a", {"x": object()}))


def test_other_processes_zones_and_locales_give_the_same() -> None:
    program = (
        "from processor.mapping.identifiers import Identifiers\n"
        "from processor.record import Event\n"
        "print(Identifiers(Event('a', {'z': 1.5, 'a': 'ä'}), 'f', 0)('1:1'))"
    )
    environments = [
        {"TZ": "Asia/Kolkata", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
        {"TZ": "America/Lima", "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "2"},
    ]

    found = {
        subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        ).stdout.strip()
        for env in environments
    }

    assert found == {seen(Event("a", {"a": "ä", "z": 1.5}))}
