"""How large and how deep a schema or a payload may be before it is refused."""

SCHEMA_TEXT_MAX_BYTES = 1_000_000
"""Text of one Avro schema, references included."""

SCHEMA_DEPTH_MAX = 64
"""Types inside types, named types followed. Recursion that is not bounded ends the process."""

SCHEMA_NODES_MAX = 5_000
"""Types in a schema when every named type is written out where it is used."""

UNION_BRANCHES_MAX = 200
"""Branches of one union; Python cannot compile a choice among thousands."""

SCHEMA_EMPTY_FIELDS_MAX = 256
"""Fields that take no byte in the payload, so that 1 byte cannot grow into thousands of fields."""

DECIMAL_PRECISION_MAX = 1_000
"""Digits of a decimal. Converting bytes to digits takes quadratic time."""

PAYLOAD_MAX_BYTES = 4 * 1024 * 1024
"""One record's value; Kafka's default is 1 MB, and Experience Platform takes 1 MB a request."""

ITEMS_MAX = 50_000
"""Items of all arrays and maps of one event: a 1 MB bulk coupon event has fewer than 10,000."""

JSON_TOKENS_MAX = 1_000_000
"""Commas and brackets of a JSON value: bounds the objects that parsing makes."""
