"""Secrets, what goes out and what comes in: S1 to S20."""

from tests.security.row import Row

UNIT, REAL = "tests/unit", "tests/integration"
SECRETS = f"{UNIT}/settings/test_secrets.py"
MISTAKES = f"{UNIT}/settings/test_mistakes.py"
LOGS = f"{UNIT}/telemetry/test_logs.py"
REDACTION = f"{UNIT}/telemetry/test_redaction.py"
IMS = f"{UNIT}/experience_platform/test_ims.py"
CLIENT = f"{UNIT}/experience_platform/test_client.py"
EXCHANGE = f"{UNIT}/experience_platform/test_exchange.py"
KAFKA = f"{REAL}/test_kafka_security.py"
HTTPS = f"{REAL}/test_https.py"
LEFT = f"{REAL}/test_secrets.py"
CANARY = f"{UNIT}/test_canary.py"
SCHEMAS = f"{UNIT}/schemas"

KEPT = (
    Row(
        "S1",
        "Secrets come from settings, environment or files, and never as arguments",
        (
            f"{LEFT}::test_no_process_has_a_secret_in_its_arguments_or_leaves_a_core_dump",
            f"{SECRETS}::test_a_secret_stands_in_the_settings",
            f"{SECRETS}::test_a_secret_stands_in_a_file",
            f"{SECRETS}::test_secret_properties_are_read_from_files_and_told",
        ),
    ),
    Row(
        "S2",
        "No secret in logs, errors, `repr`, metrics, answers or dead letters. Every output of the "
        "whole test run, debug logs included, is searched for canaries, in clear and URL-encoded, "
        "for tokens and for customers' addresses",
        (
            f"{LOGS}::test_no_secret_in_any_field_or_form",
            f"{REDACTION}::test_a_secret_is_masked_in_every_form",
            f"{REDACTION}::test_a_secret_inside_base64_is_masked_wherever_it_begins",
            f"{SECRETS}::test_no_repr_shows_a_secret",
            f"{LEFT}::test_nothing_is_written_but_the_log_and_no_answer_or_letter_holds_a_secret",
            f"{CANARY}::test_a_secret_is_found_in_a_log",
            f"{CANARY}::test_a_secret_is_found_in_every_form_that_a_url_gives_it",
            f"{CANARY}::test_a_customers_address_is_found_in_a_log_and_where_nobody_asked_for_it",
        ),
    ),
    Row(
        "S3",
        "`debug` of librdkafka with `all`, `security`, `msg` or `protocol` is refused at the "
        "start; what librdkafka logs goes through the one redaction",
        (
            f"{MISTAKES}::test_an_addition_that_is_wrong",
            f"{LOGS}::test_lines_of_libraries_take_the_same_way",
        ),
    ),
    Row(
        "S4",
        "The secret for IMS goes URL-encoded into the body, never into the URL",
        (f"{IMS}::test_the_secret_goes_encoded_into_the_body_and_never_into_the_url",),
    ),
    Row(
        "S5",
        "A token that a server echoes stands in no error",
        (
            f"{CLIENT}::test_an_echoed_token_is_told_by_no_answer",
            f"{IMS}::test_neither_secret_nor_token_is_told_by_anything_that_can_be_printed",
            f"{IMS}::test_every_token_is_made_known_to_the_masking_of_logs",
            f"{REDACTION}::test_a_bearer_token_is_masked_even_when_unknown",
        ),
    ),
    Row(
        "S6",
        "Files of secrets are read again when they change, also behind a swapped link; one "
        "trailing newline is taken off; one that everybody can read is warned of",
        (
            f"{SECRETS}::test_a_changed_file_is_read_again",
            f"{SECRETS}::test_a_file_of_the_same_size_and_time_behind_a_swapped_link_is_read_again",
            f"{SECRETS}::test_only_one_trailing_newline_is_taken_off",
            f"{SECRETS}::test_a_file_that_everybody_can_read_is_noticed",
            f"{KAFKA}::test_a_password_that_changes_while_records_flow_costs_nothing",
        ),
    ),
    Row(
        "S7",
        "Complaints about settings name keys, never values",
        (
            f"{MISTAKES}::test_a_change_that_is_wrong",
            f"{MISTAKES}::test_a_variable_that_is_wrong",
            f"{UNIT}/settings/test_load.py::test_broken_toml_does_not_quote_its_line",
        ),
    ),
)

OUTBOUND = (
    Row(
        "S8",
        "TLS 1.2 or later and verified everywhere; own authorities, client certificates; Kafka "
        "with TLS, mTLS, SCRAM-SHA-512 and OAUTHBEARER",
        (
            f"{KAFKA}::test_records_and_dead_letters_pass_and_the_commands_look_at_them",
            f"{KAFKA}::test_what_a_broker_refuses_is_waited_for_and_never_a_dead_letter",
            f"{KAFKA}::test_the_check_tells_why_a_broker_refuses_us_and_the_setting_to_mend",
            f"{HTTPS}::test_records_pass_through_a_proxy_to_servers_of_an_own_authority",
            f"{HTTPS}::test_a_server_that_proves_nothing_is_waited_for_and_gets_nothing",
            f"{HTTPS}::test_a_registry_with_tls_and_a_password_gives_its_schemas",
            f"{HTTPS}::test_a_registry_of_another_authority_is_the_set_ups_fault",
            f"{UNIT}/operations/test_check_encryption.py::test_a_certificate_that_nobody_looks_at_is_warned_of",
            f"{UNIT}/operations/test_check_encryption.py::test_a_password_in_clear_to_another_host_is_warned_of",
        ),
    ),
    Row(
        "S9",
        "`http://` is refused but for loopback or where `allow_http` says so",
        (
            f"{MISTAKES}::test_a_change_that_is_wrong",
            f"{EXCHANGE}::test_a_url_that_credentials_must_not_go_to_is_refused",
            f"{IMS}::test_http_is_allowed_to_loopback_or_on_request",
        ),
    ),
    Row(
        "S10",
        "Redirects are not followed; no header, no body goes there",
        (
            f"{HTTPS}::test_a_redirect_takes_nothing_to_another_server",
            f"{CLIENT}::test_a_redirect_is_the_set_ups_fault_and_takes_nothing_along",
            f"{IMS}::test_a_redirect_takes_no_secret_along",
        ),
    ),
    Row(
        "S11",
        "Addresses come from the settings alone; link-local and metadata addresses are refused",
        (
            f"{EXCHANGE}::test_a_metadata_address_is_refused_even_where_http_is_allowed",
            f"{UNIT}/kafka/test_letter.py::test_headers_that_were_forged_before_ours_say_nothing",
            f"{SCHEMAS}/test_registry.py::test_references_without_end_are_refused",
        ),
    ),
    Row(
        "S12",
        "What stands in a header is checked by pattern; nothing of a record does",
        (
            f"{EXCHANGE}::test_a_setting_that_could_start_another_header_is_refused",
            f"{CLIENT}::test_a_setting_that_is_not_safe_to_send_is_refused_at_start",
            f"{CLIENT}::test_a_flow_id_that_could_start_another_header_is_refused_at_start",
        ),
        "But for `traceparent`, of which only the form that W3C gives it is sent on.",
    ),
    Row(
        "S13",
        "Answers are bounded in time, in bytes, and when decompressed; JSON of any depth is read "
        "or refused",
        (
            f"{EXCHANGE}::test_a_gzip_bomb_is_cut_at_the_cap",
            f"{EXCHANGE}::test_an_endless_answer_is_cut_at_the_cap",
            f"{EXCHANGE}::test_a_server_that_dribbles_ends_at_the_total_timeout",
            f"{SCHEMAS}/test_registry.py::test_a_registry_whose_answer_never_ends_is_the_moments_fault",
        ),
    ),
    Row(
        "S14",
        "Proxies and authorities are those of the settings; variables such as `HTTPS_PROXY` and "
        "`SSL_CERT_FILE` change nothing",
        (
            f"{HTTPS}::test_no_proxy_and_no_authority_is_taken_from_the_environment",
            f"{HTTPS}::test_a_proxy_that_refuses_us_is_the_set_ups_fault_and_its_password_is_never_told",
            f"{EXCHANGE}::test_a_request_asks_for_no_compression_and_reads_no_environment",
        ),
    ),
)

INPUT = (
    Row(
        "S15",
        "A writer schema is vetted before it is used: recursion, zero width, depth, fields",
        (
            f"{SCHEMAS}/test_avro_types.py::test_a_schema_that_could_harm_or_is_not_avro_is_refused",
            f"{REAL}/test_hostile_schemas.py::test_a_hostile_schema_neither_hangs_nor_kills",
        ),
    ),
    Row(
        "S16",
        "Decoding has limits; hostile and broken bytes are refused with a code ([bad-input.md]"
        "(bad-input.md))",
        (
            f"{SCHEMAS}/test_hostile_bytes.py::test_hostile_bytes_neither_hang_nor_kill",
            f"{SCHEMAS}/test_avro.py::test_too_many_items_are_refused_whatever_arrays_they_are_in",
            f"{SCHEMAS}/test_avro.py::test_a_payload_beyond_the_byte_limit_is_refused",
            "tests/corpus/test_corpus.py::test_a_row_gets_its_verdict",
        ),
    ),
    Row(
        "S17",
        "A record that ends its process twice is dead-lettered alone",
        (
            f"{REAL}/test_crashes.py::test_a_record_that_ends_its_process_twice_is_dead_lettered_alone",
        ),
    ),
    Row(
        "S18",
        "No text becomes code: expressions have a grammar and a closed list of functions; their "
        "regular expressions run in linear time",
        (
            "tests/test_architecture.py::test_no_text_becomes_code",
            f"{UNIT}/mapping/test_expression.py::test_what_is_no_expression_is_refused_at_its_column",
        ),
    ),
    Row(
        "S19",
        "Nothing forges a line of the log; fields are cut, control characters spelt out",
        (
            f"{LOGS}::test_nothing_forges_a_line",
            f"{REDACTION}::test_control_characters_are_spelt_out",
            f"{REDACTION}::test_long_texts_are_cut_after_masking",
        ),
    ),
    Row(
        "S20",
        "Nothing of a record steers a terminal",
        (
            f"{REAL}/test_dlq_cli.py::test_nothing_from_a_record_steers_the_terminal",
            f"{UNIT}/cli/test_output.py::test_text_from_outside_cannot_steer_the_terminal",
        ),
    ),
)
ROWS: tuple[Row, ...] = KEPT + OUTBOUND + INPUT
