from processor.connector.pauses import Pauses


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_pause_lasts_from_its_first_report_to_its_end() -> None:
    clock = Clock()
    pauses = Pauses(clock)

    pauses.begin("ims", "IMS is away.")
    clock.now_s += 5
    pauses.begin("ims", "IMS is away: 503.")
    clock.now_s += 1
    longest_s, active = pauses.longest_s(), pauses.active()
    pauses.end("ims")

    assert longest_s == 6.0
    assert [pause.message for pause in active] == ["IMS is away: 503."]
    assert pauses.active() == ()
    assert pauses.longest_s() == 0.0


def test_one_that_goes_on_does_not_end_the_others() -> None:
    pauses = Pauses(Clock())
    pauses.begin("experience_platform", "Away.", who="event")
    pauses.begin("experience_platform", "Away.", who="profile")
    pauses.begin("throttled", "429.", who="event")

    pauses.end_all_of("event")

    assert [pause.reason for pause in pauses.active()] == ["experience_platform"]
    assert pauses.seen == {"experience_platform", "throttled"}


def test_what_never_began_ends_silently() -> None:
    pauses = Pauses(Clock())

    pauses.end("kafka", who="events-0")

    assert pauses.active() == ()


def test_the_oldest_comes_first() -> None:
    clock = Clock()
    pauses = Pauses(clock)
    pauses.begin("kafka", "Away.")
    clock.now_s += 1
    pauses.begin("ims", "Away.", of_setup=True)

    assert [(pause.reason, pause.of_setup) for pause in pauses.active()] == [
        ("kafka", False),
        ("ims", True),
    ]
    assert pauses.holds("kafka")
    assert not pauses.holds("schema_registry")
