"""Faults around the running connector: its admin server, its signals, its container. F65 to F67."""

from tests.faults.row import Row

LIMITS = "tests/integration/test_admin_limits.py"
SERVER = "tests/unit/admin/test_server.py"

ROWS = (
    Row(
        "F65",
        "200 clients at the admin server, slow-loris, a body of 100 MB",
        "0/0; 413, 429, 408 or cut off: heads end at 16 KB or after 10 s, bodies at 64 KB or after "
        "10 s; probes are answered; records flow",
        (
            f"{LIMITS}::test_records_flow_and_probes_are_answered_while_a_crowd_is_refused",
            f"{LIMITS}::test_a_body_that_does_not_come_and_one_that_is_too_large",
            f"{SERVER}::test_a_body_over_the_limit_is_refused",
            f"{SERVER}::test_a_body_that_does_not_come_ends_the_request",
            f"{SERVER}::test_headers_that_never_end_are_refused",
            f"{SERVER}::test_headers_over_the_limit_are_refused",
            f"{SERVER}::test_a_request_whose_head_does_not_come_is_cut_off",
        ),
        "What it costs in throughput: `make bench ARGS=--crowd`.",
    ),
    Row(
        "F66",
        "a scrape during all of the above",
        "consumed = delivered + dead-lettered + filtered + released + in flight, at every scrape",
        (
            "tests/unit/connector/test_supervisor.py::test_the_books_balance_after_any_number_of_crashes",
            "tests/integration/test_metrics.py::test_every_promised_metric_is_there_with_its_type_and_labels",
            "tests/integration/test_metrics.py::test_what_is_given_back_unended_is_counted_with_its_reason",
            "tests/test_monitoring.py::test_each_alert_has_a_test_in_which_it_fires",
        ),
        "`make chaos` and `make kills` look at every scrape of every instance; the alert "
        "`ProcessorBooksDoNotBalance` does so for good.",
    ),
    Row(
        "F67",
        "a read-only root file system, a full disk, no capabilities",
        "0/0; it writes nothing but into a small `/tmp`; logs go to stderr",
        (
            "tests/integration/test_read_only.py::test_it_needs_no_capability_and_no_place_to_write_to",
            "tests/integration/test_compose.py::test_our_own_containers_can_write_nothing",
        ),
    ),
)
"""Rows F65 to F67."""
