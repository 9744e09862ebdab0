from tests.bench.head_to_head import fate_of


def test_records_are_compared_by_identity_and_not_by_count() -> None:
    fate = fate_of(
        "two refused",
        "Adobe's",
        "RUNNING",
        restarts=1,
        produced=["a", "b", "c", "d", "e"],
        bad=["a", "b"],
        accepted=["c", "d", "d"],
        letters=["a", "c", "c"],
    )

    assert (fate.accepted, fate.repeated) == (2, 1)
    assert (fate.dead_lettered, fate.wrongly) == (3, 2)
    assert fate.nowhere == 2
    assert (fate.restarts, fate.state) == (1, "RUNNING")
