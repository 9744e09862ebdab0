"""The grammar: what it reads, and what it says about what it does not."""

import pytest

from processor.mapping.expression import (
    MAX_CHARACTERS,
    Call,
    ExpressionError,
    Field,
    Literal,
    Node,
    Operation,
    parse,
)
from processor.mapping.paths import EACH


def shown(node: Node) -> str:
    """The tree as a person writes it with all its brackets."""
    if isinstance(node, Literal):
        return repr(node.value)
    if isinstance(node, Field):
        return str(node.path)
    if isinstance(node, Call):
        return f"{node.name}({', '.join(map(shown, node.arguments))})"
    return f"[{node.operator} {' '.join(map(shown, node.operands))}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "[+ 1 [* 2 3]]"),
        ("(1 + 2) * 3", "[* [+ 1 2] 3]"),
        ("8 - 2 - 1", "[- [- 8 2] 1]"),
        ("7 div 2 mod 3", "[% [/ 7 2] 3]"),
        ("-a.b * 2", "[* [neg a.b] 2]"),
        ("a lt 1 && !b || c", "[|| [&& [< a 1] [! b]] c]"),
        ("a eq 1 or b ne 2 and c ge 3", "[|| [== a 1] [&& [!= b 2] [>= c 3]]]"),
        ("not a == b", "[== [! a] b]"),
        ("a <= b != true", "[!= [<= a b] True]"),
        ('concat("a", lower(b.c))', "concat('a', lower(b.c))"),
        ("nullify()", "nullify()"),
        ('"s".equalsIgnoreCase("S")', "equalsIgnoreCase('s', 'S')"),
        ("trim(a).equals(b)", "equals(trim(a), b)"),
        ("data.items[0].sku", "data.items[0].sku"),
        ("data.items[*].sku", "data.items[*].sku"),
        ("${First Name}.${a.b}", "${First Name}.${a.b}"),
        (r"First\.Name.x", "${First.Name}.x"),
        ("[1, 'x', null]", "to_array(True, 1, 'x', None)"),
        ('{"k": 1}', "to_object('k', 1)"),
        (r'"a\"b\n\\"', repr('a"b\n\\')),
        ("1.5e3", "1500.0"),
        ("notable", "notable"),
        ("android + organ", "[+ android organ]"),
        ("$x._y", "${$x}._y"),
        ("größe", "größe"),
    ],
)
def test_an_expression_is_read_as_java_reads_it(text: str, expected: str) -> None:
    assert shown(parse(text)) == expected


def test_every_element_is_a_step_of_a_path() -> None:
    node = parse("a[*].b")

    assert isinstance(node, Field)
    assert node.path.steps == ("a", EACH, "b")


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("", 1, "too early"),
        ("   ", 4, "too early"),
        ("concat(a,", 10, "too early"),
        ("concat(a,)", 10, "')'"),
        ("a b", 3, "'b'"),
        ("a..b", 3, "'.'"),
        ('concat("abc)', 8, "no end"),
        ("data.new", 6, "reserved"),
        ("for", 1, "reserved"),
        ("lt", 1, "reserved"),
        ("a # b", 3, "'#'"),
        ("lower(x)[*]", 10, "only a field"),
        ("x['a']", 3, "does not belong"),
        ("1" * 60, 1, "too long"),
        ("a; import os", 2, "';'"),
    ],
)
def test_what_is_no_expression_is_refused_at_its_column(text: str, column: int, word: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)

    assert caught.value.column == column
    assert word in str(caught.value)


def test_an_expression_longer_than_adobes_limit_is_refused() -> None:
    longest = '"' + "x" * (MAX_CHARACTERS - 2) + '"'

    assert isinstance(parse(longest), Literal)
    with pytest.raises(ExpressionError, match="4097 characters"):
        parse(longest + " ")


@pytest.mark.parametrize("text", ["!" * 4000 + "a", "+".join(["a"] * 1500), "f(" * 1300 + "a"])
def test_deep_nesting_is_refused_before_it_costs_a_stack(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_a_method_is_a_function_of_what_stands_before_the_dot() -> None:
    node = parse("a.b.equals(c)")

    assert isinstance(node, Call)
    assert (node.name, node.method, node.column) == ("equals", True, 5)


def test_operators_know_where_they_stand() -> None:
    node = parse("  a + b")

    assert isinstance(node, Operation)
    assert node.column == 3
