"""Faults of replays, of those who look at dead letters, and of the admin server: F61 to F65."""

from tests.faults.row import Row

LETTERS = "tests/integration/test_letters_replay.py"
RANGES = "tests/integration/test_replay.py"
RANGE = "tests/integration/test_replay_range.py"
RESUME = "tests/integration/test_replay_resume.py"
COUNTS = "tests/integration/test_dlq_count.py"
UNIT = "tests/unit/operations"

ROWS = (
    Row(
        "F61",
        "`kill -9` of a replay of dead letters, twice, or of a range; then it is resumed",
        "0 lost; what ended in the last seconds may come again, with the same `_id`; what ended "
        "before and what was sent now are told apart",
        (
            f"{RESUME}::test_a_killed_replay_is_gone_on_with_where_it_was",
            f"{RESUME}::test_one_that_was_killed_is_cancelled_by_a_mark",
            f"{UNIT}/test_range_run.py::test_one_that_another_process_goes_on_with_ends_and_writes_no_more",
            f"{LETTERS}::test_one_that_was_killed_is_resumed_and_each_letter_has_its_end",
            f"{RANGES}::test_a_killed_replay_is_made_up_for_by_the_next",
            f"{UNIT}/test_resolving.py::test_what_was_noted_is_written_however_often_writing_fails",
        ),
    ),
    Row(
        "F62",
        "a replay while the connector consumes",
        "0/0; the connector's offsets are its own; old news never overwrites newer",
        (
            f"{LETTERS}::test_a_replay_goes_on_beside_the_connector_and_leaves_its_offsets_alone",
            f"{LETTERS}::test_old_news_does_not_overwrite_newer_unless_one_says_so",
            f"{RESUME}::test_a_replay_beside_the_live_connector_touches_none_of_its_offsets",
            f"{RANGE}::test_an_old_balance_never_overwrites_a_newer_one_unless_it_may",
            f"{RANGE}::test_news_that_comes_while_a_replay_runs_is_heard_of",
        ),
    ),
    Row(
        "F63",
        "dead letters that fail again when they are replayed",
        "the count in the headers rises, up to `--max-replays`; each record once a run",
        (
            f"{RANGES}::test_what_fails_again_is_replayed_once_a_run_and_no_more_often_than_allowed",
            f"{UNIT}/test_letters.py::test_of_a_record_that_failed_again_only_the_last_letter_is_taken",
        ),
    ),
    Row(
        "F64",
        "a million dead letters are looked at, letters of 1 MB, binary keys",
        "memory bounded; the first page reads a part of the topic",
        (
            f"{COUNTS}::test_the_first_page_looks_at_a_part_of_the_topic_however_long_it_is",
            f"{UNIT}/test_newest.py::test_the_first_page_reads_only_the_ends",
            f"{UNIT}/test_newest.py::test_a_page_that_looks_at_too_much_ends_and_says_so",
            f"{UNIT}/test_resolutions.py::test_a_million_letters_are_few_bytes",
        ),
        "a million letters are for the benchmark `tests/bench/letters_load.py`",
    ),
)
