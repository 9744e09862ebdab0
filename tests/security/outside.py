"""The admin server, data at rest, what is shipped, and rights in Kafka: S21 to S45."""

from tests.security.row import Row

UNIT, REAL = "tests/unit", "tests/integration"
SERVER = f"{UNIT}/admin/test_server.py"
MATRIX = f"{UNIT}/admin/test_route_matrix.py"
ACCESS = f"{UNIT}/admin/test_access.py"
DLQ = f"{REAL}/test_dlq_cli.py"
COMPOSE = f"{REAL}/test_compose.py"
LOCK = "tests/test_lock.py"
RIGHTS = f"{REAL}/test_rights.py"
PAGES = f"{UNIT}/admin/test_pages.py"
BROWSER = f"{REAL}/page/test_browser.py"
PLANS = f"{UNIT}/admin/test_page_replays.py"

SERVED = (
    Row(
        "S21",
        "The admin server listens on loopback; elsewhere only with a token",
        (f"{UNIT}/settings/test_mistakes.py::test_a_change_that_is_wrong",),
    ),
    Row(
        "S22",
        "Every route asks for a role (view, replay, admin) but health and metrics; a route without "
        "its row in the matrix fails the tests. Tokens are compared in constant time, and one that "
        "cannot be read lets nobody in",
        (
            f"{MATRIX}::test_every_route_has_its_row",
            f"{MATRIX}::test_with_token_files",
            f"{MATRIX}::test_without_a_token_file_on_this_machine",
            f"{MATRIX}::test_without_a_token_file_from_elsewhere",
            f"{ACCESS}::test_roles_have_tokens_of_their_own",
            f"{ACCESS}::test_a_token_that_cannot_be_read_lets_nobody_in",
            f"{ACCESS}::test_a_changed_token_counts_at_once",
        ),
    ),
    Row(
        "S23",
        "Who may is decided on the route that is served, whatever the Host header or the spelling "
        "of the path says",
        (
            f"{ACCESS}::test_a_host_that_looks_like_a_path_opens_nothing",
            f"{ACCESS}::test_no_spelling_of_a_path_goes_round_the_guard",
            f"{ACCESS}::test_other_names_are_refused",
        ),
    ),
    Row(
        "S24",
        "Another site's page changes nothing and reads nothing; sessions have a word of their own "
        "for each form",
        (
            f"{ACCESS}::test_another_site_changes_nothing",
            f"{ACCESS}::test_no_other_site_may_read_an_answer",
            f"{ACCESS}::test_a_session_changes_something_only_with_its_own_forms_word",
            f"{MATRIX}::test_a_page_of_another_name_gets_nothing_of_this_machine",
            f"{BROWSER}::test_another_site_cannot_send_our_forms",
        ),
    ),
    Row(
        "S25",
        "What a record holds is text on a page, in a real browser too; a strict content policy",
        (
            f"{PAGES}::test_whatever_a_record_holds_is_text",
            f"{PAGES}::test_no_page_has_scripts_or_styles_within",
            f"{PAGES}::test_the_headers_of_a_page",
            f"{BROWSER}::test_what_a_record_says_stays_text",
        ),
    ),
    Row(
        "S26",
        "Customers' values are masked; revealing them is written down",
        (
            f"{DLQ}::test_show_masks_what_is_the_customer_s_and_reveal_is_written_down",
            f"{PAGES}::test_a_letter_is_masked_unless_its_reveal_was_asked_for",
            f"{BROWSER}::test_a_reveal_asks_and_is_logged_with_who_and_which",
            f"{ACCESS}::test_what_a_page_may_show",
        ),
    ),
    Row(
        "S27",
        "What cannot be decoded is shown by size and hash",
        (
            f"{DLQ}::test_what_cannot_be_decoded_is_shown_by_size_and_hash",
            f"{BROWSER}::test_what_cannot_be_decoded_is_shown_by_length_and_hash",
        ),
    ),
    Row(
        "S28",
        "What is downloaded is an attachment; columns hold no formula",
        (f"{UNIT}/cli/test_output.py::test_columns_hold_no_formula_no_line_break_and_no_tab",),
        "On the command line; the page downloads nothing.",
    ),
    Row(
        "S29",
        "Only this connector's own topics are read",
        (
            f"{UNIT}/operations/test_letters.py::test_only_our_dead_letter_topics_are_believed",
            f"{BROWSER}::test_only_topics_of_the_connector_can_be_read",
        ),
    ),
    Row(
        "S30",
        "A replay is a dry run first, has a rate, is done once and by one at a time",
        (
            f"{REAL}/test_letters_replay.py::test_two_people_who_replay_the_same_letters_do_it_once",
            f"{PLANS}::test_a_plan_is_executed_once_however_often_it_is_said",
            f"{PLANS}::test_another_number_than_the_plan_holds_sends_nothing",
            f"{PLANS}::test_one_replay_at_a_time",
            f"{ACCESS}::test_who_changed_what_is_logged_and_nothing_of_a_token",
            f"{UNIT}/operations/test_replaying.py::test_a_rate_is_messages_a_second_and_not_above_the_connector_s",
        ),
    ),
    Row(
        "S31",
        "No filter is code or a regular expression",
        (f"{UNIT}/operations/test_where.py::test_what_is_no_condition_is_said_so",),
    ),
    Row(
        "S32",
        "Bodies, headers, connections and time of the admin server are bounded",
        (
            f"{SERVER}::test_a_body_over_the_limit_is_refused",
            f"{SERVER}::test_headers_over_the_limit_are_refused",
            f"{SERVER}::test_headers_that_never_end_are_refused",
            f"{SERVER}::test_a_body_that_does_not_come_ends_the_request",
            f"{SERVER}::test_a_request_whose_head_does_not_come_is_cut_off",
        ),
    ),
    Row(
        "S33",
        "Health tells no addresses, versions or topics, but where something has to be mended",
        (f"{SERVER}::test_answers_leak_nothing_and_are_not_kept",),
        "`/readyz` says why it waits, and may name a topic, an inlet or a server.",
    ),
    Row(
        "S34",
        "Labels of metrics are of closed sets",
        ("tests/security/test_rows.py::test_labels_of_metrics_name_no_customer",),
    ),
)

AT_REST = (
    Row(
        "S35",
        "Dead-letter topics end: `cleanup.policy=delete` and a finite retention",
        (
            f"{REAL}/test_source.py::test_a_dead_letter_topic_that_is_missing_is_created_like_its_source",
        ),
        "They hold what the source holds: give them its ACLs. No encryption of fields: a letter is "
        "byte-identical, so what the producer encrypted stays so.",
    ),
    Row(
        "S36",
        "A dead letter's headers say code and path, never a field's value",
        (
            f"{UNIT}/kafka/test_letter.py::test_no_repr_shows_what_the_record_held",
            f"{REAL}/test_dead_letters.py::test_a_record_at_fault_becomes_a_whole_dead_letter_and_its_neighbours_arrive",
        ),
    ),
    Row(
        "S37",
        "No core dumps, no temporary files; the log is stderr",
        (
            f"{REAL}/test_secrets.py::test_no_process_has_a_secret_in_its_arguments_or_leaves_a_core_dump",
            f"{REAL}/test_secrets.py::test_nothing_is_written_but_the_log_and_no_answer_or_letter_holds_a_secret",
        ),
        "Swap and a kernel that pipes dumps to a program are the host's.",
    ),
)

SHIPPED = (
    Row(
        "S38",
        "Dependencies are locked with hashes, in the image too",
        (
            f"{LOCK}::test_every_pin_has_a_hash",
            f"{LOCK}::test_every_line_is_a_pin_a_hash_or_a_comment",
            f"{LOCK}::test_tests_run_with_the_versions_that_are_shipped",
        ),
        "A weekly audit belongs to whoever runs the registry of images.",
    ),
    Row(
        "S39",
        "Bill of materials",
        (),
        "`deploy/requirements.txt` is one: every package that is shipped, with version and hash; "
        "scanners read it, and make CycloneDX of it. Nothing is published from here, so there is "
        "nothing to sign.",
    ),
    Row(
        "S40",
        "The image runs as a number that is not root, writes nothing, and has no rights",
        (
            f"{COMPOSE}::test_our_own_containers_can_write_nothing",
            f"{COMPOSE}::test_a_service_has_the_tag_of_a_version_and_no_rights_that_it_does_not_use",
            f"{COMPOSE}::test_no_variable_holds_a_secret",
        ),
        "Where there is a container engine the tests build and run it; the base image is pinned by "
        "version, not by digest.",
    ),
    Row(
        "S41",
        "Libraries inside wheels (OpenSSL, curl, zstd in librdkafka's)",
        (),
        "They move with the lock file; `make lock ARGS=--upgrade` takes newer ones. A scanner that "
        "looks into wheels is the registry's.",
    ),
    Row(
        "S42",
        "The HTTP client: one per job, and why it is the one",
        ("tests/test_architecture.py::test_a_library_is_imported_only_where_its_job_is",),
        "httpx, see benchmarks.md; only its transport would differ.",
    ),
    Row("S43", "Actions of a CI are pinned", (), "There is no workflow: `.ci/run` is a script."),
)

RIGHTS_IN_KAFKA = (
    Row(
        "S44",
        "Each work runs with exactly the rights of the table above, on a broker that denies the "
        "rest; a replay has a group of its own",
        (
            f"{RIGHTS}::test_the_connector_runs_with_what_is_listed_and_no_more",
            f"{RIGHTS}::test_a_right_that_the_connector_lacks_is_complained_about_by_name",
            f"{RIGHTS}::test_without_the_state_topic_records_flow_and_the_log_says_so",
            f"{RIGHTS}::test_whoever_looks_needs_no_right_to_change_anything",
            f"{RIGHTS}::test_a_right_that_is_missing_for_a_look_is_named",
            f"{RIGHTS}::test_a_replay_needs_its_own_group_and_no_right_to_the_connectors",
            f"{RIGHTS}::test_offsets_are_reset_with_rights_to_the_group_and_to_the_topic",
        ),
    ),
    Row(
        "S45",
        "`processor check` says what is missing before the start",
        (
            f"{REAL}/test_check.py::test_each_right_that_is_taken_away_is_named_and_nothing_else",
            f"{REAL}/test_check.py::test_topics_that_are_missing_need_a_right_to_be_created",
            f"{REAL}/test_check.py::test_with_the_rights_that_are_named_the_state_topic_works",
        ),
    ),
)
ROWS: tuple[Row, ...] = SERVED + AT_REST + SHIPPED + RIGHTS_IN_KAFKA
