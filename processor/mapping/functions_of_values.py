"""The functions of texts, numbers and conditions."""

from processor.mapping import bodies, regexes, shapes
from processor.mapping.signature import (
    A_BOOLEAN,
    A_NUMBER,
    A_TEXT,
    AN_INTEGER,
    ANYTHING,
    ARRAY,
    BOOLEAN,
    NUMBER,
    PRINTABLE,
    TEXT,
    TEXT_OR_NUMBER,
    TEXTS,
    Function,
    always,
    decoded,
    one_of_arguments,
)

_HASHES = {
    "sha1": "SHA-1",
    "sha256": "SHA-256",
    "sha512": "SHA-512",
    "md5": "MD5",
    "crc32": "CRC-32, least byte first as in Adobe's example",
}
_CHARSET = "in UTF-8, or the named UTF-16, ISO-8859-1 or US-ASCII"

TABLE: tuple[Function, ...] = (
    Function("concat", 1, None, (PRINTABLE,), A_TEXT, bodies.concat, "joins texts and numbers"),
    *(
        Function(name, 1, 1, (TEXT,), A_TEXT, str.lower, "the text in lower case")
        for name in ("lower", "lcase")
    ),
    *(
        Function(name, 1, 1, (TEXT,), A_TEXT, str.upper, "the text in upper case")
        for name in ("upper", "ucase")
    ),
    Function("trim", 1, 1, (TEXT,), A_TEXT, bodies.trim, "without blanks at its ends, as in Java"),
    Function("ltrim", 1, 1, (TEXT,), A_TEXT, bodies.ltrim, "without blanks at its beginning"),
    Function("rtrim", 1, 1, (TEXT,), A_TEXT, bodies.rtrim, "without blanks at its end"),
    Function(
        "substr",
        3,
        3,
        (TEXT, NUMBER),
        A_TEXT,
        bodies.substr,
        "characters from a start (from 0), at most a length; a negative one fails",
    ),
    Function("left", 2, 2, (TEXT, NUMBER), A_TEXT, bodies.left, "the first characters"),
    Function("right", 2, 2, (TEXT, NUMBER), A_TEXT, bodies.right, "the last characters"),
    *(
        Function(
            name,
            3,
            3,
            (TEXT, NUMBER, TEXT),
            A_TEXT,
            body,
            f"the text, at least so long, with padding {where} it; null or empty padding is a "
            "blank, a longer text stays",
            sees_nulls=True,
        )
        for name, body, where in (
            ("lpad", bodies.lpad, "before"),
            ("rpad", bodies.rpad, "behind"),
        )
    ),
    Function(
        "instr",
        2,
        4,
        (TEXT, TEXT, NUMBER),
        AN_INTEGER,
        bodies.instr,
        "where a part begins (from 0), else -1; from a start on, the n-th time",
    ),
    Function("replacestr", 3, 3, (TEXT,), A_TEXT, bodies.replacestr, "replaces every occurrence"),
    Function(
        "split",
        2,
        2,
        (TEXT,),
        TEXTS,
        bodies.split,
        "the parts between any of the separator's characters, without empty ones at the end",
    ),
    Function(
        "explode",
        1,
        2,
        (TEXT,),
        TEXTS,
        regexes.explode,
        "the parts between matches of a regular expression (`,`), without empty ones at the end",
        constant_at=1,
        of_constant=regexes.exploder,
    ),
    Function(
        "extract_regex",
        2,
        2,
        (TEXT,),
        TEXTS,
        regexes.extract,
        "the first match and its groups, or null",
        constant_at=1,
        of_constant=regexes.extractor,
    ),
    Function(
        "matches_regex",
        2,
        2,
        (TEXT,),
        A_BOOLEAN,
        regexes.matches,
        "whether the whole text matches",
        constant_at=1,
        of_constant=regexes.matcher,
    ),
    Function(
        "join",
        2,
        2,
        (TEXT, ARRAY),
        A_TEXT,
        bodies.join,
        "one text of an array's elements, without nulls",
    ),
    Function(
        "equals",
        2,
        2,
        (TEXT,),
        A_BOOLEAN,
        bodies.equals,
        "whether two texts are equal; written `a.equals(b)`, too",
        sees_nulls=True,
    ),
    Function(
        "equalsIgnoreCase",
        2,
        2,
        (TEXT,),
        A_BOOLEAN,
        bodies.equals_ignoring_case,
        "the same without regard to case, as in Java",
        sees_nulls=True,
    ),
    *(
        Function(
            name,
            1,
            2,
            (TEXT,),
            A_TEXT,
            bodies.hashed(name),
            f"{what}, in hexadecimal; {_CHARSET}",
            constant_at=1,
            of_constant=bodies.hasher(name),
        )
        for name, what in _HASHES.items()
    ),
    *(
        Function(
            name,
            0,
            0,
            (ANYTHING,),
            A_TEXT,
            None,
            "a UUID of the event and the row: the same at every delivery, and never twice",
        )
        for name in ("uuid", "guid")
    ),
    Function(
        "iif",
        3,
        3,
        (BOOLEAN, ANYTHING),
        lambda arguments: shapes.common(arguments[1:]),
        None,
        "the second argument when the condition holds, else the third; null is false",
    ),
    Function(
        "decode",
        2,
        None,
        (PRINTABLE, ANYTHING),
        decoded,
        None,
        "the value behind the key that equals the first argument; else the last argument, or null",
    ),
    Function(
        "coalesce",
        1,
        None,
        (ANYTHING,),
        one_of_arguments,
        None,
        "the first that is not null, of the arguments or of one array",
    ),
    Function("nullify", 0, 0, (ANYTHING,), always(shapes.NULL), None, "null"),
    *(
        Function(
            name,
            1,
            None,
            (PRINTABLE | ARRAY,),
            one_of_arguments,
            body,
            f"the {which} of the arguments, or of one array; any null argument gives null",
        )
        for name, body, which in (
            ("min", bodies.smallest, "least"),
            ("max", bodies.largest, "greatest"),
        )
    ),
    Function(
        "to_integer",
        1,
        1,
        (TEXT_OR_NUMBER,),
        AN_INTEGER,
        bodies.to_integer,
        "a whole number of 32 bits; a fraction fails",
    ),
    Function(
        "to_bigint",
        1,
        1,
        (TEXT_OR_NUMBER,),
        A_NUMBER,
        bodies.to_bigint,
        "a number of any size; a fraction stays, as in Adobe's example",
    ),
    *(
        Function(
            name, 1, 1, (TEXT_OR_NUMBER,), A_NUMBER, bodies.to_decimal, "a finite number (double)"
        )
        for name in ("to_decimal", "to_float")
    ),
)
