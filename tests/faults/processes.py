"""Faults of our own processes and of Kafka: F1 to F32."""

from tests.faults.row import Row

INTEGRATION = "tests/integration"
UNIT = "tests/unit"
MACHINE = "tests/model/test_machine.py::test_the_promises_hold_whatever_happens"
REAL = f"{INTEGRATION}/test_fault_rows.py"
MODEL = "tests/model/test_outages.py"
LONG_OUTAGES = f"{MODEL}::test_ten_minutes_of_an_outage_write_no_dead_letter"
KILLS = f"{INTEGRATION}/test_processes.py"
CRASHES = f"{INTEGRATION}/test_crashes.py"
LINE = f"{INTEGRATION}/test_fault_rows_kafka.py"
QUARANTINE = f"{UNIT}/connector/test_quarantine.py"
SOURCE = f"{INTEGRATION}/test_source.py"
METADATA = f"{INTEGRATION}/test_commit_metadata.py"
OUTAGES = f"{INTEGRATION}/test_outages.py"
TASK = f"{UNIT}/connector/test_task.py"
GRAVEYARD = f"{UNIT}/connector/test_graveyard.py"
LEDGER = f"{UNIT}/connector/test_ledger.py"
PIPELINE = f"{UNIT}/connector/test_pipeline.py"
MEMBERSHIP = f"{UNIT}/kafka/test_membership.py"
POLLING = f"{UNIT}/kafka/test_source.py"
LETTERS = f"{UNIT}/kafka/test_dead_letters.py"

PROCESS = (
    Row(
        "F1",
        "`kill -9` while a request is on its way, before Experience Platform accepts it",
        "0/0/0: it is sent again",
        (f"{REAL}::test_kill_9_while_a_request_waits_for_its_answer", MACHINE),
    ),
    Row(
        "F2",
        "`kill -9` after Experience Platform accepted, before the answer arrives",
        "0 lost, 0 dead-lettered; repeats at most what was in flight, with the same `_id`",
        (
            f"{REAL}::test_kill_9_while_a_request_waits_for_its_answer",
            f"{KILLS}::test_kill_9_under_load_loses_nothing_and_repeats_keep_their_ids",
            f"{METADATA}::test_after_kill_9_only_what_was_in_flight_is_sent_again",
            MACHINE,
        ),
    ),
    Row(
        "F3",
        "`kill -9` between an answer and the commit",
        "as F2",
        (
            f"{METADATA}::test_after_kill_9_only_what_was_in_flight_is_sent_again",
            f"{TASK}::test_after_a_crash_only_what_was_in_flight_is_taken_again",
            MACHINE,
        ),
    ),
    Row(
        "F4",
        "`kill -9` between the broker's acknowledgement of a dead letter and the commit",
        "0 lost; a letter may come twice, with the same source coordinates",
        (f"{REAL}::test_kill_9_between_a_dead_letter_and_the_commit", MACHINE),
    ),
    Row(
        "F5",
        "SIGTERM under load",
        "0/0/0: drains, commits, exit 0",
        (
            f"{KILLS}::test_sigterm_under_load_drains_commits_and_repeats_nothing",
            f"{TASK}::test_a_stop_drains_commits_and_ends_well",
        ),
    ),
    Row(
        "F6",
        "SIGTERM while Experience Platform hangs for longer than the drain may take",
        "0 lost; exit 1 at the deadline, what is open comes again",
        (
            f"{KILLS}::test_a_drain_that_runs_out_of_time_exits_1_leaves_the_group_and_loses_nothing",
            f"{TASK}::test_a_stop_that_does_not_drain_in_time_commits_what_ended_and_says_so",
        ),
    ),
    Row(
        "F7",
        "a second signal during the drain",
        "0 lost; exit 130 at once, nothing unsettled is committed",
        (f"{KILLS}::test_a_second_signal_ends_at_once_and_what_was_open_comes_again",),
    ),
    Row(
        "F8",
        "the process is frozen until its session is over, and goes on then",
        "0 lost; late answers count for nothing, nobody commits what is another's",
        (
            f"{LINE}::test_a_process_that_is_frozen_beyond_its_session_loses_nothing_and_takes_nothing_back",
            f"{LEDGER}::test_an_answer_of_an_earlier_assignment_changes_nothing",
            f"{PIPELINE}::test_a_late_answer_of_an_earlier_assignment_counts_for_nothing",
            f"{TASK}::test_a_lost_partition_is_forgotten_at_once",
            f"{MEMBERSHIP}::test_a_commit_decided_before_the_partition_came_back_does_not_set_it_back",
            MACHINE,
        ),
    ),
    Row(
        "F9",
        "large records before a slow Experience Platform",
        "0/0/0: memory stays below the formula of architecture.md",
        (
            f"{INTEGRATION}/test_memory.py::test_memory_stays_below_the_formula_before_a_slow_experience_platform",
        ),
    ),
    Row(
        "F10",
        "bytes that would crash a decoder, or that it never comes back from",
        "the record alone is dead-lettered: its schema is refused before anything is decoded; if it"
        " does end the process, after two deaths (`decode.crash`). 0 lost; repeats at most what"
        " was in flight at each death",
        (
            f"{CRASHES}::test_a_record_that_ends_its_process_twice_is_dead_lettered_alone",
            f"{CRASHES}::test_two_such_records_in_two_partitions_are_both_found_whatever_task_meets_them",
            f"{QUARANTINE}::test_deaths_of_two_tasks_at_one_record_are_added_up_and_those_that_run_are_told",
            f"{QUARANTINE}::test_what_is_no_crash_convicts_no_record",
            f"{UNIT}/connector/test_vigil.py::test_what_is_no_standstill",
            f"{INTEGRATION}/test_hostile_schemas.py::test_a_hostile_schema_neither_hangs_nor_kills",
            f"{UNIT}/schemas/test_hostile_bytes.py::test_hostile_bytes_neither_hang_nor_kill",
            f"{KILLS}::test_a_task_that_dies_is_started_again",
        ),
    ),
    Row(
        "F11",
        "the event loop is blocked",
        "0/0/0: the consumer's own thread goes on polling",
        (
            f"{CRASHES}::test_a_loop_that_stands_still_longer_than_kafka_waits_costs_no_membership",
            f"{POLLING}::test_a_loop_that_takes_nothing_is_handed_only_so_much",
        ),
    ),
    Row(
        "F12",
        "a start with wrong settings",
        "nothing is read; exit 2, every mistake is named with its key and without its value",
        (
            f"{UNIT}/settings/test_mistakes.py::test_a_change_that_is_wrong",
            f"{UNIT}/settings/test_mistakes.py::test_an_addition_that_is_wrong",
            f"{UNIT}/settings/test_mistakes.py::test_a_variable_that_is_wrong",
            f"{INTEGRATION}/test_bad_input.py::test_an_unknown_key_is_named_with_the_nearest_known_one",
        ),
    ),
)
KAFKA = (
    Row(
        "F13",
        "the broker is stopped and started again",
        "0/0/0, without a restart of ours",
        (
            f"{REAL}::test_the_broker_stops_and_comes_back",
            f"{POLLING}::test_an_error_that_passes_does_not_end_the_source",
            f"{TASK}::test_trouble_with_kafka_ends_when_records_show_it",
        ),
    ),
    Row(
        "F14",
        "the broker dies of `kill -9` and comes back on its log",
        "0 lost, 0 dead-lettered",
        (f"{OUTAGES}::test_the_broker_away_is_waited_for", LONG_OUTAGES),
    ),
    Row(
        "F15",
        "the broker is away at the start",
        "0/0/0: alive, not ready, goes on by itself",
        (f"{LINE}::test_a_connector_that_starts_before_its_broker_waits_and_goes_on_by_itself",),
    ),
    Row(
        "F16",
        "another broker becomes leader or coordinator",
        "0 lost",
        reason="needs three brokers; the tests' own broker is one node. To the connector it is an"
        " error that passes (F13, F23), and the choice of a leader is librdkafka's",
    ),
    Row(
        "F17",
        "the network to the broker swallows everything",
        "0 lost, 0 dead-lettered; the clients recover",
        (f"{LINE}::test_a_network_to_the_broker_that_swallows_resets_and_slices_loses_nothing",),
    ),
    Row(
        "F18",
        "connections to the broker reset, sliced into small packets, slow",
        "0 lost; a batch that fails its checksum is not skipped",
        (
            f"{LINE}::test_a_network_to_the_broker_that_swallows_resets_and_slices_loses_nothing",
            f"{POLLING}::test_a_batch_that_fails_its_checksum_is_not_skipped",
        ),
        "slow connections only in `make chaos` (*kafka link …*)",
    ),
    Row(
        "F19",
        "members join and leave all the time",
        "0 lost; repeats at most what was in flight at a revocation that did not drain",
        (
            f"{REAL}::test_members_that_join_and_leave_lose_and_repeat_nothing",
            MACHINE,
            f"{TASK}::test_a_revocation_waits_for_what_is_in_flight_and_only_there",
        ),
        "many at once, under full load: `make kills`",
    ),
    Row(
        "F20",
        "a part of the partitions is revoked with work in flight",
        "0/0/0: only those drain; nothing of them is committed afterwards",
        (
            f"{SOURCE}::test_a_partition_that_goes_is_drained_and_committed_before_it_is_someone_else_s",
            f"{SOURCE}::test_what_is_kept_in_a_rebalance_goes_on_being_read",
            f"{SOURCE}::test_a_commit_that_was_decided_before_a_rebalance_does_not_touch_what_went",
            f"{TASK}::test_a_revocation_waits_for_what_is_in_flight_and_only_there",
            f"{TASK}::test_a_revocation_that_does_not_drain_gives_the_rest_back",
            f"{TASK}::test_of_a_partition_that_is_back_before_its_drain_is_over_no_record_is_left_out",
        ),
    ),
    Row(
        "F21",
        "eager groups, and those of KIP-848",
        "as with cooperative ones",
        (
            f"{SOURCE}::test_a_restart_goes_on_after_what_was_committed",
            f"{SOURCE}::test_a_partition_that_goes_is_drained_and_committed_before_it_is_someone_else_s",
            f"{SOURCE}::test_a_partition_that_went_under_back_pressure_is_read_when_it_comes_back",
            f"{SOURCE}::test_an_offset_out_of_range_is_skipped_only_where_the_settings_say_so",
            f"{UNIT}/kafka/test_clients.py::test_librdkafka_takes_what_we_set_with_either_group_protocol",
        ),
    ),
    Row(
        "F22",
        "a sink slower than `max.poll.interval.ms`",
        "0/0/0: paused, polling goes on, the membership stays",
        (
            f"{LINE}::test_a_sink_slower_than_kafka_waits_for_a_poll_costs_no_membership",
            f"{SOURCE}::test_back_pressure_pauses_and_keeps_the_membership",
        ),
    ),
    Row(
        "F23",
        "a commit fails, or its answer comes for an assignment that went",
        "0 lost; made again or dropped, never for another's partition",
        (
            f"{MEMBERSHIP}::test_a_commit_that_the_broker_refuses_is_told_and_is_no_success",
            f"{MEMBERSHIP}::test_nothing_is_committed_for_a_partition_that_went",
            f"{MEMBERSHIP}::test_a_late_answer_of_an_earlier_assignment_is_not_told",
            f"{TASK}::test_what_has_ended_is_committed_every_second_until_it_is_acknowledged",
            f"{TASK}::test_a_stop_whose_commit_is_not_acknowledged_is_not_well_ended",
            MACHINE,
        ),
    ),
    Row(
        "F24",
        "retention took records before they were read",
        "nothing is skipped silently: the partition waits, the gap is told; or as the settings say",
        (
            f"{SOURCE}::test_an_offset_out_of_range_is_skipped_only_where_the_settings_say_so",
            f"{UNIT}/kafka/test_source.py::test_what_was_read_before_a_gap_that_is_skipped_is_drained_before_the_new_assignment",
        ),
    ),
    Row(
        "F25",
        "a group without a committed offset",
        "begins where the settings say: at the first record, or at the end of then",
        (
            f"{SOURCE}::test_from_the_end_means_the_end_of_then_also_after_a_restart",
            f"{MEMBERSHIP}::test_partitions_begin_where_the_group_stands_else_at_the_first_record",
            f"{MEMBERSHIP}::test_a_new_partition_from_its_end_has_that_end_committed_at_once",
        ),
    ),
    Row(
        "F26",
        "the topic is deleted and created again",
        "0 lost: what is known of the old topic counts for nothing, the new one is read from its"
        " start. Not seen at once: what was read of it by then is repeated",
        (
            f"{LINE}::test_of_a_topic_that_is_deleted_and_made_anew_nothing_of_the_new_one_is_lost",
            f"{LINE}::test_a_topic_that_is_made_anew_before_anybody_sees_it_gone_is_read_from_its_start",
            f"{METADATA}::test_metadata_of_a_topic_that_was_recreated_is_ignored",
            f"{LEDGER}::test_the_same_offsets_of_a_recreated_topic_are_other_records",
            f"{MEMBERSHIP}::test_a_commit_decided_before_a_loss_does_not_pass_what_the_topic_holds_now",
        ),
        "a connector that is restarted within the 30 s before it looks at a topic that it did not"
        " see go",
    ),
    Row(
        "F27",
        "the topic gets more partitions",
        "0/0/0: they are read when the client looks at the topic again",
        (f"{REAL}::test_partitions_that_are_added_are_read",),
    ),
    Row(
        "F28",
        "gaps of compaction, transactions' markers, aborted transactions",
        "0/0/0: gaps are crossed, what was aborted is not sent",
        (
            f"{SOURCE}::test_an_open_transaction_is_waited_for_and_an_aborted_one_left_out",
            f"{LEDGER}::test_a_gap_in_the_offsets_is_crossed_and_never_waited_for",
            f"{METADATA}::test_metadata_that_fits_is_honoured",
        ),
    ),
    Row(
        "F29",
        "the dead-letter topic is missing, denied, or takes less than a letter",
        "0 lost: created, or the offset waits and it is said; goes on when it is mended",
        (
            f"{REAL}::test_a_dead_letter_topic_that_takes_too_little_holds_the_offset_until_it_is_mended",
            f"{SOURCE}::test_a_dead_letter_topic_that_is_missing_is_created_like_its_source",
            f"{SOURCE}::test_a_topic_that_cannot_be_created_is_the_set_up_s_fault",
            f"{LETTERS}::test_what_the_broker_does_not_have_is_told_by_whose_fault_it_is",
            f"{GRAVEYARD}::test_a_letter_is_never_given_up",
            f"{GRAVEYARD}::test_one_that_is_too_large_even_so_waits_for_a_person",
            f"{GRAVEYARD}::test_a_topic_that_was_deleted_is_looked_up_anew",
        ),
    ),
    Row(
        "F30",
        "nobody acknowledges a dead letter",
        "0 lost: it is written again, the offset waits",
        (
            f"{GRAVEYARD}::test_a_letter_is_acknowledged_when_the_broker_has_it",
            f"{GRAVEYARD}::test_a_letter_that_nobody_acknowledges_is_a_reason_not_to_be_ready",
            f"{LETTERS}::test_after_a_fatal_error_another_producer_writes",
            MACHINE,
        ),
    ),
    Row(
        "F31",
        "Kafka's credentials change",
        "0 lost: not ready, and on with the new ones after a restart",
        (
            f"{UNIT}/settings/test_secrets.py::test_secret_properties_are_read_from_files_and_told",
            f"{UNIT}/kafka/test_source.py::test_what_kafka_denies_is_the_set_up_s_fault",
        ),
        "no change without a restart: librdkafka is given its properties once",
    ),
    Row(
        "F32",
        "two instances with one `group.instance.id`",
        "0 lost; the one that is fenced ends: FAILED, not ready, says why",
        (
            f"{LINE}::test_the_elder_of_two_with_one_group_instance_id_is_fenced_and_the_other_goes_on",
            f"{POLLING}::test_a_fatal_error_ends_the_source_for_good",
            f"{UNIT}/connector/test_task_process.py::test_each_task_is_an_instance_of_its_own",
        ),
    ),
)
ROWS = PROCESS + KAFKA
