"""The metrics that dashboards and alerts may rely on: names, types and labels, as promised."""

PARTITION = ("topic", "partition")

PROMISED: dict[str, tuple[str, tuple[str, ...]]] = {
    "processor_records_consumed_total": ("counter", PARTITION),
    "processor_records_delivered_total": ("counter", PARTITION),
    "processor_records_dead_lettered_total": ("counter", (*PARTITION, "stage", "code")),
    "processor_records_filtered_total": ("counter", (*PARTITION, "reason")),
    "processor_records_released_total": ("counter", (*PARTITION, "reason")),
    "processor_records_in_flight": ("gauge", PARTITION),
    "processor_consumer_lag": ("gauge", PARTITION),
    "processor_messages_sent_total": ("counter", ("target",)),
    "processor_requests_total": ("counter", ("target", "status")),
    "processor_request_seconds": ("histogram", ("target",)),
    "processor_request_bytes": ("histogram", ("target",)),
    "processor_retries_total": ("counter", ("target", "code")),
    "processor_concurrency_limit": ("gauge", ()),
    "processor_paused": ("gauge", ("reason",)),
    "processor_token_expires_in_seconds": ("gauge", ()),
    "processor_token_refresh_total": ("counter", ("outcome",)),
    "processor_dlq_produce_failures_total": ("counter", ()),
    "processor_commits_total": ("counter", ("outcome",)),
    "processor_rebalances_total": ("counter", ()),
    "processor_end_to_end_seconds": ("histogram", ()),
    "processor_build_info": ("gauge", ("version",)),
    # Added to that list:
    "processor_tasks": ("gauge", ("state",)),
    "processor_unmapped_events_total": ("counter", ("event",)),
    "processor_mapping_failures_total": ("counter", ("event", "target", "row")),
}
"""Type and labels by name. Nothing of it may be renamed or dropped; more may be added."""

HISTOGRAM_SAMPLES = ("_bucket", "_sum", "_count")


def samples() -> dict[str, set[str]]:
    """What PromQL may name, with the labels that it has; those of Prometheus itself left out."""
    found: dict[str, set[str]] = {}
    for name, (kind, labels) in PROMISED.items():
        if kind == "histogram":
            for suffix in HISTOGRAM_SAMPLES:
                found[name + suffix] = {*labels, "le"} if suffix == "_bucket" else set(labels)
        else:
            found[name] = set(labels)
    return found
