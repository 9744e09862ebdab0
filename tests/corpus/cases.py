"""The whole corpus, B1 to B66, by where it is tested; read this first, then a module of rows."""

from collections.abc import Mapping

from tests.corpus import avro_body, breakers, framing, generated, kafka, text
from tests.corpus.generated import Generated
from tests.corpus.rows import Row

ROWS: tuple[Row, ...] = (*framing.ROWS, *avro_body.ROWS, *text.ROWS)
GENERATED: tuple[Generated, ...] = generated.ROWS
PROVEN = kafka.PROVEN
LATER = kafka.LATER
NUMBERS = frozenset({*(f"B{n}" for n in range(1, 67)), "B13a"})
"""Every row of the corpus that is about records."""

JUDGED: tuple[Row | Generated, ...] = (*ROWS, *GENERATED, *breakers.ROWS)
BY_NAME: Mapping[str, Row | Generated] = {row.name: row for row in JUDGED}
