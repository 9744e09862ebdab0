"""Replaces a piece of the product's source while a test runs."""

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


@contextmanager
def mutated(owner: Any, name: str, *changes: tuple[str, str]) -> Iterator[None]:
    """Run with a function changed: each text is replaced, which stands in it exactly once.

    Args:
        owner: the class or module that holds the function.
        name: of the function.
        changes: what stands there, and what is to stand there.

    Raises:
        AssertionError: a text is not there any more; a mutation must never silently change nothing.
    """
    function = vars(owner)[name]
    text = textwrap.dedent(inspect.getsource(function))
    for before, after in changes:
        assert text.count(before) == 1, f"{owner.__name__}.{name} does not hold {before!r} once"
        text = text.replace(before, after)
    module = inspect.getmodule(function)
    assert module is not None
    space: dict[str, Any] = {}
    exec(text, vars(module), space)  # noqa: S102 - the product's own source, changed as stated
    with patch.object(owner, name, space[function.__name__]):
        yield
