"""Plans as files: what is written is read back; what is damaged or another's is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.errors import Code, FilterReason, Misconfigured
from processor.operations.chosen import Chosen
from processor.operations.rehearsal import Expectation, Expected
from processor.operations.replays.letters.plan_file import (
    Origin,
    Plan,
    load,
    require_new,
    require_same,
    save,
)
from processor.operations.resolutions.runs import of_any
from processor.record import TopicPartition

ORIGIN = Origin("ours", "cluster", {"t.dlq": "id"})
EXPECTATIONS = [
    Expectation(Expected.MENDED),
    Expectation(Expected.MENDED, partly_stale=True),
    Expectation(Expected.UNKNOWN_UNTIL_SENT),
    Expectation(Expected.WOULD_FAIL, Code.GATE_VIOLATION, "0123456789ab"),
    Expectation(Expected.FILTERED, reason=FilterReason.TOMBSTONE),
    Expectation(Expected.STALE),
]
LETTERS = st.dictionaries(
    st.tuples(st.integers(0, 2), st.integers(0, 300)), st.sampled_from(EXPECTATIONS), max_size=60
)


def plan(letters: dict[tuple[int, int], Expectation], **changes: Any) -> Plan:
    chosen: dict[Expectation, Chosen] = {}
    for expectation in EXPECTATIONS:
        for partition in range(3):
            offsets = of_any(
                o for (p, o), e in letters.items() if (p, e) == (partition, expectation)
            )
            if len(offsets):
                of = chosen.setdefault(expectation, Chosen()).by_partition
                of[TopicPartition("t.dlq", partition)] = offsets
    given: dict[str, Any] = {
        "origin": ORIGIN, "created": "2026-01-31T12:00:00.000Z", "by": "ann@host",
        "selection": {"codes": ["gate.violation"], "max_replays": 5}, "letters": chosen,
    } | changes  # fmt: skip
    return Plan(**given)


@given(LETTERS)
def test_a_plan_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, letters: dict[tuple[int, int], Expectation]
) -> None:
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    made = plan(letters)

    save(made, path, force=False)

    assert load(path) == made
    assert load(path).digest == made.digest
    assert made.chosen.count == len(letters)
    assert all(made.chosen.has(TopicPartition("t.dlq", p), o) for p, o in letters)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_is_replaced_only_when_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("mine")

    with pytest.raises(Misconfigured, match="there already"):
        require_new(path, force=False)
    with pytest.raises(Misconfigured, match="there already"):
        save(plan({}), path, force=False)
    assert path.read_text() == "mine"
    require_new(path, force=True)
    save(plan({}), path, force=True)
    assert load(path).chosen.count == 0


ONE = {(0, 7): EXPECTATIONS[0], (1, 7): EXPECTATIONS[3]}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "records"},
        {"version": 2},
        {"count": 3},
        {"letters": None},
        {"topic_ids": []},
        {"connector": ...},
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "plan.json"
    document = {**plan(ONE).document(), **change}
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))

    with pytest.raises(Misconfigured):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"offsets": "7,3"},
        {"offsets": 7},
        {"expected": "miracle"},
        {"code": "no.code"},
        {"partition": "x"},
        {"reason": "none"},
    ],
)
def test_a_row_that_is_damaged_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "plan.json"
    document = plan(ONE).document()
    document["letters"][1] |= change
    path.write_text(json.dumps(document))

    with pytest.raises(Misconfigured, match="damaged"):
        load(path)


def test_a_letter_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    document = plan(ONE).document()
    document["letters"][1] |= {"partition": 0}
    path.write_text(json.dumps(document))

    with pytest.raises(Misconfigured, match="not as many"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_what_is_not_even_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)

    with pytest.raises(Misconfigured, match="no plan"):
        load(path)
    with pytest.raises(Misconfigured, match="cannot be read"):
        load(tmp_path / "none")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (ORIGIN._replace(connector="other"), "of the connector ours"),
        (ORIGIN._replace(cluster_id="other"), "cluster cluster"),
        (ORIGIN._replace(topic_ids={"t.dlq": "new"}), "was deleted"),
    ],
)
def test_a_plan_of_others_is_refused(now: Origin, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        require_same(plan(ONE), now, "plan.json")


@pytest.mark.parametrize("now", [ORIGIN, Origin("ours", "", {})])
def test_what_the_broker_does_not_tell_is_believed(now: Origin) -> None:
    require_same(plan(ONE), now, "plan.json")
