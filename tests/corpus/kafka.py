"""The rest of the corpus: what only a broker can show, and what waits for parts that come later."""

from tests.corpus.rows import Later, Proven

HERE = "tests/integration/test_bad_input_corpus.py::"
MIXED = f"{HERE}test_of_a_mixed_batch_only_the_bad_records_leave"
KEYS = f"{HERE}test_keys_and_headers_stay_as_they_were_and_are_not_believed"
LARGE = f"{HERE}test_a_record_as_large_as_its_topic_takes_is_never_dropped"
BROWSER = "tests/integration/page/test_browser.py::"
STAYS_TEXT = f"{BROWSER}test_what_a_record_says_stays_text"

PROVEN: tuple[Proven, ...] = (
    Proven("B41", "control characters in logs and on terminals", "spelt out", (
        "tests/unit/telemetry/test_logs.py::test_nothing_forges_a_line",)),
    Proven("B42", "markup, templates and scripts in every text and header, in a browser",
        "text: no dialog, no request, no complaint", (STAYS_TEXT,)),
    Proven("B24", "undecodable bytes on the page of a dead letter", "length and hash, no byte",
        (f"{BROWSER}test_what_cannot_be_decoded_is_shown_by_length_and_hash",)),
    Proven("B59", "hostile names of headers on the page of a dead letter", "text", (STAYS_TEXT,)),
    Proven("B46", "a message of more than 1 MB", "dead letter `delivery.too_large`", (
        LARGE,)),
    Proven("B58", "a key of null, 10 KB, binary, Avro framing", "byte-identical in the dead letter",
        (KEYS,)),
    Proven("B59", "0, 1, 1,000 headers, of one name, null and binary, 100 KB",
        "byte-identical in the dead letter, ours behind them", (KEYS,)),
    Proven("B60", "a value as large as the topic takes",
        "dead letter; where its topic has no room for headers, ours are cut first, then it waits",
        (LARGE,)),
    Proven("B62", "forged headers of Kafka Connect and of ours",
        "not believed: delivered, or a dead letter with the true coordinates", (
        KEYS,)),
    Proven("B63", "an exact duplicate, through Kafka", "both delivered with one `_id`", (
        KEYS,)),
    Proven("B64", "1,000 records of one key", "in order, and others are not starved", (
        f"{HERE}test_a_hot_key_keeps_its_order_and_starves_nobody",)),
    Proven("B65", "99 good records and one of each dead letter above",
        "only the bad ones leave, by identity", (MIXED,)),
    Proven("B66", "Kafka batches compressed 1,000 to 1",
        "as any other, one inflated fetch in memory", (
        f"{HERE}test_batches_that_are_compressed_a_thousandfold_are_in_memory_only_once",)),
)  # fmt: skip

LATER: tuple[Later, ...] = (
    Later("B42", "formulas in tables that are downloaded", "there are none: exports are JSON"),
    Later("B63", "a window in which duplicates are left out", "opt-in of the row; not offered: "
        "Profile drops what has an `_id` that it knows, and a window would lose what it forgets"),
    Later("B66", "memory that does not grow with the ratio", "librdkafka inflates a whole fetch, "
        "and its limits count compressed bytes: 360 MB of records took 423 MB, 1,080 MB 1,114 MB"),
    Later("B19", "more than 10 items in an event", "Adobe's advice and not a limit; the size "
        "limits of the gate hold"),
)  # fmt: skip
