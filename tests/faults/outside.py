"""Faults of Experience Platform, of Adobe IMS and of the schema registry: F33 to F60."""

from tests.faults.row import Row

INTEGRATION = "tests/integration"
HTTPS = f"{INTEGRATION}/test_https.py"
MACHINE = "tests/model/test_machine.py::test_the_promises_hold_whatever_happens"
BRAKE = f"{INTEGRATION}/test_brake.py"
REAL = f"{INTEGRATION}/test_fault_rows.py"
SHAPES = f"{REAL}::test_one_bad_record_among_500_is_found_in_each_shape_of_answer"
MODEL = "tests/model/test_outages.py"
TEN_MINUTES = f"{MODEL}::test_ten_minutes_of_an_outage_write_no_dead_letter"
OUTAGES = f"{INTEGRATION}/test_outages.py"
OUTAGE = f"{OUTAGES}::test_an_outage_writes_no_dead_letter_and_loses_nothing"
UNREADABLE = f"{OUTAGES}::test_an_answer_that_cannot_be_read_is_no_success_and_is_asked_for_again"
DELIVERY = "tests/unit/connector/test_delivery.py"
COURIER = "tests/unit/connector/test_courier.py"
WAITING = "tests/unit/connector/test_schema_waiting.py"
PLATFORM = "tests/unit/experience_platform"
ANSWERS = f"{PLATFORM}/test_answers.py"
CLIENT = f"{PLATFORM}/test_client.py"
EXCHANGE = f"{PLATFORM}/test_exchange.py"
IMS = f"{PLATFORM}/test_ims.py"
IMS_ANSWERS = f"{PLATFORM}/test_ims_answers.py"
SCHEMAS = "tests/unit/schemas"
TROUBLE = f"{CLIENT}::test_network_trouble_is_an_answer_and_says_whether_it_may_have_arrived"
DRIBBLES = f"{EXCHANGE}::test_a_server_that_dribbles_ends_at_the_total_timeout"

AEP = (
    Row(
        "F33",
        "answers take long, now and then a minute",
        "0/0/0; no more requests at a time than allowed, order is kept",
        (
            f"{REAL}::test_slow_and_uneven_answers_lose_and_repeat_nothing",
            f"{DELIVERY}::test_no_more_requests_are_in_flight_than_allowed",
            f"{DELIVERY}::test_order_per_key_holds_with_many_in_flight",
        ),
    ),
    Row(
        "F34",
        "207, some messages refused",
        "0/0/exactly those, by identity; no other is sent again",
        (
            SHAPES,
            f"{OUTAGES}::test_one_bad_message_among_many_is_found_in_each_documented_shape",
            f"{DELIVERY}::test_each_message_gets_the_verdict_at_its_place",
            f"{ANSWERS}::test_a_failed_message_is_rejected_in_every_documented_shape",
        ),
    ),
    Row(
        "F35",
        "207 with a list that is short, long, missing, or none",
        "0 lost, 0 dead-lettered; no success, sent again with the same `_id`",
        (
            SHAPES,
            UNREADABLE,
            f"{ANSWERS}::test_a_success_without_a_verdict_for_every_message_is_no_success",
            f"{DELIVERY}::test_unreadable_answers_are_never_success",
            f"{DELIVERY}::test_one_answer_without_a_verdict_is_asked_for_again_and_is_no_success",
        ),
    ),
    Row(
        "F36",
        "accepted, and then the answer is cut, reset, empty, or HTML",
        "as F35",
        (
            SHAPES,
            UNREADABLE,
            f"{CLIENT}::test_an_accepting_answer_that_breaks_off_is_unreadable",
            f"{EXCHANGE}::test_an_answer_that_breaks_off_keeps_its_status_and_no_body",
        ),
    ),
    Row(
        "F37",
        "413 for a batch, and for a message alone",
        "0/0/only a message that is too large alone; each split ends",
        (
            f"{DELIVERY}::test_a_request_refused_whole_is_split_until_the_message_at_fault_stands_alone",
            f"{ANSWERS}::test_a_message_that_is_too_large_on_its_own_says_so",
            "tests/unit/connector/test_batching.py::test_a_split_for_size_suspects_nobody",
            f"{REAL}::test_one_record_that_is_too_large_takes_no_other_along",
        ),
    ),
    Row(
        "F38",
        "429 with Retry-After in seconds, as a date, absurd, or without",
        "0/0/0; honoured up to a cap, by all requests",
        (
            OUTAGE,
            f"{PLATFORM}/test_retry_after.py::test_retry_after_is_read_capped_or_left_out",
            f"{DELIVERY}::test_retry_after_holds_back_every_request",
            "tests/unit/connector/test_backoff.py::test_a_retry_after_is_honoured_up_to_a_cap",
        ),
    ),
    Row(
        "F39",
        "500 for every request that holds one record",
        "0/0/exactly that one",
        (
            f"{OUTAGES}::test_one_message_that_always_gets_500_is_convicted_and_its_neighbours_arrive",
            f"{DELIVERY}::test_poison_among_neighbours_convicts_exactly_it",
            f"{DELIVERY}::test_a_message_at_fault_in_every_batch_does_not_keep_the_others_back",
        ),
    ),
    Row(
        "F40",
        "503 for ten minutes",
        "0/0/0; probes one at a time, drains by itself",
        (
            TEN_MINUTES,
            OUTAGE,
            f"{DELIVERY}::test_trouble_is_probed_by_one_request_at_a_time_until_it_ends",
            f"{DELIVERY}::test_a_total_outage_convicts_nobody",
        ),
    ),
    Row(
        "F41",
        "everything is refused: wrong schema, wrong organisation",
        "0/0/at most systemic_min of a kind; then it holds, and is resumed by a probe",
        (
            f"{BRAKE}::test_a_set_up_that_refuses_everything_holds_and_is_resumed_once_it_is_mended",
            f"{BRAKE}::test_where_an_order_is_kept_an_oldest_record_that_is_bad_by_itself_keeps_nothing_back",
            f"{BRAKE}::test_an_unknown_schema_for_everything_holds_and_a_stop_gives_it_back",
            f"{BRAKE}::test_unmapped_events_and_a_few_bad_records_hold_nothing",
            "tests/model/test_brake.py::test_what_was_refused_by_the_set_up_is_delivered_once_it_is_mended",
        ),
    ),
    Row(
        "F42",
        "401 or 403 on a token that still lives",
        "0/0/0; one new token for all that wait; refused again: a pause",
        (
            OUTAGE,
            f"{DELIVERY}::test_a_token_refused_for_many_requests_is_replaced_once",
            f"{DELIVERY}::test_a_new_token_that_is_refused_too_is_the_set_up_s_fault",
            f"{IMS}::test_a_refused_token_is_replaced_once_for_all_that_used_it",
        ),
    ),
    Row(
        "F43",
        "a redirect to another host",
        "the set-up's fault; not followed, no credential leaves",
        (
            f"{HTTPS}::test_a_redirect_takes_nothing_to_another_server",
            f"{CLIENT}::test_a_redirect_is_the_set_ups_fault_and_takes_nothing_along",
            f"{EXCHANGE}::test_a_redirect_is_an_answer_and_is_not_followed",
            f"{IMS}::test_a_redirect_takes_no_secret_along",
        ),
    ),
    Row(
        "F44",
        "odd statuses, no status line, an endless header",
        "each has a class; nothing crashes, nothing counts as success",
        (
            f"{ANSWERS}::test_any_answer_is_read_and_a_settled_one_has_a_verdict_for_each_message",
            f"{EXCHANGE}::test_no_status_line_means_that_the_connection_broke",
            f"{COURIER}::test_every_answer_has_a_label",
        ),
    ),
    Row(
        "F45",
        "a gzip bomb, an endless body",
        "0 lost, 0 dead-lettered; cut at the cap, no success",
        (
            UNREADABLE,
            f"{EXCHANGE}::test_a_gzip_bomb_is_cut_at_the_cap",
            f"{EXCHANGE}::test_an_endless_answer_is_cut_at_the_cap",
        ),
    ),
    Row(
        "F46",
        "a kept connection is closed as it is used again",
        "0 lost, 0 dead-lettered; one retry layer, ours",
        (
            f"{CLIENT}::test_a_lost_connection_is_not_tried_again_here",
            f"{EXCHANGE}::test_a_connection_that_failed_is_used_again",
        ),
    ),
    Row(
        "F47",
        "a name that does not resolve, or resolves anew",
        "0/0/0: the moment's fault",
        (TROUBLE,),
        "changed and slow names need a resolver of the tests' own; a name is asked for with each"
        " connection",
    ),
    Row(
        "F48",
        "TLS: expired, another host's, an authority that nobody trusts, TLS 1.1, none at all",
        "0/0/0: refused, a pause with the reason; of Kafka, the registry and Adobe alike",
        (
            f"{HTTPS}::test_a_server_that_proves_nothing_is_waited_for_and_gets_nothing",
            f"{HTTPS}::test_a_registry_of_another_authority_is_the_set_ups_fault",
            f"{INTEGRATION}/test_kafka_security.py::test_what_a_broker_refuses_is_waited_for_and_never_a_dead_letter",
            f"{EXCHANGE}::test_a_certificate_that_proves_nothing_is_the_set_ups_fault",
            f"{EXCHANGE}::test_a_server_without_tls_on_a_tls_port_is_the_set_ups_fault",
            f"{EXCHANGE}::test_an_own_authority_is_trusted_where_it_is_named",
        ),
    ),
    Row(
        "F49",
        "a proxy that wants credentials",
        "0/0/0: the set-up's fault; no credential is told",
        (
            f"{HTTPS}::test_a_proxy_that_refuses_us_is_the_set_ups_fault_and_its_password_is_never_told",
            f"{EXCHANGE}::test_a_proxy_that_wants_credentials_is_the_set_ups_fault",
            f"{EXCHANGE}::test_a_proxy_that_is_no_url_is_refused_without_quoting_it",
        ),
    ),
    Row(
        "F50",
        "a server that takes or gives a few bytes a second",
        "0 lost; the total timeout ends it, the connection comes back",
        (
            DRIBBLES,
            f"{EXCHANGE}::test_a_server_that_falls_silent_ends_at_the_total_timeout",
            f"{EXCHANGE}::test_a_connection_carries_one_request_at_a_time_and_comes_back",
        ),
    ),
)
TOKENS = (
    Row(
        "F51",
        "tokens that live for seconds",
        "0/0/0; replaced early, one request at a time, no 401",
        (
            f"{INTEGRATION}/test_flow.py::test_a_token_is_replaced_before_its_end_while_events_flow",
            f"{IMS}::test_a_token_near_its_end_is_used_while_the_next_one_is_bought",
            f"{IMS}::test_many_that_wait_make_one_request",
        ),
    ),
    Row(
        "F52",
        "`expires_in` in milliseconds, as text, zero, negative, missing, huge",
        "0/0/0; the unit is understood, no hot loop",
        (
            f"{INTEGRATION}/test_flow.py::test_a_token_s_life_is_understood_in_milliseconds_and_in_seconds",
            f"{IMS_ANSWERS}::test_a_lifetime_is_seconds_whatever_unit_and_shape_it_came_in",
            f"{IMS}::test_a_nonsensical_lifetime_makes_no_hot_loop",
        ),
    ),
    Row(
        "F53",
        "the secret is rotated: the old one is refused",
        "0/0/0; the next one is tried, files are read again, one attempt a secret and step",
        (
            f"{MODEL}::test_while_no_secret_is_good_each_is_tried_once_a_step",
            f"{MODEL}::test_a_secret_that_is_revoked_in_mid_load_gives_way_to_the_next",
            f"{REAL}::test_a_secret_that_is_revoked_under_load_gives_way_to_the_next",
            f"{IMS}::test_the_next_secret_is_tried_when_the_first_is_refused_and_remembered",
            f"{IMS}::test_a_secret_file_is_read_again_without_a_restart",
            f"{IMS}::test_every_secret_is_tried_once_an_attempt_before_the_set_up_is_at_fault",
        ),
    ),
    Row(
        "F54",
        "IMS is away while a token is still good",
        "0/0/0; the token goes on being used",
        (
            f"{IMS}::test_while_ims_is_away_a_valid_token_goes_on_being_used",
            f"{IMS}::test_a_failed_background_refresh_is_not_repeated_at_once",
            f"{IMS}::test_a_server_that_hangs_is_away",
        ),
    ),
    Row(
        "F55",
        "IMS is away and there is no token",
        "0/0/0; a pause, goes on by itself",
        (
            TEN_MINUTES,
            OUTAGE,
            f"{IMS}::test_without_a_usable_token_the_caller_hears_that_ims_is_away",
            f"{COURIER}::test_trouble_with_the_token_is_waited_for_once_for_all",
        ),
    ),
    Row(
        "F56",
        "the wall clock jumps",
        "0/0/0; tokens and timers go by the monotonic clock",
        (MACHINE, f"{IMS}::test_an_ended_token_is_never_used"),
    ),
)
REGISTRY = (
    Row(
        "F57",
        "the registry is away, slow, refuses us, or does not know the id",
        "waits, 0/0/0; an unknown id is a dead letter after its grace; known ids go on",
        (
            TEN_MINUTES,
            f"{OUTAGES}::test_the_registry_away_is_waited_for",
            f"{WAITING}::test_records_wait_while_the_registry_is_away_and_others_go_on",
            f"{WAITING}::test_an_unknown_id_is_refused_after_the_grace_and_not_before",
            f"{WAITING}::test_the_grace_does_not_run_while_the_registry_is_away",
            f"{SCHEMAS}/test_registry.py::test_a_registry_that_is_away_is_the_moments_fault",
            f"{SCHEMAS}/test_registry.py::test_what_is_no_registry_or_refuses_us_is_the_set_ups_fault",
        ),
    ),
    Row(
        "F58",
        "a writer's schema that does not resolve",
        "its records are dead-lettered with the field's place; other schemas go on",
        (
            f"{SCHEMAS}/test_resolution.py::test_a_missing_field_without_default_is_refused_with_its_place",
            f"{SCHEMAS}/test_resolution.py::test_a_value_of_another_type_is_refused_with_its_place",
            f"{SCHEMAS}/test_decoder.py::test_a_writer_that_does_not_resolve_is_refused_with_the_place",
            f"{SCHEMAS}/test_decoder.py::test_two_writers_of_one_record_name_are_kept_apart",
        ),
    ),
    Row(
        "F59",
        "a schema that is huge, deep, recursive, or has items without bytes",
        "its records are dead-lettered; looked at once, within bounds",
        (
            f"{SCHEMAS}/test_avro_types.py::test_a_schema_that_could_harm_or_is_not_avro_is_refused",
            f"{SCHEMAS}/test_decoder.py::test_a_refused_schema_refuses_its_records_without_being_asked_for_again",
            f"{INTEGRATION}/test_hostile_schemas.py::test_a_hostile_schema_neither_hangs_nor_kills",
            f"{SCHEMAS}/test_registry.py::test_references_that_multiply_are_refused",
        ),
    ),
    Row(
        "F60",
        "the registry answers otherwise for a known id, or redirects",
        "an id is asked for once; a redirect is not followed",
        (
            f"{WAITING}::test_a_schema_is_asked_for_once_for_all_that_wait",
            f"{SCHEMAS}/test_registry.py::test_what_is_no_registry_or_refuses_us_is_the_set_ups_fault",
        ),
    ),
)
ROWS = AEP + TOKENS + REGISTRY
