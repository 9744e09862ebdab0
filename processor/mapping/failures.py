"""How rules fail at run time; no message ever quotes the record."""


class ExpressionFailed(ValueError):
    """An expression that has no value for this record."""


class PatternError(ExpressionFailed):
    """A constant that says how (a pattern, a zone, a part of a date) and cannot be used."""


class WrongType(TypeError):
    """A source field that does not hold what its Avro schema says."""
